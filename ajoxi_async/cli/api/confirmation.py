"""What is asked before a live key does something that rings, buys, or cannot be undone.

Rules:
1. Only a live key asks: with a test key no phone rings and nothing is bought.
2. Every route that is not a GET is in one of the two tables here; a test says which is missing.
3. ``--yes`` is the answer in advance. Where nobody can be asked, because there is no terminal, and it is not given, the command
   refuses.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["ASKS", "DOES_NOT_ASK", "can_ask", "confirmed", "question"]

#: What happens, by route. Names in braces are parameters of the method; those that are not given are left out.
ASKS: Final = {
    "calls.create": "This rings {to}.",
    "calls.create_campaign": "This rings {contacts}.",
    "calls.transfer": "This moves the call {id} away from whoever has it.",
    "numbers.provision": "This buys {phone_number}, or ports it in.",
    "numbers.release": "This gives {id} back to the pool, and it cannot be undone.",
    "messages.send": "This sends a message to {to}.",
    "webhooks.delete": "This removes {id}; its secret is lost.",
}
#: Can be undone, and costs nothing.
DOES_NOT_ASK: Final = frozenset({"numbers.update", "webhooks.create"})


def question(route: str, given: Mapping[str, Any]) -> str:
    """What is asked before an operation.

    Args:
        route: the name of the operation.
        given: its parameters.
    """
    contacts = given.get("contacts")
    several = f"{len(contacts):,} people" if isinstance(contacts, list) else ""
    does = ASKS.get(route, f"This is {route}.")
    return f"{does.format_map({**given, 'contacts': several})} The key is live."


def can_ask() -> bool:
    """Whether there is a terminal on which a question is seen and answered."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def confirmed(asked: str) -> bool:
    """Ask on the terminal; whether the answer is yes."""
    printable = "".join(one if one.isprintable() else "?" for one in asked)
    try:
        print(f"{printable} Go on? [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    except (OSError, UnicodeDecodeError):  # the terminal has gone, or what was typed is no text
        return False
