"""The event loop that is running, and how to reach it from another thread.

Rules:
1. What belongs to an event loop is keyed by that loop: the asyncio loop object, or the token of a trio run.
2. Only its own thread may touch what belongs to a loop; every other thread hands over a function with `call_soon`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import trio

__all__ = ["Loop", "call_soon", "has_ended", "running_loop"]

#: An event loop of asyncio, or the token of a run of trio.
Loop: TypeAlias = "asyncio.AbstractEventLoop | trio.lowlevel.TrioToken"


def running_loop() -> Loop:
    """The event loop in which the calling task runs.

    Raises:
        RuntimeError: no event loop runs in this thread.
    """
    loop = asyncio._get_running_loop()
    # In trio's guest mode an asyncio loop runs as well, but a trio task is no task of it.
    if loop is not None and asyncio.current_task(loop) is not None:
        return loop
    if "trio" in sys.modules:
        import trio

        if trio.lowlevel.in_trio_run():
            return trio.lowlevel.current_trio_token()
    return asyncio.get_running_loop()


def has_ended(loop: Loop) -> bool:
    """Whether nothing will ever run on a loop again."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_closed()
    return not call_soon(loop, lambda: None)


def call_soon(loop: Loop, call: Callable[[], object]) -> bool:
    """Have a loop call a function, from any thread. Returns False where the loop has ended and will not."""
    try:
        if isinstance(loop, asyncio.AbstractEventLoop):
            loop.call_soon_threadsafe(call)
        else:
            loop.run_sync_soon(call)
    except RuntimeError:  # a closed asyncio loop; trio's RunFinishedError is one, too
        return False
    return True
