"""Fifty accounts on one client: how many requests of each key are sent in any second, and what a variant costs.

Rules:
1. Each key sends as fast as its limiter lets it. The transport answers at once, with the headers of a limit of 100 a second,
   and writes down when each key sent.
2. "Most in a second" is the largest number of requests of one key in any sliding second, over all keys.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from contextlib import suppress

from ajoxi_async import AsyncAjoxi
from ajoxi_async.contract.wire import Request, Response
from benchmarks.tools import table, versions

__all__ = ["main"]

KEYS = 50
LIMIT = 100


class Clockwork:
    """A transport that answers at once and knows when each key sent."""

    def __init__(self) -> None:
        self.sent: dict[str, list[float]] = defaultdict(list)

    async def send(self, request: Request) -> Response:
        self.sent[request.headers["Authorization"]].append(time.monotonic())
        return Response(200, {"X-RateLimit-Limit": str(LIMIT)}, b'{"id": "call_1"}')

    async def aclose(self) -> None:
        """Nothing is open."""


def most_in_a_second(moments: list[float]) -> int:
    recent: deque[float] = deque()
    most = 0
    for moment in moments:
        recent.append(moment)
        while recent[0] <= moment - 1.0:
            recent.popleft()
        most = max(most, len(recent))
    return most


async def _run(seconds: float) -> tuple[Clockwork, float, float]:
    transport = Clockwork()
    client = AsyncAjoxi("AJX_TEST_root", transport=transport)  # type: ignore[arg-type]
    began = time.perf_counter()
    accounts = [client.with_options(api_key=f"AJX_TEST_{number:08d}") for number in range(KEYS)]
    cost = (time.perf_counter() - began) / KEYS
    until = time.monotonic() + seconds

    async def use(account: AsyncAjoxi) -> None:
        while time.monotonic() < until:
            await account.calls.retrieve("call_1")

    cpu = time.process_time()
    await asyncio.gather(*(use(account) for account in accounts for _ in range(4)))
    return transport, cost, time.process_time() - cpu


def main(*, quick: bool = False) -> None:
    """Run and print one table."""
    seconds = 1.5 if quick else 5.0
    transport, cost, cpu = asyncio.run(_run(seconds))
    counts = [len(moments) for moments in transport.sent.values()]
    total = sum(counts)
    rows = [
        ["keys on one client", str(len(counts))],
        ["requests a second, all keys", f"{total / seconds:,.0f}"],
        ["requests a second, slowest key", f"{min(counts) / seconds:.1f}"],
        ["most in a second of one key", str(max(map(most_in_a_second, transport.sent.values())))],
        ["CPU µs for a request", f"{cpu / total * 1e6:.0f}"],
        ["µs for a variant", f"{cost * 1e6:.0f}"],
    ]
    print(f"Many accounts: {KEYS} keys, {LIMIT} requests a second each, for {seconds:g} s")
    print(table(["", ""], rows), end="\n\n")


if __name__ == "__main__":
    import sys

    with suppress(KeyboardInterrupt):
        print(versions())
        main(quick="--quick" in sys.argv)
