"""Every time a phone rang, so that a test can check a dialer even if answers to its requests were lost.

A ring is noted at the instant at which a call begins to ring, and nowhere else, so that a call whose answer was lost counts
and one that never left the queue does not. Rings are kept in columns that hold no new objects: the garbage
collector does not walk them, and a ring takes about 24 bytes.
"""

from __future__ import annotations

from array import array
from datetime import datetime
from typing import NamedTuple

from attrs import frozen

from ajoxi_async.sandbox.time.moments import at

__all__ = ["Ring", "Rings"]

#: Rings in a page.
_PAGE = 4_096


@frozen
class Ring:
    """One time that a phone rang.

    Attributes:
        number: the phone that rang: the number or extension that the call went to.
        call_id: the call.
        at: when, on the clock of the world.
    """

    number: str
    call_id: str
    at: datetime


class _Page(NamedTuple):
    """Some rings that follow each other, in columns. A full page never changes."""

    moments: array[float]
    numbers: list[str]
    calls: list[str]


class Rings:
    """The rings of one account, in their order. A copy shares the full pages."""

    def __init__(self) -> None:
        self._pages: list[_Page] = []
        self._size = 0
        # Filled on demand, up to `_indexed`, because most tests do not use it.
        self._by_number: dict[str, list[int]] = {}
        self._indexed = 0

    def __len__(self) -> int:
        return self._size

    def add(self, number: str, call_id: str, moment: float) -> None:
        """Note a ring."""
        if not self._size % _PAGE:
            self._pages.append(_Page(array("d"), [], []))
        page = self._pages[-1]
        page.moments.append(moment)
        page.numbers.append(number)
        page.calls.append(call_id)
        self._size += 1

    def get(self, place: int) -> Ring:
        """The ring at a position, from 0."""
        page, row = self._pages[place // _PAGE], place % _PAGE
        return Ring(page.numbers[row], page.calls[row], at(page.moments[row]))

    def moment(self, place: int) -> float:
        """The moment of the ring at a position, in seconds since the epoch."""
        return self._pages[place // _PAGE].moments[place % _PAGE]

    def of(self, number: str) -> list[Ring]:
        """The rings of one phone, the oldest first."""
        return [self.get(place) for place in self._places(number)]

    def attempt(self, number: str, call_id: str, most: int) -> int:
        """How often a phone had rung when this call rang, this ring included; from 1, and no more than `most`.

        A call that has not rung counts as the next ring.
        """
        first = self._places(number)[: most - 1]
        for n, place in enumerate(first, 1):
            if self._pages[place // _PAGE].calls[place % _PAGE] == call_id:
                return n
        return len(first) + 1

    def _places(self, number: str) -> list[int]:
        for place in range(self._indexed, self._size):
            self._by_number.setdefault(self._pages[place // _PAGE].numbers[place % _PAGE], []).append(place)
        self._indexed = self._size
        return self._by_number.get(number, [])

    def copy(self) -> Rings:
        """Copy the rings."""
        twin = Rings()
        twin._pages, twin._size = self._pages.copy(), self._size
        if self._size % _PAGE:
            moments, numbers, calls = self._pages[-1]
            twin._pages[-1] = _Page(moments[:], numbers.copy(), calls.copy())
        return twin
