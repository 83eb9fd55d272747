"""The queue of calls that wait for a permit, by lane, and the signals that wake them.

Rules:
1. First come, first served within a lane; ``interactive`` before ``default`` before ``bulk``.
2. A lane that was passed over `PATIENCE` times in a row is next, so that each lane with waiting calls gets at least one
   permit in ten.
3. An event loop that is blocked, stopped or closed is marked as stalled, and its waiters are skipped. They keep their
   places and are served again once their loop runs.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import anyio

from ajoxi_async.protocol.rate import LANES, Lane, Permit

__all__ = ["GRACE", "Queue", "Signal", "Waiter", "call_in", "make_signal", "seconds_left", "wait_for_signal"]

PATIENCE = 9


#: A loop that does not react to a signal or a timer within this many seconds counts as stalled.
GRACE = 0.02


class Signal(Protocol):
    """Wakes one task once. It can be set from any thread."""

    @property
    def home(self) -> Any:
        """The event loop of the task, or trio's token of it."""

    def set(self) -> None:
        """Wake the task, if its loop still runs."""

    def ended(self) -> bool:
        """Whether the loop has ended, so that the task will never wake."""

    def wait(self) -> Awaitable[None]:
        """Wait to be woken."""


class _FutureSignal:
    # A bare future, because an anyio.Event takes a kilobyte on asyncio and there may be ten thousand waiting calls.
    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def home(self) -> asyncio.AbstractEventLoop:
        return self._future.get_loop()

    def set(self) -> None:
        call_in(self._future.get_loop(), self._resolve)

    def ended(self) -> bool:
        return self._future.get_loop().is_closed()

    def _resolve(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def wait(self) -> Awaitable[None]:
        return self._future  # the future itself, because a coroutine around it would add a frame to each waiting call


def _nothing() -> None:
    """Scheduled in a loop only to see whether the loop still runs."""


class _TrioSignal:
    __slots__ = ("_event", "_token")

    def __init__(self) -> None:
        trio: Any = sys.modules["trio"]
        self._event = trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    @property
    def home(self) -> Any:
        return self._token

    def set(self) -> None:
        call_in(self._token, self._event.set)

    def ended(self) -> bool:
        try:
            self._token.run_sync_soon(_nothing, idempotent=True)
        except RuntimeError:
            return True
        return False

    async def wait(self) -> None:
        await self._event.wait()


def make_signal() -> Signal:
    """Make a signal for the running task."""
    try:
        return _FutureSignal()
    except RuntimeError:
        return _TrioSignal()


def call_in(home: Any, function: Callable[[], None]) -> bool:
    """Have a loop, which is the `home` of a signal, call a function. Any thread may call this. Returns False if it has ended."""
    try:
        if isinstance(home, asyncio.AbstractEventLoop):
            home.call_soon_threadsafe(function)
        else:
            home.run_sync_soon(function)
    except RuntimeError:  # a closed loop's; trio's RunFinishedError is one as well
        return False
    return True


async def wait_for_signal(signal: Signal, seconds: float) -> None:
    """Wait for a signal, for at most so many seconds. A signal that was waited for is used up."""
    with anyio.move_on_after(seconds):
        await signal.wait()


class Waiter:
    """A call that waits for a permit."""

    __slots__ = ("lane", "signal", "turn")

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane = lane
        self.signal: Signal = make_signal()
        self.turn: Permit | None = None


class Queue:
    """The calls that wait for permits of one budget.

    Attributes:
        stalled: the event loops that do not react at the moment.
    """

    def __init__(self) -> None:
        # Dicts keep their order, and removing a cancelled waiter from the middle takes constant time.
        self._lanes: dict[Lane, dict[Waiter, None]] = {lane: {} for lane in LANES}
        self._passed_over: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self.stalled: set[Any] = set()

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def add(self, waiter: Waiter) -> None:
        """Add a waiter at the end of its lane."""
        self._lanes[waiter.lane][waiter] = None

    def put_back(self, waiters: Sequence[Waiter]) -> None:
        """Add waiters at the head of their lanes again, after their permits were taken back."""
        for lane in {waiter.lane for waiter in waiters}:
            first = {waiter: None for waiter in waiters if waiter.lane == lane}
            self._lanes[lane] = first | self._lanes[lane]

    def discard(self, waiter: Waiter) -> None:
        """Remove a waiter, wherever it stands in its lane."""
        self._lanes[waiter.lane].pop(waiter, None)

    def discard_all(self, home: Any) -> None:
        """Remove the waiters of a loop that has ended."""
        self.stalled.discard(home)
        for lane, waiters in self._lanes.items():
            self._lanes[lane] = {waiter: None for waiter in waiters if waiter.signal.home is not home}

    def next(self) -> Waiter | None:
        """The waiter that is next, of those whose loop runs. It stays in the queue."""
        first = self._first_by_lane()
        for lane in reversed(first):
            if self._passed_over[lane] >= PATIENCE:
                return first[lane]
        return next(iter(first.values()), None)

    def pop(self, waiter: Waiter) -> None:
        """Remove the waiter that `next` returned."""
        for lane in LANES:
            if lane == waiter.lane or not self._lanes[lane]:
                self._passed_over[lane] = 0
            else:
                self._passed_over[lane] += 1
        del self._lanes[waiter.lane][waiter]

    def _first_by_lane(self) -> dict[Lane, Waiter]:
        first: dict[Lane, Waiter] = {}
        for lane in LANES:
            for waiter in self._lanes[lane]:
                if not self.stalled or waiter.signal.home not in self.stalled:
                    first[lane] = waiter
                    break
        return first

    def last(self, home: Any) -> Waiter | None:
        """The waiter of a loop that will wait longest."""
        for lane in reversed(LANES):
            for waiter in reversed(self._lanes[lane]):
                if waiter.signal.home is home:
                    return waiter
        return None

    def ahead_of(self, lane: Lane) -> int:
        """How many waiters would be served before a new one of this lane."""
        ready = self.ready()
        return sum(ready[other] for other in LANES[: LANES.index(lane) + 1])

    def counts(self) -> dict[Lane, int]:
        """How many wait, by lane."""
        return {lane: len(waiters) for lane, waiters in self._lanes.items()}

    def ready(self) -> dict[Lane, int]:
        """How many wait in loops that run, by lane."""
        if not self.stalled:
            return self.counts()
        return {
            lane: sum(waiter.signal.home not in self.stalled for waiter in waiters)
            for lane, waiters in self._lanes.items()
        }


def seconds_left(now: float, deadline: float | None) -> float:
    """Seconds until the deadline, or until the enclosing cancel scope's if that is sooner."""
    enclosing = anyio.current_effective_deadline()
    left = enclosing - anyio.current_time() if math.isfinite(enclosing) else math.inf
    return left if deadline is None else min(left, deadline - now)
