"""The report of a campaign: a row for each row that was loaded, as an iterator, a CSV file and a page.

Rules:
1. Rows are read from the ledger in pages, each of one moment, so that a report of ten million rows takes no more memory than one
   of ten thousand, and the campaign goes on meanwhile.
2. The counts are taken from the rows that were read, and compared with what the ledger says was loaded. What does not add up is
   said in a sentence, in the page as well.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
from attrs import frozen

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.dialer.reporting.report_counts import ReportCounts
from ajoxi_async.dialer.reporting.report_file import CsvReport, write_text
from ajoxi_async.dialer.reporting.report_page import page
from ajoxi_async.dialer.reporting.report_rows import ReportRow
from ajoxi_async.dialer.rules import texts
from ajoxi_async.dialer.rules.machine import CampaignState, ContactState
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.schema import FRESH
from ajoxi_async.dialer.storage.statements import campaigns
from ajoxi_async.dialer.storage.statements import counts as count_statements
from ajoxi_async.dialer.storage.statements.campaigns import CampaignRow
from ajoxi_async.dialer.storage.statements.reporting import ContactAndAttempt, Rejected, contacts_after, rejected_after
from ajoxi_async.runtime.whole import whole

__all__ = ["Report", "Summary"]

T = TypeVar("T")

#: Rows of a page. A page takes the database some ten milliseconds.
_PAGE = 2_000
_WORDS = frozenset(state.word for state in ContactState)


@frozen
class Summary:
    """What the rows of a report add up to.

    Attributes:
        loaded: rows that were loaded, as the ledger counted them then.
        rows: rows of the report.
        states: rows by state, ``duplicate`` included.
        dispositions: contacts by how their last call ended.
        problems: sentences that say which counts do not add up; empty if all do.
    """

    loaded: int
    rows: int
    states: Mapping[str, int]
    dispositions: Mapping[str, int]
    problems: Sequence[str]

    @property
    def adds_up(self) -> bool:
        """Whether there is a row for each row that was loaded, and all counts agree."""
        return not self.problems


class Report:
    """The report of a campaign. Each use reads the ledger anew.

    Args:
        ledger: open.
        campaign: its row.
        now: gives the present moment, in seconds since the epoch.
    """

    def __init__(self, ledger: Ledger, campaign: CampaignRow, now: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._campaign = campaign
        self._now = now
        self._references = References(campaign.name)

    async def pages(self) -> AsyncIterator[list[ReportRow]]:
        """The rows in pieces: contacts first, in the order of loading, then rows that made no contact.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        id = self._campaign.id
        after = 0
        while contacts := await self._ledger.read(partial(contacts_after, campaign=id, id=after, most=_PAGE)):
            yield [self._of_contact(contact) for contact in contacts]
            after = contacts[-1].id
        load = line = -1
        while rejected := await self._ledger.read(
            partial(rejected_after, campaign=id, load=load, line=line, most=_PAGE)
        ):
            yield [_of_rejected(row) for row in rejected]
            load, line = rejected[-1].load, rejected[-1].line

    async def rows(self) -> AsyncIterator[ReportRow]:
        """The rows one by one, in the order of `pages`."""
        async for rows in self.pages():
            for row in rows:
                yield row

    async def summary(self) -> Summary:
        """Count the rows, and compare the counts with the ledger's."""
        return await self.save()

    async def save(self, *paths: str | os.PathLike[str]) -> Summary:
        """Write the report to files, all in one pass; each replaces an older one when it is whole.

        Args:
            *paths: ``*.csv`` for the rows, in the order in which they were loaded; ``*.html`` for a page with counts and plots.

        Raises:
            InvalidParameterError: a path ends in neither.
            ReportError: a file cannot be written.
            LedgerError: the ledger cannot be read.
        """
        by_suffix: dict[str, list[Path]] = {".csv": [], ".html": []}
        for path in _checked(paths):
            if path.suffix.lower() not in by_suffix:
                raise InvalidParameterError("paths", f"expected names that end in .csv or .html, got {path.name!r:.80}")
            by_suffix[path.suffix.lower()].append(path)
        return await self.write(csv=by_suffix[".csv"], html=by_suffix[".html"])

    async def write(
        self, *, csv: Sequence[str | os.PathLike[str]] = (), html: Sequence[str | os.PathLike[str]] = ()
    ) -> Summary:
        """As `save`, for files of any names."""
        csv, html = _checked(csv), _checked(html)
        _check_once([*csv, *html])
        counts = ReportCounts()
        before = await self._counted()
        # Opening a file, writing to it, and merging its pieces at the end all take a thread, because they may take long.
        with ExitStack() as files:
            written = [await _in_thread(_opened, files, path) for path in csv]
            async for rows in self.pages():
                await _in_thread(_take, rows, counts, written)
            await _in_thread(files.close)
        after = await self._counted()
        problems = _problems(counts, after, settled=before == after)
        loaded = after.get("loaded", 0)
        if html:
            row = await self._ledger.read(lambda db: campaigns.find(db, self._campaign.name)) or self._campaign
            shown = page(
                self._campaign.name,
                counts,
                loaded=loaded,
                state=CampaignState(row.state).name.lower(),
                now=self._now(),
                problems=problems,
            )
            for path in html:
                await _in_thread(write_text, path, shown)
        return Summary(loaded, counts.rows, dict(counts.states), dict(counts.dispositions), problems)

    async def _counted(self) -> dict[str, int]:
        return await self._ledger.read(lambda db: count_statements.read(db, self._campaign.id))

    def _of_contact(self, contact: ContactAndAttempt) -> ReportRow:
        state = ContactState(contact.state)
        called = contact.n is not None
        return ReportRow(
            load=contact.load,
            source=contact.source or "",
            line=contact.line,
            number=f"+{contact.number}",
            state=state.word,
            # The reason of an end is the disposition, which has a column of its own.
            reason="" if contact.reason == contact.disposition else contact.reason or "",
            attempts=contact.tries,
            disposition=contact.disposition or "",
            call_id=contact.call_id or "",
            reference=self._references.make(contact.number, contact.n) if contact.n is not None else "",
            from_=f"+{contact.from_}" if called else "",
            placed_at=_seconds(contact.intent_at),
            ended_at=_seconds(contact.ended_at),
            next_at=_seconds(contact.due) if state is ContactState.WAITING and contact.due >= FRESH else None,
            zones=contact.zones or "",
            key=contact.key or "",
        )


async def _in_thread(work: Callable[..., T], *args: Any) -> T:
    # Whole, because a file cannot be closed while a thread writes it.
    return await whole(anyio.to_thread.run_sync(work, *args))


def _of_rejected(row: Rejected) -> ReportRow:
    return ReportRow(
        load=row.load,
        source=row.source or "",
        line=row.line,
        number=row.number,
        state="duplicate" if row.kind == 1 else "refused",
        reason=row.reason,
        key=row.key or "",
    )


def _checked(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    if isinstance(paths, str | bytes) or not isinstance(paths, Sequence):
        raise InvalidParameterError("paths", f"expected a list of paths, got {texts.shown(paths)}")
    for path in paths:
        found = os.fspath(path) if isinstance(path, str | os.PathLike) else None
        if not isinstance(found, str) or not texts.names_a_file(found):
            raise InvalidParameterError("paths", f"expected paths of files, got {texts.shown(path)}")
    return [Path(path) for path in paths]


def _check_once(paths: Sequence[Path]) -> None:
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise InvalidParameterError("paths", "expected each file once")


def _seconds(moment: int | None) -> float | None:
    return None if moment is None else moment / 1000


def _opened(files: ExitStack, path: str | os.PathLike[str]) -> CsvReport:
    return files.enter_context(CsvReport(path))


def _take(rows: Sequence[ReportRow], counts: ReportCounts, files: Sequence[CsvReport]) -> None:
    for row in rows:
        counts.add(row)
    for file in files:
        file.write(rows)


def _problems(counts: ReportCounts, counted: Mapping[str, int], *, settled: bool) -> list[str]:
    """Sentences that say what does not add up.

    Args:
        counts: of the rows.
        counted: the ledger's own counts.
        settled: whether the ledger's counts were the same before the rows were read, so that they can be compared by state.
    """
    found = []
    loaded = counted.get("loaded", 0)
    if counts.rows != loaded:
        found.append(f"{loaded:,} rows were loaded, and the report has {counts.rows:,}.")
    contacts = sum(counted.get(word, 0) for word in _WORDS)
    named = contacts + counted.get("duplicate", 0) + counted.get("refused row", 0)
    if named != loaded:
        found.append(
            f"{loaded:,} rows were loaded, and the ledger counts {named:,} contacts, duplicates and refused rows."
        )
    if settled:
        expected = {word: counted.get(word, 0) for word in _WORDS}
        expected["refused"] += counted.get("refused row", 0)
        expected["duplicate"] = counted.get("duplicate", 0)
        for word, amount in sorted(expected.items()):
            if counts.states[word] != amount:
                found.append(
                    f"The ledger counts {amount:,} rows that are {word}, and the report has {counts.states[word]:,}."
                )
    return found
