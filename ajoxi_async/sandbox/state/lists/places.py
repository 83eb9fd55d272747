"""Where the object of an id stands in its list: hash tables of numbers, 16 to 32 bytes an id.

A dict of a million ids holds two objects for each, is walked by the garbage collector of some Python versions, and blocks
for 80 ms whenever it grows.

Rules:
1. A table holds fingerprints of ids, not the ids: what is found are candidates, which the caller compares.
2. There are 1,024 tables, so that a growing table is small. A copy shares the tables; before a change the table is copied.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

__all__ = ["Places"]

_PARTS = 1024
#: A slot is a fingerprint of 32 bits above a position plus one; 0 is a free slot, a position of 0 a slot that was given up.
_LOW = 0xFFFF_FFFF
#: Slots of a table at first.
_SMALLEST = 8


class Places:
    """Positions by id."""

    def __init__(self) -> None:
        self._parts: dict[int, array[int]] = {}
        #: Slots of each table that are not free, those that were given up included.
        self._filled = array("I", bytes(4 * _PARTS))
        self._own: set[int] = set()

    def copy(self) -> Places:
        """Copy it; the tables are shared until one side writes to them."""
        twin = Places()
        twin._parts, twin._filled = self._parts.copy(), self._filled[:]
        self._own = set()
        return twin

    def candidates(self, id: str) -> Iterator[int]:
        """Positions at which the object with this id may be."""
        code = hash(id)
        part = self._parts.get(code & _PARTS - 1)
        if part is None:
            return
        mark = code >> 32 & _LOW
        mask = len(part) - 1
        slot = mark & mask
        while value := part[slot]:
            if value >> 32 == mark and value & _LOW:
                yield (value & _LOW) - 1
            slot = slot + 1 & mask

    def add(self, id: str, position: int) -> None:
        """Note where the object with this id is."""
        code = hash(id)
        number = code & _PARTS - 1
        part = self._parts[number] if number in self._own else self._writable(number)
        if self._filled[number] * 2 >= len(part):
            part = self._grow(number)
        self._filled[number] += 1
        _put(part, code >> 32 & _LOW, position)

    def extend(self, ids: Sequence[str], positions: Sequence[int]) -> None:
        """Note where many objects are."""
        parts, own, filled = self._parts, self._own, self._filled
        for code, position in zip(map(hash, ids), positions, strict=True):
            number = code & _PARTS - 1
            part = parts[number] if number in own else self._writable(number)
            if filled[number] * 2 >= len(part):
                part = self._grow(number)
            filled[number] += 1
            # As `_put`, written out: this is most of the time that it takes to fill a list.
            mark = code >> 32 & _LOW
            mask = len(part) - 1
            slot = mark & mask
            while part[slot]:
                slot = slot + 1 & mask
            part[slot] = mark << 32 | position + 1

    def remove(self, id: str, position: int) -> None:
        """Forget that the object with this id is at `position`."""
        code = hash(id)
        part = self._writable(code & _PARTS - 1)
        mark = code >> 32 & _LOW
        mask = len(part) - 1
        slot = mark & mask
        while part[slot] != (mark << 32 | position + 1):
            slot = slot + 1 & mask
        # Marked as given up, not as free, so that ids stored in later slots because of this one are still found. Never 0.
        part[slot] = mark << 32 or 1 << 32

    def _grow(self, number: int) -> array[int]:
        part = self._parts[number] = _grown(self._parts[number])
        self._filled[number] = len(part) - part.count(0)
        return part

    def _writable(self, number: int) -> array[int]:
        if number not in self._own:
            self._own.add(number)
            shared = self._parts.get(number)
            self._parts[number] = shared[:] if shared is not None else array("Q", bytes(8 * _SMALLEST))
        return self._parts[number]


def _grown(part: array[int]) -> array[int]:
    larger = array("Q", bytes(2 * part.itemsize * len(part)))
    mask = len(larger) - 1
    for value in part:
        if value & _LOW:
            slot = value >> 32 & mask
            while larger[slot]:
                slot = slot + 1 & mask
            larger[slot] = value
    return larger


def _put(part: array[int], mark: int, position: int) -> None:
    mask = len(part) - 1
    slot = mark & mask
    while part[slot]:
        slot = slot + 1 & mask
    part[slot] = mark << 32 | position + 1
