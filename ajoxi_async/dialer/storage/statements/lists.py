"""Lists of values in statements: ``... WHERE id IN (...)``.

Rule: a list has 1, 2, 4, ... or 512 places, the last value repeated as often as needed, so that a database prepares ten texts of a
statement and not five hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ajoxi_async.dialer.storage.database import Value

__all__ = ["in_lists"]

_LONGEST: Final = 512


def in_lists(values: Sequence[Value]) -> Iterator[tuple[str, list[Value]]]:
    """The places and the values of as many lists as are needed: ``("(?, ?)", [1, 2])``. None for no values."""
    for start in range(0, len(values), _LONGEST):
        part = list(values[start : start + _LONGEST])
        part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
        yield f"({', '.join('?' * len(part))})", part
