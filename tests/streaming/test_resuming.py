"""Resuming under servers that hang up, and ids that a header cannot hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from ajoxi_async import InvalidParameterError, StreamInterruptedError
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from tests.client.fakes import Headers, ScriptedStream, SteppedClock, answer, client_on, lost
from tests.streaming.wire import segment

pytestmark = pytest.mark.anyio

Connect = Callable[[int], ScriptedStream]


def _bringing(body: bytes, then: ExchangeError | None = None) -> ScriptedStream:
    return ScriptedStream(Response(200, Headers({"Content-Type": "text/event-stream"}), b""), [body], then)


class HangingUp:
    """Every connection of a stretch of time ends at once; after it 204 is answered."""

    def __init__(self, clock: SteppedClock, connect: Connect, seconds: float) -> None:
        self.clock = clock
        self.connect = connect
        self.until = clock.now + seconds
        self.opened: list[float] = []
        self.ids: list[str | None] = []

    def stream(self, request: Request) -> ScriptedStream:
        self.ids.append(request.headers.get("Last-Event-ID"))
        if self.clock.now >= self.until:
            return ScriptedStream(answer(204))
        self.opened.append(self.clock.now)
        return self.connect(len(self.opened))

    async def send(self, request: Request) -> Response:
        return answer(200, {"id": "tr_1", "status": "completed", "segments": []})

    async def aclose(self) -> None:
        """Nothing to give back."""


NOTHING: dict[str, Connect] = {
    "empty": lambda n: _bringing(b"retry: 0\n\n"),
    "broken": lambda n: _bringing(b"retry: 0\n\n", lost(sent=True)),
    "one millisecond": lambda n: _bringing(b"retry: 1\n\n: hello\n\n"),
    "refused": lambda n: _bringing(b"retry: 0\n\n") if n == 1 else ScriptedStream(lost(sent=False)),
}


@pytest.mark.parametrize("live", [True, False], ids=["live", "events"])
@pytest.mark.parametrize("connect", NOTHING.values(), ids=NOTHING)
async def test_a_retry_of_nothing_and_hang_ups(connect: Connect, live: bool) -> None:
    """A server that says ``retry: 0`` and hangs up, or cannot be reached, gets few connections, and ever fewer."""
    clock = SteppedClock()
    server = HangingUp(clock, connect, seconds=30)
    client = client_on(server, clock=clock)
    opened = client.transcripts.stream("call_1") if live else client.events("GET", "/x")
    async with opened as stream:
        assert [one async for one in stream] == []
    assert sum(at < 1003 for at in server.opened) <= 8
    assert len(server.opened) <= 16


async def test_refusals_after_a_retry_of_nothing() -> None:
    """Statuses that are waited out are not asked for again at once either."""
    clock = SteppedClock()
    server = HangingUp(clock, lambda n: _bringing(b"retry: 0\n\n") if n == 1 else ScriptedStream(answer(503)), 30)
    async with client_on(server, clock=clock).transcripts.stream("call_1") as live:
        assert [one async for one in live] == []
    assert sum(at < 1003 for at in server.opened) <= 10


@pytest.mark.parametrize("live", [True, False], ids=["live", "events"])
async def test_one_event_a_connection(live: bool) -> None:
    """A server that hangs up after each new event is asked again soon, but a few times a second only."""
    clock = SteppedClock()
    server = HangingUp(clock, lambda n: _bringing(b"retry: 0\n\n" + segment(n, n)), seconds=3)
    client = client_on(server, clock=clock)
    opened = client.transcripts.stream("call_1", resume_from="0") if live else client.events("GET", "/x")
    async with opened as stream:
        heard = len([one async for one in stream])
    assert heard == len(server.opened)
    assert 10 <= heard <= 20


async def test_one_event_that_is_repeated() -> None:
    """A replay of what was delivered is nothing new: the server is asked ever less."""
    clock = SteppedClock()
    server = HangingUp(clock, lambda n: _bringing(b"retry: 0\n\n" + segment(1, 1)), seconds=30)
    async with client_on(server, clock=clock).transcripts.stream("call_1", resume_from="0") as live:
        assert len([one async for one in live]) == 1
    assert sum(at < 1003 for at in server.opened) <= 9
    assert len(server.opened) <= 17


async def test_a_sound_stream_resumes_at_once() -> None:
    """A connection that lasted is followed by the next within a tenth of a second, whatever came before."""
    clock = SteppedClock()

    def connect(n: int) -> ScriptedStream:
        if n < 5:
            return _bringing(b"retry: 0\n\n")
        stream = _bringing(segment(n, n))
        reading = stream._read

        async def slow() -> Any:
            async for piece in reading():
                clock.now += 5
                yield piece

        stream._read = slow  # type: ignore[method-assign]
        return stream

    server = HangingUp(clock, connect, seconds=60)
    async with client_on(server, clock=clock).transcripts.stream("call_1", resume_from="0") as live:
        assert len([one async for one in live]) > 5
    gaps = [later - earlier - 5 for earlier, later in zip(server.opened[4:], server.opened[5:], strict=False)]
    assert gaps and all(gap <= 0.1 for gap in gaps)


@pytest.mark.parametrize("live", [True, False], ids=["live", "events"])
async def test_a_retry_of_years_is_bounded(live: bool) -> None:
    """However long the server's retry, no wait is longer than `max_outage`."""
    clock = SteppedClock()
    server = HangingUp(clock, lambda n: _bringing(b"retry: " + b"9" * 30 + b"\n\n"), seconds=100)
    client = client_on(server, clock=clock)
    opened = client.transcripts.stream("call_1", max_outage=20) if live else client.events("GET", "/x", max_outage=20.0)
    with pytest.raises(StreamInterruptedError) if live else anyio.CancelScope():
        async with opened as stream:
            assert [one async for one in stream] == []
    assert max(clock.slept) <= 20


async def test_a_consumer_whose_reads_time_out_still_gets_its_stream_back() -> None:
    """The time of the next connection is fixed once, so that reads shorter than the wait do not postpone it again and again."""
    connections = [_bringing(b"retry: 300\n\n"), _bringing(b"id: 1\ndata: back\n\n")]

    class Server:
        def stream(self, request: Request) -> ScriptedStream:
            return connections.pop(0) if connections else ScriptedStream(answer(204))

        async def aclose(self) -> None:
            """Nothing to give back."""

    client = client_on(Server())
    client._adopt(client._pipeline.variant(clock=anyio.current_time, sleep=anyio.sleep))
    got = []
    with anyio.fail_after(5):
        async with client.events("GET", "/x") as events:
            while not got:
                with anyio.move_on_after(0.05):
                    got.append(await anext(events))
    assert got[0].data == "back"


# Ids.


@pytest.mark.parametrize("id", [b"\x01", b"\x1b[31mred", b"a\x0bb", b"\x7f", b"x" * 100_000, b"\xe2\x82\xac" * 2000])
async def test_an_id_that_no_header_can_hold_is_no_checkpoint(id: bytes) -> None:
    """The id before it stays, so that the stream can go on; the event still shows its own."""
    clock = SteppedClock()
    events = b"id: 7\ndata: a\n\nid: " + id + b"\ndata: b\n\n"
    server = HangingUp(clock, lambda n: _bringing(events), seconds=0.5)
    async with client_on(server, clock=clock).events("GET", "/x") as stream:
        got = [(event.id, event.data) async for event in stream]
    assert got[:2] == [("7", "a"), (id.decode(), "b")]
    assert set(server.ids[1:]) == {"7"}
    assert stream.last_event_id == "7"


@pytest.mark.parametrize("id", ["a\tb", "\u3000", "é\u2028", " a", "\x85", "\N{GRINNING FACE}"])
async def test_every_checkpoint_given_can_be_given_back(id: str) -> None:
    """What `last_event_id` says is taken where a stream is resumed, and sent without the white space around it."""
    clock = SteppedClock()
    server = HangingUp(clock, lambda n: _bringing(b"id: " + id.encode() + b"\n\ndata: a\n\n"), seconds=0.01)
    client = client_on(server, clock=clock)
    async with client.events("GET", "/x", reconnect=False) as stream:
        assert [event.id async for event in stream] == [id]
    again = HangingUp(clock, lambda n: _bringing(b""), seconds=0)
    assert stream.last_event_id == id
    async with client_on(again, clock=clock).events("GET", "/x", last_event_id=stream.last_event_id):
        assert again.ids == [id.strip(" \t") or None]


@pytest.mark.parametrize("wrong", ["\x00", "a\nb", "\x1b", "\ud83d", "x" * 5000, 5, b"7"])
async def test_what_is_no_checkpoint(wrong: Any) -> None:
    """What no header holds is refused by name, and the error can be printed."""
    client = client_on(HangingUp(SteppedClock(), lambda n: _bringing(b""), 0))
    for attempt in (
        lambda: client.events("GET", "/x", last_event_id=wrong),
        lambda: client.transcripts.stream("call_1", resume_from=wrong),
    ):
        with pytest.raises(InvalidParameterError, match="expected a last_event_id") as caught:
            attempt()
        assert str(caught.value).encode("ascii")
        assert len(str(caught.value)) < 200
