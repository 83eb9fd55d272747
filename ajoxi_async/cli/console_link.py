"""Offers the link to the console of ``ajoxi sandbox``: prints it, opens it, and prints a new one when Enter is pressed."""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import Callable
from contextlib import suppress

from ajoxi_async.cli.output import OutputError, say, warn

__all__ = ["offer"]


async def offer(new_link: Callable[[], str], *, open_it: bool) -> None:
    """Print a link to the console, and a new one whenever Enter is pressed in the terminal.

    Args:
        new_link: makes a link, which works once.
        open_it: whether to open a link in the browser as well.
    """
    again = "; Enter prints a new one" if _on_enter(lambda: say(f"  {new_link()}")) else ""
    say(f"\nThe console, in a browser (the link works once, for five minutes{again}):\n\n  {new_link()}")
    if open_it and not await asyncio.to_thread(webbrowser.open, new_link()):
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
