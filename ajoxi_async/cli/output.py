"""What a command writes, to whatever its output is.

Rules:
1. A character that the terminal's encoding does not have is shown as an escape; it ends no command.
2. A reader that went away (``ajoxi openapi | head -1``) ends the command quietly, with the status that a shell shows for
   programs that SIGPIPE ended.
3. An output that cannot be written (a full disk) ends the command with a message and status 1.
4. Standard output that is closed is an error for a command that only prints. One that serves goes on without it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

__all__ = ["SIGPIPE_STATUS", "OutputError", "prepare", "say", "warn"]

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
    """Let no character that the encoding of the output lacks raise an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def say(text: str = "", *, needed: bool = False) -> None:
    """Print a line, at once.

    Args:
        text: without the line break.
        needed: whether the command has no other purpose.

    Raises:
        OutputError: it cannot be written.
    """
    if sys.stdout is None:
        if needed:
            raise OutputError(OSError("it is closed"))
        return
    try:
        print(text, flush=True)
    except OSError as error:
        _discard_the_rest()
        raise OutputError(error) from None


def warn(message: str) -> None:
    """Say why a command failed, on standard error where that can be written."""
    # `print` takes a file that is None for standard output.
    with suppress(OSError):
        if sys.stderr is not None:
            print(f"ajoxi: {message}", file=sys.stderr, flush=True)


def _discard_the_rest() -> None:
    # The interpreter writes what is left in the buffer when it ends, and would complain.
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
