"""The running event loop, and calls into a loop from another thread.

Rules:
1. Objects that belong to an event loop are stored under that loop: the asyncio loop object, or the token of a trio run.
2. Only the loop's own thread may use them. Other threads pass a function to `call_soon`.
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
    # In trio's guest mode an asyncio loop runs as well, but the current task is trio's.
    if loop is not None and asyncio.current_task(loop) is not None:
        return loop
    if "trio" in sys.modules:
        import trio

        if trio.lowlevel.in_trio_run():
            return trio.lowlevel.current_trio_token()
    return asyncio.get_running_loop()


def has_ended(loop: Loop) -> bool:
    """Whether a loop has ended, so that nothing will run on it again."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_closed()
    return not call_soon(loop, lambda: None)


def call_soon(loop: Loop, call: Callable[[], object]) -> bool:
    """Have a loop call a function; any thread may call this. Returns False if the loop has ended."""
    try:
        if isinstance(loop, asyncio.AbstractEventLoop):
            loop.call_soon_threadsafe(call)
        else:
            loop.run_sync_soon(call)
    except RuntimeError:  # a closed asyncio loop; trio's RunFinishedError is one, too
        return False
    return True
