"""Texts of callers: in messages, and in the ledger.

Rules:
1. Whatever a caller gives can be shown in a message: its `repr`, cut off, or its type where there is no `repr` (an integer of thousands
   of digits, an object whose own `repr` fails).
2. What is kept for people (reasons, names of files) is kept with whatever characters it has. Those that a database refuses, the null
   character and bytes of a name that are no UTF-8, are kept as escapes. A pause must not fail because of its reason.
"""

from __future__ import annotations

import os

__all__ = ["names_a_file", "shown", "storable"]


def names_a_file(path: str) -> bool:
    """Whether the operating system can take a text for a path."""
    try:
        return bool(os.fsencode(path)) and "\0" not in path
    except UnicodeEncodeError:
        return False


def shown(value: object, longest: int = 80) -> str:
    """A value for a message (rule 1)."""
    try:
        return repr(value)[:longest]
    except Exception:
        return f"a value of type {type(value).__name__}"


def storable(text: object) -> str:
    """A text that every database takes (rule 2)."""
    return str(text).encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
