"""A row of a campaign's report: what became of one row that was loaded.

Rules:
1. Each row that was loaded has one row here, in the order of loading: contacts, duplicates, and rows that were refused.
2. A row that was refused or that repeats a number has ``state`` too, so that one column says what became of a row: the state
   of its contact, ``refused``, ``suppressed`` or ``duplicate``.
3. Cells are text. A cell that a spreadsheet would take for a formula (``=``, ``@``, their wide forms, a tab in front) gets an apostrophe,
   because rows come from files of others. Numbers in E.164 and negative numbers begin with a sign and are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

__all__ = ["COLUMNS", "ReportRow", "cells"]


@frozen(kw_only=True, repr=False)
class ReportRow:
    """What became of a row that was loaded.

    Attributes:
        load: the number of the load that it came with; the first of the ledger is 1.
        source: the file or iterable that was loaded, as it was named then.
        line: its line there, the first is 1; the header counts.
        number: E.164; of a row that was refused, what stood in its place.
        state: ``waiting``, ``dialing``, ``open``, ``unknown``, ``done``, ``exhausted``, ``refused``, ``suppressed``, ``expired``,
            ``canceled``; or ``duplicate``, if an earlier row has the same number.
        reason: why it is refused, suppressed, a duplicate or in doubt; empty otherwise.
        attempts: how many attempts count: those that were placed or may have been.
        disposition: how its last call ended, in the API's words.
        call_id: of the last call.
        reference: of the last attempt; the call carries it in its metadata as ``client_reference``.
        from_: the number that the last attempt was made from.
        placed_at: when the last attempt was made, in seconds since the epoch.
        ended_at: when its call ended, in seconds since the epoch.
        next_at: from when on it may be dialled again, in seconds since the epoch, while it waits.
        zones: the time zones that the number may be in, separated by spaces.
        key: the row's own key, if a column was named for it at load.
    """

    load: int
    source: str
    line: int
    number: str
    state: str
    reason: str = ""
    attempts: int = 0
    disposition: str = ""
    call_id: str = ""
    reference: str = ""
    from_: str = ""
    placed_at: float | None = None
    ended_at: float | None = None
    next_at: float | None = None
    zones: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return f"ReportRow(line={self.line}, state={self.state!r}, attempts={self.attempts})"

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        yield from (("line", self.line), ("state", self.state), ("attempts", self.attempts))


#: The columns of the CSV file, in this order.
COLUMNS: Final = (
    "line", "number", "state", "attempts", "disposition", "call_id", "reference", "reason", "from", "placed_at", "ended_at",
    "next_at", "zones", "key", "source",
)  # fmt: skip
#: Spreadsheets of East Asia take the wide forms of these signs for the signs.
_FORMULA: Final = re.compile(r"[=@\t\r\n\uff1d\uff20\uff0b\uff0d]|[+-](?![0-9.]+$)")
_FIRST: Final = frozenset("=@\t\r\n\uff1d\uff20\uff0b\uff0d+-")


def _cell(text: str) -> str:
    return "'" + text if text[:1] in _FIRST and _FORMULA.match(text) else text


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def cells(row: ReportRow) -> tuple[str, ...]:
    """The row as text, in the order of `COLUMNS`."""
    return (
        str(row.line),
        _cell(row.number),
        _cell(row.state),
        str(row.attempts),
        _cell(row.disposition),
        _cell(row.call_id),
        _cell(row.reference),
        _cell(row.reason),
        _cell(row.from_),
        _moment(row.placed_at),
        _moment(row.ended_at),
        _moment(row.next_at),
        row.zones,
        _cell(row.key),
        _cell(row.source),
    )
