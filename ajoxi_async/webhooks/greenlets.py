"""Calling async code from greenlets of gevent or eventlet.

Rules:
1. Greenlets share a thread, which can have only one running loop. Their calls therefore run as tasks of one loop in a native
   thread of the process, which is made when it is needed and again after a fork. Only the calling greenlet waits.
2. There is only one such thread, because the libraries' replacements of sockets and locks belong to the thread that uses them
   first: a connection pool shared by several threads would fail in the second one.
3. The loop waits with the library's own `select`, so that greenlets in its thread, such as the worker threads of anyio, run.
4. A waiting greenlet is woken by a byte in a pair of sockets, for which both libraries wait without blocking others.
5. Native locks guard what is shared between that thread and others. A lock of greenlets wakes only those of its own thread,
   or wakes others late.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

__all__ = ["native_lock", "run", "sharing"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


def sharing() -> Any:
    """The library, gevent or eventlet, whose greenlet this is; ``None`` if it is not a greenlet."""
    greenlet = sys.modules.get("greenlet")
    at = None if greenlet is None else greenlet.getcurrent().parent
    while at is not None:
        if (gevent := sys.modules.get("gevent")) is not None and isinstance(at, gevent.hub.Hub):
            return gevent
        if (eventlet := sys.modules.get("eventlet")) is not None and at is eventlet.hubs.get_hub().greenlet:
            return eventlet
        at = at.parent
    return None


def _native(name: str) -> Any:
    """A function of `_thread` as it was before gevent or eventlet replaced it."""
    if (monkey := sys.modules.get("gevent.monkey")) is not None:
        return monkey.get_original("_thread", name)
    if (patcher := sys.modules.get("eventlet.patcher")) is not None:
        return getattr(patcher.original("_thread"), name)
    return getattr(sys.modules["_thread"], name)


def native_lock() -> Lock:
    """A lock between threads, also where gevent or eventlet has replaced `threading.Lock`."""
    return _native("allocate_lock")()  # type: ignore[no-any-return]


class _Loop(asyncio.SelectorEventLoop):
    """A loop that other greenlets of its thread can wake.

    asyncio takes them for the loop's own thread, from which it does not wake the loop.
    """

    def __init__(self) -> None:
        self._greenlet = sys.modules["greenlet"].getcurrent()
        super().__init__()

    def call_soon(
        self,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """See the base class."""
        if sys.modules["greenlet"].getcurrent() is self._greenlet:
            return super().call_soon(callback, *args, context=context)
        return self.call_soon_threadsafe(callback, *args, context=context)


class _Thread:
    """A native thread with a loop, from the first call on."""

    def __init__(self) -> None:
        self._lock = native_lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Callable[[], object]] = []
        _native("start_new_thread")(self._serve, ())

    def _serve(self) -> None:
        # This class, whatever the event loop policy is, because other loops wait without the library's `select`.
        loop = _Loop()
        with self._lock:
            self._loop = loop
            for begin in self._waiting:
                loop.call_soon(begin)
        loop.run_forever()

    def begin(self, begin: Callable[[], object]) -> None:
        with self._lock:
            if self._loop is None:
                self._waiting.append(begin)
            else:
                self._loop.call_soon_threadsafe(begin)


#: By process id, because threads do not exist in a forked child.
_threads: Final[dict[int, _Thread]] = {}


def run(library: Any, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run an async function to its end while only this greenlet waits. `library` is the result of `sharing`."""
    if library.__name__ == "gevent":
        from gevent.socket import socketpair
    else:
        from eventlet.green.socket import socketpair
    thread = _threads.get(os.getpid())
    if thread is None:
        thread = _threads[os.getpid()] = _Thread()
    context, tasks = contextvars.copy_context(), list[asyncio.Task[T]]()
    if (sniffio := sys.modules.get("sniffio")) is not None:
        context.run(sniffio.current_async_library_cvar.set, None)
    mine, theirs = socketpair()

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(function(*args), context=context)
        tasks.append(task)
        task.add_done_callback(wake)

    def wake(_task: asyncio.Task[T]) -> None:
        with suppress(OSError):  # the waiting greenlet was killed
            theirs.send(b"x")
        theirs.close()

    try:
        thread.begin(begin)
        mine.recv(1)
    finally:
        mine.close()
    return tasks[0].result()
