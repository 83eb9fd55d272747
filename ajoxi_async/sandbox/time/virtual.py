"""Virtual time, which `advance` moves. `AutoClock` and `LiveClock` move it by themselves as well.

Rules:
1. Virtual time never jumps over a moment at which something is due. What was started at a moment, such as the delivery of a
   webhook, is over before time goes on. The clock knows this because worlds count what is under way; that the event loop is
   idle would not prove it.
2. Advancing in any number of steps does the same as advancing at once.
3. The event loop gets its turn every few milliseconds, however long an advance is and however much is due at one instant.
4. Advances of one clock run one after the other. An advance that is stopped or cancelled leaves the clock at the instant that
   it has reached; what is due at this instant is still carried out, but time does not go on.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import count

import anyio
import anyio.lowlevel
from attrs import define, field

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.sandbox.time.clock import AdvanceStoppedError, NeverHappenedError, Participant
from ajoxi_async.sandbox.time.goals import Goal, goal_of
from ajoxi_async.sandbox.time.jumps import AdvanceProgress, Jump
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Fired

__all__ = ["EPOCH", "VirtualClock"]

#: 2026-01-01T00:00:00Z
EPOCH = 1_767_225_600.0
#: How many turns of the event loop readers get after they were woken, so that they wait again before time goes on.
_TURNS = 20
#: How many turns of the event loop an advance leaves before it begins, so that readers that were just started can wait.
_FIRST_TURNS = 3
#: Real seconds of work after which the event loop gets its turn.
_SLICE = 0.003


@define(eq=False)
class _Advance:
    """An advance that runs or waits for its turn."""

    goal: Goal
    on_progress: Callable[[AdvanceProgress], object] | None
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    #: What happened, in order. ``None`` is the place of a delivery that is under way.
    fired: list[Fired | None] = field(factory=list)
    began: float = 0.0
    end: float = 0.0
    instants: int = 0
    moved: bool = False
    mark: str | None = None
    over: bool = False
    #: What happened so far, by kind, and the deliveries that failed.
    counts: Counter[str] = field(factory=Counter)
    failed: set[str] = field(factory=set)
    _seen: int = 0

    def found(self) -> bool:
        """Count what happened since the last call, and return whether the event that is waited for was among it."""
        fresh = [one for one in self.fired[self._seen :] if one is not None]
        self._seen = len(self.fired)
        for one in fresh:
            self.counts[one.what] += 1
            if one.what == "delivery.failed":
                self.failed.add(one.id)
        accepts = self.goal.accepts
        return accepts is not None and any(accepts(one) for one in fresh)

    def happened(self) -> list[Fired]:
        return [one for one in self.fired if one is not None]

    def never(self, message: str) -> NeverHappenedError:
        return NeverHappenedError(message, self.happened())

    def progress(self, now: float) -> AdvanceProgress:
        known = self.goal.timed or self.goal.next
        return AdvanceProgress(at(self.began), at(now), at(self.end) if known else None, self.instants)

    def jump(self, now: float) -> Jump:
        return Jump(
            goal=self.goal.label,
            began=at(self.began),
            ended=at(max(self.began, now)),
            instants=self.instants,
            fired=self.counts,
            mark=self.mark,
            stopped=not self.over,
        )


class VirtualClock:
    """Time that passes only while `advance` runs.

    Args:
        start: seconds since the epoch; the first moment of 2026 unless given.
    """

    mode = "manual"

    def __init__(self, start: float = EPOCH) -> None:
        self._now = start
        self._order = count()
        self._waiting: list[tuple[float, int, anyio.Event]] = []
        self._arrivals = 0
        self._participants: list[Participant] = []
        self._moving = anyio.Lock()
        #: The scopes of all advances that run or wait for their turn.
        self._scopes: set[anyio.CancelScope] = set()
        self._last_turn = 0.0
        self._advance: _Advance | None = None
        #: While an advance runs: its `_Advance.fired`, to which worlds append. ``None`` at other times.
        self.record: list[Fired | None] | None = None

    def now(self) -> float:
        """See `Clock`."""
        return self._now

    @property
    def progress(self) -> AdvanceProgress | None:
        """The progress of the advance that runs; ``None`` if none does."""
        return None if self._advance is None else self._advance.progress(self._now)

    @property
    def advancing(self) -> bool:
        """Whether an advance runs or waits for its turn."""
        return bool(self._scopes)

    @property
    def joined(self) -> bool:
        """Whether any world uses this clock."""
        return bool(self._participants)

    def join(self, participant: Participant) -> None:
        """See `Clock`."""
        self._participants.append(participant)

    def leave(self, participant: Participant) -> None:
        """See `Clock`."""
        # A new list: if the clock is iterating over the old one, removing an entry would make it skip the next.
        self._participants = [one for one in self._participants if one is not participant]

    def start_at(self, moment: float) -> None:
        """See `Clock`; a world that is restored goes back in time with it. Advances under way are stopped."""
        self.stop_advance()
        self._now = moment

    async def wait_until(self, moment: float) -> None:
        """See `Clock`."""
        self._arrivals += 1
        if moment <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        entry = (moment, next(self._order), anyio.Event())
        heapq.heappush(self._waiting, entry)
        self._wake()
        try:
            await entry[2].wait()
        except BaseException:
            # The waiting task was cancelled, so that time need not stop at this moment for it.
            if entry in self._waiting:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """See `Clock`."""
        await woken.wait()

    def stop_advance(self) -> bool:
        """Stop every advance that runs or waits for its turn; each raises `AdvanceStoppedError`.

        Time stays at the instant that was reached. Deliveries that are under way go on.

        Returns:
            Whether there was an advance to stop.
        """
        stopped = bool(self._scopes)
        for scope in self._scopes:
            scope.cancel()
        return stopped

    async def advance(
        self,
        seconds: float | None = None,
        *,
        to: float | datetime | None = None,
        until_event: str | Callable[[Fired], bool] | None = None,
        until_idle: bool = False,
        to_next: bool = False,
        progress: Callable[[AdvanceProgress], object] | None = None,
    ) -> list[Fired]:
        """Let time pass, stopping at each moment until everything due, deliveries included, has happened.

        Exactly one of the first five arguments is given. Advances of one clock run one after the other. A webhook receiver
        must not wait for an advance before it answers, since the advance waits for its answer.

        Args:
            seconds: advance by this time.
            to: advance to this moment, in seconds since the epoch or as an aware time.
            until_event: advance until an event of this type, such as ``call.completed``, or one for which the function returns
                true. Time stops at the end of the event's instant.
            until_idle: advance until nothing is due any more: calls ended, messages delivered, deliveries made or given up.
            to_next: advance to the next moment at which something is due in a world. Readers of live transcripts do not count.
            progress: called at the end of each instant and of the advance. If it raises, the advance ends with this error.

        Returns:
            What happened, in order.

        Raises:
            InvalidParameterError: not exactly one of the five was given, or a time that is past.
            NeverHappenedError: nothing is due any more and the event did not come, or something is still due after a year.
            AdvanceStoppedError: the advance was stopped, or the world was rewound.
        """
        goal = goal_of(seconds, to=to, until_event=until_event, until_idle=until_idle, to_next=to_next)
        if progress is not None and (why := why_not_plain(progress)):
            raise InvalidParameterError("progress", f"expected a plain function, got {why}")
        advance = _Advance(goal, progress)
        with advance.scope:
            self._scopes.add(advance.scope)
            try:
                async with self._moving:
                    await self._run(advance)
            finally:
                self._scopes.discard(advance.scope)
        if not advance.over:
            raise AdvanceStoppedError(f"the advance ({goal.label}) was stopped at {at(self._now)}", advance.happened())
        return advance.happened()

    async def _run(self, advance: _Advance) -> None:
        """Advance until the goal is reached or the advance is stopped. The caller holds `_moving`."""
        self._catch_up()
        goal, scope = advance.goal, advance.scope
        advance.began, advance.end = self._now, goal.end(self._now)
        self._advance, self.record = advance, advance.fired
        try:
            for _ in range(_FIRST_TURNS):
                await anyio.lowlevel.checkpoint()
            self._last_turn = time.perf_counter()
            await self._settle()
            if goal.next:
                advance.end = self._next_of_worlds(advance)
            while not scope.cancel_called:
                found = advance.found()
                moment = self._next()
                if found or moment is None or moment > advance.end or scope.cancel_called:
                    break
                advance.instants += 1
                self._move(advance, moment)
                await self._settle()
                self._report_progress()
            # Checked after each wait: if the world was rewound meanwhile, the clock has another time.
            if scope.cancel_called:
                return
            if goal.accepts is not None and not found:
                raise advance.never("until_event: nothing is due any more, and no such event came")
            if goal.idle and self._next() is not None:
                raise advance.never("until_idle: things are still due after a year")
            if goal.timed:
                self._move(advance, advance.end)
                self._report_progress()
            advance.over = True
        finally:
            self._advance = self.record = None
            if advance.moved:
                self._log(advance)
            # If the advance was stopped in the middle of an instant, the worlds carry out the rest of the instant.
            self._jumped()

    def _move(self, advance: _Advance, moment: float) -> None:
        if not advance.moved and moment > advance.began:
            # Marks are made here and not earlier, when nothing is under way that a rewind would do a second time.
            marks = [participant.before_jump(advance.goal.label) for participant in self._participants]
            advance.moved, advance.mark = True, next((id for id in marks if id is not None), None)
        self._now = max(self._now, moment)

    def _report_progress(self) -> None:
        if self._advance is not None and self._advance.on_progress is not None:
            self._advance.on_progress(self._advance.progress(self._now))

    def _log(self, advance: _Advance) -> None:
        advance.found()
        jump = advance.jump(self._now)
        for participant in self._participants:
            participant.after_jump(jump, advance.failed)

    def _jumped(self) -> None:
        self._wake()

    def _catch_up(self) -> None:
        """Set the present moment; for clocks whose time flows by itself."""

    def _next_of_worlds(self, advance: _Advance) -> float:
        instants = [due for participant in self._participants if (due := participant.next_due) is not None]
        if not instants:
            raise advance.never("to_next: nothing is due")
        return min(instants)

    def _next(self) -> float | None:
        """The next moment at which something is due, or for which a reader waits."""
        instants = [due for participant in self._participants if (due := participant.next_due) is not None]
        return min([*instants, *(entry[0] for entry in self._waiting[:1])], default=None)

    def _wake(self) -> None:
        for participant in self._participants:
            participant.wake()

    async def _settle(self) -> None:
        """Do everything that is due at the present moment, and wait until it is over."""
        while True:
            woken, arrivals = 0, self._arrivals
            for participant in self._participants:
                while not participant.run_due():
                    await self._give_turn()
            while self._waiting and self._waiting[0][0] <= self._now:
                heapq.heappop(self._waiting)[2].set()
                woken += 1
            for _ in range(_TURNS if woken else 0):
                await anyio.lowlevel.checkpoint()
                if self._arrivals >= arrivals + woken:
                    break
            await self._give_turn()
            for participant in self._participants:
                await participant.quiet()
            moment = self._next()
            if moment is None or moment > self._now:
                return

    async def _give_turn(self) -> None:
        """Let the event loop run other tasks, unless it did so within the last `_SLICE` seconds."""
        if time.perf_counter() - self._last_turn >= _SLICE:
            await anyio.lowlevel.checkpoint()
            self._last_turn = time.perf_counter()
