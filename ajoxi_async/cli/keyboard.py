"""Keys as they are pressed, where there is a terminal.

Rules:
1. The terminal is set to pass each key on, and is set back at the end. Ctrl-C stays a signal.
2. A command in the background leaves the terminal alone: changing it would stop the command.
3. Where the event loop cannot watch the terminal (Windows), a thread reads it. The thread ends with the process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["key_presses"]


@contextmanager
def key_presses(act: Callable[[str], None]) -> Iterator[bool]:
    """Call a function with each key that is pressed, for as long as the block lasts; gives whether there is a keyboard.

    Args:
        act: is called in the event loop.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        yield False
    elif os.name == "nt":
        _read_in_thread(_windows_key, act)
        yield True
    else:
        with _posix_keys(act) as there:
            yield there


@contextmanager
def _posix_keys(act: Callable[[str], None]) -> Iterator[bool]:
    import termios
    import tty

    fd = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(fd)
        if os.tcgetpgrp(fd) != os.getpgrp():
            raise OSError
        tty.setcbreak(fd)
    except (termios.error, OSError):
        yield False
        return
    loop, watched = asyncio.get_running_loop(), True

    def read() -> None:
        pressed = _posix_key(fd)
        if pressed:
            act(pressed)
        else:
            loop.remove_reader(fd)

    try:
        try:
            loop.add_reader(fd, read)
        except (NotImplementedError, OSError):
            watched = False
            _read_in_thread(lambda: _posix_key(fd), act)
        yield True
    finally:
        if watched:
            with suppress(NotImplementedError, OSError, ValueError):
                loop.remove_reader(fd)
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _posix_key(fd: int) -> str:
    try:
        return os.read(fd, 64).decode("utf-8", "replace")
    except OSError:  # the terminal has gone
        return ""


def _windows_key() -> str:
    import msvcrt  # exists on Windows only

    return str(msvcrt.getwch())  # type: ignore[attr-defined]


def _read_in_thread(read: Callable[[], str], act: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()

    def run() -> None:
        # RuntimeError: the loop is closed.
        with suppress(RuntimeError):
            while pressed := read():
                loop.call_soon_threadsafe(act, pressed)

    threading.Thread(target=run, name="ajoxi-keyboard", daemon=True).start()
