"""One key's budget within one process: waiting, and being woken.

Rules:
1. An uncontended turn is taken without awaiting anything.
2. Of all that wait one, the leader, owns the only timer. It gives turns to whoever is next, in the order of `Queue`, and
   wakes exactly those. There is no background task: when nobody waits, nothing runs.
3. A cancelled waiter leaves no trace; one that was cancelled after it got its turn gives it back.
4. A deadline that cannot be met is refused at once; while it cannot be told, for all that may be away are, it is waited
   for.
5. Clients of one key share one limiter, in all threads; it is found by a digest, so that no key is kept here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from threading import Lock
from weakref import WeakValueDictionary

import anyio

from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.limits import LimiterSnapshot, too_late
from ajoxi_async.limits.waiting import Queue, Signal, Waiter, make_signal, seconds_left
from ajoxi_async.protocol.rate import Budget, Lane, Permit, check_lane

__all__ = ["LocalLimiter", "shared_limiter"]


async def _wait(signal: Signal, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await signal.wait()


class LocalLimiter:
    """A `Limiter` for one process.

    Args:
        limit: requests a second until the server says otherwise; ``None`` for no cap.
        clock: monotonic seconds.
        wait: waits for a signal, but for so many seconds at most; together with `clock` replaceable by virtual time.

    Raises:
        InvalidParameterError: `limit` is neither ``None`` nor a whole number of at least 1.
    """

    def __init__(
        self,
        limit: int | None = headers.DEFAULT_RATE,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[Signal, float], Awaitable[None]] = _wait,
    ) -> None:
        if limit is not None and (type(limit) is not int or limit < 1):
            raise InvalidParameterError("limit", f"expected requests a second, 1 or more, or None, got {limit!r}")
        self._budget = Budget(limit)
        self._clock = clock
        self._wait = wait
        self._lock = Lock()
        self._queue = Queue()
        self._leader: Waiter | None = None
        self._leader_wakes_at = float("inf")
        self._granted = self._delayed = 0

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
            self._refuse_hopeless(lane, deadline)
            self._queue.add(waiter)
            if self._leader is None:
                self._leader = waiter
        try:
            while True:
                with self._lock:
                    seconds = self._lead() if self._leader is waiter else None
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
        finally:
            with self._lock:
                self._queue.discard(waiter)
                if waiter.turn is not None:
                    self._budget.give_back(waiter.turn)
                if self._leader is waiter:
                    self._hand_over()
                elif waiter.turn is not None:
                    self._nudge()

    def _lead(self) -> float:
        """Give every turn that is due; returns the seconds until the next one is."""
        leader, now = self._leader, self._clock()
        while (lane := self._queue.next_lane()) is not None:
            turn = self._budget.take(now, lane)
            if turn is None:
                break
            self._granted += 1
            waiter = self._queue.pop(lane)
            waiter.turn = turn
            if waiter is not leader:
                waiter.signal.set()
        wait = self._budget.wait(now)
        self._leader_wakes_at = now + wait
        if leader is not None and leader.turn is None:
            leader.signal = make_signal()
        return wait

    def _hand_over(self) -> None:
        # To whoever waits longest, so that it is seldom handed over again.
        self._leader = self._queue.last()
        if self._leader is not None:
            self._leader.signal.set()

    def _nudge(self) -> None:
        """Wake the leader if a turn is due before its timer."""
        now = self._clock()
        if self._leader is not None and now + self._budget.wait(now) < self._leader_wakes_at - 1e-4:
            self._leader_wakes_at = now
            self._leader.signal.set()

    def _refuse_hopeless(self, lane: Lane, deadline: float | None) -> None:
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
                self._nudge()

    def lost(self, turn: Permit) -> None:
        """See `Limiter`."""
        with self._lock:
            self._budget.lost(turn, self._clock())
            if self._leader is not None:
                self._nudge()

    def give_back(self, turn: Permit) -> None:
        """See `Limiter`."""
        with self._lock:
            self._budget.give_back(turn)
            if self._leader is not None:
                self._nudge()

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


_shared: WeakValueDictionary[bytes, LocalLimiter] = WeakValueDictionary()
_shared_lock = Lock()


def shared_limiter(*identity: str) -> LocalLimiter:
    """The limiter of a key, the same for everybody who asks for as long as somebody holds it.

    Args:
        identity: what tells one budget from another: the key and the API it is for. Only a digest of it is kept.
    """
    digest = blake2b("\0".join(identity).encode("utf-8", "surrogatepass")).digest()
    with _shared_lock:
        limiter = _shared.get(digest)
        if limiter is None:
            limiter = _shared[digest] = LocalLimiter()
        return limiter
