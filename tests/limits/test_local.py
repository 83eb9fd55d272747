"""Waiting for one's turn: order, lanes, cancellation, pauses, deadlines."""

from __future__ import annotations

import random
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, InvalidParameterError, LocalLimiter
from ajoxi_async.limits import shared
from ajoxi_async.limits.shared import shared_limiter
from ajoxi_async.limits.waiting import Queue, Signal, Waiter
from ajoxi_async.protocol.errors import APITimeoutError
from ajoxi_async.protocol.rate import Lane

pytestmark = pytest.mark.anyio


class Clock:
    """Time that the test moves; sleepers wake when it has passed."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, Signal]] = []
        self.most_timers = 0

    def __call__(self) -> float:
        return self.now

    async def wait(self, signal: Signal, seconds: float) -> None:
        if seconds == float("inf"):
            await signal.wait()
            return
        sleeper = (self.now + seconds, signal)
        self._sleepers.append(sleeper)
        self.most_timers = max(self.most_timers, len(self._sleepers))
        try:
            await signal.wait()
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    async def settle(self) -> None:
        for _ in range(12):  # signals go through the loop's queue
            await anyio.lowlevel.checkpoint()

    async def advance(self, seconds: float) -> None:
        """Move on, waking sleepers at their instants."""
        end = self.now + seconds
        await self.settle()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end + 1e-12]:
            first = min(due, key=lambda sleeper: sleeper[0])
            self._sleepers.remove(first)
            self.now = max(self.now, first[0])
            first[1].set()
            await self.settle()
        self.now = end


def make(limit: int | None = 20) -> tuple[LocalLimiter, Clock]:
    """A limiter and its clock."""
    clock = Clock()
    return LocalLimiter(limit, clock=clock, wait=clock.wait), clock


def exhaust(limiter: LocalLimiter) -> int:
    """Take the permits that are free at once."""
    taken = 0
    while limiter.try_acquire() is not None:
        taken += 1
    return taken


def answer(limiter: LocalLimiter, status: int = 200, **headers: str) -> None:
    """Let the turn taken next be answered."""
    turn = limiter.try_acquire()
    assert turn is not None
    limiter.observe(turn, "calls.list", status, headers, 2.0 if status == 429 else None)


async def test_first_come_first_served_with_one_timer() -> None:
    """Turns are given in the order of asking; of all who wait one owns a timer, and only those who may go are woken."""
    limiter, clock = make()
    free = exhaust(limiter)
    order: list[int] = []

    async def ask(number: int) -> None:
        await limiter.acquire()
        order.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
            await clock.settle()
        assert limiter.snapshot().waiting == {"interactive": 0, "default": 10, "bulk": 0}
        await clock.advance(1.0)
    assert order == list(range(10))
    assert clock.most_timers == 1
    assert limiter.snapshot().granted == free + 10
    assert limiter.snapshot().delayed == 10


async def test_lanes_by_rank_and_none_starved() -> None:
    """Interactive goes before default before bulk, and a lane passed over nine times in a row is next."""
    limiter, clock = make(100)
    exhaust(limiter)
    order: list[Lane] = []

    async def ask(lane: Lane) -> None:
        turn = await limiter.acquire(lane)
        order.append(lane)
        limiter.observe(turn, "calls.list", 200, {"X-RateLimit-Limit": "100"}, None)

    async with anyio.create_task_group() as tasks:
        for lane, many in (("bulk", 5), ("default", 30), ("interactive", 30)):
            for _ in range(many):
                tasks.start_soon(ask, lane)
        await clock.advance(3.0)
    assert order[:9] == ["interactive"] * 9
    assert order[9] == "bulk"
    assert order[10] == "default"
    assert len(order) == 65
    assert order[-1] == "default"


async def test_an_interactive_call_behind_a_saturated_bulk_lane() -> None:
    """At up to a fifth of the budget, interactive calls wait under 50 ms at the 99th percentile behind saturated bulk."""
    limiter, clock = make(100)
    waits: list[float] = []
    rng = random.Random(1)

    async def bulk() -> None:
        while clock.now < 20:
            turn = await limiter.acquire("bulk")
            await anyio.lowlevel.checkpoint()
            limiter.observe(turn, "calls.create", 201, {"X-RateLimit-Limit": "100"}, None)

    async def interactive() -> None:
        asked = clock.now
        turn = await limiter.acquire("interactive")
        waits.append(clock.now - asked)
        limiter.observe(turn, "calls.retrieve", 200, {"X-RateLimit-Limit": "100"}, None)

    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(bulk)
        while clock.now < 20:
            await clock.advance(rng.expovariate(20))
            tasks.start_soon(interactive)
        await clock.advance(2)
    waits.sort()
    assert len(waits) > 300
    assert waits[int(len(waits) * 0.99)] < 0.05


async def test_cancelled_waiters_leave_no_trace() -> None:
    """A cancelled waiter leaves the queue, a cancelled leader hands its timer on, and no permit is lost."""
    limiter, clock = make()
    exhaust(limiter)
    done: list[str] = []
    scopes = {name: anyio.CancelScope() for name in ("head", "other", "last")}

    async def ask(name: str) -> None:
        with scopes[name]:
            await limiter.acquire()
            done.append(name)

    async with anyio.create_task_group() as tasks:
        for name in scopes:
            tasks.start_soon(ask, name)
            await clock.settle()
        scopes["other"].cancel()
        scopes["head"].cancel()
        await clock.settle()
        assert limiter.snapshot().waiting["default"] == 1
        await clock.advance(2.0)
        assert done == ["last"]
    assert not any(limiter.snapshot().waiting.values())


async def test_who_is_put_back_stands_where_it_stood() -> None:
    """Waiters whose turns were taken back come before those who wait, in their own order, each in its lane."""
    queue = Queue()
    lanes: list[Lane] = ["default", "bulk", "default", "default", "bulk"]
    waiters = [Waiter(lane) for lane in lanes]
    for waiter in waiters:
        queue.add(waiter)
    taken = []
    for _ in range(3):
        waiter = queue.next()
        assert waiter is not None
        queue.pop(waiter)
        taken.append(waiter)
    queue.put_back(taken[:2])
    order = []
    while (waiter := queue.next()) is not None:
        queue.pop(waiter)
        order.append(waiters.index(waiter))
    assert order == [0, 2, 1, 4]
    queue.put_back([])
    assert len(queue) == 0


async def test_a_turn_given_to_a_cancelled_waiter_comes_back() -> None:
    """A waiter cancelled in the moment it got its turn gives it back."""
    limiter, clock = make(5)
    exhaust(limiter)
    before = limiter.snapshot().in_use
    scope = anyio.CancelScope()

    async def ask(*, cancelled: bool) -> None:
        if cancelled:
            with scope:
                await limiter.acquire("interactive")
                raise AssertionError("it was cancelled")
        else:
            await limiter.acquire("bulk")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: ask(cancelled=True))
        await clock.settle()
        tasks.start_soon(lambda: ask(cancelled=False))
        await clock.settle()
        clock.now += limiter.snapshot().next_free
        limiter._lead()
        assert limiter.snapshot().granted == before + 1
        scope.cancel()
        await clock.settle()
        await clock.advance(2.0)
    assert limiter.snapshot().in_use == before + 1


async def test_a_429_stops_everybody_once() -> None:
    """After a 429 nothing goes out before its Retry-After, and those in flight with it do not make it longer."""
    limiter, clock = make()
    turns = [limiter.try_acquire() for _ in range(3)]
    passed: list[float] = []

    async def ask() -> None:
        await limiter.acquire()
        passed.append(clock.now)

    for turn in turns:
        assert turn is not None
        limiter.observe(turn, "calls.list", 429, {"X-RateLimit-Limit": "20"}, 2.0)
        clock.now += 0.1
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
        await clock.advance(1.6)
        assert not passed
        await clock.advance(2.0)
    assert passed[0] == pytest.approx(2.0)
    assert limiter.snapshot().refused == 3


async def test_the_servers_limit_counts() -> None:
    """X-RateLimit-Limit is taken over; nonsense in it is not; successes without it mean that there is no cap."""
    limiter, clock = make(100)
    for announced in ("0", "-5", "many", "", "٣"):
        clock.now += 1
        answer(limiter, 500, **{"X-RateLimit-Limit": announced})
        assert limiter.snapshot().limit == 100
    clock.now += 1
    answer(limiter, **{"X-RateLimit-Limit": "40"})
    assert limiter.snapshot().limit == 40
    clock.now += 1
    answer(limiter, 502)
    assert limiter.snapshot().limit == 40, "a gateway's error says nothing about the cap"
    for limit in (40, 40, None):
        assert limiter.snapshot().limit == 40
        answer(limiter, 200)
        assert limiter.snapshot().limit == limit


async def test_one_success_of_a_proxy_lets_nothing_loose() -> None:
    """Successes without X-RateLimit-Limit lift an announced cap only when three come in a row."""
    limiter, clock = make(100)
    for _ in range(4):
        for headers in ({"X-RateLimit-Limit": "100"}, {}, {}):
            clock.now += 1
            answer(limiter, **headers)
        assert limiter.snapshot().limit == 100
    fresh, _ = make(100)
    answer(fresh)
    assert fresh.snapshot().limit is None, "an account of which no limit was ever announced has none"


async def test_only_a_later_request_is_believed() -> None:
    """An answer that took long does not bring back a limit that a later request has seen replaced."""
    limiter, clock = make(100)
    early = limiter.try_acquire()
    clock.now += 1
    answer(limiter, **{"X-RateLimit-Limit": "40"})
    assert early is not None
    limiter.observe(early, "calls.list", 200, {"X-RateLimit-Limit": "100"}, None)
    assert limiter.snapshot().limit == 40


async def test_no_cap() -> None:
    """Without a cap no call waits."""
    limiter, _ = make(None)
    for _ in range(1000):
        await limiter.acquire()
    assert limiter.snapshot().delayed == 0


async def test_a_deadline_that_cannot_be_met_is_refused_at_once() -> None:
    """Before queueing, with the wait it would have taken; an enclosing fail_after counts like a deadline."""
    limiter, clock = make(1)
    turn = limiter.try_acquire()
    assert turn is not None
    limiter.lost(turn)
    with pytest.raises(APITimeoutError, match="nothing was sent") as caught:
        await limiter.acquire(deadline=0.01)
    assert caught.value.retry_after == pytest.approx(2.001)
    with pytest.raises(APITimeoutError), anyio.fail_after(0.5):
        await limiter.acquire()
    assert not any(limiter.snapshot().waiting.values())
    assert clock.most_timers == 0


async def test_a_deadline_passes_while_everything_is_away() -> None:
    """While no slot is known to come free a deadline is waited for, and raised when it passes."""
    limiter, clock = make(1)
    assert limiter.try_acquire() is not None
    failed: list[APITimeoutError] = []

    async def ask() -> None:
        try:
            await limiter.acquire(deadline=3.0)
        except APITimeoutError as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await clock.advance(2.9)
        assert not failed
        await clock.advance(0.2)
    assert len(failed) == 1


async def test_a_wrong_lane_or_limit_is_refused() -> None:
    """Errors name the parameter and what would be right."""
    with pytest.raises(InvalidParameterError, match="lane: expected one of interactive, default, bulk"):
        await LocalLimiter().acquire("urgent")  # type: ignore[arg-type]
    for limit in (0, -1, 1.5, "100", True):
        with pytest.raises(InvalidParameterError, match="limit"):
            LocalLimiter(limit)  # type: ignore[arg-type]


async def test_one_limiter_for_each_key() -> None:
    """Clients of one key and API share a limiter, others do not; nothing of the key is kept."""
    first = AsyncAjoxi("AJX_TEST_one_limiter")
    again = AsyncAjoxi("AJX_TEST_one_limiter")
    other = AsyncAjoxi("AJX_TEST_another_limiter")
    elsewhere = AsyncAjoxi("AJX_TEST_one_limiter", base_url="http://127.0.0.1:1")
    assert first.limiter is again.limiter
    assert len({id(client.limiter) for client in (first, other, elsewhere)}) == 3
    assert b"one_limiter" not in b"".join(shared._shared.entries)


async def test_ten_thousand_waiters_are_small() -> None:
    """A waiter costs less than half a kilobyte besides its task."""
    if sys.gettrace() is not None:
        pytest.skip("under a tracer memory is not ours alone")
    limiter, _ = make(100)
    exhaust(limiter)
    many = 2000

    async def idle() -> None:
        await anyio.sleep_forever()

    async def used(what: Callable[[], Any]) -> int:
        tracemalloc.start()
        async with anyio.create_task_group() as tasks:
            for _ in range(many):
                tasks.start_soon(what)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            size = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            tasks.cancel_scope.cancel()
        return size

    bare = await used(idle)
    assert (
        await used(limiter.acquire) - bare
    ) / many < 512 + 500  # a frame of acquire() is about half a kilobyte itself


async def test_threads_share_a_limiter() -> None:
    """Loops in two threads wait on one limiter, and every waiter is woken in its own loop."""
    limiter = shared_limiter("threads", "test")
    done: list[int] = []

    async def work(number: int) -> None:
        for _ in range(5):
            turn = await limiter.acquire()
            limiter.observe(turn, "calls.list", 200, {"X-RateLimit-Limit": "100"}, None)
        done.append(number)

    threads = [threading.Thread(target=anyio.run, args=(work, number)) for number in range(3)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        await anyio.to_thread.run_sync(thread.join)
    assert sorted(done) == [0, 1, 2]
    assert time.monotonic() - began < 5
