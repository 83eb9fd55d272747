"""Counts of a report's rows, taken while the rows pass.

Rules:
1. Memory does not grow with the number of rows: reasons of which there are more than `_REASONS` are counted together, the rows
   in doubt that are kept are the first `_NAMED`, and the histogram of times becomes coarser as it becomes longer.
2. Every row is counted once under its state, so that the states add up to the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from ajoxi_async.dialer.reporting.report_rows import ReportRow

__all__ = ["OTHER_REASONS", "Histogram", "ReportCounts"]

_NAMED: Final = 200
_REASONS: Final = 40
OTHER_REASONS: Final = "other reasons"
_LONGEST_REASON: Final = 120


class Histogram:
    """Counts by time, in intervals that become longer when there would be more than `most` of them."""

    _WIDTHS: Final = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86400, 7 * 86400, 28 * 86400, 364 * 86400, 3640 * 86400)

    def __init__(self, most: int = 96) -> None:
        self._most = most
        self._step = 0
        self._counts: dict[int, Counter[str]] = {}

    @property
    def width(self) -> int:
        """Seconds of an interval."""
        return self._WIDTHS[self._step]

    def add(self, at: float, kind: str) -> None:
        """Count something of a kind at a moment, in seconds since the epoch."""
        index = int(at // self.width)
        known = self._counts.get(index)
        if known is not None:
            known[kind] += 1
            return
        self._counts[index] = Counter({kind: 1})
        while self._span() > self._most and self._step + 1 < len(self._WIDTHS):
            self._widen()

    def _span(self) -> int:
        return max(self._counts) - min(self._counts) + 1

    def _widen(self) -> None:
        before = self.width
        self._step += 1
        counts: dict[int, Counter[str]] = {}
        for index, kinds in self._counts.items():
            counts.setdefault(index * before // self.width, Counter()).update(kinds)
        self._counts = counts

    def intervals(self) -> list[tuple[int, Mapping[str, int]]]:
        """Each interval from the first to the last, empty ones included: its start in seconds since the epoch, and its counts."""
        if not self._counts:
            return []
        first = min(self._counts)
        return [
            (index * self.width, self._counts.get(index, Counter())) for index in range(first, first + self._span())
        ]


class ReportCounts:
    """What the rows of a report add up to.

    Attributes:
        rows: how many rows there were.
        states: rows by state, duplicates among them.
        dispositions: rows by how their last call ended.
        attempts: contacts that were dialled, by the number of their attempts.
        reasons: rows by state and reason.
        calls: when the last attempt of each row was made, by what became of it: ``answered``, ``other`` or ``unknown``.
        in_doubt: the first rows whose state is ``unknown``.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.states: Counter[str] = Counter()
        self.dispositions: Counter[str] = Counter()
        self.attempts: Counter[int] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.calls = Histogram()
        self.in_doubt: list[ReportRow] = []

    def add(self, row: ReportRow) -> None:
        """Count a row."""
        self.rows += 1
        self.states[row.state] += 1
        if row.state == "duplicate":
            return
        if row.attempts:
            self.attempts[row.attempts] += 1
        if row.disposition:
            self.dispositions[row.disposition] += 1
        if row.reason:
            reason = (row.state, row.reason[:_LONGEST_REASON])
            known = reason in self.reasons or len(self.reasons) < _REASONS
            self.reasons[reason if known else (row.state, OTHER_REASONS)] += 1
        if row.state == "unknown" and len(self.in_doubt) < _NAMED:
            self.in_doubt.append(row)
        if row.placed_at is not None:
            kind = "unknown" if row.state == "unknown" else "answered" if row.disposition == "answered" else "other"
            self.calls.add(row.placed_at, kind)
