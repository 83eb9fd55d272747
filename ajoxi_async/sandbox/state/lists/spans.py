"""The times at which the objects of each block of a list were made, so that a range of time is found without reading each object.

Rule: objects are nearly always added in the order of their moments, but not always: a clock can be set back, and `seed_calls`
can add past calls after a present one. A block is searched by its runs of ordered objects. In a block with many short runs, or
with an object that was removed, each object is looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from ajoxi_async.sandbox.state.lists.positions import BLOCK, walk_down

__all__ = ["Spans"]


#: Runs of a block at most.
_RUNS = 32


class _Span(NamedTuple):
    """The moments of one block: the lowest, the highest, and that of the last object.

    `runs` has the places at which runs of objects in the order of their moments begin; it is empty where there is no order.
    """

    low: datetime
    high: datetime
    last: datetime
    runs: tuple[int, ...]


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
        block, place = divmod(position, BLOCK)
        if block == len(self._spans):
            self._spans.append(_Span(moment, moment, moment, (0,)))
            return
        low, high, last, runs = self._spans[block]
        if moment < last:
            runs = (*runs, place) if 0 < len(runs) < _RUNS else ()
        if moment != last:
            self._spans[block] = _Span(min(low, moment), max(high, moment), moment, runs)

    def extend(self, first: int, moments: list[datetime]) -> None:
        """Note the moments of new last positions, from `first` on."""
        places: Sequence[int] = range(len(moments))
        if moments == sorted(moments):
            # Only the first and the last of each block count.
            places = [n for n in places if n in {0, len(moments) - 1} or (first + n) % BLOCK in {0, BLOCK - 1}]
        for n in places:
            self.add(first + n, moments[n])

    def disorder(self, position: int, moment: datetime) -> None:
        """Note that the object at a position changed its moment, or that it is gone."""
        block = position // BLOCK
        low, high, last, _ = self._spans[block]
        self._spans[block] = _Span(min(low, moment), max(high, moment), last, ())

    def bits(
        self,
        block: int,
        *,
        size: int,
        among: int,
        since: datetime | None,
        until: datetime | None,
        moment: Callable[[int], datetime],
    ) -> int:
        """Those positions of a block, as bits, whose objects were made from `since` on and before `until`.

        Args:
            block: its number.
            size: how many positions it has.
            among: the positions that are looked at, as bits.
            since: ``None`` for no bound.
            until: ``None`` for no bound.
            moment: the moment of a position.
        """
        low, high, _, runs = self._spans[block]
        if (since is not None and high < since) or (until is not None and low >= until):
            return 0
        if (since is None or low >= since) and (until is None or high < until):
            return among
        first = block * BLOCK
        bits = 0
        if runs:
            for start, stop in pairwise((*runs, size)):
                begin, end = start, stop
                if since is not None:
                    begin = bisect_left(range(size), since, start, stop, key=lambda n: moment(first + n))
                if until is not None:
                    end = bisect_left(range(size), until, begin, stop, key=lambda n: moment(first + n))
                bits |= (1 << end) - (1 << begin)
            return bits & among
        for position in walk_down(among, block):
            at = moment(position)
            if (since is None or at >= since) and (until is None or at < until):
                bits |= 1 << position - first
        return bits
