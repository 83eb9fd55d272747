"""Live transcripts: nothing lost, nothing twice, never a quiet end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import msgspec
import pytest

from ajoxi_async import (
    APIResponseValidationError,
    AsyncAjoxi,
    InvalidParameterError,
    LocalLimiter,
    NotFoundError,
    StreamInterruptedError,
    StreamProtocolError,
    TranscriptGapError,
)
from ajoxi_async.contract.frames import HEARTBEAT, event_frame, retry_frame
from ajoxi_async.contract.wire import ExchangeError, Response
from tests.client.fakes import (
    ENVELOPE,
    Headers,
    ScriptedStream,
    SteppedClock,
    answer,
    client_on,
    lost,
)
from tests.streaming.wire import EVENT_STREAM, Connections, completed, connection, segment

pytestmark = pytest.mark.anyio


async def texts(client: AsyncAjoxi, **options: Any) -> list[str]:
    """What a stream delivers."""
    async with client.transcripts.stream("call_1", **options) as live:
        return [line.text async for line in live]


async def test_to_the_end() -> None:
    """Segments come in order, and the completed event ends the iteration."""
    wire = Connections(connection(retry_frame(1000), HEARTBEAT, segment(1, 1), segment(2, 2), completed(3, 2)))
    assert await texts(client_on(wire)) == ["line 1", "line 2"]
    request = wire.opened[0]
    assert request.headers["Accept"] == "text/event-stream"
    assert request.headers["Cache-Control"] == "no-cache"
    assert request.headers["Accept-Encoding"] == "identity"
    assert wire.resumed_from == [None]
    assert wire.used[0].closed


@pytest.mark.parametrize("then", [None, lost(sent=True), lost(sent=True, timeout=True)], ids=["fin", "reset", "idle"])
async def test_a_cut_is_resumed(then: ExchangeError | None) -> None:
    """However a connection ends before the transcript does, the next one resumes after what was delivered."""
    wire = Connections(
        connection(segment(7, 1), then=then),
        connection(segment(8, 2), completed(9, 2)),
    )
    assert await texts(client_on(wire)) == ["line 1", "line 2"]
    assert wire.resumed_from == [None, "7"]
    assert all(stream.closed for stream in wire.used)


async def test_replays_are_told_once() -> None:
    """Events that come again after a reconnect are dropped."""
    wire = Connections(
        connection(segment(1, 1), segment(2, 2)),
        connection(segment(1, 1), segment(2, 2), segment(3, 3), completed(4, 3)),
    )
    assert await texts(client_on(wire)) == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize(("interim", "expected"), [(True, ["he", "hello", "hi"]), (False, ["hello", "hi"])])
async def test_interims(interim: bool, expected: Sequence[str]) -> None:
    """Interims are delivered unless they are not wanted; corrections always."""
    wire = Connections(
        connection(
            segment(1, 1, 1, final=False, text="he"),
            segment(2, 1, 2, text="hello"),
            segment(3, 1, 3, text="hi"),
            completed(4, 1),
        )
    )
    assert await texts(client_on(wire), interim=interim) == expected


async def test_a_gap_is_filled() -> None:
    """A final that the stream did not bring is fetched before the stream ends."""
    whole = {"id": "tr_1", "segments": [{"sequence": n, "text": f"line {n}"} for n in (1, 2, 3)]}
    wire = Connections(connection(segment(1, 1), segment(3, 3), completed(4, 3)), transcript=answer(200, whole))
    assert await texts(client_on(wire)) == ["line 1", "line 3", "line 2"]


async def test_a_gap_that_cannot_be_filled() -> None:
    """If a final segment cannot be fetched, the end is an error and not a shorter transcript."""
    whole = {"id": "tr_1", "segments": [{"sequence": 1, "text": "line 1"}]}
    wire = Connections(connection(segment(1, 1), completed(4, 3)), transcript=answer(200, whole))
    with pytest.raises(TranscriptGapError) as caught:
        await texts(client_on(wire))
    assert "2-3" in str(caught.value)


async def test_nothing_to_come() -> None:
    """204 is the server's word that nothing is to come: an end, and no reconnect."""
    wire = Connections(ScriptedStream(answer(204)))
    assert await texts(client_on(wire), resume_from="9") == []
    assert wire.resumed_from == ["9"]


async def test_outage() -> None:
    """Without progress for `max_outage` seconds it gives up, with the checkpoint to resume from."""
    clock = SteppedClock()
    wire = Connections(connection(segment(5, 1)), ScriptedStream(lost(sent=False)))
    with pytest.raises(StreamInterruptedError) as caught:
        await texts(client_on(wire, clock=clock), max_outage=30)
    assert caught.value.last_event_id == "5"
    assert 30 <= clock.now - 1000 < 60
    assert max(clock.slept) <= 8.0


async def test_progress_ends_an_outage() -> None:
    """Backoff and outage start again after every event."""
    clock = SteppedClock()
    cuts = [connection(segment(n, n)) for n in range(1, 101)]
    wire = Connections(*cuts, connection(segment(101, 101), completed(102, 101)))
    assert len(await texts(client_on(wire, clock=clock), max_outage=5)) == 101
    assert max(clock.slept) < 1.0


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_is_busy(status: int) -> None:
    """429 and 5xx are waited out."""
    wire = Connections(ScriptedStream(answer(status, ENVELOPE)), connection(segment(1, 1), completed(2, 1)))
    assert await texts(client_on(wire)) == ["line 1"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_server_that_refuses(status: int) -> None:
    """What will not change is raised at once."""
    wire = Connections(ScriptedStream(answer(status, ENVELOPE)))
    with pytest.raises(NotFoundError if status == 404 else Exception) as caught:
        await texts(client_on(wire))
    assert getattr(caught.value, "status_code", None) == status
    assert getattr(caught.value, "route", None) == "transcripts.stream"
    assert len(wire.opened) == 1
    assert wire.used[0].closed


async def test_a_body_that_is_no_stream() -> None:
    """A 200 that is no event stream is a proxy's page, not a transcript."""
    wire = Connections(ScriptedStream(answer(200, b"<html>", {"Content-Type": "text/html"})))
    with pytest.raises(APIResponseValidationError, match="event stream"):
        await texts(client_on(wire))


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"text": "x"}', b'{"sequence": "1"}'])
async def test_an_event_that_is_no_segment(data: bytes) -> None:
    """An event that does not decode is a typed error, not a silent skip."""
    wire = Connections(connection(segment(1, 1), event_frame("transcript.segment", data, "2")))
    with pytest.raises(StreamProtocolError) as caught:
        await texts(client_on(wire))
    assert caught.value.last_event_id == "1"


async def test_unknown_events_are_passed_over() -> None:
    """A newer server may send events this version does not know."""
    wire = Connections(connection(event_frame("transcript.mood", b"{}", "1"), segment(2, 1), completed(3, 1)))
    assert await texts(client_on(wire)) == ["line 1"]


@pytest.mark.parametrize("retryable", [True, False])
async def test_error_events(retryable: bool) -> None:
    """An error event ends the stream unless it says that it can be retried."""
    data = {"error": {"code": "internal_error", "message": "lost the audio"}, "retryable": retryable}
    wire = Connections(
        connection(event_frame("error", msgspec.json.encode(data))), connection(segment(1, 1), completed(2, 1))
    )
    if retryable:
        assert await texts(client_on(wire)) == ["line 1"]
    else:
        with pytest.raises(StreamProtocolError, match="lost the audio"):
            await texts(client_on(wire))


async def test_leaving_closes() -> None:
    """`break` and exceptions close the connection, and no exception is wrapped."""
    wire = Connections(connection(segment(1, 1), segment(2, 2)))
    async with client_on(wire).transcripts.stream("call_1") as live:
        async for _ in live:
            break
    assert wire.used[0].closed

    wire = Connections(connection(segment(1, 1), segment(2, 2)))
    with pytest.raises(ZeroDivisionError):
        async with client_on(wire).transcripts.stream("call_1") as live:
            async for _ in live:
                raise ZeroDivisionError
    assert wire.used[0].closed


async def test_checkpoint() -> None:
    """`last_event_id` moves with each event delivered, and not with those received."""
    wire = Connections(connection(segment(1, 1) + segment(2, 2) + segment(3, 3)))
    async with client_on(wire).transcripts.stream("call_1") as live:
        assert live.last_event_id is None
        await anext(live)
        assert live.last_event_id == "1"
        await anext(live)
        assert live.last_event_id == "2"


async def test_a_replay_moves_no_checkpoint() -> None:
    """While what was delivered comes again, the checkpoint stays behind it, and so it does across the next cut."""
    mood = event_frame("transcript.mood", b"{}", "2")
    wire = Connections(
        connection(segment(1, 1), segment(3, 2)),
        connection(segment(1, 1), mood),
        connection(segment(1, 1), segment(3, 2), segment(4, 3), completed(5, 3)),
    )
    async with client_on(wire).transcripts.stream("call_1") as live:
        checkpoints = [live.last_event_id async for _ in live]
    assert checkpoints == ["1", "3", "4"]
    assert wire.resumed_from == [None, "3", "3"]


async def test_what_was_received_but_not_delivered_comes_again() -> None:
    """A process that died in between resumes from the checkpoint and misses nothing."""
    wire = Connections(connection(segment(2, 2), segment(3, 3), completed(4, 3)))
    assert await texts(client_on(wire), resume_from="1") == ["line 2", "line 3"]
    assert wire.resumed_from == ["1"]


async def test_until_done() -> None:
    """`until_done` reads to the end and returns the finals in the order of the conversation."""
    wire = Connections(connection(segment(1, 2), segment(2, 1), completed(3, 2)))
    async with client_on(wire).transcripts.stream("call_1") as live:
        transcript = await live.until_done()
        assert live.text() == "line 1\nline 2"
    assert transcript.id == "tr_1"
    assert transcript.status == "completed"
    assert [line.sequence for line in transcript.segments] == [1, 2]


async def test_every_connection_takes_a_turn() -> None:
    """Reconnects pass the limiter."""
    wire = Connections(*(connection(segment(n, n)) for n in range(1, 4)), connection(completed(4, 3)))
    client = client_on(wire)
    await texts(client)
    assert client.limiter.snapshot().granted == 4


async def test_the_limiter_learns_from_the_head_of_a_stream() -> None:
    """The limit in the answer of a stream counts like that of any answer."""
    head = Response(200, Headers({"Content-Type": "text/event-stream", "X-RateLimit-Limit": "7"}), b"")
    client = client_on(Connections(ScriptedStream(head, (completed(1, 0),))))
    assert await texts(client) == []
    assert client.limiter.snapshot().limit == 7


class NeverOpens(ScriptedStream):
    """A connection whose answer does not come."""

    async def __aenter__(self) -> NeverOpens:
        await anyio.sleep_forever()
        raise AssertionError


async def test_an_opening_that_was_given_up_holds_its_turn_no_longer_than_a_lost_request() -> None:
    """A stream that is left before its answer has come gives its turn back after a while."""
    client = client_on(Connections(NeverOpens(EVENT_STREAM)), limiter=LocalLimiter(1))
    with anyio.move_on_after(0.02):
        await texts(client)
    assert 0 < client.limiter.snapshot().next_free < 5  # infinite while the only turn is away


class GoesOn(ScriptedStream):
    """A connection that can be read on after a read of it was cancelled."""

    reads = 0

    async def __anext__(self) -> bytes:
        self.reads += 1
        if self.reads == 1:
            await anyio.sleep_forever()
        return await super().__anext__()


async def test_a_cut_after_a_read_that_was_given_up_is_a_failure() -> None:
    """Once a connection was read on, its end counts as any other: there is a pause before the next one."""
    clock = SteppedClock()
    wire = Connections(GoesOn(EVENT_STREAM, (segment(1, 1),)), connection(completed(2, 1)))
    async with client_on(wire, clock=clock).transcripts.stream("call_1") as live:
        with anyio.move_on_after(0.02):
            await anext(live)
        assert [line.sequence async for line in live] == [1]
    assert len(wire.opened) == 2
    assert clock.slept


async def test_the_limiter_knows_one_endpoint() -> None:
    """However many calls are followed, to the limiter they are one endpoint."""
    client = client_on(Connections(connection(completed(1, 0))))
    observed = []
    observe = client.limiter.observe
    client.limiter.observe = lambda turn, route, *rest: (observed.append(route), observe(turn, route, *rest))  # type: ignore[method-assign]
    for number in range(3):
        async with client.transcripts.stream(f"call_{number}") as live:
            await live.until_done()
    assert observed == ["transcripts.stream"] * 3


@pytest.mark.parametrize("wrong", [{"idle_timeout": 0}, {"max_outage": -1}, {"timeout": 5.0}])
async def test_options_that_cannot_be(wrong: dict[str, Any]) -> None:
    """Nonsense is refused before anything is opened."""
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        client_on(Connections(connection())).transcripts.stream("call_1", **wrong)


@pytest.mark.parametrize(
    "frame", [segment(1, 1), event_frame("transcript.mood", b"{}", "1"), event_frame("error", b'{"retryable": true}')]
)
async def test_a_server_that_repeats_itself(frame: bytes) -> None:
    """Connections that bring nothing new are an outage, however often they open."""
    with pytest.raises(StreamInterruptedError):
        await texts(client_on(Connections(connection(frame))), max_outage=20)


async def test_a_resume_that_cannot_be() -> None:
    """A checkpoint is a string."""
    with pytest.raises(InvalidParameterError, match="resume_from"):
        client_on(Connections(connection())).transcripts.stream("call_1", resume_from=5)  # type: ignore[arg-type]


class Timed(ScriptedStream):
    """A connection whose pieces are ten seconds apart, and which ends after a silence."""

    def __init__(self, clock: SteppedClock, *pieces: bytes, silence: float = 0.0, then: ExchangeError | None = None):
        super().__init__(EVENT_STREAM, pieces, then)
        self.clock = clock
        self.silence = silence

    async def _read(self) -> Any:
        for piece in self.pieces:
            self.clock.now += 10
            yield piece
        self.clock.now += self.silence
        if self.then is not None:
            raise self.then


async def test_a_call_that_rings_for_long() -> None:
    """Connections that were kept alive for a while are no outage, though nothing was said on them for an hour."""
    clock = SteppedClock()
    held = [Timed(clock, HEARTBEAT, HEARTBEAT, HEARTBEAT) for _ in range(120)]
    wire = Connections(*held, connection(segment(1, 1), completed(2, 1)))
    assert await texts(client_on(wire, clock=clock), max_outage=60) == ["line 1"]
    assert clock.now - 1000 > 3600


async def test_a_server_that_opens_and_is_silent() -> None:
    """Connections that open, greet and say nothing for the idle time are an outage like others."""
    clock = SteppedClock()
    dead = Timed(clock, silence=25, then=lost(sent=True, timeout=True))
    with pytest.raises(StreamInterruptedError):
        await texts(client_on(Connections(dead), clock=clock), max_outage=60)
    assert clock.now - 1000 < 200


async def test_retry_after() -> None:
    """A server that says when to come back is not asked before."""
    clock = SteppedClock()
    busy = ScriptedStream(answer(503, ENVELOPE, {"Retry-After": "7"}))
    await texts(client_on(Connections(busy, connection(completed(1, 0))), clock=clock))
    assert 7 <= clock.now - 1000 < 9
