"""Offers the link to the console of ``ajoxi sandbox``: prints it, opens it, and prints a new one when Enter is pressed."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import Callable
from contextlib import suppress

from ajoxi_async.cli.output import OutputError, say, warn

__all__ = ["offer", "show"]


def offer(new_link: Callable[[], str]) -> str:
    """The text that offers a link to the console. A new link is printed whenever Enter is pressed in the terminal.

    Args:
        new_link: makes a link, which works once.
    """
    again = "; Enter prints a new one" if _on_enter(lambda: say(f"  {new_link()}")) else ""
    return f"\n\nThe console, in a browser (the link works once, for five minutes{again}):\n\n  {new_link()}"


async def show(new_link: Callable[[], str]) -> None:
    """Open a link to the console in the browser."""
    if not await asyncio.to_thread(webbrowser.open, new_link()):
        warn("no browser was found; open the link yourself")


def _on_enter(act: Callable[[], None]) -> bool:
    """Call `act` when a line comes from the terminal; return whether there is one that can be watched."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not sys.stdin.readline():
            loop.remove_reader(sys.stdin)
            return
        with suppress(OutputError):
            act()

    try:
        loop.add_reader(sys.stdin, read)
    except (NotImplementedError, OSError):
        return False
    return True
