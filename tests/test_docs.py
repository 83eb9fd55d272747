"""The code of the pages of docs, run against the sandbox as it stands."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from ajoxi_async import AsyncAjoxi, EventType, Sandbox, WebhookRouter
from ajoxi_async.sandbox import Answer, Timing
from tests.client.fakes import ScriptedTransport, answer

pytestmark = pytest.mark.asyncio

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "streams.md").read_text()
CODE: dict[str, Any] = {"__name__": "streams"}
for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
    exec(compile(block, "docs/streams.md", "exec"), CODE)


async def test_streams(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Following one call, many calls and raw events prints what was said; an archive that is resumed is not longer."""
    async with (
        Sandbox(timing=Timing(ring=0.05, talk=0.3)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        calls = [(await client.calls.create(to="+14155551234", from_="+14155550100")).id for _ in range(2)]
        await CODE["follow"](client, calls[0])
        text = (await client.transcripts.retrieve(calls[0])).segments[-1].text
        assert capsys.readouterr().out.count(text) == 1
        await CODE["watch"](client, [*calls, "call_unknown"])
        out = capsys.readouterr().out
        assert text in out
        assert "call_unknown failed:" in out
        await CODE["raw"](client, f"/v1/transcripts/{calls[0]}")
        assert "transcript.completed" in capsys.readouterr().out
        for _ in range(2):
            await CODE["archive"](client, calls[0], tmp_path / "archive.jsonl")
            # Six finals and a correction, the second time as well.
            assert len((tmp_path / "archive.jsonl").read_text().splitlines()) == 7


async def test_the_test_of_the_page() -> None:
    """The page's own test passes."""
    await CODE["test_my_consumer"]()


async def test_recordings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The three ways of docs/recordings.md bring the same bytes."""
    code: dict[str, Any] = {"__name__": "recordings"}
    page = (Path(__file__).parent.parent / "docs" / "recordings.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/recordings.md", "exec"), code)
    async with (
        Sandbox(timing=Timing(ring=0.02, talk=2, processing=0.02), clock="auto") as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        await client.calls.create(to="+14155551234", from_="+14155550100", record=True)
        while not (found := (await client.recordings.list()).data):
            await asyncio.sleep(0.01)
        audio = await code["memory"](client, found[0].id)
        await code["file"](client, found[0].id, tmp_path / "a.wav")
        assert (tmp_path / "a.wav").read_bytes() == audio
        assert await code["stream"](client, found[0].id) == len(audio) == found[0].size
    assert f"{len(audio)} of {len(audio)} bytes" in capsys.readouterr().out


def code_of(page: str) -> dict[str, Any]:
    """The names that the code of a page defines, all blocks together."""
    code: dict[str, Any] = {"__name__": page}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        exec(compile(block, f"docs/{page}", "exec"), code)
    return code


async def test_hub(capsys: pytest.CaptureFixture[str]) -> None:
    """The consumer of docs/hub.md prints what was said, its application sends it to browsers, and its test passes."""
    code = code_of("hub.md")
    await code["test_two_consumers"]()
    async with Sandbox(timing=Timing(ring=0.02, talk=0.2), port=None) as sandbox:
        client = AsyncAjoxi(sandbox.api_key, transport=sandbox.transport())
        call = await client.calls.create(to="+14155551234", from_="+14155550100")
        await code["main"](client, call.id)
        text = (await client.transcripts.retrieve(call.id)).segments[-1].text
        assert text in capsys.readouterr().out
        app = code["create_app"](client)
        browser = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        async with app.router.lifespan_context(app), browser:
            assert text in (await browser.get(f"/calls/{call.id}/events")).text


async def test_dialer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The campaign of docs/dialer.md calls nobody more than three times and has a row for each person."""
    monkeypatch.chdir(tmp_path)
    rings = await code_of("dialer.md")["rehearsal"]()
    assert set(rings) == {1, 2, 3}
    assert len((tmp_path / "autumn.csv").read_text().splitlines()) == 201
    assert "200 rows were loaded, and the rows of this report add up" in (tmp_path / "autumn.html").read_text()


async def test_dialer_workflows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shift of docs/dialer-workflows.md runs as a Temporal activity: it dials, tells its progress, and says who is left."""
    from temporalio.testing import ActivityEnvironment

    from ajoxi_async.dialer import Campaign, Ledger
    from ajoxi_async.dialer.dialing import running

    monkeypatch.setattr(running.Running, "first_look", 0.1)
    code: dict[str, Any] = {"__name__": "workflows"}
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "dialer-workflows.md").read_text(), re.DOTALL)
    # The block for DBOS, whose registry takes a name once in a process, is run by test_project.py.
    for block in blocks[:2]:
        exec(compile(block, "docs/dialer-workflows.md", "exec"), code)
    code["LEDGER"] = str(tmp_path / "ledger.db")
    async with Sandbox(timing=Timing(ring=0.01, talk=0.02)) as sandbox:
        monkeypatch.setenv("AJOXI_API_KEY", sandbox.api_key)
        monkeypatch.setenv("AJOXI_BASE_URL", sandbox.base_url)
        async with Ledger(code["LEDGER"]) as ledger:
            campaign = await Campaign.open(ledger, None, "autumn", from_="+14155550100")
            await campaign.load([f"+1415555{number:04d}" for number in range(8)])
        beats: list[str] = []
        environment = ActivityEnvironment()
        environment.on_heartbeat = beats.append
        assert await environment.run(code["shift"], "autumn") == 0
        assert "done 8" in beats[-1]
        assert len(sandbox.world().rings()) == 8


async def test_readme() -> None:
    """The tour of the README runs from its beginning to its end."""
    code: dict[str, Any] = {"__name__": "README"}
    blocks = re.findall(r"```python\n(.*?)```", (DOCS.parent / "README.md").read_text(), re.DOTALL)
    tour = next(block for block in blocks if "def tour" in block)
    async with (
        Sandbox(timing=Timing(ring=0.01, talk=0.05, processing=0.01)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        placed = await client.calls.create(to="+14155551234", from_="+14155550100", metadata={"team": "blue"})
        exec(compile(tour.replace("call_8f2a1b3c", placed.id), "README.md", "exec"), code)
        await client.calls.wait(placed)
        await code["tour"](client)


async def test_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    """The code of docs/waiting.md, woken by webhooks: somebody who answers, somebody who does not, and a wait that is too short."""
    code = code_of("waiting.md")
    routers: list[WebhookRouter] = []

    async def post(url: str, headers: dict[str, str], body: bytes) -> Answer:
        return Answer((await routers[0].receive(body, headers["X-Ajoxi-Signature"])).status)

    async with (
        Sandbox(port=None, clock="auto", post=post) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
    ):
        webhook = await client.webhooks.create(url="http://127.0.0.1:1/x", events=list(EventType))
        routers.append(code["listen"](client, str(webhook.secret)))
        assert re.fullmatch(r"recorded, \d+ bytes", await code["confirm"](client, "+15005550100"))
        assert await code["confirm"](client, "+15005550101") == "text delivered"
        call = await client.calls.create(to="+15005550102", from_="+14155550100")
        assert await code["pick_up"](client, call.id) is False
        assert sandbox.requests.find(method="GET") == ()


async def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    """The code of docs/lists.md goes through all there is."""
    async with Sandbox(port=None) as sandbox, AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        sandbox.seed_calls(45)
        await code_of("lists.md")["lists"](client)
    assert [int(line.split()[0]) for line in capsys.readouterr().out.splitlines()[-3:]] == [20, 20, 5]


async def test_client() -> None:
    """The code of docs/client.md: unknown endpoints, and many accounts."""
    code = code_of("client.md")
    call = {"id": "call_1", "status": "ringing"}
    page = {"data": [call], "next_cursor": None, "has_more": False}
    transport = ScriptedTransport(
        answer(200, {"id": "fax_1"}), answer(200, call), answer(200, page), answer(204), answer(200, page)
    )
    client = AsyncAjoxi("AJX_TEST_0123456789", transport=transport)
    await code["beyond"](client, "call/../1")
    assert [request.url.removeprefix(client.base_url) for request in transport.requests] == [
        "/v1/faxes", "/v1/calls/call%2F..%2F1", "/v1/calls?limit=5", "/v1/greetings/1",
    ]  # fmt: skip
    await code["newest_of_each"](client, ["AJX_TEST_a", "AJX_TEST_b"])
    assert [request.headers["Authorization"] for request in transport.requests[4:]] == [
        "Bearer AJX_TEST_a",
        "Bearer AJX_TEST_b",
    ]


async def test_recording(tmp_path: Path) -> None:
    """What docs/testing.md records is what it replays."""
    code = code_of("testing.md")
    said = await code["record"](tmp_path / "a.json")
    assert said
    assert await code["replay"](tmp_path / "a.json") == said


async def test_logging(capsys: pytest.CaptureFixture[str]) -> None:
    """The filter of docs/logging.md masks."""
    logging.getLogger("shop").handlers.clear()  # of another run of the same page
    try:
        code_of("logging.md")
        assert capsys.readouterr().err == "no answer from +1415***34\n"
    finally:
        logging.getLogger("shop").handlers.clear()
