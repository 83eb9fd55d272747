"""A set of ids that may be large: its copy shares everything with it until one of the two is changed."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Flags"]

_PARTS = 256


class Flags:
    """A set of ids.

    Attributes:
        used: whether an id was ever put in. Most sets are never used, and looking at this costs less than asking for an id.
    """

    __slots__ = ("_own", "_parts", "used")

    def __init__(self) -> None:
        self.used = False
        self._parts: dict[int, set[str]] = {}
        #: The parts that are not shared with a copy.
        self._own: set[int] = set()

    def __contains__(self, id: str | None) -> bool:
        return self.used and id is not None and id in self._parts.get(hash(id) % _PARTS, ())

    def __iter__(self) -> Iterator[str]:
        for part in self._parts.values():
            yield from part

    def __len__(self) -> int:
        return sum(map(len, self._parts.values()))

    def add(self, id: str) -> None:
        """Put an id in."""
        self._writable(id).add(id)

    def discard(self, id: str) -> None:
        """Take an id out, if it is in."""
        if id in self:
            self._writable(id).discard(id)

    def _writable(self, id: str) -> set[str]:
        self.used = True
        number = hash(id) % _PARTS
        if number not in self._own:
            self._own.add(number)
            self._parts[number] = self._parts.get(number, set()).copy()
        return self._parts[number]

    def copy(self) -> Flags:
        """Copy the set."""
        twin = Flags()
        twin.used, twin._parts, self._own = self.used, self._parts.copy(), set()
        return twin
