"""Waiting for Ctrl-C or a signal to terminate, also where the event loop has no signal handlers (Windows)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

__all__ = ["Interrupt", "interrupts", "unless_interrupted"]

#: Seconds between two checks where a signal does not wake the loop.
_LOOK: Final = 0.25


class Interrupt:
    """Whether a signal to end the command has come."""

    def __init__(self) -> None:
        self._received = asyncio.Event()
        self.wakes = True

    def set(self) -> None:
        """Note that the signal has come."""
        self._received.set()

    async def wait(self) -> None:
        """Wait for the signal."""
        while not self._received.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._received.wait(), None if self.wakes else _LOOK)


@contextmanager
def interrupts(*, hangup: bool = False) -> Iterator[Interrupt]:
    """Turn SIGINT, SIGTERM, and SIGBREAK where there is one, into an `Interrupt` for as long as the block lasts.

    Args:
        hangup: whether SIGHUP, which comes when the terminal is closed, does the same, unless it is ignored as under nohup.
    """
    loop, interrupt = asyncio.get_running_loop(), Interrupt()
    replaced: dict[int, Any] = {}
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGBREAK"):
        numbers.append(signal.SIGBREAK)
    if hangup and hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        try:
            loop.add_signal_handler(number, interrupt.set)
        except (NotImplementedError, RuntimeError, ValueError):
            # Python calls signal handlers in the main thread only; in another thread they cannot be set.
            interrupt.wakes = False
            with suppress(ValueError):
                replaced[number] = signal.signal(number, lambda *_: interrupt.set())
    try:
        yield interrupt
    finally:
        for number in numbers:
            if number in replaced:
                signal.signal(number, replaced[number])
            else:
                with suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.remove_signal_handler(number)


async def unless_interrupted(work: Coroutine[Any, Any, int], status: int) -> int:
    """Carry something out, and end it when a signal comes.

    Args:
        work: what is carried out; gives the exit status.
        status: the exit status if a signal has ended it.
    """
    with interrupts(hangup=True) as interrupt:
        running = asyncio.ensure_future(work)
        interrupted = asyncio.ensure_future(interrupt.wait())
        try:
            await asyncio.wait({running, interrupted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            interrupted.cancel()
            if ended := not running.done():
                running.cancel()
                await asyncio.wait({running})
    if ended and running.cancelled():
        return status
    return running.result()
