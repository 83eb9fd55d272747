"""The sandbox's time: real, faster than real, moved by hand, or jumping by itself.

Rules:
1. Everything that takes time in the sandbox takes it from here, so that a test can let a day pass in no time.
2. Virtual time never jumps over an instant at which something is due, and what was started at an instant, a webhook's
   delivery for instance, is over before time goes on. What is under way is counted, not guessed from idleness.
3. The rate limit and injected latency are not on this clock: they are about the wire, and the wire is real.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Protocol

import anyio
import anyio.lowlevel

from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.sandbox.timers import Fired

__all__ = ["AutoClock", "Clock", "NeverHappenedError", "Party", "RealClock", "VirtualClock", "clock_of"]

#: 2026-01-01T00:00:00Z
_EPOCH = 1_767_225_600.0
#: Seconds after which nothing that was waited for will come any more: a year.
HORIZON = 366 * 86_400.0
#: Turns of the event loop within which a reader that was woken waits again.
_TURNS = 20
_FIRST_TURNS = 3


class NeverHappenedError(AjoxiError):
    """`advance` was told to wait for an event that did not come, or for a silence that did not.

    Attributes:
        fired: what happened instead.
    """

    def __init__(self, message: str, fired: list[Fired]) -> None:
        super().__init__(message)
        self.fired = fired


class Party(Protocol):
    """What a clock moves: a world."""

    @property
    def next_due(self) -> float | None:
        """The moment of the next thing to do."""

    @property
    def busy(self) -> bool:
        """Whether something that was started is under way."""

    def turn(self) -> None:
        """Do, or start, what is due."""

    def wake(self) -> None:
        """Look again at what is due."""

    async def quiet(self) -> None:
        """Return once nothing that was started is under way."""


class Clock(Protocol):
    """Seconds since the epoch, and ways to wait for a moment."""

    mode: str

    def now(self) -> float:
        """The present moment."""

    async def wait_until(self, moment: float) -> None:
        """Return once `moment` has come."""

    def join(self, party: Party) -> None:
        """Move a party from now on."""

    def start_at(self, moment: float) -> None:
        """Go on where an earlier clock stood."""

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """Return when something may be due, which is at `moment` at the latest, or when woken."""

    async def advance(
        self,
        seconds: float | None = None,
        *,
        to: float | datetime | None = None,
        until_event: str | Callable[[Fired], bool] | None = None,
        until_idle: bool = False,
    ) -> list[Fired]:
        """Let time pass; see `VirtualClock.advance`."""


class RealClock:
    """The time of the wall.

    Args:
        speed: how many seconds pass in the sandbox in one second.
    """

    mode = "real"

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed < math.inf:
            raise ValueError(f"speed: expected above 0, got {speed!r}")
        self._speed = speed
        self._wall, self._monotonic = time.time(), time.monotonic()

    def now(self) -> float:
        """See `Clock`."""
        return self._wall + (time.monotonic() - self._monotonic) * self._speed

    async def wait_until(self, moment: float) -> None:
        """See `Clock`."""
        await anyio.sleep(max(0.0, (moment - self.now()) / self._speed))

    def join(self, party: Party) -> None:
        """See `Clock`; time needs nobody's help here."""

    def start_at(self, moment: float) -> None:
        """See `Clock`; a clock that ran fast may be ahead of the wall."""
        self._wall += max(0.0, moment - self.now())

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """See `Clock`."""
        delay = math.inf if moment is None else max(0.0, (moment - self.now()) / self._speed)
        with anyio.move_on_after(delay):
            await woken.wait()

    async def advance(
        self,
        seconds: float | None = None,
        *,
        to: float | datetime | None = None,
        until_event: str | Callable[[Fired], bool] | None = None,
        until_idle: bool = False,
    ) -> list[Fired]:
        """Refused.

        Raises:
            InvalidParameterError: real time passes by itself.
        """
        raise InvalidParameterError("clock", "real time cannot be advanced; expected clock='manual' or clock='auto'")


class VirtualClock:
    """Time that passes when it is told to.

    Args:
        start: seconds since the epoch; the first moment of 2026 unless given.
    """

    mode = "manual"

    def __init__(self, start: float = _EPOCH) -> None:
        self._now = start
        self._order = count()
        self._waiting: list[tuple[float, int, anyio.Event]] = []
        self._arrivals = 0
        self._parties: list[Party] = []
        self._moving = anyio.Lock()
        #: Where the parties write down what they do while time is advanced.
        self.record: list[Fired | None] | None = None

    def now(self) -> float:
        """See `Clock`."""
        return self._now

    def join(self, party: Party) -> None:
        """See `Clock`."""
        self._parties.append(party)

    def start_at(self, moment: float) -> None:
        """See `Clock`; also how a restored world goes back."""
        self._now = moment

    async def wait_until(self, moment: float) -> None:
        """See `Clock`."""
        self._arrivals += 1
        if moment <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        entry = (moment, next(self._order), anyio.Event())
        heapq.heappush(self._waiting, entry)
        for party in self._parties:
            party.wake()
        try:
            await entry[2].wait()
        except BaseException:
            # Nobody is left to wake, so this instant is none to stop at.
            if entry in self._waiting:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """See `Clock`."""
        await woken.wait()

    async def advance(
        self,
        seconds: float | None = None,
        *,
        to: float | datetime | None = None,
        until_event: str | Callable[[Fired], bool] | None = None,
        until_idle: bool = False,
    ) -> list[Fired]:
        """Let time pass, stopping at each instant until everything due, deliveries included, has happened.

        Exactly one of the four is given. Advances of one clock wait for each other; a webhook receiver must not wait for
        one before it answers, since the advance waits for the answer.

        Args:
            seconds: how long.
            to: a moment, in seconds since the epoch or as an aware time.
            until_event: until an event of this type, ``call.completed``, or until one that the function accepts; stops at
                the end of its instant.
            until_idle: until nothing is due any more: calls ended, messages delivered, deliveries made or given up.

        Returns:
            What happened, in its order.

        Raises:
            InvalidParameterError: none or several were given, or a time that is past.
            NeverHappenedError: nothing is due any more, or nothing but repetition within a year.
        """
        async with self._moving:
            end = self._end(seconds, to, until_event, until_idle)
            fired: list[Fired | None] = []
            # Readers that were only just started get to their waiting.
            for _ in range(_FIRST_TURNS):
                await anyio.lowlevel.checkpoint()
            self.record, seen, found = fired, 0, False
            accepts = until_event if callable(until_event) else lambda one: one.what == until_event
            try:
                await self._settle()
                while True:
                    if until_event is not None:
                        found = any(accepts(one) for one in fired[seen:] if one is not None)
                        seen = len(fired)
                    moment = self._next()
                    if found or moment is None or moment > end:
                        break
                    self._now = max(self._now, moment)
                    await self._settle()
            finally:
                self.record = None
            told = [one for one in fired if one is not None]
            if until_event is not None and not found:
                raise NeverHappenedError("until_event: nothing is due any more, and no such event came", told)
            if until_idle and self._next() is not None:
                raise NeverHappenedError("until_idle: things are still due after a year", told)
            if seconds is not None or to is not None:
                self._now = max(self._now, end)
            return told

    def _end(
        self,
        seconds: float | None,
        to: float | datetime | None,
        until_event: str | Callable[[Fired], bool] | None,
        until_idle: bool,
    ) -> float:
        if (seconds is not None) + (to is not None) + (until_event is not None) + bool(until_idle) != 1:
            raise InvalidParameterError("seconds", "expected exactly one of seconds, to, until_event and until_idle")
        if seconds is not None:
            if not 0 <= seconds < math.inf:
                raise InvalidParameterError("seconds", f"expected 0 or more, got {seconds}")
            return self._now + seconds
        if to is not None:
            moment = to.timestamp() if isinstance(to, datetime) else to
            if not self._now <= moment < math.inf:
                raise InvalidParameterError("to", f"expected a moment that is not past, got {to}")
            return moment
        if until_event is not None and not isinstance(until_event, str) and (why := why_not_plain(until_event)):
            raise InvalidParameterError("until_event", f"expected a type of events or a plain function, got {why}")
        return self._now + HORIZON

    def _next(self) -> float | None:
        """The next instant at which something is due."""
        instants = [due for party in self._parties if (due := party.next_due) is not None]
        return min([*instants, *(entry[0] for entry in self._waiting[:1])], default=None)

    async def _settle(self) -> None:
        """Let everything happen that is due at this instant."""
        while True:
            woken, arrivals = 0, self._arrivals
            for party in self._parties:
                party.turn()
            while self._waiting and self._waiting[0][0] <= self._now:
                heapq.heappop(self._waiting)[2].set()
                woken += 1
            for _ in range(_TURNS if woken else 0):
                await anyio.lowlevel.checkpoint()
                if self._arrivals >= arrivals + woken:
                    break
            for party in self._parties:
                await party.quiet()
            moment = self._next()
            if moment is None or moment > self._now:
                return


class AutoClock(VirtualClock):
    """Time that jumps to the next instant by itself whenever nothing is under way.

    Args:
        start: as of `VirtualClock`.
        pause: real seconds before each jump, in which whoever was answered can ask again.
    """

    mode = "auto"

    def __init__(self, start: float = _EPOCH, pause: float = 0.001) -> None:
        super().__init__(start)
        self._pause = pause

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """See `Clock`."""
        if self._next() is None:
            await woken.wait()
        await anyio.sleep(self._pause)
        async with self._moving:
            following = self._next()
            if following is not None and not any(party.busy for party in self._parties):
                self._now = max(self._now, following)
                await self._settle()


def clock_of(mode: str) -> Clock:
    """A clock by the name of its mode: ``real``, ``speed=N``, ``manual`` or ``auto``.

    Raises:
        InvalidParameterError: there is no such mode.
    """
    name, _, number = mode.partition("=")
    try:
        if name == "speed" and 0 < float(number) < math.inf:
            return RealClock(float(number))
    except ValueError:
        pass
    modes: dict[str, Callable[[], Clock]] = {"real": RealClock, "manual": VirtualClock, "auto": AutoClock}
    if mode not in modes:
        raise InvalidParameterError("clock", f"expected real, speed=N, manual or auto, got {mode[:40]!r}")
    return modes[mode]()
