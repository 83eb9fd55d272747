"""One key's budget within one process: who waits, in which order, and who is woken.

Rules:
1. First come, first served. Only the head of the queue owns a timer; it wakes its successor when it goes.
2. A cancelled waiter has taken nothing, and hands the head on.
3. A deadline that cannot be met is refused at once.
4. No background task: an idle limiter costs nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import anyio
from attrs import frozen

from ajoxi_async.contract import headers
from ajoxi_async.protocol.errors import APITimeoutError
from ajoxi_async.protocol.rate import TokenBucket

__all__ = ["Limiter", "LimiterSnapshot", "LocalLimiter"]


@frozen
class LimiterSnapshot:
    """What a limiter is doing.

    Attributes:
        limit: requests a second, ``None`` for no cap.
        waiting: how many calls wait for their turn.
        next_free: seconds until a newcomer could go, were nobody waiting.
        granted: turns given since the start.
        delayed: how many of them had to wait.
        refused: 429 answers seen.
    """

    limit: float | None
    waiting: int
    next_free: float
    granted: int
    delayed: int
    refused: int


class Limiter(Protocol):
    """What the request pipeline asks of a limiter. Bring your own by implementing these."""

    def try_acquire(self) -> bool:
        """Take a turn if one is free and nobody waits for it."""

    async def acquire(self, *, deadline: float | None = None) -> None:
        """Wait for a turn. `deadline` is on ``time.monotonic()``; one that cannot be met raises `APITimeoutError`."""

    def give_back(self) -> None:
        """Return a turn whose request was never sent."""

    def observe(self, status: int, answer: Mapping[str, str], retry_after: float | None) -> None:
        """Learn from a response."""

    def snapshot(self) -> LimiterSnapshot:
        """Say what is going on."""


class LocalLimiter:
    """A `Limiter` for one process.

    Args:
        limit: requests a second until the server says otherwise; ``None`` for no cap.
        clock: monotonic seconds.
        sleep: waits for seconds; together with `clock` replaceable by virtual time.
    """

    def __init__(
        self,
        limit: float | None = headers.DEFAULT_RATE,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._bucket = TokenBucket(limit)
        self._clock = clock
        self._sleep = sleep
        self._queue: deque[anyio.Event] = deque()
        self._announced: str | None = None
        self._granted = self._delayed = self._refused = 0

    def try_acquire(self) -> bool:
        """See `Limiter`."""
        now = self._clock()
        if self._queue or self._bucket.wait(now) > 0:
            return False
        self._bucket.take(now)
        self._granted += 1
        return True

    async def acquire(self, *, deadline: float | None = None) -> None:
        """See `Limiter`."""
        if self.try_acquire():
            return
        now = self._clock()
        self._refuse_hopeless(now, deadline)
        turn = anyio.Event()
        self._queue.append(turn)
        try:
            if self._queue[0] is not turn:
                await turn.wait()
            while (wait := self._bucket.wait(self._clock())) > 0:
                self._refuse_hopeless(self._clock(), deadline, ahead=0)
                await self._sleep(wait)
            self._bucket.take(self._clock())
            self._granted += 1
            self._delayed += 1
        finally:
            was_head = self._queue[0] is turn
            self._queue.remove(turn)
            if was_head and self._queue:
                self._queue[0].set()

    def _refuse_hopeless(self, now: float, deadline: float | None, ahead: int | None = None) -> None:
        if deadline is None:
            return
        waiting = len(self._queue) if ahead is None else ahead
        wait = self._bucket.wait(now) + (waiting / self._bucket.rate if self._bucket.limit else 0.0)
        if now + wait > deadline:
            raise APITimeoutError(
                f"the rate limit's queue would take {wait:.2f} s, the deadline leaves {max(0.0, deadline - now):.2f} s; "
                "nothing was sent"
            )

    def give_back(self) -> None:
        """See `Limiter`."""
        self._bucket.give_back()

    def observe(self, status: int, answer: Mapping[str, str], retry_after: float | None) -> None:
        """See `Limiter`."""
        announced = answer.get(headers.RATE_LIMIT)
        # A limit of 0 would be a key that may do nothing: no server means that.
        if announced == self._announced:
            pass
        elif announced is not None and announced.isascii() and announced.isdigit() and int(announced[:10]) > 0:
            self._announced = announced
            self._bucket.set_limit(float(announced[:10]), self._clock())
        if status == 429:
            self._refused += 1
            self._bucket.pause(self._clock() + min(retry_after or 1.0, 60.0))

    def snapshot(self) -> LimiterSnapshot:
        """See `Limiter`."""
        return LimiterSnapshot(
            self._bucket.limit,
            len(self._queue),
            self._bucket.wait(self._clock()),
            self._granted,
            self._delayed,
            self._refused,
        )
