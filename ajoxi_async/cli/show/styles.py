"""Colours, where there is a terminal that has them and rich is installed."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

__all__ = ["styled"]


def styled(text: str, style: str) -> str:
    """A printable text with the codes of a style of rich's, or as it is where there are no colours."""
    console = _console() if sys.stdout is not None and sys.stdout.isatty() else None
    if console is None:
        return text
    from rich.text import Text

    with console.capture() as captured:
        console.print(Text(text, style), end="", soft_wrap=True)
    return str(captured.get())


@cache
def _console() -> Any:
    try:
        from rich.console import Console
    except ImportError:  # It is an extra.
        return None
    console = Console(highlight=False)
    # Consoles of Windows before 10 have no codes.
    return None if console.legacy_windows or console.is_dumb_terminal or not console.is_terminal else console
