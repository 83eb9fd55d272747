"""Waiting for one's turn: order, cancellation, pauses."""

from __future__ import annotations

import anyio
import pytest

from ajoxi_async import LocalLimiter
from ajoxi_async.protocol.errors import APITimeoutError

pytestmark = pytest.mark.anyio


class Clock:
    """Time that the test moves; sleepers wake when it has passed."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, anyio.Event]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        event = anyio.Event()
        self._sleepers.append((self.now + seconds, event))
        await event.wait()

    async def advance(self, seconds: float) -> None:
        """Move on, waking sleepers at their instants."""
        end = self.now + seconds
        await anyio.wait_all_tasks_blocked()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end]:
            first = min(due, key=lambda sleeper: sleeper[0])
            self._sleepers.remove(first)
            self.now = max(self.now, first[0])
            first[1].set()
            await anyio.wait_all_tasks_blocked()
        self.now = end

    @property
    def timers(self) -> int:
        return len(self._sleepers)


def make(limit: float | None = 20) -> tuple[LocalLimiter, Clock]:
    """A limiter (20 a second: burst 1, then 19 a second) and its clock."""
    clock = Clock()
    return LocalLimiter(limit, clock=clock, sleep=clock.sleep), clock


async def test_first_come_first_served() -> None:
    """Turns are given in the order of asking, and only the head owns a timer."""
    limiter, clock = make()
    order: list[int] = []

    async def ask(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
        assert order == [0]
        assert clock.timers == 1
        assert limiter.snapshot().waiting == 9
        await clock.advance(1.0)
    assert order == list(range(10))
    assert limiter.snapshot().granted == 10
    assert limiter.snapshot().delayed == 9


async def test_a_cancelled_head_hands_on() -> None:
    """When the head is cancelled the next one takes over, and no turn is lost."""
    limiter, clock = make()
    await limiter.acquire()
    done: list[str] = []

    async def ask(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await limiter.acquire()
            done.append(name)

    head, other, last = anyio.CancelScope(), anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        for name, scope in (("head", head), ("other", other), ("last", last)):
            tasks.start_soon(ask, name, scope)
            await anyio.wait_all_tasks_blocked()
        other.cancel()
        head.cancel()
        await anyio.wait_all_tasks_blocked()
        assert limiter.snapshot().waiting == 1
        await clock.advance(1 / 19 + 1e-6)
        assert done == ["last"]
    assert limiter.snapshot().waiting == 0


async def test_a_429_pauses_everybody() -> None:
    """After a 429 nothing goes out before its Retry-After has passed."""
    limiter, clock = make()
    limiter.observe(429, {}, 2.0)
    passed: list[float] = []

    async def ask() -> None:
        await limiter.acquire()
        passed.append(clock.now)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
        await clock.advance(1.9)
        assert not passed
        await clock.advance(1.0)
    assert passed[0] == pytest.approx(2.0)
    assert limiter.snapshot().refused == 1


async def test_the_servers_limit_counts() -> None:
    """X-RateLimit-Limit is taken over; nonsense in it is not."""
    limiter, _ = make(100)
    for announced in ("0", "-5", "many", "", "٣"):
        limiter.observe(200, {"X-RateLimit-Limit": announced}, None)
        assert limiter.snapshot().limit == 100
    limiter.observe(200, {"X-RateLimit-Limit": "40"}, None)
    assert limiter.snapshot().limit == 40


async def test_no_cap() -> None:
    """Without a cap nobody waits."""
    limiter, _ = make(None)
    for _ in range(1000):
        await limiter.acquire()
    assert limiter.snapshot().delayed == 0


async def test_deadline() -> None:
    """A deadline the queue cannot meet is refused at once; one it can meet is kept."""
    limiter, clock = make()
    await limiter.acquire()
    with pytest.raises(APITimeoutError, match="nothing was sent"):
        await limiter.acquire(deadline=0.01)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: limiter.acquire(deadline=1.0))
        await anyio.wait_all_tasks_blocked()
        await clock.advance(0.1)
    assert limiter.snapshot().granted == 2
