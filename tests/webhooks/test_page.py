"""The code of docs/webhooks.md, run as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ajoxi_async.contract import signing

PAGE = (Path(__file__).parent.parent.parent / "docs" / "webhooks.md").read_text()


@pytest.mark.anyio
async def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """The page's router handles each kind of event, and its `take` tells a forgery from an event."""
    code: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/webhooks.md", "exec"), code)
    async with code["router"]:
        for number, kind in enumerate(["call.completed", "message.received", "call.pondered", "call.started"]):
            body = msgspec.json.encode({"id": f"evt_{number}", "type": kind, "data": {"id": "x_1", "duration": 7}})
            receipt = await code["router"].receive(body, signing.sign(body, ["whsec_0123456789"]))
            assert receipt.status == 204
    out = capsys.readouterr().out
    for said in ("x_1 None 7", "None None", "does not know: call.pondered", "call.started"):
        assert said in out
    assert code["take"](body, signing.sign(body, ["whsec_old"])).id == "evt_3"
    assert code["take"](body + b"\n", signing.sign(body, ["whsec_new"])) is None
    assert "white space" in capsys.readouterr().out
