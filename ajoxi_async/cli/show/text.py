"""Values as text on a terminal.

Rule: text from the API has no effect on a terminal. What is not printable, a line end for instance, is shown as an escape.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["cell", "printable", "shortened", "width"]

_MILLISECONDS: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z")


def printable(text: str) -> str:
    """A text with escapes for what is not printable."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def width(text: str) -> int:
    """Columns that a printable text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_width_of(one) for one in text)


def _width_of(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in {"W", "F"} else 1


def shortened(text: str, most: int) -> str:
    """A printable text that takes at most so many columns; ``...`` stands for what was cut off."""
    if width(text) <= most:
        return text
    kept, used = "", 0
    for one in text:
        used += _width_of(one)
        if used > most - 3:
            break
        kept += one
    return (kept + "...")[: max(most, 1)] if most >= 3 else "." * most


def cell(value: Any) -> str:
    """A value of JSON as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        time = _MILLISECONDS.fullmatch(value)
        return f"{time[1]}Z" if time else printable(value)
    if isinstance(value, Mapping):
        return " ".join(f"{printable(str(key))}={cell(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, Mapping) for item in value):
            return f"{len(value):,}"
        return ", ".join(cell(item) for item in value)
    return str(value)
