"""The skill for coding agents that the package ships: its code runs, and does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import ajoxi_async
from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.signing import sign
from ajoxi_async.sandbox import Timing

SKILL = (Path(ajoxi_async.__file__).parent / ".agents/skills/ajoxi-async/SKILL.md").read_text()


@pytest.fixture
def code() -> dict[str, Any]:
    """The names that the skill's blocks define, all together."""
    names: dict[str, Any] = {"__name__": "skill"}
    for block in re.findall(r"```python\n(.*?)```", SKILL, re.DOTALL):
        exec(compile(block, "SKILL.md", "exec"), names)
    return names


def test_its_head_says_when_to_use_it() -> None:
    """The head has the name of its folder and a description, in the form that tools read."""
    head = re.match(r"---\nname: ajoxi-async\ndescription: (.{50,1024})\n---\n", SKILL)
    assert head is not None
    assert "Use when" in head[1]


@pytest.mark.anyio
async def test_calls(code: dict[str, Any]) -> None:
    """Its functions place a call, once even if the outcome is unknown, list it, and follow what is said."""
    timing = Timing(ring=0.01, talk=0.1)
    async with (
        Sandbox(port=None, timing=timing) as sandbox,
        AsyncAjoxi(
            sandbox.api_key, base_url=sandbox.base_url, transport=sandbox.transport(), client_references=True
        ) as client,
    ):
        call = await code["place"](client, "+15005550100")
        assert len(await code["follow"](client, call.id)) > 0
        assert await code["completed"](client) == [call.id]
        sandbox.faults.add(action="drop_after_commit", match="calls.create", when="times", n=1)
        found = await code["place"](client, "+15005550102")
        assert found is not None
        assert len(sandbox.world().rings()) == 2


@pytest.mark.anyio
async def test_the_webhook(code: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Its application takes a signed event and calls the handler."""
    body = b'{"id": "evt_1", "type": "call.completed", "created_at": "2026-01-01T00:00:00Z", "data": {"id": "call_1", "disposition": "busy"}}'
    signed = {"X-Ajoxi-Signature": sign(body, ["whsec_0123456789"])}
    async with (
        code["router"],
        httpx.AsyncClient(transport=httpx.ASGITransport(code["app"]), base_url="http://testserver") as browser,
    ):
        assert (await browser.post("/webhooks/ajoxi", content=body, headers=signed)).status_code == 204
    assert "call_1 busy" in capsys.readouterr().out


@pytest.mark.anyio
async def test_its_test(code: dict[str, Any], ajoxi_sandbox: Sandbox, ajoxi_client: AsyncAjoxi) -> None:
    """The test that it shows passes."""
    await code["test_a_busy_number"](ajoxi_sandbox, ajoxi_client)
