"""The sandbox's one clock, real or virtual.

Rules:
1. Everything that takes time in the sandbox takes it from here, so that a test can let a day pass in no time.
2. `VirtualClock` moves only by `advance`, and never jumps over an instant somebody waits for.
3. The rate limit is not on this clock: it is about the wire, and the wire is real.
"""

from __future__ import annotations

import heapq
import time
from itertools import count
from typing import Protocol

import anyio
import anyio.lowlevel

__all__ = ["Clock", "RealClock", "VirtualClock"]

#: 2026-01-01T00:00:00Z
_EPOCH = 1_767_225_600.0


class Clock(Protocol):
    """Seconds since the epoch, and a way to wait for a moment."""

    def now(self) -> float:
        """The present moment."""

    async def wait_until(self, moment: float) -> None:
        """Return once `moment` has come."""


class RealClock:
    """The time of the wall.

    Args:
        speed: how many seconds pass in the sandbox in one second.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed: expected above 0, got {speed!r}")
        self._speed = speed
        self._wall, self._monotonic = time.time(), time.monotonic()

    def now(self) -> float:
        """See `Clock`."""
        return self._wall + (time.monotonic() - self._monotonic) * self._speed

    async def wait_until(self, moment: float) -> None:
        """See `Clock`."""
        await anyio.sleep(max(0.0, (moment - self.now()) / self._speed))


class VirtualClock:
    """Time that passes when it is told to.

    Args:
        start: seconds since the epoch; the first moment of 2026 unless given.
    """

    def __init__(self, start: float = _EPOCH) -> None:
        self._now = start
        self._order = count()
        self._waiting: list[tuple[float, int, anyio.Event]] = []

    def now(self) -> float:
        """See `Clock`."""
        return self._now

    async def wait_until(self, moment: float) -> None:
        """See `Clock`."""
        if moment <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        heapq.heappush(self._waiting, (moment, next(self._order), event))
        await event.wait()

    async def advance(self, seconds: float) -> None:
        """Let time pass, stopping at each instant somebody waits for until all tasks have done what was due."""
        end = self._now + seconds
        await anyio.wait_all_tasks_blocked()
        while self._waiting and self._waiting[0][0] <= end:
            moment, _, event = heapq.heappop(self._waiting)
            self._now = max(self._now, moment)
            event.set()
            await anyio.wait_all_tasks_blocked()
        self._now = end
