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
from typing import TypeVar

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
    loop, ended = running_loop(), anyio.Event()
    # Whoever gets it decides: the thread begins, or the task drops the work.
    decision = threading.Lock()

    def begun() -> T:
        if not decision.acquire(blocking=False):
            raise asyncio.CancelledError
        try:
            return work()
        finally:
            call_soon(loop, ended.set)

    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=surely):
        while True:
            try:
                result = await anyio.to_thread.run_sync(begun, limiter=limiter)
                break
            except asyncio.CancelledError as error:
                dropped = decision.acquire(blocking=False)
                if not dropped:
                    await wait_surely(ended)
                if not (dropped and surely):
                    raise
                decision.release()
                cancelled = error
    if cancelled is not None:
        raise cancelled
    return result
