"""Who waits, in which lane, and who is next. Nothing is awaited here but a `Signal`.

Rules:
1. First come, first served within a lane; ``interactive`` before ``default`` before ``bulk``.
2. A lane that was passed over `PATIENCE` times in a row is next, so none is starved: each lane that waits gets at least
   one turn in ten.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable
from typing import Any, Protocol

import anyio

from ajoxi_async.protocol.rate import LANES, Lane, Permit

__all__ = ["Queue", "Signal", "Waiter", "make_signal", "seconds_left"]

PATIENCE = 9


class Signal(Protocol):
    """Wakes one task once; set from any thread."""

    def set(self) -> None:
        """Wake it."""

    def wait(self) -> Awaitable[None]:
        """Wait to be woken."""


class _FutureSignal:
    # A bare future: an anyio.Event on asyncio is a deque and a kilobyte, and there may be ten thousand of them.
    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        loop = self._future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def wait(self) -> Awaitable[None]:
        return self._future  # itself: a coroutine around it would be another frame for each that waits


class _TrioSignal:
    __slots__ = ("_event", "_token")

    def __init__(self) -> None:
        trio: Any = sys.modules["trio"]
        self._event = trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    def set(self) -> None:
        try:
            self._token.run_sync_soon(self._event.set)
        except sys.modules["trio"].RunFinishedError:  # whoever waited is gone with its loop
            pass

    async def wait(self) -> None:
        await self._event.wait()


def make_signal() -> Signal:
    """A signal of the loop that is running."""
    try:
        return _FutureSignal()
    except RuntimeError:
        return _TrioSignal()


class Waiter:
    """A call that waits for its turn."""

    __slots__ = ("lane", "signal", "turn")

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane = lane
        self.signal: Signal = make_signal()
        self.turn: Permit | None = None


class Queue:
    """All that wait for one key's budget."""

    def __init__(self) -> None:
        # Dicts keep their order and forget anybody in no time: waiters are cancelled, too.
        self._lanes: dict[Lane, dict[Waiter, None]] = {lane: {} for lane in LANES}
        self._passed_over: dict[Lane, int] = dict.fromkeys(LANES, 0)

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __bool__(self) -> bool:
        return any(self._lanes.values())

    def add(self, waiter: Waiter) -> None:
        """Queue up."""
        self._lanes[waiter.lane][waiter] = None

    def discard(self, waiter: Waiter) -> None:
        """Leave the queue, wherever one stands in it."""
        self._lanes[waiter.lane].pop(waiter, None)

    def next_lane(self) -> Lane | None:
        """The lane whose turn it is."""
        waiting = [lane for lane in LANES if self._lanes[lane]]
        starved = [lane for lane in waiting if self._passed_over[lane] >= PATIENCE]
        return starved[-1] if starved else waiting[0] if waiting else None

    def pop(self, lane: Lane) -> Waiter:
        """Take the first of a lane out."""
        for other in LANES:
            if other == lane or not self._lanes[other]:
                self._passed_over[other] = 0
            else:
                self._passed_over[other] += 1
        waiter = next(iter(self._lanes[lane]))
        del self._lanes[lane][waiter]
        return waiter

    def last(self) -> Waiter | None:
        """Whoever has to wait longest."""
        for lane in reversed(LANES):
            if self._lanes[lane]:
                return next(reversed(self._lanes[lane]))
        return None

    def ahead_of(self, lane: Lane) -> int:
        """How many would go before a newcomer."""
        return sum(len(self._lanes[other]) for other in LANES[: LANES.index(lane) + 1])

    def counts(self) -> dict[Lane, int]:
        """How many wait, by lane."""
        return {lane: len(waiters) for lane, waiters in self._lanes.items()}


def seconds_left(now: float, deadline: float | None) -> float:
    """Seconds until the deadline, or until the enclosing cancel scope's if that is sooner."""
    enclosing = anyio.current_effective_deadline()
    left = enclosing - anyio.current_time() if math.isfinite(enclosing) else math.inf
    return left if deadline is None else min(left, deadline - now)
