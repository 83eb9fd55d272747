"""What takes too long for the suite: ``python -m tests.streaming.endurance [part ...]``. Loopback only; each part says what it saw.

seeds     100 seeds of faults, 3,000 segments each, on asyncio and trio
offsets   a cut at every byte of a response, in good order and by reset, on asyncio and trio
busy      a consumer that is busy for 60 s while the peer sends heartbeats
at_once   500 streams cut at once, against the sandbox's own count of 100 requests a second
crowd     2,000 readers of one process, over sockets
beside    the latency of REST calls with and without 300 open streams
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio

from ajoxi_async import AsyncAjoxi, LocalLimiter
from ajoxi_async.sandbox import Sandbox, Timing
from tests.streaming.faults import Fault, at_random, broken_sandbox
from tests.streaming.test_faults import client_of, follow

BACKENDS = ("asyncio", "trio")
#: 3,000 lines.
LONG = 9000.0


def on(backend: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run it on a backend."""
    return anyio.run(work, backend=backend)


def seeds(amount: int) -> None:
    """Every final once and in order, whatever the seed."""
    with broken_sandbox(timing=Timing(talk=LONG)) as broken:
        for backend in BACKENDS:
            began, reconnects = time.monotonic(), 0
            for seed in range(amount):
                id = broken.finished_call(LONG)
                broken.plan = at_random(seed, mean=40_000)
                reconnects += on(backend, partial(follow, broken, id))
            lines = len({line.sequence for line in broken.told(id, LONG)})
            took = time.monotonic() - began
            print(
                f"seeds: {backend}: {amount} x {lines} segments, {reconnects} reconnects, nothing lost or twice, {took:.0f} s"
            )


def offsets(step: int) -> None:
    """A cut at every byte, head included."""
    with broken_sandbox(timing=Timing(talk=3)) as broken:
        id = broken.finished_call(3)
        for backend in BACKENDS:
            for kind in ("fin", "rst"):

                async def every(kind: Any = kind) -> int:
                    begun = broken.connections
                    # With room for the head and the framing.
                    for offset in range(0, broken.length(id) + 1200, step):
                        first = broken.connections
                        broken.plan = lambda n, first=first, offset=offset: (  # type: ignore[misc]
                            Fault(kind, offset) if n == first else Fault()
                        )
                        await follow(broken, id)
                    return broken.connections - begun - len(range(0, broken.length(id) + 1200, step))

                began = time.monotonic()
                cuts = on(backend, every)
                print(
                    f"offsets: {backend}: {cuts} cuts by {kind}, nothing lost or twice, {time.monotonic() - began:.0f} s"
                )


def busy(seconds: float) -> None:
    """A consumer that is busy for a minute."""
    for backend in BACKENDS:
        with broken_sandbox(timing=Timing(ring=0.1, talk=seconds + 5, heartbeat=10)) as broken:

            async def slow() -> tuple[int, int]:
                async with client_of(broken) as client:
                    call = await client.calls.create(to="+14155551234", from_="+14155550100")
                    async with client.transcripts.stream(call.id) as live:
                        await anext(live)
                        await anyio.sleep(seconds)
                        whole = await live.until_done()
                    return live.reconnects, len(whole.segments)

            reconnects, lines = on(backend, slow)
            assert reconnects == 0
            print(f"busy: {backend}: {seconds:g} s busy, idle timeout 25 s, {lines} segments, {reconnects} reconnects")


def at_once(streams: int) -> None:
    """Everybody is cut in the same moment and comes back."""
    with broken_sandbox(timing=Timing(talk=30, ring=1), rate=100) as broken:

        async def all_cut() -> None:
            done = reconnects = 0
            async with AsyncAjoxi(broken.sandbox.api_key, base_url=broken.base_url) as client:
                call = await client.calls.create(to="+14155551234", from_="+14155550100")

                async def read() -> None:
                    nonlocal done, reconnects
                    async with client.transcripts.stream(call.id, idle_timeout=20) as live:
                        await live.until_done()
                    done, reconnects = done + 1, reconnects + live.reconnects

                async with anyio.create_task_group() as tasks:
                    for _ in range(streams):
                        tasks.start_soon(read)
                    while broken.open < streams:
                        await anyio.sleep(0.05)
                    began = time.monotonic()
                    broken.cut_all()
                    await anyio.sleep(0.2)
                    while broken.open < streams:
                        await anyio.sleep(0.02)
                    back = time.monotonic() - began
                refused = client.limiter.snapshot().refused
            assert done == streams
            print(
                f"at_once: {streams} streams cut, {reconnects} reconnects, all back in {back:.1f} s, {refused} answers of 429"
            )

        on("asyncio", all_cut)


def crowd(readers: int) -> None:
    """Many readers of one call."""

    async def read_all() -> None:
        async with Sandbox(rate_limit=None, timing=Timing(ring=8, talk=10)) as sandbox:
            async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url, limiter=LocalLimiter(None)) as client:
                call = await client.calls.create(to="+14155551234", from_="+14155550100")
                done, began = [], time.monotonic()

                async def read() -> None:
                    async with client.transcripts.stream(call.id) as live:
                        done.append(len((await live.until_done()).segments))

                async with anyio.create_task_group() as tasks:
                    for _ in range(readers):
                        tasks.start_soon(read)
                assert len(done) == readers
                assert len(set(done)) == 1
                took = time.monotonic() - began
                print(
                    f"crowd: {readers} readers over sockets, server and clients in one process: all complete, {took:.0f} s of 18"
                )

    on("asyncio", read_all)


def beside(streams: int) -> None:
    """REST latency with streams open."""
    with broken_sandbox(timing=Timing(ring=300, talk=1, heartbeat=10)) as broken:

        async def compare() -> None:
            async with AsyncAjoxi(
                broken.sandbox.api_key, base_url=broken.sandbox.base_url, limiter=LocalLimiter(None)
            ) as client:
                call = await client.calls.create(to="+14155551234", from_="+14155550100")

                async def latencies() -> list[float]:
                    took = []
                    for _ in range(500):
                        began = time.perf_counter()
                        await client.calls.retrieve(call.id)
                        took.append((time.perf_counter() - began) * 1000)
                    return sorted(took)

                await latencies()
                alone = await latencies()
                async with anyio.create_task_group() as tasks:
                    for _ in range(streams):
                        tasks.start_soon(hold, client, call.id)
                    await anyio.sleep(3)
                    together = await latencies()
                    tasks.cancel_scope.cancel()
            for name, took in (("alone", alone), (f"beside {streams} open streams", together)):
                print(f"beside: REST {name}: p50 {statistics.median(took):.2f} ms, p99 {took[-5]:.2f} ms")

        on("asyncio", compare)


async def hold(client: AsyncAjoxi, id: str) -> None:
    """Follow a call that is not answered yet."""
    async with client.transcripts.stream(id) as live:
        await live.until_done()


PARTS: dict[str, Callable[[], None]] = {
    "seeds": lambda: seeds(100),
    "offsets": lambda: offsets(1),
    "busy": lambda: busy(60),
    "at_once": lambda: at_once(500),
    "crowd": lambda: crowd(2000),
    "beside": lambda: beside(300),
}


def main() -> None:
    """Run the parts named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.streaming.endurance")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 20_000)), hard))
    for name in parser.parse_args().parts or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
