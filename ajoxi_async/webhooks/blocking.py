"""Calling async code from code that blocks: Flask, and Django under WSGI.

Rules:
1. A call runs in an event loop of its own, in the thread that asked for it: what belongs to that thread or request, such
   as a database connection or Flask's context, is at hand.
2. A thread has one running loop at a time. Where it has one already (a notebook, an ASGI server that calls WSGI in its
   loop), the call runs in another thread, and this one waits.
3. Greenlets of gevent and eventlet share their thread, so that their loops would meet there: their calls run in
   `ajoxi_async.webhooks.greenlets`.
4. In another thread the call sees the context variables of this one; Flask keeps its context in them.
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
    """Run an async function to its end, whatever the thread that asks is used for besides."""
    if (library := greenlets.sharing()) is not None:
        return greenlets.run(library, function, *args)
    return own_loop(partial(_run, function, *args))


def _run(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    if (sniffio := sys.modules.get("sniffio")) is not None:
        # What a thread was told by the loop that started it is not true of this thread.
        sniffio.current_async_library_cvar.set(None)
    return asyncio.run(function(*args))


def own_loop(call: Callable[[], T]) -> T:
    """Make a call that starts an event loop of its own, in a thread where it can; not for greenlets."""
    context = contextvars.copy_context()
    elsewhere: Callable[[], T] = partial(context.run, call)
    if _runs_a_loop():
        with ThreadPoolExecutor(1, "ajoxi-webhooks") as thread:
            return thread.submit(elsewhere).result()
    return elsewhere()


def _runs_a_loop() -> bool:
    trio = sys.modules.get("trio")
    return asyncio._get_running_loop() is not None or (trio is not None and trio.lowlevel.in_trio_run())
