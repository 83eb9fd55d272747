"""The limiter beside aiolimiter and pyrate-limiter: what a server sees, what a turn costs, what waiting costs.

    python -m benchmarks.limiter             # about a minute, and benchmarks/limiter.png
    python -m benchmarks.limiter --quick

Three hundred tasks ask as fast as they can for one key of 100 a second. Between them and the server lies a network that
jitters; arrivals are counted there, by any sliding second and as 429s of an exact sliding log, of a counter per fixed
window, and of GCRA with a burst of 10. All limiters run at the same time in one loop, on the clock of the wall.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import sys
import time
import timeit
import tracemalloc
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.tools import table

LIMIT, WORKERS = 100, 300
PLOT = Path(__file__).with_suffix(".png")

Permit = Any


class Peer(NamedTuple):
    """A limiter as the workers use it."""

    name: str
    acquire: Callable[[], Awaitable[Permit]]
    answered: Callable[[Permit], None] = lambda _: None


def _ours() -> Peer:
    from ajoxi_async import LocalLimiter

    limiter = LocalLimiter(LIMIT)

    async def acquire() -> Permit:
        return limiter.try_acquire() or await limiter.acquire()

    def answered(turn: Permit) -> None:
        limiter.observe(turn, "calls.list", 200, {"X-RateLimit-Limit": str(LIMIT)}, None)

    return Peer("ajoxi_async", acquire, answered)


def _aiolimiter(rate: float, period: float) -> Peer:
    from aiolimiter import AsyncLimiter

    return Peer(f"aiolimiter({rate:g}, {period:.3g})", AsyncLimiter(rate, period).acquire)


def _pyrate() -> Peer:
    from pyrate_limiter import Duration, Limiter, Rate

    limiter = Limiter(Rate(LIMIT, Duration.SECOND))
    return Peer("pyrate-limiter", lambda: limiter.try_acquire_async("key"))


PEERS: list[Callable[[], Peer]] = [
    _ours,
    lambda: _aiolimiter(LIMIT, 1),
    lambda: _aiolimiter(1, 1 / (LIMIT - 1)),
    _pyrate,
]

JITTERS: dict[str, Callable[[], float]] = {
    "none": lambda: 0.0,
    "uniform 0-10 ms": lambda: random.uniform(0, 0.01),
    "exponential 5 ms": lambda: random.expovariate(200),
    "exponential 20 ms": lambda: random.expovariate(50),
}


async def _run(peer: Peer, jitter: Callable[[], float], seconds: float) -> tuple[list[float], list[int]]:
    loop = asyncio.get_running_loop()
    arrivals: list[float] = []
    counts = [0] * WORKERS
    end = loop.time() + seconds

    async def work(number: int) -> None:
        while loop.time() < end:
            turn = await peer.acquire()
            await asyncio.sleep(0.01 + jitter())
            arrivals.append(loop.time())
            counts[number] += 1
            await asyncio.sleep(0.01)
            peer.answered(turn)

    tasks = [asyncio.ensure_future(work(number)) for number in range(WORKERS)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return arrivals, counts


def _most(arrivals: list[float]) -> int:
    return max((bisect_right(arrivals, at + 1 - 1e-9) - index for index, at in enumerate(arrivals)), default=0)


def _refused(arrivals: list[float]) -> str:
    """429s of an exact log, of fixed windows and of GCRA with a burst of 10."""
    log: list[float] = []
    windows: dict[int, int] = {}
    exact = fixed = gcra = 0
    tokens, at = 10.0, arrivals[0]
    for now in arrivals:
        log = [one for one in log if one > now - 1]
        exact += len(log) >= LIMIT
        if len(log) < LIMIT:
            log.append(now)
        windows[int(now)] = windows.get(int(now), 0) + 1
        fixed += windows[int(now)] > LIMIT
        tokens, at = min(10.0, tokens + (now - at) * LIMIT), now
        gcra += tokens < 1
        tokens -= tokens >= 1
    return f"{exact}/{fixed}/{gcra}"


def _memory(make: Callable[[], Peer], waiters: int = 10_000) -> float:
    async def idle() -> None:
        await asyncio.get_running_loop().create_future()

    async def used(what: Callable[[], Awaitable[Any]]) -> int:
        gc.collect()
        tracemalloc.start()
        tasks = [asyncio.ensure_future(what()) for _ in range(waiters)]
        for _ in range(3):
            await asyncio.sleep(0)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return size

    async def main() -> float:
        return (await used(make().acquire) - await used(idle)) / waiters

    return asyncio.run(main())


def _cost() -> list[list[str]]:
    from aiolimiter import AsyncLimiter

    from ajoxi_async import LocalLimiter

    ours = LocalLimiter(100_000_000)
    headers = {"X-RateLimit-Limit": "100000000", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "1790000000"}
    theirs = AsyncLimiter(100_000_000, 1)

    def observed() -> None:
        turn = ours.try_acquire()
        assert turn is not None
        ours.observe(turn, "calls.list", 200, headers, None)

    async def bare() -> None:
        """An awaited function that does nothing."""

    def each(coroutine: Callable[[], Awaitable[Any]], number: int = 50_000) -> float:
        async def main() -> float:
            began = time.perf_counter()
            for _ in range(number):
                await coroutine()
            return (time.perf_counter() - began) / number * 1e6

        return min(asyncio.run(main()) for _ in range(5))

    rows = [
        ["ajoxi_async: try_acquire", min(timeit.repeat(ours.try_acquire, number=50_000, repeat=5)) / 50_000 * 1e6],
        ["ajoxi_async: try_acquire and observe", min(timeit.repeat(observed, number=50_000, repeat=5)) / 50_000 * 1e6],
        ["aiolimiter: acquire", each(theirs.acquire)],
        ["an awaited function that does nothing", each(bare)],
    ]
    with suppress(ImportError):
        from pyrate_limiter import Duration, Limiter, Rate

        other = Limiter(Rate(100_000_000, Duration.SECOND))
        rows.append(["pyrate-limiter: try_acquire_async", each(lambda: other.try_acquire_async("key"), 2_000)])
    return [[str(name), f"{float(cost):.2f}"] for name, cost in rows]


def _plot(seen: dict[tuple[str, str], list[float]]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    names = list(dict.fromkeys(name for _, name in seen))
    figure = Figure(figsize=(9, 7), layout="constrained")
    top, bottom = figure.subplots(2, 1)
    for index, name in enumerate(names):
        at = [position + index * 0.2 for position in range(len(JITTERS))]
        top.bar(at, [_most(seen[jitter, name]) for jitter in JITTERS], 0.18, label=name)
        arrivals = seen["exponential 5 ms", name]
        moments = [number / 20 for number in range(20, int((arrivals[-1] - arrivals[0]) * 20))]
        counts = [
            bisect_right(arrivals, arrivals[0] + moment) - bisect_right(arrivals, arrivals[0] + moment - 1)
            for moment in moments
        ]
        bottom.plot(moments, counts, label=name, linewidth=1)
    top.axhline(LIMIT, color="black", linewidth=0.8)
    top.set_xticks([position + 0.3 for position in range(len(JITTERS))], JITTERS)
    top.set_ylabel("most arrivals in a sliding second")
    top.legend(loc="upper right", fontsize=8)
    bottom.axhline(LIMIT, color="black", linewidth=0.8)
    bottom.set_xlabel("seconds, with exponential jitter of 5 ms")
    bottom.set_ylabel("arrivals in the last second")
    figure.savefig(PLOT, dpi=110)
    print(f"plot: {PLOT.name}")


def main(*, quick: bool = False) -> None:
    """Measure, print and draw."""
    seconds = 3.0 if quick else 12.0
    print(f"Limiters: {WORKERS} tasks, {LIMIT} a second, {seconds:g} s for each jitter\n")
    seen: dict[tuple[str, str], list[float]] = {}
    rows = []

    async def together(jitter: Callable[[], float]) -> list[tuple[str, list[float], list[int]]]:
        peers = [make() for make in PEERS]
        results = await asyncio.gather(*(_run(peer, jitter, seconds) for peer in peers))
        return [(peer.name, *result) for peer, result in zip(peers, results, strict=True)]

    for name, jitter in JITTERS.items():
        for peer, arrivals, counts in asyncio.run(together(jitter)):
            arrivals.sort()
            seen[name, peer] = arrivals
            settled = [at for at in arrivals if at > arrivals[0] + 1]
            rows.append(
                [
                    name,
                    peer,
                    str(_most(arrivals)),
                    f"{len(settled) / (arrivals[-1] - arrivals[0] - 1):.1f}",
                    _refused(arrivals),
                    f"{sum(counts) ** 2 / (WORKERS * sum(count**2 for count in counts)):.3f}",
                ]
            )
    print(table(["jitter", "limiter", "most in 1 s", "a second", "429: log/fixed/GCRA", "Jain"], rows), end="\n\n")
    print(table(["a turn, nobody waiting", "µs"], _cost()), end="\n\n")
    memory = [[make().name, f"{statistics.median(_memory(make) for _ in range(3)):,.0f}"] for make in PEERS]
    print(table(["10,000 waiters", "bytes each, besides the task"], memory))
    _plot(seen)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
