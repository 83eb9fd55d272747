"""Live transcripts through a network that breaks: over sockets, on both backends, against the sandbox."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, LocalLimiter
from ajoxi_async.sandbox import Timing
from tests.client.fakes import client_on
from tests.streaming.faults import Broken, Fault, at_random, broken_sandbox
from tests.streaming.wire import Connections, completed, connection, segment

TALK = 600.0


@pytest.fixture(scope="module")
def broken() -> Iterator[Broken]:
    with broken_sandbox(timing=Timing(talk=TALK)) as served:
        yield served


def client_of(broken: Broken) -> AsyncAjoxi:
    """A client behind the proxy that does not wait before it comes back."""
    client = AsyncAjoxi(broken.sandbox.api_key, base_url=broken.base_url, limiter=LocalLimiter(None))
    client._adopt(client._pipeline.variant(jitter=lambda: 0.0))
    return client


async def follow(broken: Broken, id: str, *, idle_timeout: float = 0.3) -> int:
    """Read a call to its end, and hold what comes against what was said; returns the reconnects."""
    async with client_of(broken) as client, client.transcripts.stream(id, idle_timeout=idle_timeout) as live:
        seen = [line async for line in live if line.is_final]
        whole = await live.until_done()
        expected = broken.told(id, broken.sandbox.world().account.timing.talk)
        assert [(line.sequence, line.revision) for line in seen] == [(u.sequence, u.revision) for u in expected]
        assert [line.text for line in seen] == [u.text for u in expected]
        latest = {u.sequence: u.text for u in expected}
        assert [line.text for line in whole.segments] == [latest[n] for n in sorted(latest)]
        assert live.text() == "\n".join(latest[n] for n in sorted(latest))
        return live.reconnects


@pytest.mark.anyio
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_broken_at_random(broken: Broken, seed: int) -> None:
    """Cut, reset, stalled, refused and dribbled at random, every final arrives once and in order."""
    id = broken.finished_call(TALK)
    broken.plan = at_random(seed, mean=8000)
    assert await follow(broken, id) > 3


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["fin", "rst"])
async def test_cut_at_any_offset(broken: Broken, kind: str) -> None:
    """Cut within the head, a chunk's frame, an event or between them, nothing is lost and nothing comes twice."""
    id = broken.finished_call(TALK)
    rng, begun = random.Random(kind), broken.connections
    for start in [*range(0, 2000, 97), *(rng.randrange(broken.length(id)) for _ in range(5))]:
        plan = [Fault(kind, start + rng.randrange(97)), Fault()]  # type: ignore[arg-type]
        first = broken.connections
        broken.plan = lambda n, plan=plan, first=first: plan[min(n - first, 1)]  # type: ignore[misc]
        # Long enough for a busy machine: a silence that counts as a loss would be one more connection.
        assert await follow(broken, id, idle_timeout=20) <= 1
    assert broken.connections == begun + 2 * 26


@pytest.mark.anyio
async def test_byte_by_byte(broken: Broken) -> None:
    """A response written in single bytes is the same response."""
    with broken_sandbox(timing=Timing(talk=3)) as short:
        short.plan = lambda _: Fault(portion=1)
        assert await follow(short, short.finished_call(3), idle_timeout=5) == 0


@pytest.mark.anyio
async def test_a_dead_peer_is_found_out(broken: Broken) -> None:
    """A connection without a byte for `idle_timeout` is given up within half a second more."""
    id = broken.finished_call(TALK)
    first = broken.connections
    broken.plan = lambda n: Fault("stall", 3000) if n == first else Fault()
    broken.stalled_at.clear()
    found: list[float] = []
    async with client_of(broken) as client:
        tell = lambda state: found.append(time.monotonic()) if state == "stalled" else None  # noqa: E731
        async with client.transcripts.stream(id, idle_timeout=0.5, on_state=tell) as live:
            await live.until_done()
    assert live.reconnects == 1
    assert 0.4 < found[0] - broken.stalled_at[0] < 1.0


@pytest.mark.anyio
async def test_a_slow_consumer_is_no_dead_peer() -> None:
    """A consumer that is busy for many idle times while the peer is alive loses no connection."""
    with broken_sandbox(timing=Timing(ring=0.1, talk=2, heartbeat=0.2)) as live_server:
        async with client_of(live_server) as client:
            call = await client.calls.create(to="+14155551234", from_="+14155550100")
            seen = 0
            async with client.transcripts.stream(call.id, idle_timeout=0.5) as live:
                async for _ in live:
                    seen += 1
                    if seen in {1, 3}:
                        await anyio.sleep(1.6)
            assert live.reconnects == 0
            assert seen > 10


@pytest.mark.anyio
async def test_memory_is_bounded_by_the_network() -> None:
    """However much a call has to say, a consumer that does not ask holds no more than one read of it."""
    with broken_sandbox(timing=Timing(talk=9000)) as long_server:
        id = long_server.finished_call(9000)
        async with client_of(long_server) as client, client.transcripts.stream(id) as live:
            await anext(live)
            await anyio.sleep(0.3)
            in_hand = sum(len(frame.data) for frame in live._source.ready)
            assert 0 < in_hand < 300_000 < long_server.length(id) / 4


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["break", "raise", "cancel", "close"])
async def test_sockets_are_closed(broken: Broken, how: str) -> None:
    """By whatever way a stream is left, its socket is closed within half a second."""
    id = broken.finished_call(TALK)
    broken.plan = lambda _: Fault("stall", 3000)
    async with client_of(broken) as client:
        with anyio.CancelScope() as scope:
            try:
                async with client.transcripts.stream(id, idle_timeout=20) as live:
                    async for _ in live:
                        if how == "break":
                            break
                        if how == "raise":
                            raise ZeroDivisionError
                        if how == "close":
                            await live.aclose()
                        if how == "cancel":
                            scope.deadline = anyio.current_time() + 0.05
            except ZeroDivisionError:
                assert how == "raise"
        began = time.monotonic()
        while broken.open and time.monotonic() - began < 2:
            await anyio.sleep(0.01)
        assert time.monotonic() - began < 0.5


@pytest.mark.anyio
async def test_closed_by_another_task(broken: Broken) -> None:
    """`aclose` ends a read of another task over a socket, quietly and at once."""
    id = broken.finished_call(TALK)
    broken.plan = lambda _: Fault("stall", 3000)
    async with client_of(broken) as client, client.transcripts.stream(id, idle_timeout=20) as live:
        seen = []

        async def read() -> None:
            seen.extend([line async for line in live])

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                while live.last_event_id is None or live.stats.last_byte_age < 0.1:
                    await anyio.sleep(0.01)
                began = time.monotonic()
                await live.aclose()
        assert len(seen) > 3
        while broken.open:
            await anyio.sleep(0.01)
        assert time.monotonic() - began < 0.5
        assert live.state == "ended"


@pytest.mark.anyio
async def test_polling_over_a_socket(broken: Broken) -> None:
    """A consumer that looks in for a moment at a time loses nothing."""
    id = broken.finished_call(TALK)
    broken.plan = lambda _: Fault()
    seen = []
    async with client_of(broken) as client, client.transcripts.stream(id, interim=False, max_outage=2) as live:
        while live.state != "ended":
            with anyio.move_on_after(0.02):
                seen.append(await anext(live, None))
    finals = [(line.sequence, line.revision) for line in seen if line is not None]
    assert finals == [(u.sequence, u.revision) for u in broken.told(id, TALK)]


@pytest.mark.anyio
async def test_streams_take_no_connection_of_calls(broken: Broken) -> None:
    """With ten streams open, a client that may hold one connection still makes its calls."""
    id = broken.finished_call(TALK)
    broken.plan = lambda _: Fault("stall", 3000)
    limiter = LocalLimiter(None)
    async with (
        AsyncAjoxi(broken.sandbox.api_key, base_url=broken.base_url, max_connections=1, limiter=limiter) as client,
        AsyncExitStack() as stack,
    ):
        for _ in range(10):
            live = await stack.enter_async_context(client.transcripts.stream(id))
            await anext(live)
        assert broken.open == 10
        with anyio.fail_after(2):
            assert (await client.calls.retrieve(id)).id == id


@pytest.mark.anyio
async def test_thousands_of_reconnects() -> None:
    """Connections leave nothing behind."""
    cuts = [connection(segment(n, 1, n)) for n in range(1, 3_001)]
    wire = Connections(*cuts, connection(completed(3_001, 1)))
    del cuts
    held = 0
    async with client_on(wire).transcripts.stream("call_1") as live:
        async for line in live:
            wire.used.clear()
            wire.opened.clear()
            if line.revision == 1000:
                gc.collect()
                held = len(gc.get_objects()) + 5 * len(wire.streams)
            if line.revision == 2900:
                gc.collect()
                # What is left of the script is the test's own.
                assert len(gc.get_objects()) < held
    assert live.reconnects == 3_000


READER = """
import json, os, sys, time
import anyio
from ajoxi_async import AsyncAjoxi

async def main(url, key, id, path):
    lines = open(path).read().splitlines()
    checkpoint = json.loads(lines[-1])["checkpoint"] if lines else None
    done = os.open(path, os.O_WRONLY | os.O_APPEND)
    async with AsyncAjoxi(key, base_url=url) as client:
        async with client.transcripts.stream(id, resume_from=checkpoint, interim=False) as live:
            async for line in live:
                told = {"checkpoint": live.last_event_id, "final": [line.sequence, line.revision]}
                os.write(done, (json.dumps(told) + "\\n").encode())
                time.sleep(0.0005)

anyio.run(main, *sys.argv[1:], backend=os.environ["BACKEND"])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_killed_and_resumed(broken: Broken, tmp_path: Path, backend: str) -> None:
    """A process that is killed anywhere and started again from its checkpoint has every final once and in order."""
    id, path, rng = broken.finished_call(TALK), tmp_path / "told.jsonl", random.Random(backend)
    broken.plan = lambda _: Fault()
    path.touch()
    expected = [[u.sequence, u.revision] for u in broken.told(id, TALK)]
    kills, done = 0, False
    while not done:
        process = subprocess.Popen(
            [sys.executable, "-c", READER, broken.base_url, broken.sandbox.api_key, id, str(path)],
            env={**os.environ, "BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        enough = len(path.read_bytes().splitlines()) + rng.randrange(1, len(expected) // 3)
        while process.poll() is None and (len(path.read_bytes().splitlines()) < enough or kills >= 4):
            time.sleep(0.002)
        done = process.poll() is not None
        if done:
            assert process.returncode == 0
        else:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills >= 2
    assert [json.loads(line)["final"] for line in path.read_text().splitlines()] == expected
