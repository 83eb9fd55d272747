"""Calling async code from blocking code: Flask, and Django under WSGI.

Rules:
1. A call runs in an event loop of its own, in the calling thread, so that objects of that thread or request, such as a
   database connection or Flask's context, can be used.
2. A thread can have only one running loop. If it has one already (a notebook, an ASGI server that calls WSGI in its loop),
   the call runs in another thread, and the calling thread waits.
3. Greenlets of gevent and eventlet share a thread and would need several loops in it, so their calls run in
   `ajoxi_async.webhooks.greenlets`.
4. A call in another thread has the context variables of the calling thread, in which Flask keeps its context.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from ajoxi_async.webhooks import greenlets

__all__ = ["own_loop", "run"]

T = TypeVar("T")


def run(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run an async function to its end, whatever else runs in the calling thread."""
    if (library := greenlets.sharing()) is not None:
        return greenlets.run(library, function, *args)
    return own_loop(partial(_run, function, *args))


def _run(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    if (sniffio := sys.modules.get("sniffio")) is not None:
        # The copied context says that a loop runs, which is not true in this thread.
        sniffio.current_async_library_cvar.set(None)
    return asyncio.run(function(*args))


def own_loop(call: Callable[[], T]) -> T:
    """Call a function that starts an event loop of its own, in a thread where it can; not for greenlets."""
    context = contextvars.copy_context()
    elsewhere: Callable[[], T] = partial(context.run, call)
    if _runs_a_loop():
        with ThreadPoolExecutor(1, "ajoxi-webhooks") as thread:
            return thread.submit(elsewhere).result()
    return elsewhere()


def _runs_a_loop() -> bool:
    trio = sys.modules.get("trio")
    return asyncio._get_running_loop() is not None or (trio is not None and trio.lowlevel.in_trio_run())
