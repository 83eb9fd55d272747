"""Timers: actions that are to be done at a moment. They are data, so that they can be copied, written to a file and listed.

Rules:
1. Timers fire in the order of their moments; those of one moment in the order in which they were set.
2. A timer holds the name of an action and its arguments, no code.
"""

from __future__ import annotations

import heapq
from datetime import datetime
from typing import NamedTuple

from attrs import frozen

__all__ = ["Fired", "Timer", "Timers"]


class Timer(NamedTuple):
    """At `moment`, `action` is done with `args`.

    Attributes:
        moment: seconds since the epoch.
        order: decides between timers of one moment, the lower first; unique in an account.
        action: the name of a function in `state.actions`.
        args: arguments of the action, mostly ids.
    """

    moment: float
    order: int
    action: str
    args: tuple[str | None, ...] = ()


@frozen
class Fired:
    """Something that happened in a world.

    Attributes:
        at: when, on the sandbox's clock.
        what: the type of an event, ``delivery.succeeded``, ``delivery.failed``, or another transition's name.
        id: of the object, or of the delivery.
    """

    at: datetime
    what: str
    id: str


@frozen
class Due:
    """Something that will happen unless the world changes.

    Attributes:
        at: when, on the sandbox's clock.
        kind: the name of the action: ``ring``, ``answer``, ``end``, ``message_sent``, ``deliver``, ...
        id: of the object that it happens to, or of the delivery.
    """

    at: datetime
    kind: str
    id: str | None


class Timers:
    """The timers of one account."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        # Built at the first call of `get`. Only the journal calls it.
        self._by_order: dict[int, Timer] | None = None
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    def order(self) -> int:
        """A new order, higher than those of all timers so far."""
        self._order += 1
        return self._order

    def add(self, timer: Timer) -> None:
        """Set a timer."""
        self._order = max(self._order, timer.order)
        if self._by_order is not None:
            self._by_order[timer.order] = timer
        heapq.heappush(self._heap, timer)

    @property
    def next_due(self) -> float | None:
        """The moment of the next timer."""
        return self._heap[0].moment if self._heap else None

    def pop(self) -> Timer:
        """Remove the next timer and return it."""
        timer = heapq.heappop(self._heap)
        if self._by_order is not None:
            del self._by_order[timer.order]
        return timer

    def remove(self, timer: Timer) -> None:
        """Remove a timer, if it is set. This looks at all timers, so it is for what people do by hand."""
        try:
            place = self._heap.index(timer)
        except ValueError:
            return
        if self._by_order is not None:
            del self._by_order[timer.order]
        self._heap[place] = self._heap[-1]
        self._heap.pop()
        heapq.heapify(self._heap)

    def get(self, order: int) -> Timer | None:
        """The timer with this order; ``None`` once it has fired."""
        if self._by_order is None:
            self._by_order = {timer.order: timer for timer in self._heap}
        return self._by_order.get(order)

    def all(self) -> list[Timer]:
        """Every timer that is set, the next one first."""
        return sorted(self._heap)

    def first(self, start: int, amount: int) -> list[Timer]:
        """Up to `amount` timers in the order in which they fire, beginning at position `start`.

        The cost grows with `start + amount` and hardly with the number of all timers.
        """
        found: list[Timer] = []
        # A timer in the heap never fires before its parent, so that the next one is a child of a timer that was found.
        reached = [(self._heap[0], 0)] if self._heap else []
        while reached and len(found) < start + amount:
            timer, place = heapq.heappop(reached)
            found.append(timer)
            for child in (2 * place + 1, 2 * place + 2):
                if child < len(self._heap):
                    heapq.heappush(reached, (self._heap[child], child))
        return found[start:]

    def copy(self) -> Timers:
        """Copy the timers."""
        twin = Timers()
        twin._heap, twin._order = self._heap.copy(), self._order
        return twin
