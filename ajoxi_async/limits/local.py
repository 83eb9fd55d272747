"""The rate limiter of one process: how calls wait for a permit, and how they are woken.

Rules:
1. A permit that is free is taken without awaiting anything.
2. One of the waiting calls, the leader, has the timer. It gives permits to the calls that are next in the `Queue` and wakes
   only those. There is no background task: when no call waits, nothing runs.
3. The waiting calls may belong to several event loops in any threads. In each loop but the leader's, one waiter checks every
   `_CHECK_EVERY` seconds whether the leader is late by more than `GRACE`. If so, the leader's loop is blocked, and that
   waiter becomes the leader. Waiters of a blocked loop are skipped, and permits that they do not fetch within `GRACE` are
   taken back. The waiters of a closed loop are removed.
4. A cancelled waiter leaves the queue. If it had its permit already, it gives it back.
5. A deadline that cannot be met is refused at once. While the wait is unknown, because the limit's whole number of requests
   is under way, the call waits until its deadline.
6. A forked child begins with an empty queue and with the requests that its parent has sent.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from threading import Lock
from typing import Any, Final

from ajoxi_async.contract import headers
from ajoxi_async.contract.encoding.exact_values import integer
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.limits import LimiterSnapshot, too_late
from ajoxi_async.limits.waiting import GRACE, Queue, Signal, Waiter, make_signal, seconds_left, wait_for_signal
from ajoxi_async.protocol.rate import Budget, Lane, Permit, check_lane
from ajoxi_async.runtime.forks import renew_in_child

__all__ = ["LocalLimiter"]

#: Seconds between two checks of a leader that belongs to another loop.
_CHECK_EVERY: Final = 0.02


class LocalLimiter:
    """A `Limiter` for one process.

    Args:
        limit: requests a second until the server says otherwise; ``None`` for no cap.
        clock: monotonic seconds.
        wait: waits for a signal for at most so many seconds. With `clock` it can be replaced by virtual time.

    Raises:
        InvalidParameterError: `limit` is neither ``None`` nor a whole number of at least 1.
    """

    def __init__(
        self,
        limit: int | None = headers.DEFAULT_RATE,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[Signal, float], Awaitable[None]] = wait_for_signal,
    ) -> None:
        if limit is not None:
            if (number := integer(limit)) is None or number < 1:
                raise InvalidParameterError("limit", f"expected requests a second, 1 or more, or None, got {limit!r}")
            limit = number
        self._budget = Budget(limit)
        self._clock = clock
        self._wait = wait
        self._granted = self._delayed = 0
        self._begin()
        renew_in_child(self)

    def _begin(self) -> None:
        self._lock = Lock()
        self._queue = Queue()
        self._leader: Waiter | None = None
        self._leader_wakes_at = float("inf")
        #: For each loop, the waiter that has the loop's timer; the leader is one of them.
        self._timers: dict[Any, Waiter] = {}
        #: Waiters with a permit that they have not fetched yet, and when it was given.
        self._given: dict[Waiter, float] = {}

    def renew(self) -> None:
        """Begin again in a forked child."""
        self._begin()
        self._budget.abandon(self._clock())

    def inherit(self, budget: Budget) -> None:
        """Take over the budget of a limiter that is not in use any more."""
        budget.abandon(self._clock())
        budget.shorten_pause()
        self._budget = budget

    @property
    def budget(self) -> Budget:
        """The requests that were sent, and what their answers said about the limit."""
        return self._budget

    def try_acquire(self, lane: Lane = "default") -> Permit | None:
        """See `Limiter`."""
        with self._lock:
            if self._leader is not None:
                return None
            turn = self._budget.take(self._clock(), lane)
            if turn is not None:
                self._granted += 1
            return turn

    async def acquire(self, lane: Lane = "default", *, deadline: float | None = None) -> Permit:
        """See `Limiter`."""
        check_lane(lane)
        turn = self.try_acquire(lane)
        if turn is not None:
            return turn
        waiter = Waiter(lane)
        with self._lock:
            self._check_deadline(lane, deadline)
            self._enter(waiter)
        try:
            while True:
                with self._lock:
                    self._queue.stalled.discard(waiter.signal.home)
                    seconds = self._watch(waiter) if self._timers.get(waiter.signal.home) is waiter else None
                    if waiter.turn is not None:
                        self._delayed += 1
                        turn, waiter.turn = waiter.turn, None
                        return turn
                    if deadline is not None:
                        now = self._clock()
                        if now >= deadline:
                            raise too_late(self._budget.wait(now), deadline - now)
                        seconds = min(deadline - now, float("inf") if seconds is None else seconds)
                if seconds is None:
                    await waiter.signal.wait()
                else:
                    await self._wait(waiter.signal, seconds)
                with self._lock:
                    if waiter.turn is None:
                        waiter.signal = make_signal()
        finally:
            with self._lock:
                self._leave(waiter)

    # The queue and the timers. The lock is held.

    def _enter(self, waiter: Waiter) -> None:
        self._queue.add(waiter)
        self._timers.setdefault(waiter.signal.home, waiter)
        if self._leader is None:
            self._leader, self._leader_wakes_at = waiter, self._clock()

    def _leave(self, waiter: Waiter) -> None:
        self._queue.discard(waiter)
        self._given.pop(waiter, None)
        if waiter.turn is not None:
            self._budget.give_back(waiter.turn)
        home = waiter.signal.home
        if self._timers.get(home) is waiter:
            # To the waiter that will wait longest, so that the timer is seldom handed on.
            successor = self._queue.last(home)
            if successor is None:
                del self._timers[home]
                self._queue.stalled.discard(home)
            else:
                self._timers[home] = successor
                successor.signal.set()
        if self._leader is waiter:
            self._hand_over(home)
        elif waiter.turn is not None and self._leader is not None:
            self._wake_leader()

    def _hand_over(self, home: Any) -> None:
        """Make another waiter the leader: one of the same loop, or of a loop that runs, or of any loop."""
        running = [timer for other, timer in self._timers.items() if other not in self._queue.stalled]
        successor = self._timers.get(home) or next(iter(running or self._timers.values()), None)
        self._leader = successor
        if successor is not None:
            self._leader_wakes_at = self._clock()
            successor.signal.set()

    def _watch(self, waiter: Waiter) -> float:
        """Handle the timer of a loop: act as leader if this is the leader or replaces it. Returns seconds until the next time."""
        leader = self._leader
        if leader is not None and leader is not waiter:
            late = self._clock() - self._leader_wakes_at
            if late < GRACE and leader.signal.home not in self._queue.stalled:
                return min(_CHECK_EVERY, GRACE - late)
            self._leader = waiter
            self._set_stalled(leader)
        return self._lead()

    def _set_stalled(self, waiter: Waiter) -> None:
        """Skip the waiters of this waiter's blocked loop, or remove them if the loop has ended."""
        home = waiter.signal.home
        if waiter.signal.ended():
            self._queue.discard_all(home)
            self._timers.pop(home, None)
        else:
            self._queue.stalled.add(home)

    def _lead(self) -> float:
        """Give every permit that is due; returns the seconds until the next one is."""
        leader, now = self._leader, self._clock()
        home = None if leader is None else leader.signal.home
        if self._given:
            self._take_back(home, now)
        for stalled in list(self._queue.stalled):
            if stalled in self._timers:
                self._set_stalled(self._timers[stalled])
        while (waiter := self._queue.next()) is not None:
            turn = self._budget.take(now, waiter.lane)
            if turn is None:
                break
            self._granted += 1
            self._queue.pop(waiter)
            waiter.turn = turn
            if waiter is not leader:
                self._given[waiter] = now
                waiter.signal.set()
        wait = self._budget.wait(now)
        if self._given and any(waiter.signal.home is not home for waiter in self._given):
            wait = min(wait, GRACE)
        self._leader_wakes_at = now + wait
        return wait

    def _take_back(self, home: Any, now: float) -> None:
        """Take back permits that were given to other loops and not fetched."""
        late = [
            waiter
            for waiter, given_at in self._given.items()
            if given_at <= now - GRACE and waiter.signal.home is not home
        ]
        for waiter in late:
            del self._given[waiter]
            if waiter.turn is not None:
                self._budget.give_back(waiter.turn)
                waiter.turn = None
        self._queue.put_back(late)
        for waiter in late:
            self._set_stalled(waiter)

    def _wake_leader(self) -> None:
        """Wake the leader if a permit is due before its timer."""
        now = self._clock()
        if self._leader is not None and now + self._budget.wait(now) < self._leader_wakes_at - 1e-4:
            self._leader_wakes_at = now
            self._leader.signal.set()

    def _check_deadline(self, lane: Lane, deadline: float | None) -> None:
        now = self._clock()
        left = seconds_left(now, deadline)
        if left == float("inf"):
            return
        wait = self._budget.wait(now) + self._queue.ahead_of(lane) / self._budget.pace
        if left < wait < float("inf"):
            raise too_late(wait, left)

    def observe(
        self, turn: Permit, route: str, status: int, answer: Mapping[str, str], retry_after: float | None
    ) -> None:
        """See `Limiter`."""
        with self._lock:
            self._budget.observe(turn, self._clock(), status, answer, route=route, retry_after=retry_after)
            if self._leader is not None:
                self._wake_leader()

    def lost(self, turn: Permit) -> None:
        """See `Limiter`."""
        with self._lock:
            self._budget.lost(turn, self._clock())
            if self._leader is not None:
                self._wake_leader()

    def give_back(self, turn: Permit) -> None:
        """See `Limiter`."""
        with self._lock:
            self._budget.give_back(turn)
            if self._leader is not None:
                self._wake_leader()

    def snapshot(self) -> LimiterSnapshot:
        """See `Limiter`."""
        with self._lock:
            budget = self._budget
            return LimiterSnapshot(
                limit=budget.limit,
                pace=budget.pace,
                in_use=budget.in_use,
                waiting=self._queue.counts(),
                next_free=budget.wait(self._clock()),
                granted=self._granted,
                delayed=self._delayed,
                refused=budget.refused,
            )
