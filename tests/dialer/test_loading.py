"""Loading contacts: rows in are imported, duplicates, refused or not to be called, and nothing is lost or changed by a second load."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import InvalidParameterError
from ajoxi_async.dialer.loading import load as loading
from ajoxi_async.dialer.loading.load import LoadReport, load
from ajoxi_async.dialer.loading.rows import CsvFile, from_csv
from ajoxi_async.dialer.rules.windows import Windows
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.statements import campaigns, contacts, counts
from ajoxi_async.dialer.storage.statements.campaigns import CampaignRow

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC).timestamp()
DAY = Windows("8-21")


class Book:
    """A ledger with one campaign, and what a test asks of it."""

    def __init__(self, ledger: Ledger, row: CampaignRow) -> None:
        self.ledger, self.row = ledger, row

    async def load(self, rows: Any, **options: Any) -> LoadReport:
        report = await load(self.ledger, self.row, rows, **{"now": NOW, "windows": DAY, "ring": 25.0, **options})
        assert report.rows == report.imported + report.duplicates + report.refused + report.do_not_call
        await self.check()
        return report

    async def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return await self.ledger.read(lambda db: db.execute(sql, values))

    async def counts(self) -> dict[str, int]:
        found = await self.ledger.read(lambda db: counts.read(db, self.row.id))
        return {what: amount for what, amount in found.items() if amount}

    async def everything(self) -> list[Any]:
        """All that a load may change."""
        return [
            await self.ask(
                "SELECT id, number, zones, state, due, source, line, key, variables FROM contact ORDER BY id"
            ),
            await self.ask("SELECT source, line, kind, number, reason, key FROM rejected ORDER BY source, line"),
            await self.ask("SELECT id, name FROM source ORDER BY id"),
            await self.ask("SELECT id, names FROM zones ORDER BY id"),
            await self.counts(),
        ]

    async def check(self) -> None:
        """The counts are those of the rows: what was loaded is contacts and rejected rows, each with a line of its own."""
        told = await self.counts()
        states = dict(
            await self.ask("SELECT state, count(*) FROM contact WHERE campaign = ? GROUP BY state", self.row.id)
        )
        kinds = dict(
            await self.ask("SELECT kind, count(*) FROM rejected WHERE campaign = ? GROUP BY kind", self.row.id)
        )
        assert told.get("waiting", 0) == states.get(0, 0)
        assert told.get("suppressed", 0) == states.get(7, 0)
        assert told.get("duplicate", 0) == kinds.get(1, 0)
        assert told.get("refused row", 0) == kinds.get(2, 0)
        assert told.get("loaded", 0) == sum(states.values()) + sum(kinds.values())


class Books:
    """Opens the ledger of a test."""

    def __init__(self, where: str) -> None:
        self.where = where

    async def __aenter__(self) -> Book:
        self.ledger = await Ledger(self.where).__aenter__()
        await self.ledger.own("spring")
        return Book(self.ledger, await self.ledger.write(lambda db: campaigns.create(db, "spring", "{}", 1)))

    async def __aexit__(self, *error: Any) -> None:
        await self.ledger.__aexit__(*error)


@pytest.fixture
def books(where: str) -> Books:
    """A ledger in SQLite, and one in PostgreSQL."""
    return Books(where)


@pytest.fixture
def one(tmp_path: Path) -> Books:
    """A ledger in SQLite, for what does not depend on the database."""
    return Books(str(tmp_path / "ledger.db"))


def numbers(amount: int, area: str = "212") -> list[str]:
    return [f"+1{area}6{place:06}" for place in range(amount)]


MIXED = [
    "+12126660001",
    {"phone": "+1 (415) 666-0002", "key": "a-7", "first name": "Zoë", "score": 3},
    {"phone": "+12126660003", "zone": "Europe/London"},
    "+12126660001",  # line 4
    "212-666-0004",
    {"phone": "+12126660006", "zone": "EST", "key": "k"},
    "",
    {"phone": "+12126660001", "key": "again"},  # line 8
    {"name": "nobody"},
    "+18886660001",  # line 10
    14155550100,
    {"phone": "+12126660012", "expires": "2026-12-24T18:00:00+01:00"},
    {"phone": "+12126660013", "expires": "2026-12-24"},
    "+9991234567",
]


@pytest.mark.anyio
async def test_rows_in_are_imported_duplicates_and_refused(books: Books) -> None:
    """Each row becomes a contact, or a rejected row with its line and the reason (an import once dropped 931 of 1,112 rows in silence)."""
    async with books as book:
        report = await book.load(MIXED, windows=Windows("9-17"))
        assert (report.rows, report.imported, report.duplicates, report.refused) == (14, 4, 2, 8)
        assert str(report) == "14 rows: 4 imported, 2 duplicates, 8 refused, 0 do not call"
        rejected = await book.ask("SELECT line, kind, reason FROM rejected ORDER BY line")
        words = {
            4: "line 1 has the same number",
            5: "country code is missing",
            6: "offset",
            7: "empty",
            8: "line 1 has the same number",
            9: "no 'phone'",
            10: "give a zone",
            11: "type int",
            13: "offset",
            14: "no time zone is known",
        }
        assert [line for line, _, _ in rejected] == list(words)
        for line, _, reason in rejected:
            assert words[line] in reason
        assert report.first_refused[0].line == 5
        found = await book.ask(
            "SELECT c.line, c.number, z.names, c.expires, c.key, c.variables FROM contact c JOIN zones z ON z.id = c.zones ORDER BY c.line"
        )
        assert [row[:5] for row in found] == [
            (1, 12126660001, "America/New_York", None, None),
            (2, 14156660002, "America/Los_Angeles", None, "a-7"),
            (3, 12126660003, "Europe/London", None, None),
            (12, 12126660012, "America/New_York", 1798131600000, None),
        ]
        assert json.loads(found[1][5]) == {"first name": "Zoë", "score": 3}
        assert found[0][5] is None


@pytest.mark.anyio
async def test_loading_again_changes_nothing(books: Books) -> None:
    """The same rows a second time, and shuffled, add nothing, and the report of the load says that all of them were there."""
    async with books as book:
        first = await book.load(MIXED)
        before = await book.everything()
        again = await book.load(MIXED)
        shuffled = await book.load(random.Random(5).sample(MIXED, len(MIXED)))
        assert await book.everything() == before
        for report in (again, shuffled):
            assert (report.rows, report.imported, report.refused) == (14, 0, first.refused)
            assert report.duplicates == first.imported + first.duplicates


@pytest.mark.anyio
async def test_a_longer_file_adds_what_is_new(books: Books, tmp_path: Path) -> None:
    """A file that has grown since it was loaded adds its new rows, as a source of its own with its lines."""
    path = tmp_path / "list.csv"
    async with books as book:
        path.write_text("\n".join(["phone", *numbers(3), "x"]))
        await book.load(from_csv(path))
        path.write_text("\n".join(["phone", *numbers(5), "x", "y", numbers(5)[4]]))
        report = await book.load(from_csv(path))
        assert (report.rows, report.imported, report.duplicates, report.refused) == (8, 2, 4, 2)
        assert await book.ask("SELECT source, line FROM contact ORDER BY source, line") == [
            (1, 2),
            (1, 3),
            (1, 4),
            (2, 5),
            (2, 6),
        ]
        assert await book.ask("SELECT source, line, kind FROM rejected ORDER BY source, line") == [
            (1, 5, 2),
            (2, 8, 2),
            (2, 9, 1),
        ]
        before = await book.everything()
        await book.load(from_csv(path))
        assert await book.everything() == before


@pytest.mark.anyio
async def test_another_source_with_the_same_numbers(books: Books) -> None:
    """A number of another source is a duplicate that says where it stands, so that the report has a row for each row."""
    async with books as book:
        await book.load(numbers(3), name="monday")
        report = await book.load(numbers(4), name="tuesday")
        assert (report.imported, report.duplicates) == (1, 3)
        reasons = await book.ask("SELECT line, reason FROM rejected ORDER BY line")
        assert reasons[2] == (3, "line 3 of monday has the same number")


@pytest.mark.anyio
async def test_contacts_wait_in_the_order_of_the_file(books: Books) -> None:
    """Whatever their numbers, contacts are dialled in the order in which they were given."""
    given = random.Random(2).sample(numbers(50), 50)
    async with books as book:
        await book.load(given)
        found = await book.ask("SELECT number FROM contact ORDER BY due, id")
        assert [f"+{number}" for (number,) in found] == given


@pytest.mark.anyio
async def test_do_not_call(books: Books, tmp_path: Path) -> None:
    """Numbers of the do-not-call list are contacts that are not called, in whatever spelling and of whatever campaign."""
    path = tmp_path / "dnc.txt"
    path.write_text('phone,since\n# a comment\n+1 (212) 600-0001,2020\n"+12126000002"\n\n+12126000009\n')
    async with books as book:
        await book.load(numbers(2))
        report = await book.load(numbers(5), do_not_call=path)
        assert (report.listed, report.imported, report.do_not_call, report.duplicates) == (3, 2, 1, 2)
        states = await book.ask("SELECT number, state, reason FROM contact ORDER BY number")
        assert [(state, reason) for _, state, reason in states] == [
            (0, None),
            (7, "do not call"),  # it waited already
            (7, "do not call"),
            (0, None),
            (0, None),
        ]
        assert await book.ask("SELECT number, scope FROM dnc ORDER BY number") == [
            (12126000001, 0),
            (12126000002, 0),
            (12126000009, 0),
        ]


@pytest.mark.anyio
async def test_a_do_not_call_entry_that_cannot_be_read(one: Books) -> None:
    """No contact is loaded if an entry is no number, because a number that is left out would be called."""
    async with one as book:
        for entries in (["+12126000001", "212-600-0002"], ["+12126000001", None]):
            with pytest.raises(InvalidParameterError, match="line 2") as caught:
                await book.load(numbers(3), do_not_call=entries)
            assert caught.value.param == "do_not_call"
        assert await book.ask("SELECT count(*) FROM contact") == [(0,)]
        assert await book.ask("SELECT number FROM dnc") == [(12126000001,)]


async def _rows(given: list[Any], fails_at: int | None = None) -> AsyncIterator[Any]:
    for place, one in enumerate(given):
        if place == fails_at:
            raise RuntimeError("the source is gone")
        await anyio.lowlevel.checkpoint()
        yield one


@pytest.mark.anyio
async def test_an_async_iterable(one: Books) -> None:
    """Rows may come from an asynchronous iterable."""
    async with one as book:
        assert (await book.load(_rows(numbers(5)))).imported == 5


@pytest.mark.anyio
@pytest.mark.parametrize("fails_at", [3, 6, 11, 13])
async def test_a_load_that_was_interrupted_is_repaired(
    books: Books, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """Loading the source again after an interruption gives what a load without one gives: the same contacts, rows and counts."""
    monkeypatch.setattr(loading, "_SOME", 2)
    async with books as book:
        with pytest.raises(RuntimeError):
            await book.load(_rows(MIXED, fails_at))
        await book.check()
        report = await book.load(_rows(MIXED))
        whole = await book.load([], name="nothing")
        assert whole.rows == 0
        assert (report.rows, report.imported, report.duplicates, report.refused) == (14, 5, 2, 7)
        assert await book.counts() == {"loaded": 14, "waiting": 5, "duplicate": 2, "refused row": 7}
        lines = await book.ask("SELECT line FROM contact UNION ALL SELECT line FROM rejected ORDER BY line")
        assert lines == [(line,) for line in range(1, 15)]


@pytest.mark.anyio
async def test_a_contact_that_was_called_is_taken_over_as_it_is(one: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that is repaired changes neither the state nor the due time of contacts that were called meanwhile."""
    monkeypatch.setattr(loading, "_SOME", 2)
    async with one as book:
        with pytest.raises(RuntimeError):
            await book.load(_rows(numbers(5), 4))
        await book.ledger.write(
            lambda db: db.execute("UPDATE contact SET due = 1795000000000, tries = 1 WHERE line = 1")
        )
        await book.load(_rows(numbers(5)[::-1]))
        assert await book.ask("SELECT line, due, tries FROM contact ORDER BY line") == [
            (1, 1, 0),
            (2, 2, 0),
            (3, 3, 0),
            (4, 4, 0),
            (5, 1795000000000, 1),
        ]


@pytest.mark.anyio
async def test_many_batches(books: Books, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A number is a contact once, however its rows are spread over batches."""
    monkeypatch.setattr(loading, "_BATCH", 97)
    draw = random.Random(3)
    given = [draw.choice(numbers(400, draw.choice(["212", "415", "812"]))) for _ in range(1000)]
    path = tmp_path / "many.csv"
    path.write_text("\n".join(["phone", *given]))
    async with books as book:
        report = await book.load(from_csv(path))
        assert report.imported == len(set(given))
        assert report.duplicates == 1000 - len(set(given))
        first = {int(number[1:]): given.index(number) + 2 for number in set(given)}
        assert dict(await book.ask("SELECT number, line FROM contact")) == first


@pytest.mark.anyio
async def test_two_campaigns_have_contacts_of_their_own(one: Books) -> None:
    """A number may be in two campaigns of a ledger; their rows and counts are apart."""
    async with one as book:
        await book.load(numbers(3))
        other = Book(book.ledger, await book.ledger.write(lambda db: campaigns.create(db, "autumn", "{}", 1)))
        report = await other.load(numbers(4))
        assert report.imported == 4
        assert await other.counts() == {"loaded": 4, "waiting": 4}
        assert await book.counts() == {"loaded": 3, "waiting": 3}


@pytest.mark.anyio
async def test_no_lawful_minute_is_refused_and_a_zone_repairs_it(one: Books) -> None:
    """A number that has no common minute is refused at load instead of waiting for ever; the same row with a zone is imported."""
    async with one as book:
        assert (await book.load(["+18886660001"], windows=Windows.us_strict())).refused == 1
        report = await book.load([{"phone": "+18886660001", "zone": "America/Chicago"}], windows=Windows.us_strict())
        assert report.imported == 1
        assert (await book.load(["+9991234567"], windows=Windows.always())).imported == 1


@pytest.mark.anyio
async def test_test_numbers_are_in_daylight_in_a_sandbox(one: Books) -> None:
    """With the moment at which a sandbox campaign begins, a magic number may be called at once, at any hour."""
    at = datetime(2026, 11, 24, 3, tzinfo=UTC)
    async with one as book:
        assert (
            await book.load(["+15005550102"], windows=Windows.us_strict(), test_at=at, now=at.timestamp())
        ).imported == 1
        ((names,),) = await book.ask("SELECT names FROM zones")
        assert DAY.is_open(names.split(), at.timestamp(), 25)


@pytest.mark.anyio
async def test_columns_of_a_file(one: Books, tmp_path: Path) -> None:
    """Columns have their meaning by name, the others are variables, and a row of another width is refused."""
    path = tmp_path / "list.csv"
    path.write_text(
        "phone,tz,until,id,name\n"
        "+12126000001,,,7,Ann\n"
        "+12126000002,Asia/Tokyo,2026-12-01T00:00:00Z,8,Bob\n"
        "+12126000003,,,9,Eve,surplus\n"
        "+12126000004,,\n"
    )
    async with one as book:
        report = await book.load(from_csv(path, zone="tz", expires="until", key="id"))
        assert (report.imported, report.refused) == (2, 2)
        assert await book.ask("SELECT line, reason FROM rejected ORDER BY line") == [
            (4, "the row has 6 fields, and the header 5"),
            (5, "the row has 3 fields, and the header 5"),
        ]
        rows = await book.ask(
            "SELECT c.line, z.names, c.expires, c.key, c.variables FROM contact c JOIN zones z ON z.id = c.zones ORDER BY c.line"
        )
        assert rows == [
            (2, "America/New_York", None, "7", '{"name":"Ann"}'),
            (3, "Asia/Tokyo", 1796083200000, "8", '{"name":"Bob"}'),
        ]


@pytest.mark.anyio
@pytest.mark.parametrize("rows", ["+12126000001", b"+1", 5, None, {"phone": "+12126000001"}], ids=repr)
async def test_rows_that_are_none(one: Books, rows: Any) -> None:
    """A single text or mapping is not taken for rows."""
    async with one as book:
        with pytest.raises(InvalidParameterError) as caught:
            await book.load(rows)
        assert caught.value.param == "rows"


@pytest.mark.anyio
async def test_what_a_hostile_row_may_hold(books: Books) -> None:
    """Null characters, halves of surrogate pairs, huge values and odd types are refused or kept, and never break the load."""
    phone = iter(numbers(20))
    rows = [
        {"phone": next(phone), "key": "a\0b"},
        {"phone": next(phone), "key": "\ud800"},
        {"phone": next(phone), "key": "x" * 500},
        {"phone": next(phone), "key": b"7"},
        {"phone": next(phone), "v": "\ud800"},
        {"phone": next(phone), "v": {1, 2}, "w": object()},
        {"phone": next(phone), "v": "x" * 100_000},
        {"phone": next(phone), "zone": 5},
        {"phone": next(phone), "expires": datetime(2026, 12, 1)},
        {"phone": "\ud800\0" * 20},
        {"phone": next(phone), 5: 6},
        None,
        [],
        {"phone": next(phone), "v": "nul \0 \t \\N"},
        {"phone": next(phone), "key": 7, "expires": datetime(2026, 12, 1, tzinfo=UTC)},
    ]
    async with books as book:
        report = await book.load(rows)
        assert (report.rows, report.imported, report.refused) == (15, 3, 12) or report.imported + report.refused == 15
        kept = await book.ask("SELECT key, variables FROM contact ORDER BY line")
        assert ("7", None) in kept
        assert any(variables and json.loads(variables) == {"v": "nul \0 \t \\N"} for _, variables in kept)


@pytest.mark.anyio
async def test_empty_cells_of_a_data_frame(one: Books) -> None:
    """The NaN of a data frame is an empty field, and not a zone, a key or a number."""
    nan = float("nan")
    async with one as book:
        report = await book.load([{"phone": "+12126660001", "zone": nan, "key": nan, "expires": nan}, {"phone": nan}])
        assert (report.imported, report.refused) == (1, 1)
        assert await book.ask("SELECT key, expires FROM contact") == [(None, None)]


@pytest.mark.anyio
async def test_a_report_shows_no_number(one: Books) -> None:
    """What may be logged, the report and the rows in it, shows no number that was refused."""
    async with one as book:
        report = await book.load(["212-666-0004"])
        assert "0004" not in f"{report!r} {report} {report.first_refused!r}"
        assert report.first_refused[0].number == "212-666-0004"


@pytest.mark.anyio
async def test_zones_of_another_campaign_are_used_again(one: Books) -> None:
    """A set of zones has one id in a ledger."""
    async with one as book:
        await book.load(numbers(2))
        await book.ledger.write(lambda db: contacts.zones_id(db, ["Asia/Tokyo"]))
        await book.load([*numbers(3), {"phone": "+14156660001", "zone": "Asia/Tokyo"}])
        assert await book.ask("SELECT id, names FROM zones ORDER BY id") == [(1, "America/New_York"), (2, "Asia/Tokyo")]


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_while_a_file_is_read_stays_cancelled(
    one: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`task.cancel()` while a thread reads the file ends the load as cancelled, and not with an error about the file."""
    (tmp_path / "people.csv").write_text("phone\n+14155551234\n")
    entered, go_on = threading.Event(), threading.Event()
    own = CsvFile.rows

    def slowly(file: CsvFile) -> Any:
        for row in own(file):
            entered.set()
            go_on.wait(10)
            yield row

    monkeypatch.setattr(CsvFile, "rows", slowly)
    async with one as book:
        task = asyncio.ensure_future(book.load(from_csv(tmp_path / "people.csv")))
        await anyio.to_thread.run_sync(entered.wait, 10)
        task.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait([task])
        assert task.cancelled()
