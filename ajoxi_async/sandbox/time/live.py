"""Virtual time that flows by itself, for people who watch. It can be paused, run at another speed, and jump.

Rules:
1. While the clock runs, `speed` seconds pass in each real second. While it is paused, its time stands still.
2. The clock moves in steps. A step works as an advance to that moment does: it stops at each moment at which something is due,
   and what was started at a moment is over before time goes on. A step is made when something is due, but not more often than
   every `STEP` real seconds.
3. Between two due moments the time is calculated when it is read, since nothing else depends on it. So a world in which
   nothing is due takes no processor time. A time that is read is rounded down to a whole millisecond.
4. The same seed and the same commands at the same moments give the same results, whatever the steps were.
5. If a step takes longer than a quarter of a second, because a receiver does not answer or the machine is busy, or if the
   machine was suspended, the clock does not catch up on the time that it missed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.time.moments import LATEST
from ajoxi_async.sandbox.time.virtual import EPOCH, VirtualClock

__all__ = ["LiveClock"]

#: The shortest time between two steps, in real seconds.
STEP = 0.05
#: If a step is late by more than this, in real seconds, the clock does not catch up; see rule 5.
_LATE = 0.25
#: A step is planned this many seconds after the due moment, so that the moment that it reaches, rounded down, is not before it.
_ROUNDED = 0.002
FASTEST = 1_000_000.0


class LiveClock(VirtualClock):
    """Time that flows at a speed, can be paused and resumed, and takes `advance` at any time.

    Args:
        start: see `VirtualClock`.
        speed: how many seconds pass in one real second.
        wall: returns the real time in seconds; tests replace it.

    Raises:
        InvalidParameterError: the speed is not above 0, or over a million.
    """

    mode = "live"

    def __init__(self, start: float = EPOCH, speed: float = 1.0, *, wall: Callable[[], float] = time.monotonic) -> None:
        super().__init__(start)
        self._speed = _checked(speed)
        self._running = True
        self._wall = wall
        #: The real time and the clock's time at which the present flow began; ``None`` until the sandbox calls `idle`.
        self._base: tuple[float, float] | None = None
        #: The real times of the last step and of the next one.
        self._stepped = self._planned = -math.inf

    @property
    def speed(self) -> float:
        """How many seconds pass in one real second while the clock runs."""
        return self._speed

    @property
    def running(self) -> bool:
        """Whether the clock runs; ``False`` while it is paused."""
        return self._running

    def pause(self) -> None:
        """Let time stand still. A step under way ends at the instant that it has reached; deliveries under way go on."""
        self.now()
        self._running = False
        self._begin_anew()

    def resume(self, *, speed: float | None = None) -> None:
        """Let time flow, or flow at another speed.

        Args:
            speed: how many seconds pass in one real second; as before unless given.

        Raises:
            InvalidParameterError: the speed is not above 0, or over a million.
        """
        if speed is not None:
            _checked(speed)
        self.now()
        self._speed, self._running = speed or self._speed, True
        self._begin_anew()

    def now(self) -> float:
        """See `Clock`."""
        # During a step the step itself sets the time.
        if not self._moving.locked():
            self._catch_up()
        return self._now

    def start_at(self, moment: float) -> None:
        """See `Clock`."""
        super().start_at(moment)
        self._begin_anew()

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """See `Clock`; time flows while this waits."""
        if not self._running:
            await woken.wait()
            return
        if self._base is None:
            self._base = self._wall(), self._now
            self._stepped = self._wall()
        following = self._next()
        due = math.inf if following is None else self._base[0] + (following + _ROUNDED - self._base[1]) / self._speed
        self._planned = max(due, self._stepped + STEP)
        try:
            if (delay := self._planned - self._wall()) > 0:
                with anyio.move_on_after(delay):
                    await woken.wait()
                    return
            await self._flow()
        except BaseException:
            # The sandbox was closed: keep the time that was reached.
            self.now()
            self._base = None
            raise

    async def _flow(self) -> None:
        """Make a step to the moment that belongs to the present real time."""
        async with self._moving:
            if (base := self._base) is None:
                return
            target = self._reached(base)
            self._stepped = self._wall()
            if self._stepped > self._planned + _LATE:
                self._base = base = self._stepped, target
            await self._settle()
            # A pause, a new speed, or a rewind meanwhile replaces the base and so ends this step.
            while self._base is base and not self._took_long():
                moment = self._next()
                if moment is None or moment > target:
                    self._now = max(self._now, target)
                    return
                self._now = max(self._now, moment)
                await self._settle()
            if self._base is base:
                self._base = self._wall(), self._now

    def _took_long(self) -> bool:
        return self._wall() - self._stepped > _LATE

    def _reached(self, base: tuple[float, float]) -> float:
        wall, moment = base
        moment += (min(self._wall(), self._planned + _LATE) - wall) * self._speed
        return math.floor(min(moment, LATEST) * 1_000) / 1_000

    def _catch_up(self) -> None:
        if self._running and self._base is not None:
            reached, following = self._reached(self._base), self._next()
            # While something is under way, time stays at the moment at which it was started.
            if (following is None or following > reached) and not any(each.busy for each in self._participants):
                self._now = max(self._now, reached)

    def _begin_anew(self) -> None:
        """Begin a new flow at the present moment, so that a changed speed does not affect the time before it."""
        self._base = None
        self._wake()

    def _jumped(self) -> None:
        self._begin_anew()


def _checked(speed: float) -> float:
    if not isinstance(speed, int | float) or not 0 < speed <= FASTEST:
        raise InvalidParameterError("speed", f"expected above 0 and at most {FASTEST:,.0f}, got {speed!r}")
    return speed
