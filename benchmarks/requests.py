"""Requests a second and processor time per request, beside raw aiohttp, in one interleaved run.

Rules:
1. Every round measures every peer once, beginning with another one each time; figures are medians over the rounds.
2. A ratio is taken within a round, so that what disturbs the machine for a while disturbs both sides of it.
3. Each cell warms up, then runs for a fixed time and at most a fixed count.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from benchmarks import server
from benchmarks.peers import PEERS, Peer
from benchmarks.tools import average, pin, rotated, table, versions

__all__ = ["main"]

AT_MOST = 100_000
#: Name of a table's part -> tasks at once, items of a page or None for one object.
WORKLOADS: dict[str, tuple[int, int | None]] = {
    "one object, 32 at once": (32, None),
    "one object, 256 at once": (256, None),
    "page of 50, 8 at once": (8, 50),
    "page of 200, 8 at once": (8, 200),
}


class Cell(NamedTuple):
    """One measurement: requests a second, and microseconds of this process's processor time for each."""

    rate: float
    cpu: float


async def _drive(operation: Callable[[], Awaitable[Any]], tasks: int, warm_up: float, seconds: float) -> Cell:
    count, stopped = 0, False

    async def work() -> None:
        nonlocal count
        while not stopped and count < AT_MOST:
            await operation()
            count += 1

    await operation()
    workers = asyncio.gather(*(work() for _ in range(tasks)))
    await asyncio.wait([workers], timeout=warm_up)
    counted, cpu, began = count, time.process_time(), time.perf_counter()
    await asyncio.wait([workers], timeout=seconds)
    done, cpu, took = count - counted, time.process_time() - cpu, time.perf_counter() - began
    stopped = True
    await workers
    return Cell(done / took, cpu / max(1, done) * 1e6)


async def _measure(peer: Peer, url: str, workload: tuple[int, int | None], warm_up: float, seconds: float) -> Cell:
    tasks, items = workload
    async with peer.open(url) as operations:

        async def page() -> Any:
            assert items is not None
            return await operations.page(items)

        return await _drive(operations.one if items is None else page, tasks, warm_up, seconds)


def _run(peer: Peer, url: str, workload: tuple[int, int | None], warm_up: float, seconds: float) -> Cell:
    factory = None
    if peer.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    gc.collect()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_measure(peer, url, workload, warm_up, seconds))


def _available() -> list[Peer]:
    peers = []
    for peer in PEERS:
        if missing := peer.missing():
            print(f"{peer.name}: skipped, {', '.join(missing)} not installed")
        else:
            peers.append(peer)
    return peers


def main(*, quick: bool = False) -> None:
    """Measure and print one table for each workload."""
    rounds, warm_up, seconds = (1, 0.05, 0.2) if quick else (5, 0.2, 0.7)
    print("Requests over loopback: one client process, one server process")
    pinned = pin(0)
    print(f"pinned to one core each: {'yes' if pinned else 'no'}; {rounds} rounds of {seconds} s a cell\n")
    peers = _available()
    cells: dict[tuple[str, str], list[Cell]] = {}
    failed: dict[str, str] = {}
    with server.running() as url:
        for peer in peers:  # imports and first use, outside of what is measured
            try:
                _run(peer, url, WORKLOADS["one object, 32 at once"], 0.0, 0.05)
                _run(peer, url, WORKLOADS["page of 50, 8 at once"], 0.0, 0.05)
            except Exception as error:
                failed[peer.name] = f"{type(error).__name__}: {error}"
                print(f"{peer.name}: left out, {failed[peer.name]}")
        peers = [peer for peer in peers if peer.name not in failed]
        gc.collect()
        gc.freeze()
        for turn in range(rounds):
            for name, workload in WORKLOADS.items():
                for peer in rotated(peers, turn * 2):
                    cells.setdefault((name, peer.name), []).append(_run(peer, url, workload, warm_up, seconds))
    floor = peers[0].name
    for name in WORKLOADS:
        base = cells[name, floor]
        rows = []
        for peer in peers:
            mine = cells[name, peer.name]
            rates = [one.rate / other.rate for one, other in zip(mine, base, strict=True)]
            costs = [one.cpu / other.cpu for one, other in zip(mine, base, strict=True)]
            rows.append(
                [
                    peer.name,
                    f"{average([cell.rate for cell in mine]):,.0f}",
                    f"{average(rates):.2f}",
                    f"{average([cell.cpu for cell in mine]):,.0f}",
                    f"{average(costs):.2f}",
                ]
            )
        print(table([name, "a second", "ratio", "CPU µs each", "ratio"], rows), end="\n\n")


if __name__ == "__main__":
    import sys

    with suppress(KeyboardInterrupt):
        print(versions())
        main(quick="--quick" in sys.argv)
