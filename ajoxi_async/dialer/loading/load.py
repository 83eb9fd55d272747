"""Loading contacts into a campaign: from a file or from rows to the ledger.

Rules:
1. Rows in are imported, duplicates, refused, or on the do-not-call list, and the four add up.
2. The do-not-call list goes into the ledger first, for all campaigns. An entry that cannot be read stops the load before any contact
   is stored, because a number that is left out would be called.
3. Rows are stored in batches, each of them durable as a whole. The memory used does not depend on how many there are.
4. What a load that is repeated or was interrupted does: `loading.insertion`.
5. Rows of a program are iterated in the task that loads them, files in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from functools import partial
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
from attrs import evolve, field, frozen

from ajoxi_async.dialer.loading import insertion
from ajoxi_async.dialer.loading.intake import Intake, Refused
from ajoxi_async.dialer.loading.rows import CsvFile, Given, NumberFile, Row, given_row
from ajoxi_async.dialer.rules.clocks import zone_names
from ajoxi_async.dialer.rules.numbers import NumberRefused, reader
from ajoxi_async.dialer.rules.texts import shown, storable
from ajoxi_async.dialer.rules.windows import Windows
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.statements import contacts
from ajoxi_async.dialer.storage.statements.campaigns import CampaignRow
from ajoxi_async.protocol.errors import InvalidParameterError
from ajoxi_async.runtime.whole import whole

__all__ = ["DoNotCall", "LoadReport", "load"]

T = TypeVar("T")

#: What may be given for a do-not-call list: the path of a file, or numbers.
DoNotCall = str | PathLike[str] | CsvFile | Iterable[str] | AsyncIterable[str]

#: Rows of a batch. More would need fewer writes to the unique index, and more memory.
_BATCH: Final = 50_000
#: Numbers of the do-not-call list in a transaction, and rows of a program between two checkpoints.
_SOME: Final = 2_000
#: Refused rows that a report shows.
_SHOWN: Final = 20


@frozen
class LoadReport:
    """What became of the rows of a load.

    Attributes:
        rows: how many were given.
        imported: those that are contacts now and wait for their call.
        duplicates: those that repeat a number, of this load or of an earlier one.
        refused: those that cannot be used.
        do_not_call: those that are contacts, and not called because they are on the do-not-call list.
        first_refused: the first refused rows, with line and reason; all of them are in the report of the campaign.
        listed: how many numbers the do-not-call list had that was given.
    """

    rows: int = 0
    imported: int = 0
    duplicates: int = 0
    refused: int = 0
    do_not_call: int = 0
    first_refused: tuple[Refused, ...] = field(default=(), repr=lambda rows: str(len(rows)))
    listed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.rows:,} rows: {self.imported:,} imported, {self.duplicates:,} duplicates, {self.refused:,} refused,"
            f" {self.do_not_call:,} do not call"
        )


async def load(
    ledger: Ledger,
    campaign: CampaignRow,
    rows: Given | CsvFile,
    *,
    now: float,
    windows: Windows,
    ring: float,
    do_not_call: DoNotCall = (),
    on_listed: Callable[[], Awaitable[None]] | None = None,
    test_at: datetime | None = None,
    name: str = "rows",
) -> LoadReport:
    """Load contacts into a campaign that this process owns.

    Args:
        ledger: which has the campaign.
        campaign: its row.
        rows: `from_csv`, or numbers and mappings with ``phone`` and perhaps ``zone``, ``expires``, ``key``; their other entries are
            variables.
        now: seconds since the epoch.
        windows: of the campaign.
        ring: for how many seconds a phone rings.
        do_not_call: numbers that no campaign of the ledger may call from now on: the path of a file with one in each line, `from_csv`,
            or numbers.
        on_listed: called when these are in the ledger, before a contact is stored: runs of other campaigns have to know them.
        test_at: for a campaign against a sandbox, the moment at which it begins; see `zones.locator`.
        name: of the source, for rows that are no file.

    Raises:
        InvalidParameterError: the file cannot be read in this way, or a do-not-call entry is no number.
        ConfigurationError: the time zone database is missing.
        LedgerError: the ledger cannot be written. What is stored by then stays; load again.
    """
    zone_names()
    is_file = isinstance(rows, CsvFile)
    region = rows.region if isinstance(rows, CsvFile) else None
    listed = await _block(ledger, do_not_call, now, region, on_listed)
    source = storable(rows.name if isinstance(rows, CsvFile) else name)
    known = await ledger.read(contacts.zones_of)
    intake = Intake(windows, ring, now, known, region=region, test_at=test_at)
    under_way = await ledger.write(lambda db: insertion.begin(db, campaign.id, source))
    before = await ledger.read(lambda db: insertion.refused_before(db, campaign.id)) if under_way.again else set()
    report = LoadReport(listed=listed)
    size = _BATCH if is_file else _SOME
    async with aclosing(_read(rows, size, intake.batch)) as batches:
        async for batch in batches:
            stored = await ledger.write(partial(insertion.store, load=under_way, batch=batch, seen_before=before))
            under_way = under_way._replace(source=stored.source)
            report = evolve(
                report,
                rows=report.rows + len(batch),
                imported=report.imported + stored.imported,
                duplicates=report.duplicates + stored.duplicates,
                refused=report.refused + stored.refused,
                do_not_call=report.do_not_call + stored.suppressed,
                first_refused=(*report.first_refused, *batch.refused[: _SHOWN - len(report.first_refused)]),
            )
    if (id := under_way.source) is not None:
        await ledger.write(lambda db: insertion.finish(db, id, round(now * 1000)))
    return report


async def _block(
    ledger: Ledger,
    given: DoNotCall,
    now: float,
    region: str | None,
    on_listed: Callable[[], Awaitable[None]] | None,
) -> int:
    """Put numbers on the do-not-call list; return how many."""
    if isinstance(given, bytes | Mapping) or not isinstance(given, str | PathLike | CsvFile | Iterable | AsyncIterable):
        raise InvalidParameterError(
            "do_not_call", f"expected the path of a file or a list of numbers, got {shown(given)}"
        )
    rows = NumberFile(Path(given)) if isinstance(given, str | PathLike) else given
    named = storable(rows.name if isinstance(rows, NumberFile | CsvFile) else "given")
    read = reader((rows.region if isinstance(rows, CsvFile) else None) or region)
    wrong: list[str] = []
    amount = 0

    def numbers(some: Iterable[Row]) -> list[int]:
        found = []
        for line, phone, _, _, _, _, bad in some:
            try:
                if bad or not isinstance(phone, str):
                    raise NumberRefused(bad or f"a number is a text, and this is of the type {type(phone).__name__}")
                found.append(int(read(phone)[1:]))
            except NumberRefused as error:
                wrong.append(f"line {line}: {error.reason}")
        return found

    async with aclosing(_read(rows, _SOME, numbers)) as lists:
        async for found in lists:
            amount += len(found)
            await ledger.write(lambda db, found=found: contacts.put_dnc(db, found, 0, round(now * 1000), named))  # type: ignore[misc]
    if amount and on_listed is not None:
        await on_listed()
    if wrong:
        more = f" (and {len(wrong) - 3} more lines)" if len(wrong) > 3 else ""
        raise InvalidParameterError("do_not_call", f"no contact was loaded, because {'; '.join(wrong[:3])}{more}")
    return amount


async def _read(rows: Any, size: int, work: Callable[[Iterable[Row]], T]) -> AsyncGenerator[T, None]:
    """The results of some work for every `size` rows. Files are read in the thread that works, so that no list of rows is made."""
    if isinstance(rows, CsvFile | NumberFile):
        file = rows.rows()

        def next_of_file() -> list[T]:
            first = next(file, None)
            return [] if first is None else [work(chain([first], islice(file, size - 1)))]

        try:
            # Whole, because the file cannot be closed while a thread reads it.
            while done := await whole(anyio.to_thread.run_sync(next_of_file)):
                yield done[0]
        finally:
            file.close()
        return
    async with aclosing(_parts(rows, size)) as parts:
        async for part in parts:
            yield await anyio.to_thread.run_sync(work, part)


async def _parts(rows: Any, size: int) -> AsyncGenerator[list[Row], None]:
    """Rows of a program in lists of `size`."""
    if isinstance(rows, AsyncIterable):
        part = []
        line = 0
        async for one in rows:
            line += 1
            part.append(given_row(one, line))
            if len(part) >= size:
                yield part
                part = []
        if part:
            yield part
        return
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise InvalidParameterError("rows", f"expected rows or from_csv(path), got {type(rows).__name__}")
    given = enumerate(rows, 1)
    while part := [given_row(one, line) for line, one in islice(given, size)]:
        yield part
        await anyio.lowlevel.checkpoint()
