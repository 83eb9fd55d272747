"""Work in a thread that is waited for, however the task is cancelled.

Rules:
1. anyio waits for the thread as well, but a `task.cancel()` of asyncio (a timeout of its own, Ctrl-C, the end of `asyncio.run`) ignores
   anyio's shields. The thread would be left at work on what another task takes for free.
2. Work is begun or dropped. What was begun is waited for, and a cancellation meanwhile is raised afterwards.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from ajoxi_async.runtime.hosting import wait_surely
from ajoxi_async.runtime.loops import call_soon, running_loop

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(work: Callable[[], T], limiter: anyio.CapacityLimiter | None = None, *, surely: bool = False) -> T:
    """Carry out work in a thread, and return its result.

    Args:
        work: is carried out once, or not at all if the task is cancelled before.
        limiter: of anyio; by default the one of the event loop.
        surely: carry it out although the task is cancelled.
    """
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=surely):
        while True:
            job = _Job(work)
            try:
                result = await anyio.to_thread.run_sync(job.run, limiter=limiter)
                break
            except asyncio.CancelledError as error:
                dropped = job.drop()
                if not dropped:
                    await job.over()
                if not (dropped and surely):
                    raise
                cancelled = error
    if cancelled is not None:
        raise cancelled
    return result


class _Job(Generic[T]):
    """Work for a thread, which the task may drop before the thread begins it."""

    __slots__ = ("_begun", "_done", "_dropped", "_lock", "_waiter", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._begun = self._dropped = self._done = False
        #: Wakes the task that waits for the end; nobody does unless it was cancelled.
        self._waiter: Callable[[], object] | None = None

    def run(self) -> T:
        """In the thread."""
        with self._lock:
            if self._dropped:
                raise asyncio.CancelledError
            self._begun = True
        try:
            return self._work()
        finally:
            with self._lock:
                self._done = True
            if self._waiter is not None:
                self._waiter()

    def drop(self) -> bool:
        """Let it not be begun; returns whether it was not."""
        with self._lock:
            self._dropped = not self._begun
            return self._dropped

    async def over(self) -> None:
        """Wait until it is done."""
        loop, ended = running_loop(), anyio.Event()
        with self._lock:
            if self._done:
                return
            self._waiter = lambda: call_soon(loop, ended.set)
        await wait_surely(ended)
