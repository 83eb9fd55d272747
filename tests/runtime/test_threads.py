"""Work in a thread of a task that asyncio cancels by `task.cancel()`."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

from ajoxi_async.runtime.threads import in_thread

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


async def test_a_thread_is_left_at_work_by_a_timeout_of_asyncio() -> None:
    """What a thread has begun is waited for, and the cancellation is raised afterwards."""
    begun, free, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert free.wait(20)
        ended.set()

    task = asyncio.create_task(in_thread(work))
    await in_thread(begun.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
    assert not task.done()
    free.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


@pytest.mark.parametrize("surely", [True, False])
async def test_work_of_a_task_that_is_cancelled_before_its_turn(surely: bool) -> None:
    """Work that was not begun is dropped, unless it is to be carried out in any case; the cancellation is raised either way."""
    limiter, done = anyio.CapacityLimiter(1), threading.Event()
    async with limiter:
        task = asyncio.create_task(in_thread(done.set, limiter, surely=surely))
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        await anyio.wait_all_tasks_blocked()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set() is surely


async def test_the_result_and_the_error_of_work() -> None:
    """A result is returned, and an error raised, as without a thread."""
    assert await in_thread(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)
