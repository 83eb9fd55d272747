"""The serving side of live transcripts: one log a call, a cursor a reader, and faults on demand."""

from __future__ import annotations

import socket
import time
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, Sandbox, StreamInterruptedError, Transcript
from ajoxi_async.contract.calls import Call, CallStatus, Direction
from ajoxi_async.protocol.sse import SSEDecoder
from ajoxi_async.sandbox import RealClock, StreamFault, Timing, VirtualClock
from ajoxi_async.sandbox.conversation import script
from ajoxi_async.sandbox.conversation.live_log import log_of
from ajoxi_async.sandbox.faults.stream_faults import FaultyConnection
from ajoxi_async.sandbox.server import live_transcript
from ajoxi_async.sandbox.state import calls

TO, FROM = "+14155551234", "+14155550100"
FRAMES = [b"id: %d\ndata: x\n\n" % n for n in range(1, 6)]


def test_long_calls_have_more_to_say() -> None:
    """A line for every three seconds of a long talk; numbered without a gap, interrupting each other, some corrected."""
    told = script.updates("call_1", 9000.0, ai=True)
    finals = script.segments("call_1", 9000.0, ai=True)
    assert len(finals) >= 3000
    assert [line.sequence for line in finals] == list(range(1, len(finals) + 1))
    order = [update.segment.sequence for update in told if update.segment.is_final]
    assert order != sorted(order)
    revisions = {(u.segment.sequence, u.segment.revision) for u in told}
    assert len(revisions) == len(told)
    assert sum(revision == 3 for _, revision in revisions) > 250


@pytest.mark.parametrize(
    ("fault", "sent", "state"),
    [
        (StreamFault(), b"".join(FRAMES), "open"),
        (StreamFault(cut_after_events=0), b"", "cut"),
        (StreamFault(cut_after_events=2), b"".join(FRAMES[:2]), "cut"),
        (StreamFault(cut_after_bytes=0), b"", "cut"),
        (StreamFault(cut_after_bytes=20), b"".join(FRAMES)[:20], "cut"),
        (StreamFault(stall_after_events=5), b"".join(FRAMES), "stalled"),
        (StreamFault(duplicate=True, cut_after_events=1), FRAMES[0] * 2, "cut"),
    ],
)
def test_faults(fault: StreamFault, sent: bytes, state: str) -> None:
    """What a fault lets through, in one write or in many."""
    for pieces in ([FRAMES], [[frame] for frame in FRAMES]):
        line, out = FaultyConnection(fault), b""
        for piece in pieces:
            out += line.events(piece)
            if line.state != "open":
                break
        assert (out, line.state) == (sent, state)


def test_a_fault_that_cannot_be() -> None:
    """Faults are counted from nothing up."""
    with pytest.raises(ValueError, match="cut_after_bytes"):
        StreamFault(cut_after_bytes=-1)


def test_over_replay() -> None:
    """A reader that is told too much begins earlier, and never before the start."""
    assert [FaultyConnection(StreamFault(over_replay=3)).start_at(place) for place in (10, 2)] == [7, 0]


def finished(sandbox: Sandbox, talk: float) -> str:
    """A call that is over, without having waited for it."""
    account = sandbox.world().account
    calls.seed(account, 3, sandbox.clock.now() - 2 * talk)
    call = next(call for call in account.calls.newest_first() if call.answered_at is not None)
    assert calls.plan_of(account, call).talk == talk
    return call.id


@pytest.mark.anyio
async def test_the_log_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many readers wake up however often, a call's log is worked out once."""
    worked = []

    def counted(*args: Any) -> Any:
        log = log_of(*args)
        if log is not None:
            worked.append(log)
        return log

    monkeypatch.setattr(live_transcript, "log_of", counted)
    clock = VirtualClock()
    async with (
        Sandbox(port=None, clock=clock, timing=Timing(talk=60)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, transport=sandbox.transport()) as client,
    ):
        call = await client.calls.create(to=TO, from_=FROM)
        done: list[Transcript] = []

        async def read() -> None:
            async with client.transcripts.stream(call.id) as live:
                done.append(await live.until_done())

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(read)
            with anyio.fail_after(20):
                while len(done) < 20:
                    await clock.advance(1)
        assert len(worked) == 1
        whole = await client.transcripts.retrieve(call.id)
        assert len(whole.segments) >= 20
        assert all(transcript.segments == whole.segments for transcript in done)


@pytest.mark.anyio
async def test_logs_in_memory_are_bounded() -> None:
    """Logs that nobody asked for lately go when there are too many events."""
    sandbox = Sandbox(port=None, timing=Timing(talk=30))
    account = sandbox.world().account
    calls.seed(account, 50, 1e9)
    logs = live_transcript.LiveLogs(most_events=60)
    held = [await logs.of(account, call) for call in account.calls.newest_first() if call.answered_at is not None]
    assert len(held) > 20
    assert logs._events == sum(map(len, logs._logs.values())) <= 60


@pytest.mark.anyio
@pytest.mark.parametrize(
    "faults",
    [
        [StreamFault(cut_after_bytes=n) for n in (0, 30, 2000)],
        [StreamFault(cut_after_events=n, reset=True) for n in (0, 1, 5)],
        [StreamFault(stall_after_events=3), StreamFault(stall_after_events=0)],
        [StreamFault(over_replay=5, duplicate=True, cut_after_events=8)] * 5,
        [StreamFault(silent=True)],
    ],
    ids=["cut", "reset", "stall", "replay", "silent"],
)
async def test_through_every_fault(faults: list[StreamFault]) -> None:
    """Whatever goes wrong on the way, each segment arrives once and the transcript is the whole one."""
    async with (
        Sandbox(port=None, timing=Timing(talk=60)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, transport=sandbox.transport()) as client,
    ):
        id = finished(sandbox, 60)
        sandbox.disturb_streams(*faults)
        stalls = faults[0].stall_after_events is not None
        async with client.transcripts.stream(id, idle_timeout=0.2 if stalls else 10) as live:
            seen = [(line.sequence, line.revision) async for line in live]
            whole = await live.until_done()
        assert len(seen) == len(set(seen)) >= 40
        assert whole.segments == (await client.transcripts.retrieve(id)).segments
        assert live.reconnects == (0 if faults[0].silent else len(faults))
        if faults[0].duplicate:
            assert live.stats.duplicates > 10


@pytest.mark.anyio
async def test_silence() -> None:
    """Without heartbeats a call that rings for long is taken for dead; with them it is not."""
    clock = RealClock(speed=20)
    async with (
        Sandbox(port=None, clock=clock, timing=Timing(ring=16, talk=1, heartbeat=2)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, transport=sandbox.transport()) as client,
    ):
        for fault, reconnects in ((None, 0), (StreamFault(silent=True), 1)):
            call = await client.calls.create(to=TO, from_=FROM)
            sandbox.disturb_streams(fault)
            async with client.transcripts.stream(call.id, idle_timeout=0.4) as live:
                await live.until_done()
            assert live.reconnects == reconnects


@pytest.mark.anyio
async def test_a_server_that_never_comes_back() -> None:
    """Where every connection stalls, the stream gives up with its checkpoint."""
    async with (
        Sandbox(port=None, timing=Timing(talk=60)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, transport=sandbox.transport()) as client,
    ):
        id = finished(sandbox, 60)
        sandbox.disturb_streams(StreamFault(stall_after_events=4), *[StreamFault(stall_after_events=0)] * 99)
        with pytest.raises(StreamInterruptedError) as caught:
            async with client.transcripts.stream(id, idle_timeout=0.05, max_outage=0.3) as live:
                await live.until_done()
        assert caught.value.last_event_id == "4"


@pytest.mark.anyio
async def test_a_crowd() -> None:
    """Three hundred readers of one call are served by one log, each from its own place."""
    async with (
        Sandbox(port=None, timing=Timing(talk=60)) as sandbox,
    ):
        id = finished(sandbox, 60)
        lengths: set[int] = set()

        async def read(number: int) -> None:
            from_ = number % 40
            app = sandbox._app
            account = sandbox.world().account
            decoder = SSEDecoder()
            ids: list[int] = []
            async for chunk in live_transcript.live_transcript(account, id, from_, sandbox.clock, app._logs):
                ids += [int(frame.id) for frame in decoder.feed(chunk)]
            assert ids == list(range(from_ + 1, ids[-1] + 1))
            lengths.add(ids[-1])

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for number in range(300):
                    tasks.start_soon(read, number)
        assert len(lengths) == 1


@pytest.mark.asyncio
async def test_a_reader_that_takes_nothing_is_dropped() -> None:
    """A reader whose socket is full for the write timeout loses its connection; others are served meanwhile."""
    async with Sandbox(timing=Timing(talk=30_000), write_timeout=0.3) as sandbox:
        id = finished(sandbox, 30_000)
        port = int(sandbox.base_url.rpartition(":")[2])
        head = (
            f"GET /v1/transcripts/{id} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {sandbox.api_key}\r\n\r\n"
        )
        with socket.socket() as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect(("127.0.0.1", port))
            stalled.sendall(head.encode())
            async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
                async with client.transcripts.stream(id, interim=False) as live:
                    assert len((await live.until_done()).segments) >= 10_000
            stalled.settimeout(5)

            def drain() -> int:
                taken = 0
                try:
                    while piece := stalled.recv(65536):
                        taken += len(piece)
                except ConnectionResetError:
                    return taken
                return -1

            await anyio.sleep(0.5)
            began = time.monotonic()
            assert 0 <= await anyio.to_thread.run_sync(drain) < 5_000_000
            assert time.monotonic() - began < 4


@pytest.mark.asyncio
async def test_resets_on_the_wire() -> None:
    """A reset is one: the client sees its connection break in the middle, and goes on after it."""
    async with (
        Sandbox(timing=Timing(talk=60)) as sandbox,
        AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client,
    ):
        id = finished(sandbox, 60)
        faults = [
            StreamFault(cut_after_events=2, reset=True),
            StreamFault(cut_after_bytes=700),
            StreamFault(reset=True),
        ]
        sandbox.disturb_streams(*faults)
        async with client.transcripts.stream(id) as live:
            whole = await live.until_done()
        assert whole.segments == (await client.transcripts.retrieve(id)).segments
        assert live.reconnects == 2


@pytest.mark.anyio
async def test_a_call_that_is_no_answer() -> None:
    """A ringing call has no log yet; one that nobody answered has the end of one."""
    sandbox = Sandbox(port=None)
    account = sandbox.world().account
    ringing = Call(id="call_1", status=CallStatus.RINGING, direction=Direction.OUTBOUND, from_=FROM, to=TO)
    assert log_of(ringing, 3.0) is None
    assert await live_transcript.LiveLogs().of(account, ringing) is None


@pytest.mark.anyio
async def test_a_world_that_was_reset_says_something_else() -> None:
    """After a reset the same call id is another call, and its transcript is its own."""
    bodies = []
    async with Sandbox(port=None, clock="manual") as sandbox:
        for to in (TO, "+15005550101"):
            async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
                call = await client.calls.create(to=to, from_=FROM)
                await sandbox.clock.advance(60)
                async with client.transcripts.stream(call.id) as live:
                    bodies.append((call.id, len((await live.until_done()).segments)))
            sandbox.reset()
    assert bodies[0][0] == bodies[1][0]
    assert [amount > 0 for _, amount in bodies] == [True, False]
