"""A part of a terminal that is drawn again as it changes, by rich.

Rule: where rich is not installed or the output is no terminal that can be drawn on, there is none, and callers print lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ajoxi_async.cli.output import OutputError

__all__ = ["open_live", "output_errors"]


def open_live() -> Any:
    """Start a `rich.live.Live`; ``None`` where there can be none."""
    try:
        from rich.console import Console
        from rich.live import Live
    except ImportError:  # It is an extra.
        return None
    console = Console(highlight=False)
    if console.is_dumb_terminal or not console.is_terminal:
        return None
    # Without its thread: errors of the terminal are raised where they can be handled.
    live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    live.start()
    return live


@contextmanager
def output_errors() -> Iterator[None]:
    """Raise errors of drawing as `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(error) from None
