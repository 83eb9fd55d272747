"""The other faces of a live transcript: snapshots, turns, raw events, figures, states, and closing it from anywhere."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Any

import anyio
import msgspec
import pytest

from ajoxi_async import (
    AjoxiError,
    AsyncAjoxi,
    InvalidParameterError,
    StreamInterruptedError,
    StreamProtocolError,
    TranscriptGapError,
)
from ajoxi_async.contract.frames import HEARTBEAT, event_frame
from ajoxi_async.contract.wire import ExchangeError
from tests.client.fakes import ENVELOPE, KEY, ScriptedStream, SteppedClock, answer, client_on, lost
from tests.streaming.wire import EVENT_STREAM, Connections, completed, connection, segment

pytestmark = pytest.mark.anyio


class Held(ScriptedStream):
    """A connection that sends its pieces and then stays open, saying nothing."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(EVENT_STREAM, pieces)

    async def _read(self) -> Any:
        async with aclosing(super()._read()) as pieces:
            async for piece in pieces:
                yield piece
        await anyio.sleep_forever()


def spoken(sequence: int, who: str, text: str, position: int) -> bytes:
    """The frame of a final with a speaker."""
    data = {"sequence": sequence, "speaker": who, "text": text, "is_final": True}
    return event_frame("transcript.segment", msgspec.json.encode(data), str(position))


async def test_turns_and_text() -> None:
    """What one speaker says until another one does is a turn."""
    wire = Connections(
        connection(
            spoken(1, "ai", "Hello.", 1),
            spoken(2, "ai", "How can I help?", 2),
            spoken(3, "customer", "I want to move.", 3),
            completed(4, 3),
        )
    )
    async with client_on(wire).transcripts.stream("call_1") as live:
        await live.until_done()
        assert [(turn.speaker, turn.text) for turn in live.turns()] == [
            ("ai", "Hello. How can I help?"),
            ("customer", "I want to move."),
        ]
        assert live.text() == "Hello.\nHow can I help?\nI want to move."


async def test_snapshot() -> None:
    """A snapshot is what was delivered so far, not what was received, and does not change afterwards."""
    wire = Connections(
        connection(segment(1, 1, 1, final=False, text="he") + segment(2, 2) + segment(3, 1, 2) + completed(4, 2))
    )
    async with client_on(wire).transcripts.stream("call_1") as live:
        begin = live.snapshot()
        assert (begin.finals, begin.interims, begin.last_event_id, begin.completed) == ((), (), None, False)
        await anext(live)
        first = live.snapshot()
        assert [line.text for line in first.interims] == ["he"]
        await live.until_done()
        assert first.finals == ()
        last = live.snapshot()
        assert [line.sequence for line in last.finals] == [1, 2]
        assert (last.interims, last.last_event_id, last.completed) == ((), "4", True)


async def test_events() -> None:
    """Raw events come with those this version does not know; replays do not, and what is kept is kept all the same."""
    mood = event_frame("transcript.mood", b"{}", "2")
    wire = Connections(
        connection(segment(1, 1), mood), connection(segment(1, 1), segment(3, 2), HEARTBEAT, completed(4, 2))
    )
    async with client_on(wire).transcripts.stream("call_1") as live:
        seen = [(event.event, event.id) async for event in live.events()]
    assert seen == [
        ("transcript.segment", "1"),
        ("transcript.mood", "2"),
        ("transcript.segment", "3"),
        ("transcript.completed", "4"),
    ]
    assert live.text() == "line 1\nline 2"


async def test_events_of_a_filled_gap() -> None:
    """A final that was fetched is an event like the others, before the completed one."""
    whole = {"id": "tr_1", "segments": [{"sequence": n, "text": f"line {n}"} for n in (1, 2)]}
    wire = Connections(connection(segment(1, 1), completed(3, 2)), transcript=answer(200, whole))
    async with client_on(wire).transcripts.stream("call_1") as live:
        seen = [event async for event in live.events()]
    assert [event.event.partition(".")[2] for event in seen] == ["segment", "segment", "completed"]
    assert seen[1].json()["text"] == "line 2"


async def test_stats_and_states() -> None:
    """The figures follow the stream, and on_state is called once for each change of the state."""
    clock, states = SteppedClock(), []
    wire = Connections(
        connection(segment(1, 1), then=lost(sent=True, timeout=True)),
        connection(segment(1, 1), segment(2, 2) + segment(3, 3) + segment(4, 4)),
        connection(completed(5, 4)),
    )
    async with client_on(wire, clock=clock).transcripts.stream("call_1", on_state=states.append) as live:
        assert states == ["live"]
        assert live.stats.lag == 0
        await anext(live)
        await anext(live)
        clock.now += 3
        stats = live.stats
        assert (stats.state, stats.reconnects, stats.duplicates) == ("live", 1, 1)
        assert stats.last_byte_age == stats.lag == 3
        await live.until_done()
    assert states == ["live", "stalled", "resuming", "live", "resuming", "live", "ended"]
    assert live.stats.state == "ended"
    assert live.stats.lag == 0


async def test_a_callback_that_fails() -> None:
    """An exception of the caller's own comes out as it is, and the socket is closed."""

    def tell(state: str) -> None:
        if state == "resuming":
            raise ZeroDivisionError

    wire = Connections(connection(segment(1, 1)))
    with pytest.raises(ZeroDivisionError):
        async with client_on(wire).transcripts.stream("call_1", on_state=tell) as live:
            await live.until_done()
    assert wire.used[0].closed


async def test_an_async_callback_is_refused() -> None:
    """It would never run: it is refused where it is given, before anything is asked."""

    async def tell(state: str) -> None:
        """Never runs."""

    wire = Connections()
    with pytest.raises(InvalidParameterError, match="on_state: expected a plain function, got an async"):
        client_on(wire).transcripts.stream("call_1", on_state=tell)
    assert not wire.used


async def test_until_done_of_a_resumed_stream() -> None:
    """The transcript is whole although the stream began in the middle; the stream itself brings the rest only."""
    whole = {"id": "tr_1", "call_id": "call_1", "segments": [{"sequence": n, "text": f"api {n}"} for n in (1, 2, 3)]}
    wire = Connections(connection(segment(3, 3), completed(4, 3)), transcript=answer(200, whole))
    async with client_on(wire).transcripts.stream("call_1", resume_from="2") as live:
        assert [line.sequence async for line in live] == [3]
        transcript = await live.until_done()
    assert [line.text for line in transcript.segments] == ["api 1", "api 2", "line 3"]


async def test_until_done_where_nothing_is_to_come() -> None:
    """After 204 the transcript is the API's."""
    whole = {"id": "tr_1", "status": "completed", "segments": [{"sequence": 1, "text": "api 1"}]}
    wire = Connections(ScriptedStream(answer(204)), transcript=answer(200, whole))
    async with client_on(wire).transcripts.stream("call_1") as live:
        assert [line.text for line in (await live.until_done()).segments] == ["api 1"]


async def test_204_in_the_middle() -> None:
    """204 after a cut is an end only where nothing is known to be missing."""
    cut = [connection(segment(1, 1), segment(2, 3)), ScriptedStream(answer(204))]
    whole = {"id": "tr_1", "segments": [{"sequence": n, "text": f"api {n}"} for n in (1, 2, 3)]}
    async with client_on(Connections(*cut, transcript=answer(200, whole))).transcripts.stream("call_1") as live:
        assert [line.sequence async for line in live] == [1, 3, 2]
    cut = [connection(segment(1, 1), segment(2, 3)), ScriptedStream(answer(204))]
    with pytest.raises(TranscriptGapError, match="segments 2 "):
        async with client_on(Connections(*cut)).transcripts.stream("call_1") as live:
            await live.until_done()


async def test_a_transcript_that_is_not_ready() -> None:
    """A gap is looked for again while the API still works on the transcript, and not for longer than `max_outage`."""
    part: dict[str, Any] = {"id": "tr_1", "status": "in_progress", "segments": []}
    ready = {"id": "tr_1", "status": "completed", "segments": [{"sequence": 1, "text": "api 1"}]}
    wire = Connections(connection(completed(1, 1)))
    wire.script = [answer(200, part), answer(200, part), answer(200, ready)]
    async with client_on(wire).transcripts.stream("call_1") as live:
        assert [line.text async for line in live] == ["api 1"]
    wire, clock = Connections(connection(completed(1, 1)), transcript=answer(200, part)), SteppedClock()
    with pytest.raises(TranscriptGapError):
        async with client_on(wire, clock=clock).transcripts.stream("call_1", max_outage=30) as live:
            await live.until_done()
    assert 29 <= clock.now - 1000 <= 32


@pytest.mark.parametrize("claimed", [10_000_000, 10**40])
async def test_very_many_segments(claimed: int) -> None:
    """A server that claims ten million segments, or more than can be counted, is found out at once."""
    whole = {"id": "tr_1", "segments": [{"sequence": 1, "text": "line 1"}]}
    wire = Connections(connection(segment(1, 1), completed(2, claimed)), transcript=answer(200, whole))
    began = time.monotonic()
    with pytest.raises(TranscriptGapError, match=f"2-{claimed}"):
        async with client_on(wire).transcripts.stream("call_1") as live:
            await live.until_done()
    assert time.monotonic() - began < 1


async def test_an_error_stays_one() -> None:
    """After an error the stream does not count as ended: reading again raises the error again."""
    wire = Connections(connection(event_frame("transcript.segment", b"{", "1"), completed(2, 0)))
    async with client_on(wire).transcripts.stream("call_1") as live:
        for _ in range(2):
            with pytest.raises(StreamProtocolError):
                await anext(live)
        with pytest.raises(StreamProtocolError):
            await live.until_done()
    assert live.state == "ended"


async def test_closed_before_the_end() -> None:
    """Iterating a stream that its owner closed ends; asking it for the whole transcript is an error."""
    wire = Connections(Held(segment(1, 1)))
    async with client_on(wire).transcripts.stream("call_1") as live:
        await anext(live)
        await live.aclose()
        await live.aclose()
        assert wire.used[0].closed
        assert [line async for line in live] == []
        with pytest.raises(StreamInterruptedError) as caught:
            await live.until_done()
    assert caught.value.last_event_id == "1"


@pytest.mark.parametrize("where", ["reading", "connecting", "waiting"])
async def test_closed_by_another_task(where: str) -> None:
    """`aclose` of another task ends a stream that is reading, connecting or waiting to connect, and closes its socket."""

    class Connecting(ScriptedStream):
        async def __aenter__(self) -> Connecting:
            try:
                await anyio.sleep_forever()
            finally:
                self.closed = True

    second: dict[str, list[ScriptedStream]] = {
        "reading": [],
        "connecting": [Connecting(answer(204))],
        "waiting": [ScriptedStream(lost(sent=False))],
    }
    first = Held(segment(1, 1)) if where == "reading" else connection(segment(1, 1))
    wire = Connections(first, *second[where])
    client = client_on(wire)

    async def sleep(_: float) -> None:
        if where == "waiting":
            await anyio.sleep_forever()

    client._adopt(client._pipeline.variant(sleep=sleep))
    seen = []
    with anyio.fail_after(5):
        async with client.transcripts.stream("call_1") as live, anyio.create_task_group() as tasks:

            async def read() -> None:
                seen.extend([line.sequence async for line in live])

            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await anext(live)
            await live.aclose()
    assert seen == [1]
    assert all(stream.closed for stream in wire.used if not isinstance(stream.step, ExchangeError))


async def test_looking_in_now_and_then() -> None:
    """A read that is given up after a while loses nothing, and is no failure however often it happens."""
    clock = SteppedClock()
    wire = Connections(*[Held() for _ in range(20)], connection(segment(1, 1), completed(2, 1)))
    async with client_on(wire, clock=clock).transcripts.stream("call_1", max_outage=5) as live:
        for _ in range(20):
            with anyio.move_on_after(0):
                await anext(live)
            clock.now += 10
        assert (await anext(live)).sequence == 1


class Points:
    """Counts the places where something waits, and cancels at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.passed = 0
        self.scope = anyio.CancelScope()

    async def __call__(self, *_: object) -> None:
        self.passed += 1
        if self.passed == self.at:
            self.scope.cancel()
        await anyio.lowlevel.checkpoint()


class PointedStream(ScriptedStream):
    points: Points
    entered = False

    async def __aenter__(self) -> PointedStream:
        await self.points()
        await super().__aenter__()
        self.entered = True
        return self

    async def _read(self) -> Any:
        async with aclosing(super()._read()) as pieces:
            async for piece in pieces:
                await self.points()
                yield piece


async def test_cancelled_anywhere() -> None:
    """Cancelled at each place where it waits in turn, a stream leaves no connection open."""
    whole = {"id": "tr_1", "segments": [{"sequence": n, "text": f"line {n}"} for n in (1, 2, 3)]}

    async def attempt(at: int) -> Points:
        points = Points(at)
        wire = Connections(
            PointedStream(EVENT_STREAM, (segment(1, 1), HEARTBEAT)),
            PointedStream(lost(sent=False)),
            PointedStream(answer(503, ENVELOPE)),
            PointedStream(EVENT_STREAM, (segment(2, 2), completed(3, 3))),
            transcript=answer(200, whole),
        )
        for stream in wire.streams:
            stream.points = points  # type: ignore[attr-defined]
        send = wire.send

        async def pointed(request: Any) -> Any:
            await points()
            return await send(request)

        async def token() -> str:
            await points()
            return "token"

        wire.send = pointed  # type: ignore[method-assign]
        client = AsyncAjoxi(token_provider=token, mode="test", transport=wire)
        client._adopt(client._pipeline.variant(sleep=points, jitter=lambda: 0.5))
        seen = []
        with points.scope:
            async with client.transcripts.stream("call_1") as live:
                async for line in live:
                    seen.append(line.sequence)
            assert seen == [1, 2, 3]
        assert all(stream.closed for stream in wire.used if stream.entered)  # type: ignore[attr-defined]
        assert points.scope.cancel_called == (at > 0)
        return points

    places = (await attempt(0)).passed
    assert places > 10
    for at in range(1, places + 1):
        await attempt(at)


async def test_two_streams_do_not_know_of_each_other() -> None:
    """A failure of one stream is its own."""
    wire = Connections(ScriptedStream(answer(404, ENVELOPE)), connection(segment(1, 1), completed(2, 1)))
    client = client_on(wire)
    with pytest.raises(AjoxiError):
        async with client.transcripts.stream("call_0"):
            pass
    async with client.transcripts.stream("call_1") as live:
        assert len((await live.until_done()).segments) == 1
    assert KEY not in repr(live)
