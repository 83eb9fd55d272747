"""One limiter used by several event loops, some of which are blocked, end or are forked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from ajoxi_async import LocalLimiter
from ajoxi_async.limits import local
from ajoxi_async.limits.waiting import make_signal

OK = {"X-RateLimit-Limit": "100"}
BACKENDS = ("asyncio", "trio")


def exhaust(limiter: LocalLimiter, pause: float = 0.1) -> None:
    """Take the burst, so that the next call waits for some seconds, in which threads can start."""
    while (turn := limiter.try_acquire()) is not None:
        limiter.lost(turn)
    limiter._budget._paused_until = time.monotonic() + pause


async def ticks() -> None:
    """Let the tasks that were started come to their waits."""
    for _ in range(3):
        await anyio.lowlevel.checkpoint()


class OtherLoop:
    """A loop in a thread with so many waiters, which is blocked once they wait."""

    def __init__(self, limiter: Any, backend: str, waiters: int) -> None:
        self.limiter, self.waiters = limiter, waiters
        self.stands_still, self.go_on = threading.Event(), threading.Event()
        self.taken: list[float] = []
        self.thread = threading.Thread(target=lambda: anyio.run(self.main, backend=backend))
        self.thread.start()
        assert self.stands_still.wait(5)

    async def main(self) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(self.waiters):
                tasks.start_soon(self.ask)
            await ticks()
            self.stands_still.set()
            self.go_on.wait(10)
            began = time.monotonic()
            while len(self.taken) < self.waiters and time.monotonic() - began < 10:
                await anyio.sleep(0.005)

    async def ask(self) -> None:
        turn = await self.limiter.acquire()
        self.taken.append(time.monotonic())
        self.limiter.observe(turn, "calls.list", 200, OK, None)

    def end(self) -> None:
        self.go_on.set()
        self.thread.join(15)
        assert not self.thread.is_alive()


@pytest.fixture
def ends() -> Iterator[list[OtherLoop]]:
    """Loops to let go at the end, whatever became of the test."""
    others: list[OtherLoop] = []
    yield others
    for other in others:
        other.end()


async def take(limiter: LocalLimiter, many: int) -> list[float]:
    """Take turns one after the other; returns the longest waits' moments."""
    taken = [time.monotonic()]
    for _ in range(many):
        turn = await limiter.acquire()
        taken.append(time.monotonic())
        limiter.observe(turn, "calls.list", 200, OK, None)
    return taken


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("waiters", [1, 150])
def test_a_loop_that_stands_still_holds_up_no_other(ends: list[OtherLoop], backend: str, waiters: int) -> None:
    """However many wait in a blocked loop, and though one of them leads, turns go to the other loop within 50 ms."""
    limiter = LocalLimiter(100)
    exhaust(limiter)
    other = OtherLoop(limiter, backend, waiters)
    ends.append(other)
    early = len(other.taken)  # On a slow machine its loop takes turns before it stands still.
    taken = asyncio.run(take(limiter, 30))
    gaps = [after - before for before, after in zip(taken, taken[1:], strict=False)]
    assert max(gaps[1:]) < 0.3
    assert taken[-1] - taken[0] < 2
    before = len(other.taken)
    other.end()
    assert (before, len(other.taken)) == (early, waiters)
    assert not limiter._timers
    assert not limiter._queue.stalled


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("first", ["blocked", "running"])
def test_turns_nobody_fetches_are_taken_back(backend: str, first: str) -> None:
    """A permit given to a waiter of a blocked loop goes to another waiter, and takes nothing from the budget."""
    limiter = LocalLimiter(1)  # one slot: while it is held by a waiter that does not run, nobody else has any
    turn = limiter.try_acquire()
    assert turn is not None
    ready = threading.Event()

    async def ask() -> None:
        limiter.give_back(await limiter.acquire("interactive"))

    async def wait_and_block() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await ticks()
            ready.set()
            time.sleep(1.5)

    thread = threading.Thread(target=lambda: anyio.run(wait_and_block, backend=backend))

    def block() -> None:
        thread.start()
        assert ready.wait(5)

    async def main() -> float:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, limiter, 1)
            await ticks()
            if first == "running":
                block()
            limiter.give_back(turn)
            began = time.monotonic()
        return time.monotonic() - began

    if first == "blocked":
        block()
    try:
        assert asyncio.run(main()) < 0.6
    finally:
        thread.join()


@pytest.mark.parametrize("how", ["stopped", "closed"])
def test_waiters_of_a_loop_that_never_runs_again(how: str) -> None:
    """A stopped loop, or one closed with a waiter in it, delays no other; waiters of a closed loop are removed."""
    limiter = LocalLimiter(100)
    exhaust(limiter)
    loop = asyncio.new_event_loop()
    task = loop.create_task(limiter.acquire())
    loop.run_until_complete(asyncio.sleep(0))
    if how == "closed":
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
    taken = asyncio.run(take(limiter, 10))
    assert taken[-1] - taken[0] < 1
    if how == "closed":
        assert not any(limiter.snapshot().waiting.values())
        assert not limiter._timers
    else:
        assert limiter.snapshot().waiting["default"] == 1
        turn = loop.run_until_complete(asyncio.wait_for(task, 2))
        limiter.give_back(turn)
        loop.close()
    assert not limiter._queue.stalled


def test_a_blocked_loop_that_is_closed_later_is_forgotten() -> None:
    """After a blocked loop was skipped and then closed, the limiter keeps nothing of it."""
    limiter = LocalLimiter(100)
    exhaust(limiter)
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(limiter.acquire()) for _ in range(3)]
    loop.run_until_complete(asyncio.sleep(0))

    async def main() -> None:
        others = [asyncio.ensure_future(take(limiter, 10)) for _ in range(4)]  # so that one of them leads all the time
        while loop not in limiter._queue.stalled:
            await asyncio.sleep(0.005)
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
        await asyncio.sleep(0.1)
        assert limiter.snapshot().waiting["default"] <= 4
        await asyncio.gather(*others)

    asyncio.run(asyncio.wait_for(main(), 5))
    assert not limiter._queue.stalled
    assert not limiter._timers
    assert not any(limiter.snapshot().waiting.values())


def test_turns_go_in_the_order_of_asking_across_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """While every loop runs, the first to ask is the first to be served, whichever loop it is in."""
    monkeypatch.setattr(local, "GRACE", 10.0)  # on a busy machine a loop may stand still for a while
    limiter = LocalLimiter(50)
    exhaust(limiter, pause=1.0)
    order: list[Any] = []
    entered: list[Any] = []
    asked = [threading.Event() for _ in range(12)]
    pop, add = limiter._queue.pop, limiter._queue.add
    limiter._queue.pop = lambda waiter: order.append(waiter) or pop(waiter)  # type: ignore[method-assign, func-returns-value]
    limiter._queue.add = lambda waiter: entered.append(waiter) or add(waiter)  # type: ignore[method-assign, func-returns-value]

    async def ask(number: int) -> None:
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                turn = await limiter.acquire()
                limiter.observe(turn, "calls.list", 200, {"X-RateLimit-Limit": "50"}, None)

            tasks.start_soon(wait)
            await ticks()
            asked[number].set()

    threads = []
    for number in range(12):
        thread = threading.Thread(target=lambda n=number: anyio.run(ask, n, backend=BACKENDS[n % 2]))
        thread.start()
        threads.append(thread)
        assert asked[number].wait(5)
    for thread in threads:
        thread.join(5)
    assert order == entered
    assert len({waiter.signal.home for waiter in order}) == 12
    assert not limiter._timers


def test_many_loops_one_after_the_other_leave_nothing() -> None:
    """`asyncio.run` for each request, in several threads: every turn is had, and no loop is remembered."""
    limiter, taken = LocalLimiter(100), list[int]()

    def work() -> None:
        for number in range(12):
            asyncio.run(take(limiter, 1))
            taken.append(number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(taken) == 96
    assert limiter.snapshot().granted >= 96  # A permit that a starved thread does not fetch in time is given again.
    assert time.monotonic() - began < 3
    assert not limiter._timers
    assert not limiter._given
    assert limiter._leader is None


FORK = """
import asyncio, os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from ajoxi_async import LocalLimiter
from ajoxi_async.limits.shared import _shared, shared_limiter

limiter = shared_limiter("fork", "test")
while (turn := limiter.try_acquire()) is not None:
    pass  # away for ever, as far as the child can tell
stop = threading.Event()

async def churn():
    tasks = [asyncio.ensure_future(limiter.acquire("bulk")) for _ in range(20)]
    while not stop.is_set():
        limiter.snapshot()
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

thread = threading.Thread(target=lambda: asyncio.run(churn()))
thread.start()
time.sleep(0.05)
bad = 0
for attempt in range(10):
    held = attempt % 2
    if held:
        limiter._lock.acquire()
        _shared._lock.acquire()
    child = os.fork()
    if child == 0:
        async def main():
            assert shared_limiter("fork", "test") is limiter
            assert limiter.snapshot().in_use > 0
            assert not any(limiter.snapshot().waiting.values())
            for _ in range(3):
                await asyncio.wait_for(limiter.acquire(), 3)
        code = 1
        try:
            asyncio.run(main())
            code = 0
        finally:
            os._exit(code)
    if held:
        _shared._lock.release()
        limiter._lock.release()
    began = time.monotonic()
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() - began < 8:
        time.sleep(0.01)
    if done[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    bad += done[0] == 0 or done[1] != 0
stop.set()
thread.join()
sys.exit(bad)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork on this system")
def test_a_forked_child_waits_for_no_lock_or_turn_of_its_parents() -> None:
    """Forked while other threads hold the locks and wait, a child gets turns, and what its parent sent still counts."""
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=50)


def test_a_signal_says_that_its_loop_has_ended() -> None:
    """Setting a signal whose loop has ended does nothing, on both backends."""

    async def make() -> Any:
        signal = make_signal()
        assert not signal.ended()
        return signal

    runs: list[Callable[[], Any]] = [lambda backend=backend: anyio.run(make, backend=backend) for backend in BACKENDS]
    for run in runs:
        signal = run()
        assert signal.ended()
        signal.set()
