"""Virtual time: moved by hand, or jumping by itself.

Virtual time never jumps over a moment at which something is due. What was started at a moment, a webhook's delivery for
instance, is over before time goes on: what is under way is counted, not guessed from the event loop being idle.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from datetime import datetime
from itertools import count

import anyio
import anyio.lowlevel

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.sandbox.time.clock import NeverHappenedError, Participant
from ajoxi_async.sandbox.time.timers import Fired

__all__ = ["AutoClock", "VirtualClock"]

#: 2026-01-01T00:00:00Z
_EPOCH = 1_767_225_600.0
#: Seconds after which `advance` gives up waiting for an event or for idleness: a year.
HORIZON = 366 * 86_400.0
#: Turns of the event loop that a reader gets, once woken, to come back to its waiting.
_TURNS = 20
#: Turns that readers which were only just started get before time moves.
_FIRST_TURNS = 3


class VirtualClock:
    """Time that passes only while `advance` runs.

    Args:
        start: seconds since the epoch; the first moment of 2026 unless given.
    """

    mode = "manual"

    def __init__(self, start: float = _EPOCH) -> None:
        self._now = start
        self._order = count()
        self._waiting: list[tuple[float, int, anyio.Event]] = []
        self._arrivals = 0
        self._participants: list[Participant] = []
        self._moving = anyio.Lock()
        #: What happens while time is advanced, in order; ``None`` at other times. A delivery under way keeps its place as None.
        self.record: list[Fired | None] | None = None

    def now(self) -> float:
        """See `Clock`."""
        return self._now

    def join(self, participant: Participant) -> None:
        """See `Clock`."""
        self._participants.append(participant)

    def leave(self, participant: Participant) -> None:
        """See `Clock`."""
        # Not removed from the list: a clock that is going through it would miss the next one.
        self._participants = [one for one in self._participants if one is not participant]

    def start_at(self, moment: float) -> None:
        """See `Clock`; a world that is restored goes back in time with it."""
        self._now = moment

    async def wait_until(self, moment: float) -> None:
        """See `Clock`."""
        self._arrivals += 1
        if moment <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        entry = (moment, next(self._order), anyio.Event())
        heapq.heappush(self._waiting, entry)
        for participant in self._participants:
            participant.wake()
        try:
            await entry[2].wait()
        except BaseException:
            # Whoever waited is gone, so time need not stop at this moment.
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
        """Let time pass, stopping at each moment until everything due, deliveries included, has happened.

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
            happened = [one for one in fired if one is not None]
            if until_event is not None and not found:
                raise NeverHappenedError("until_event: nothing is due any more, and no such event came", happened)
            if until_idle and self._next() is not None:
                raise NeverHappenedError("until_idle: things are still due after a year", happened)
            if seconds is not None or to is not None:
                self._now = max(self._now, end)
            return happened

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
        """The next moment at which something is due."""
        instants = [due for participant in self._participants if (due := participant.next_due) is not None]
        return min([*instants, *(entry[0] for entry in self._waiting[:1])], default=None)

    async def _settle(self) -> None:
        """Do everything that is due at this moment, and wait until it is over."""
        while True:
            woken, arrivals = 0, self._arrivals
            for participant in self._participants:
                participant.run_due()
            while self._waiting and self._waiting[0][0] <= self._now:
                heapq.heappop(self._waiting)[2].set()
                woken += 1
            for _ in range(_TURNS if woken else 0):
                await anyio.lowlevel.checkpoint()
                if self._arrivals >= arrivals + woken:
                    break
            for participant in self._participants:
                await participant.quiet()
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
            if following is not None and not any(participant.busy for participant in self._participants):
                self._now = max(self._now, following)
                await self._settle()
