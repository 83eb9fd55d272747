"""Printing of the commands.

Rules:
1. A character that the terminal's encoding does not have is printed as an escape and does not end the command.
2. If the reader has closed its end (``ajoxi openapi | head -1``), the command ends without a message, with the status that a
   shell shows for programs that SIGPIPE ended.
3. If the output cannot be written (a full disk), the command ends with a message and status 1.
4. A closed standard output is an error for a command that only prints. A command that serves continues without it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

__all__ = ["SIGPIPE_STATUS", "OutputError", "check_open", "discard_the_rest", "note", "prepare", "say", "warn"]

#: 128 + SIGPIPE.
SIGPIPE_STATUS: Final = 141


class OutputError(Exception):
    """Standard output cannot be written.

    Attributes:
        status: the exit status of the command.
    """

    def __init__(self, error: OSError) -> None:
        gone = isinstance(error, BrokenPipeError)
        super().__init__("" if gone else f"cannot write to standard output: {error.strerror or error}")
        self.status: int = SIGPIPE_STATUS if gone else 1


def prepare() -> None:
    """Make the output escape characters that its encoding does not have, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def check_open() -> None:
    """Refuse a closed standard output before something is done whose answer could not be shown.

    Raises:
        OutputError: it is closed.
    """
    if sys.stdout is None:
        raise OutputError(OSError("it is closed"))


def say(text: str = "", *, needed: bool = False, end: str = "\n") -> None:
    """Print a line and flush it.

    Args:
        text: without the line break.
        needed: whether the command has no other purpose.
        end: what follows the text.

    Raises:
        OutputError: it cannot be written.
    """
    if sys.stdout is None:
        if needed:
            raise OutputError(OSError("it is closed"))
        return
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        discard_the_rest()
        raise OutputError(error) from None


def warn(message: str) -> None:
    """Print why a command failed to standard error, if that can be written."""
    note(f"ajoxi: {message}")


def note(text: str) -> None:
    """Print a line beside the output to standard error, if that can be written."""
    # With `file=None`, `print` would write to standard output.
    with suppress(OSError):
        if sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


def discard_the_rest() -> None:
    """Drop what is buffered for a standard output that cannot be written."""
    # At its end the interpreter flushes the buffer, which would print an error.
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
