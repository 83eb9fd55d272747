"""Every time a phone rang: the judge of a dialer, whatever its client was told.

A ring is noted at the instant at which a call begins to ring, and nowhere else, so that a call whose answer was lost counts
and one that never left the queue does not. Rings are kept in three columns that hold no new objects: the garbage collector
does not walk them, and a ring takes about 24 bytes.
"""

from __future__ import annotations

from array import array
from datetime import datetime

from attrs import frozen

from ajoxi_async.sandbox.time.moments import at

__all__ = ["Ring", "Rings"]


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


class Rings:
    """The rings of one account, in their order."""

    def __init__(self) -> None:
        self._moments = array("d")
        self._numbers: list[str] = []
        self._calls: list[str] = []
        # Filled when somebody asks, as far as `_indexed`: most tests never ask.
        self._by_number: dict[str, list[int]] = {}
        self._indexed = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, number: str, call_id: str, moment: float) -> None:
        """Note a ring."""
        self._moments.append(moment)
        self._numbers.append(number)
        self._calls.append(call_id)

    def get(self, place: int) -> Ring:
        """The ring at a place, from 0."""
        return Ring(self._numbers[place], self._calls[place], at(self._moments[place]))

    def moment(self, place: int) -> float:
        """When the ring at a place was, in seconds since the epoch."""
        return self._moments[place]

    def of(self, number: str) -> list[Ring]:
        """The rings of one phone, the oldest first."""
        return [self.get(place) for place in self._places(number)]

    def attempt(self, number: str, call_id: str, most: int) -> int:
        """How often a phone had rung when this call rang, this ring included; from 1, and no more than `most`.

        A call that has not rung counts as the next ring.
        """
        first = self._places(number)[: most - 1]
        return next((n for n, place in enumerate(first, 1) if self.get(place).call_id == call_id), len(first) + 1)

    def _places(self, number: str) -> list[int]:
        for place in range(self._indexed, len(self._numbers)):
            self._by_number.setdefault(self._numbers[place], []).append(place)
        self._indexed = len(self._numbers)
        return self._by_number.get(number, [])

    def copy(self) -> Rings:
        """Copy the rings."""
        twin = Rings()
        twin._moments, twin._numbers, twin._calls = self._moments[:], self._numbers.copy(), self._calls.copy()
        return twin
