"""From when to when the objects of each block of a list were made, so that a range of time is found without a look at each.

Rule: objects come in the order of their moments nearly always, but need not: a clock can be set back, and a filled past can
come after a call of today. A block in which they are out of order is looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from ajoxi_async.sandbox.state.lists.positions import BLOCK

__all__ = ["Spans"]


class _Span(NamedTuple):
    low: datetime
    high: datetime
    ordered: bool


class Spans:
    """The spans of time of the blocks of one list."""

    def __init__(self) -> None:
        self._spans: list[_Span] = []

    def copy(self) -> Spans:
        """Copy it."""
        twin = Spans()
        twin._spans = self._spans.copy()
        return twin

    def add(self, position: int, moment: datetime) -> None:
        """Note the moment of a new last position."""
        block = position // BLOCK
        if block == len(self._spans):
            self._spans.append(_Span(moment, moment, True))
            return
        low, high, ordered = self._spans[block]
        if moment > high:
            self._spans[block] = _Span(low, moment, ordered)
        elif moment < high:
            self._spans[block] = _Span(min(low, moment), high, False)

    def disorder(self, position: int, moment: datetime) -> None:
        """Note that the object at a position changed its moment, or that it is gone."""
        block = position // BLOCK
        low, high, _ = self._spans[block]
        self._spans[block] = _Span(min(low, moment), max(high, moment), False)

    def bits(
        self,
        block: int,
        size: int,
        since: datetime | None,
        until: datetime | None,
        moment: Callable[[int], datetime],
    ) -> int:
        """The positions of a block, as bits, whose objects were made from `since` on and before `until`.

        Args:
            block: its number.
            size: how many positions it has.
            since: ``None`` for no bound.
            until: ``None`` for no bound.
            moment: the moment of a position.
        """
        low, high, ordered = self._spans[block]
        if (since is not None and high < since) or (until is not None and low >= until):
            return 0
        if (since is None or low >= since) and (until is None or high < until):
            return (1 << size) - 1
        first = block * BLOCK
        if ordered:
            begin = bisect_left(range(size), since, key=lambda n: moment(first + n)) if since is not None else 0
            end = bisect_left(range(size), until, key=lambda n: moment(first + n)) if until is not None else size
            return (1 << max(begin, end)) - (1 << begin)
        bits = 0
        for place in range(size):
            at = moment(first + place)
            if (since is None or at >= since) and (until is None or at < until):
                bits |= 1 << place
        return bits
