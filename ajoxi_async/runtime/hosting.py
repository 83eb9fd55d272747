"""A task group that one task opens and any other task of the same event loop can close.

Rules:
1. anyio's task groups have to be left by the task that entered them. Fixtures of pytest-asyncio, ``cleanup_ctx`` of aiohttp
   under pytest-aiohttp and ``unittest.IsolatedAsyncioTestCase`` enter in one task and leave in another. Therefore the group
   lives in a task of its own: an ordinary task on asyncio, a system task on trio. It has a copy of the opener's context.
2. Cancelling the opener does not cancel the tasks. If a task is cancelled in `TaskHost.aclose`, the group's tasks are
   cancelled, and the cancellation is raised after all of them have ended.
3. A task that raises cancels the others. `TaskHost.aclose` raises its error, without a group if it is the only one.
4. If the event loop ends before the group is closed, the tasks are cancelled, and closing has no effect.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVarTuple, Unpack, cast

import anyio
from anyio.abc import TaskGroup

from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.runtime.loops import Loop, has_ended, running_loop

__all__ = ["TaskHost", "wait_surely"]

Args = TypeVarTuple("Args")

#: Open groups. Event loops hold only weak references to tasks, so the groups are held here until they have ended.
_open: set[TaskHost] = set()


async def wait_surely(event: anyio.Event) -> None:
    """Wait for an event that will certainly be set. A cancellation meanwhile is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not event.is_set():
            try:
                await event.wait()
            except asyncio.CancelledError as error:  # from `task.cancel()` of asyncio, which ignores anyio's shields
                cancelled = error
    if cancelled is not None:
        raise cancelled


class TaskHost:
    """One task group, opened and closed once. See the rules above."""

    def __init__(self) -> None:
        self._loop: Loop | None = None
        self._group: TaskGroup | None = None
        self._error: BaseException | None = None
        self._cancelled = False

    @property
    def ended(self) -> bool:
        """Whether its event loop has ended, and its tasks with it."""
        return self._loop is not None and has_ended(self._loop)

    @property
    def is_running(self) -> bool:
        """Whether tasks can be started: the group is there, and neither was cancelled nor has ended."""
        group = self._group
        return group is not None and not self._done.is_set() and not group.cancel_scope.cancel_called

    async def open(self) -> None:
        """Start the group. Several tasks may call it. A task that is cancelled here still has to call `aclose`."""
        if self._loop is None:
            self._start()
        await wait_surely(self._ready)

    def _start(self) -> None:
        self._ready, self._closing, self._done = anyio.Event(), anyio.Event(), anyio.Event()
        self._loop = running_loop()
        _open.add(self)
        if not isinstance(self._loop, asyncio.AbstractEventLoop):
            import trio

            trio.lowlevel.spawn_system_task(self._host_on_trio, context=contextvars.copy_context())
        else:
            task = asyncio.create_task(self._host(), name="ajoxi_async tasks")
            # In a callback, because a task that is cancelled before its first step runs none of its own code.
            task.add_done_callback(self._end)

    async def _host_on_trio(self) -> None:
        try:
            await self._host()
        finally:
            self._end()

    async def _host(self) -> None:
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self._ready.set()
                await self._closing.wait()
                if self._cancelled:
                    group.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]
            self._error = error

    def _end(self, _: object = None) -> None:
        _open.discard(self)
        self._ready.set()
        self._done.set()

    def start_soon(self, task: Callable[[Unpack[Args]], Coroutine[Any, Any, object]], *args: *Args) -> None:
        """Run a task in the group.

        Raises:
            ConfigurationError: this is another event loop than the one that opened the group.
        """
        if self._loop is not running_loop():
            raise ConfigurationError("event loop: this was opened on another one; open and use it on the same loop")
        cast("TaskGroup", self._group).start_soon(task, *args)

    async def aclose(self, *, cancel: bool) -> None:
        """Wait until all tasks have ended. Idempotent.

        Args:
            cancel: cancel the tasks first.

        Raises:
            ConfigurationError: the event loop that opened the group is another one, and has not ended.
        """
        if self._loop is None or self.ended:
            return
        if self._loop is not running_loop():
            raise ConfigurationError("event loop: this was opened on another one, which has not ended; close it there")
        if cancel:
            self._cancel()
        self._closing.set()
        try:
            await self._done.wait()
        except anyio.get_cancelled_exc_class():
            self._cancel()
            await wait_surely(self._done)
            raise
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _cancel(self) -> None:
        self._cancelled = True
        if self._group is not None:
            self._group.cancel_scope.cancel()
