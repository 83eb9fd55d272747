"""Telling the cancellation of a task from a CancelledError that code of the caller's raises.

Rules:
1. On asyncio, whoever awaits a task or future that was cancelled gets a CancelledError, although nobody has cancelled the awaiting
   task. In a task group it would silently end all other tasks.
2. A task was cancelled if it was asked to end since the block began. `asyncio.timeout` tells the two apart in the same way. On trio
   there is nothing to tell apart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from ajoxi_async.runtime.loops import running_loop

__all__ = ["stray_cancellation_fails"]


@contextmanager
def stray_cancellation_fails() -> Iterator[None]:
    """Run code of the caller's. A CancelledError that is not the running task's own cancellation is raised as a RuntimeError."""
    loop = running_loop()
    task = asyncio.current_task(loop) if isinstance(loop, asyncio.AbstractEventLoop) else None
    before = 0 if task is None else task.cancelling()
    try:
        yield
    except asyncio.CancelledError as error:
        if task is not None and task.cancelling() > before:
            raise
        raise RuntimeError("it awaited a task or future that was cancelled") from error
