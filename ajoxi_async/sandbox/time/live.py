"""Virtual time that flows by itself, for people: it can be paused, run at another speed, and jump.

Rules:
1. Time flows as the wall's does, `speed` seconds a second, and stands still while the clock is paused.
2. A step of the flow is what an advance to that moment is: nothing is jumped over, and what an instant started is over before
   time goes on. A step is made when something is due, every `STEP` seconds of the wall at most.
3. Between two things that are due the moment is worked out when it is read, since nothing else depends on it: a world in
   which nothing is due takes no processor time. A moment that is read is a whole millisecond.
4. The same seed and the same commands at the same moments give the same, whatever the steps were.
5. If a step takes longer than a quarter of a second, because a receiver does not answer or the machine is busy, or if the
   machine was suspended, the time that was missed is not made up for.
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

#: Real seconds between two steps at least.
STEP = 0.05
#: Real seconds by which a step may be late and still make up for it.
_LATE = 0.25
#: Seconds by which a step is planned later than what is due, since the moment that it reaches is rounded down.
_ROUNDED = 0.002
FASTEST = 1_000_000.0


class LiveClock(VirtualClock):
    """Time that flows at a speed, can be paused and resumed, and takes `advance` at any time.

    Args:
        start: as of `VirtualClock`.
        speed: how many seconds pass in one second.
        wall: tells real seconds; for tests.

    Raises:
        InvalidParameterError: the speed is not above 0, or over a million.
    """

    mode = "live"

    def __init__(self, start: float = EPOCH, speed: float = 1.0, *, wall: Callable[[], float] = time.monotonic) -> None:
        super().__init__(start)
        self._speed = _checked(speed)
        self._running = True
        self._wall = wall
        #: The wall's moment and the clock's from which it flows; ``None`` until the sandbox lets it flow.
        self._base: tuple[float, float] | None = None
        #: The wall's moments of the last step, and at which the next one is to be made.
        self._stepped = self._planned = -math.inf

    @property
    def speed(self) -> float:
        """How many seconds pass in one second while it runs."""
        return self._speed

    @property
    def running(self) -> bool:
        """Whether it flows, rather than being paused."""
        return self._running

    def pause(self) -> None:
        """Let time stand still. A step under way ends at its instant; deliveries under way end by themselves."""
        self.now()
        self._running = False
        self._begin_anew()

    def resume(self, *, speed: float | None = None) -> None:
        """Let time flow, or flow at another speed.

        Args:
            speed: how many seconds pass in one second; as before unless given.

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
        # While a step is made, the moment is that of the step.
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
            # The sandbox was closed: time stands where it is.
            self.now()
            self._base = None
            raise

    async def _flow(self) -> None:
        """Make a step: up to the moment that is reached by now."""
        async with self._moving:
            if (base := self._base) is None:
                return
            target = self._reached(base)
            self._stepped = self._wall()
            if self._stepped > self._planned + _LATE:
                self._base = base = self._stepped, target
            await self._settle()
            # The base is another one after a pause, another speed, or a rewind.
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
            # What is under way was started at this moment, and belongs to it.
            if (following is None or following > reached) and not any(each.busy for each in self._participants):
                self._now = max(self._now, reached)

    def _begin_anew(self) -> None:
        """Flow from here on, as the speed is now, rather than from where it last began to."""
        self._base = None
        self._wake()

    def _jumped(self) -> None:
        self._begin_anew()


def _checked(speed: float) -> float:
    if not isinstance(speed, int | float) or not 0 < speed <= FASTEST:
        raise InvalidParameterError("speed", f"expected above 0 and at most {FASTEST:,.0f}, got {speed!r}")
    return speed
