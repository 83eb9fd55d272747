"""Calling async code from code that blocks: Flask, and Django under WSGI.

Rules:
1. A call runs in an event loop of its own, in the thread that asked for it: what belongs to that thread or request, such
   as a database connection or Flask's context, is at hand.
2. A thread has one running loop at a time. Where it has one already (a notebook, an ASGI server that calls WSGI in its
   loop), the call runs in another thread, and this one waits.
3. Greenlets of gevent and eventlet share their thread, so that their loops would meet there: each call runs in a native
   thread of a pool, and only the greenlet waits.
4. In another thread the call sees the context variables of this one; Flask keeps its context in them.
5. What such calls share is guarded by native locks: a lock of greenlets wakes those of its own thread only, or late.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["in_greenlet", "native_lock", "own_loop", "run"]

T = TypeVar("T")

#: Calls at the same time in a process of gevent; more of them wait for their turn.
THREADS: Final = 32

#: gevent's pools, each of a hub.
_pools: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def run(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run an async function to its end, whatever the thread that asks is used for besides."""
    return own_loop(partial(_run, function, *args))


def _run(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    if (sniffio := sys.modules.get("sniffio")) is not None:
        # What a thread was told by the loop that started it is not true of this thread.
        sniffio.current_async_library_cvar.set(None)
    return asyncio.run(function(*args))


def own_loop(call: Callable[[], T]) -> T:
    """Make a call that starts an event loop of its own, in a thread where it can."""
    context = contextvars.copy_context()
    elsewhere: Callable[[], T] = partial(context.run, call)
    if (pool := _green_pool()) is not None:
        return pool(elsewhere)  # type: ignore[no-any-return]
    if _runs_a_loop():
        with ThreadPoolExecutor(1, "ajoxi-webhooks") as thread:
            return thread.submit(elsewhere).result()
    return elsewhere()


def native_lock() -> Lock:
    """A lock between threads, also where gevent or eventlet has put its own in place of `threading.Lock`."""
    if (monkey := sys.modules.get("gevent.monkey")) is not None:
        return monkey.get_original("threading", "Lock")()  # type: ignore[no-any-return]
    if (patcher := sys.modules.get("eventlet.patcher")) is not None:
        return patcher.original("threading").Lock()  # type: ignore[no-any-return]
    return Lock()


def in_greenlet() -> bool:
    """Whether this is one of several greenlets that share a thread."""
    return _green_pool() is not None


def _runs_a_loop() -> bool:
    trio = sys.modules.get("trio")
    return asyncio._get_running_loop() is not None or (trio is not None and trio.lowlevel.in_trio_run())


def _green_pool() -> Callable[[Callable[[], Any]], Any] | None:
    """What runs a function in a native thread while only this greenlet waits; ``None`` where this is no such greenlet."""
    greenlet = sys.modules.get("greenlet")
    at = None if greenlet is None else greenlet.getcurrent().parent
    while at is not None:
        if (gevent := sys.modules.get("gevent")) is not None and isinstance(at, gevent.hub.Hub):
            from gevent.threadpool import ThreadPool

            if at not in _pools:
                _pools[at] = ThreadPool(THREADS, at)
            return _pools[at].apply  # type: ignore[no-any-return]
        if (eventlet := sys.modules.get("eventlet")) is not None and at is eventlet.hubs.get_hub().greenlet:
            from eventlet import tpool

            return tpool.execute  # type: ignore[no-any-return]
        at = at.parent
    return None
