"""Work of a coroutine that is done to its end, whatever happens to the task that waits for it. For work of a thread see `threads`.

anyio's shields hold off its own cancellations, and those of trio, but not ``task.cancel()`` of asyncio, by which `asyncio.timeout`,
`asyncio.wait_for` and `asyncio.TaskGroup` cancel. On asyncio the work therefore has a task of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import anyio

from ajoxi_async.runtime.loops import running_loop

__all__ = ["whole"]

T = TypeVar("T")


async def whole(work: Coroutine[Any, Any, T], cancel: Callable[[], object] | None = None) -> T:
    """Await `work` to its end. A cancellation of the caller is raised afterwards.

    Args:
        work: a coroutine that was not started yet.
        cancel: called when the caller is cancelled, to end the work earlier. Without it nothing does.
    """
    on_asyncio = isinstance(running_loop(), asyncio.AbstractEventLoop)
    with anyio.CancelScope(shield=cancel is None):
        result = await (_in_own_task(work, cancel) if on_asyncio else work)
    return result  # noqa: RET504 - for mypy a scope may end its block early


async def _in_own_task(work: Coroutine[Any, Any, T], cancel: Callable[[], object] | None) -> T:
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        if cancel is not None:
            cancel()
        await _until_done(task)
        raise
    return task.result()


async def _until_done(task: asyncio.Task[Any]) -> None:
    with anyio.CancelScope(shield=True):
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not log it
