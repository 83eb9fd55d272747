"""What one browser is sent: signs of life, errors, pieces, and what becomes of one that takes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from ajoxi_async import AsyncAjoxi, Sandbox, TranscriptHub
from ajoxi_async.hub.asgi import send_sse, serve_websocket
from ajoxi_async.hub.browser import PIECE
from ajoxi_async.sandbox import Timing
from tests.client.fakes import ScriptedStream, answer, client_on
from tests.hub.apps import serving, starlette
from tests.hub.upstream import Calls, Speaking, lost
from tests.streaming.wire import completed, connection, segment

pytestmark = pytest.mark.anyio


class Browser:
    """A connection to an ASGI application, in memory; `taken` is when it takes what it is sent."""

    def __init__(self, kind: str = "http", method: str = "GET", headers: Any = (), query: bytes = b"") -> None:
        self.scope = {"type": kind, "method": method, "headers": list(headers), "query_string": query}
        self.sent: list[dict[str, Any]] = []
        self.reads = True
        self.hung_up = anyio.Event()
        self._received = 0

    async def receive(self) -> dict[str, Any]:
        kind = self.scope["type"]
        self._received += 1
        if self._received == 1:
            return {"type": "websocket.connect"} if kind == "websocket" else {"type": "http.request"}
        await self.hung_up.wait()
        return {"type": f"{kind}.disconnect"}

    async def send(self, message: Any) -> None:
        await anyio.lowlevel.checkpoint()
        self.sent.append(message)
        if not self.reads:
            await anyio.sleep_forever()

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    def events(self) -> list[str]:
        return [line[7:] for line in self.body.decode().splitlines() if line.startswith("event: ")]

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(20):
            while not condition():
                await anyio.sleep(0.002)


@asynccontextmanager
async def opened(calls: Calls, **settings: Any) -> AsyncIterator[TranscriptHub]:
    """A hub on scripted streams."""
    async with client_on(calls).transcripts.hub(**settings) as hub:
        yield hub


def watch(hub: TranscriptHub, browser: Browser, call_id: str = "call_1") -> Callable[[], Awaitable[None]]:
    """Serve a browser."""
    serve = serve_websocket if browser.scope["type"] == "websocket" else send_sse

    async def run() -> None:
        await serve(browser.scope, browser.receive, browser.send, hub, call_id)

    return run


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_signs_of_life(kind: str) -> None:
    """A browser that was sent nothing for two beats in a row is sent a comment or a message; one that is sent segments is not."""
    upstream, browser = Speaking(segment(1, 1)), Browser(kind)
    alive = b": heartbeat" if kind == "http" else b"alive"

    def count() -> int:
        return (browser.body + repr(browser.messages()).encode()).count(alive)

    async with opened(Calls(call_1=upstream), keep_alive=3600) as hub, anyio.create_task_group() as tasks:
        tasks.start_soon(watch(hub, browser))
        await anyio.wait_all_tasks_blocked()
        before = count()
        (room,) = hub._open
        for sequence in range(2, 6):
            upstream.say(segment(sequence, sequence))
            await anyio.wait_all_tasks_blocked()
            room.beat(time.monotonic())
            await anyio.wait_all_tasks_blocked()
        assert count() == before
        for beats in range(1, 4):
            room.beat(time.monotonic())
            await anyio.wait_all_tasks_blocked()
            assert count() == before + beats
        upstream.say(segment(6, 6))
        await anyio.wait_all_tasks_blocked()
        room.beat(time.monotonic())
        await anyio.wait_all_tasks_blocked()
        assert count() == before + 3
        browser.hung_up.set()


async def test_beats() -> None:
    """The hub beats by itself, twice in `keep_alive` seconds."""
    browser = Browser()
    async with (
        opened(Calls(call_1=Speaking(segment(1, 1))), keep_alive=0.1) as hub,
        anyio.create_task_group() as tasks,
    ):
        began = time.monotonic()
        tasks.start_soon(watch(hub, browser))
        await browser.until(lambda: browser.body.count(b": heartbeat") == 4)
        assert time.monotonic() - began >= 0.15
        browser.hung_up.set()


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_a_browser_that_takes_nothing(kind: str) -> None:
    """A browser that stalls is given up after `send_timeout`, and one that reads is not."""
    stalls, reads = Browser(kind), Browser(kind)
    calls = Calls(call_1=Speaking(*(segment(n, n) for n in range(1, 50))))
    async with opened(calls, keep_alive=0.05, send_timeout=0.3) as hub, anyio.create_task_group() as tasks:
        tasks.start_soon(watch(hub, reads))
        await reads.until(lambda: len(reads.sent) > 1)
        stalls.reads = False
        began = time.monotonic()
        async with anyio.create_task_group() as stalling:
            # Stalls in its first piece, after the status or the acceptance.
            async def send(message: Any) -> None:
                stalls.reads = message["type"] in {"http.response.start", "websocket.accept"}
                await Browser.send(stalls, message)

            stalls.send = send  # type: ignore[method-assign]
            stalling.start_soon(watch(hub, stalls))
        assert time.monotonic() - began > 0.25
        assert hub.consumers == {"call_1": 1}
        reads.hung_up.set()


async def test_closing_ends_responses() -> None:
    """Closing the hub ends responses at once: one that waits is told so, one whose browser stalls is dropped."""
    waits, stalls, socket = Browser(), Browser(), Browser("websocket")
    async with anyio.create_task_group() as tasks:
        upstream = Speaking(segment(1, 1))
        async with opened(Calls(call_1=upstream), send_timeout=None) as hub:
            for browser in (waits, stalls, socket):
                tasks.start_soon(watch(hub, browser))
            await waits.until(lambda: len(waits.events()) == 2 and len(socket.messages()) == 2)
            await stalls.until(lambda: len(stalls.events()) == 2)
            stalls.reads = False
            upstream.say(segment(2, 2))
            await stalls.until(lambda: len(stalls.events()) == 3)
            await waits.until(lambda: len(waits.events()) == 3)
    assert waits.events()[-1] == "failed"
    assert waits.sent[-1] == {"type": "http.response.body", "body": b""}
    assert b"service_unavailable" in waits.body
    assert "failed" not in stalls.events()
    assert socket.messages()[-1]["event"] == "failed"
    assert socket.sent[-1] == {"type": "websocket.close", "code": 1013}


@pytest.mark.parametrize(("status", "answered", "code"), [(404, 404, 4404), (401, 502, 1011), (500, 503, 1013)])
async def test_what_the_api_refuses(status: int, answered: int, code: int) -> None:
    """The status says whose fault it is, and the answer nothing of the API's message; a WebSocket is closed with a code."""
    refused = ScriptedStream(answer(status, {"error": {"code": "x", "message": "key AJX_LIVE_1 of tenant 7"}}))
    http, socket, bad = Browser(), Browser("websocket"), Browser()
    async with opened(Calls(call_1=refused), keep_alive=60) as hub:
        await watch(hub, http)()
        await watch(hub, socket)()
        await watch(hub, bad, "..")()
    assert http.status == answered
    assert b"tenant" not in http.body
    assert "error" in json.loads(http.body)
    assert socket.sent[-1] == {"type": "websocket.close", "code": code}
    assert "tenant" not in repr(socket.messages())
    assert bad.status == 404


async def test_an_api_that_does_not_answer() -> None:
    """While the API cannot be reached, a browser is sent signs of life, then the transcript if it comes back."""
    browser, slow = Browser(), anyio.Event()

    class Slow(ScriptedStream):
        async def __aenter__(self) -> ScriptedStream:
            await slow.wait()
            return await super().__aenter__()

    stream = connection(segment(1, 1), completed(2, 1))
    late = Slow(stream.step, stream.pieces)
    async with opened(Calls(call_1=[lost(), late]), keep_alive=0.1) as hub, anyio.create_task_group() as tasks:
        tasks.start_soon(watch(hub, browser))
        await browser.until(lambda: browser.body.count(b": heartbeat") == 3)
        slow.set()
    assert browser.status == 200
    assert browser.events() == ["snapshot", "segment", "completed"]


async def test_the_browser_goes_away() -> None:
    """A browser that hangs up at any moment leaves the consumers, also while the API has not answered yet."""

    class Silent(ScriptedStream):
        async def __aenter__(self) -> ScriptedStream:
            await anyio.sleep_forever()
            raise AssertionError

    calls = Calls(call_1=Speaking(segment(1, 1)), call_2=Silent(answer(200)))
    async with opened(calls, linger=0) as hub:
        for call_id in ("call_1", "call_2"):
            for kind in ("http", "websocket"):
                for turns in range(0, 14, 2):
                    browser = Browser(kind)
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(watch(hub, browser, call_id))
                        for _ in range(turns):
                            await anyio.lowlevel.checkpoint()
                        browser.hung_up.set()
                    assert not any(hub.consumers.values())
        browser = Browser()

        async def broken(message: Any) -> None:
            raise OSError("gone")

        browser.send = broken  # type: ignore[method-assign]
        await watch(hub, browser)()
        with anyio.fail_after(20):
            while hub.consumers:
                await anyio.sleep(0.001)


async def test_a_long_transcript_comes_in_pieces() -> None:
    """A browser that joins late is sent the whole in pieces of bounded size, each when the one before it was taken."""
    text = "x" * 1000
    calls = Calls(call_1=connection(*(segment(n, n, text=text) for n in range(1, 301)), completed(301, 300)))
    browser = Browser()
    async with opened(calls) as hub:
        async with hub.watch("call_1") as live:
            assert len([said async for said in live]) == 300
        await watch(hub, browser)()
    sizes = [len(message.get("body", b"")) for message in browser.sent]
    assert browser.events().count("segment") == 300
    assert max(sizes) < PIECE + 2000
    assert sum(sizes) > 300_000
    assert len([size for size in sizes if size > PIECE / 2]) > 15


async def test_ids() -> None:
    """The header goes before the query; after the end of a transcript the answer is 204, of whatever process the id is."""
    calls = Calls(
        call_1=connection(segment(1, 1), segment(2, 2), completed(3, 2)),
        call_2=connection(segment(1, 1), completed(2, 1)),
    )
    async with opened(calls) as hub:
        first = Browser()
        await watch(hub, first)()
        ids = [line[4:] for line in first.body.decode().splitlines() if line.startswith("id: ")]
        for resumed in (
            Browser(headers=[(b"Last-Event-ID", ids[0].encode())], query=b"last_event_id=" + ids[1].encode()),
            Browser(query=b"last_event_id=" + ids[0].encode()),
        ):
            await watch(hub, resumed)()
            assert resumed.events() == ["segment", "completed"]
        of_another_process = ids[2][:8] + "01234567-7-end"
        for id in (ids[2], of_another_process):
            over = Browser(query=b"last_event_id=" + id.encode())
            await watch(hub, over)()
            assert over.status == 204
            socket = Browser("websocket", query=b"last_event_id=" + id.encode())
            await watch(hub, socket)()
            assert [message["event"] for message in socket.messages()] == ["completed"]
            assert socket.sent[-1]["code"] == 1000
        of_another_call = Browser(query=b"last_event_id=" + ids[2].encode())
        await watch(hub, of_another_call, "call_2")()
        assert of_another_call.events() == ["snapshot", "segment", "completed"]
        head = Browser(method="HEAD")
        await watch(hub, head)()
        assert (head.status, head.body) == (200, b"")
    assert len(calls.opened) == 2


async def test_on_trio_too() -> None:
    """Starlette under hypercorn, on whichever loop the test has, over a socket."""
    async with (
        Sandbox(timing=Timing(ring=0.02, talk=0.2), port=None) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
        client.transcripts.hub() as hub,
        serving("hypercorn", starlette(hub)) as address,
        httpx.AsyncClient(trust_env=False, timeout=20) as http,
    ):
        call = await client.calls.create(to="+14155551234", from_="+14155550100")
        url = f"http://{address}/calls/{call.id}/events"
        lines = (await http.get(url)).text.splitlines()
        assert lines.count("event: completed") == 1
        assert lines.count("event: segment") >= 6
        assert (await http.get(url, headers={"Last-Event-ID": lines[-2][4:]})).status_code in {200, 204}
