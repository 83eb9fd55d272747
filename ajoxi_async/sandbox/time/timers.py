"""What will happen: moments and what is to be done then, as data, so that they can be copied, kept and listed.

Rules:
1. Timers fire in the order of their moments; those of one moment in the order in which they were set.
2. A timer names an action of the account and gives its arguments; it holds no code.
"""

from __future__ import annotations

import heapq
from datetime import datetime
from typing import NamedTuple

from attrs import frozen

__all__ = ["Fired", "Timer", "Timers"]


class Timer(NamedTuple):
    """One thing that will happen."""

    moment: float
    order: int
    action: str
    args: tuple[str | None, ...] = ()


@frozen
class Fired:
    """One thing that happened.

    Attributes:
        at: when, on the sandbox's clock.
        what: the type of an event, ``delivery.succeeded``, ``delivery.failed``, or another transition's name.
        id: of the object, or of the delivery.
    """

    at: datetime
    what: str
    id: str


class Timers:
    """The timers of one account."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._by_order: dict[int, Timer] = {}
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def order(self) -> int:
        """The next place among timers of the same moment."""
        self._order += 1
        return self._order

    def add(self, timer: Timer) -> None:
        """Set a timer."""
        self._order = max(self._order, timer.order)
        self._by_order[timer.order] = timer
        heapq.heappush(self._heap, timer)

    @property
    def next_due(self) -> float | None:
        """The moment of the next one."""
        return self._heap[0].moment if self._heap else None

    def pop(self) -> Timer:
        """Take the next one."""
        timer = heapq.heappop(self._heap)
        del self._by_order[timer.order]
        return timer

    def get(self, order: int) -> Timer | None:
        """The timer of a place, while it is set."""
        return self._by_order.get(order)

    def all(self) -> list[Timer]:
        """Every timer that is set, the next one first."""
        return sorted(self._heap)

    def copy(self) -> Timers:
        """The same timers, set apart."""
        twin = Timers()
        twin._heap, twin._by_order, twin._order = self._heap.copy(), self._by_order.copy(), self._order
        return twin
