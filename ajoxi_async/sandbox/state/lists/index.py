"""The sets of positions of a list, by filter and value.

Rules:
1. A value that each object has for itself, such as a caller's reference in its metadata, is as cheap as one that all share.
2. There are 1,024 dicts, because growing a dict blocks for a time proportional to its size. A copy shares the dicts; before
   a change the dict is copied.
"""

from __future__ import annotations

from collections.abc import Iterable

from ajoxi_async.sandbox.state.lists import positions
from ajoxi_async.sandbox.state.lists.positions import EMPTY, Positions

__all__ = ["Index"]

_PARTS = 1024


class Index:
    """Which positions have which values. A key is a pair of filter and value."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, Positions]] = {}
        self._own: set[int] = set()

    def copy(self) -> Index:
        """Copy it; the dicts are shared until one side writes to them."""
        twin = Index()
        twin._parts = self._parts.copy()
        self._own = set()
        return twin

    def parts(self) -> list[object]:
        """What holds the memory of a large index, in many pieces."""
        return list(self._parts.values())

    def get(self, key: tuple[str, str]) -> Positions:
        """The positions that have a value."""
        joined = _join(key)
        part = self._parts.get(hash(joined) & _PARTS - 1)
        return EMPTY if part is None else part.get(joined, EMPTY)

    def add(self, keys: Iterable[tuple[str, str]], position: int) -> None:
        """Note the values of a position."""
        for key in keys:
            part, name = self._writable(key)
            part[name] = positions.add(part.get(name, EMPTY), position)

    def extend(self, gathered: dict[tuple[str, str], list[int]]) -> None:
        """Note the values of many new positions, which come in order."""
        for key, places in gathered.items():
            part, name = self._writable(key)
            part[name] = positions.extend(part.get(name, EMPTY), places)

    def remove(self, keys: Iterable[tuple[str, str]], position: int) -> None:
        """Forget values of a position."""
        for key in keys:
            part, name = self._writable(key)
            left = positions.remove(part[name], position)
            if left:
                part[name] = left
            else:
                del part[name]

    def _writable(self, key: tuple[str, str]) -> tuple[dict[str, Positions], str]:
        name = _join(key)
        number = hash(name) & _PARTS - 1
        if number not in self._own:
            self._own.add(number)
            self._parts[number] = self._parts.get(number, {}).copy()
        return self._parts[number], name


def _join(key: tuple[str, str]) -> str:
    # One text and no pair, which the garbage collector would track. The length keeps name and value apart.
    return f"{len(key[0])} {key[0]} {key[1]}"
