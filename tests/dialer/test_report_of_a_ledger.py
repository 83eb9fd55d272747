"""The report of a ledger: one row for each row that was loaded, and counts that are compared."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.dialer.campaign import Campaign
from ajoxi_async.dialer.reporting import report as report_module
from ajoxi_async.dialer.reporting.report import Report
from ajoxi_async.dialer.reporting.report_file import ReportError
from ajoxi_async.dialer.rules.machine import ContactState
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.statements import campaigns, contacts, counts
from ajoxi_async.dialer.storage.statements.contacts import NewContact

pytestmark = pytest.mark.anyio

CONTACTS = 23


@asynccontextmanager
async def loaded(path: Path) -> AsyncIterator[tuple[Ledger, Report]]:
    """A ledger with a campaign of 23 contacts, three duplicates and a refused row from one file."""

    def fill(db: Database) -> campaigns.CampaignRow:
        row = campaigns.create(db, "autumn", "{}", 0)
        zones = contacts.zones_id(db, ["America/Chicago", "America/Denver"])
        source = contacts.source_id(db, row.id, "people.csv", 0)
        new = [NewContact(14155550000 + n, zones, line=2 + n, key=f"k{n}") for n in range(CONTACTS)]
        new[4] = new[4]._replace(reason="do not call")
        contacts.add(db, row.id, source, new)
        for line, kind, number, reason in (
            (30, 1, "+14155550003", "the number of line 5"),
            (31, 1, "+14155550003", "the number of line 5"),
            (32, 2, "4.41E+11", "in scientific notation"),
            (33, 1, "+14155550009", "the number of line 11"),
        ):
            db.execute(
                "INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?, NULL)", (row.id, source, line, kind, number, reason)
            )
        counts.add(db, row.id, {"loaded": CONTACTS + 4, "duplicate": 3, "refused row": 1})
        # Two attempts of the fourth contact: the second is in doubt.
        for n, state, at in ((1, 2, 1_798_761_600_000), (2, 5, 1_798_765_200_000)):
            db.execute(
                "INSERT INTO attempt (campaign, contact, n, number, from_, state, sent, intent_at, incident, looked, disposition)"
                " VALUES (?, 4, ?, 14155550003, 12125550100, ?, 1, ?, 0, 0, ?)",
                (row.id, n, state, at, "busy" if n == 1 else None),
            )
        db.execute("UPDATE contact SET state = ?, tries = 2 WHERE id = 4", (ContactState.UNKNOWN,))
        counts.add(db, row.id, {"waiting": -1, "unknown": 1})
        return row

    async with Ledger(path) as ledger:
        await ledger.own("autumn")
        yield ledger, Report(ledger, await ledger.write(fill), now=lambda: 1_798_800_000.0)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(params=[1, 5, 1000])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages of one row, of some, of all."""
    monkeypatch.setattr(report_module, "_PAGE", request.param)
    return


@pytest.mark.usefixtures("page")
async def test_a_row_for_each_row_that_was_loaded(tmp_path: Path) -> None:
    """Contacts, duplicates and refused rows all have their line, once, in the order of the file; and the counts add up."""
    async with loaded(tmp_path / "a.db") as (_, report):
        summary = await report.save(tmp_path / "out.csv", tmp_path / "out.html")
        rows = read(tmp_path / "out.csv")
        assert [int(row["line"]) for row in rows] == [*range(2, 2 + CONTACTS), 30, 31, 32, 33]
        assert (summary.problems, summary.loaded, summary.rows) == ([], 27, 27)
        assert summary.adds_up
        assert summary.states == {"waiting": 21, "unknown": 1, "suppressed": 1, "duplicate": 3, "refused": 1}
        assert {row["source"] for row in rows} == {"people.csv"}
        assert "27 rows were loaded, and the rows of this report add up to them" in (tmp_path / "out.html").read_text()
        assert [row.line async for row in report.rows()] == [*range(2, 2 + CONTACTS), 30, 31, 32, 33]


async def test_the_latest_attempt_is_shown(tmp_path: Path) -> None:
    """A contact with several attempts has the reference, the time and the caller's number of the latest one."""
    async with loaded(tmp_path / "a.db") as (_, report):
        await report.save(tmp_path / "out.csv")
    row = read(tmp_path / "out.csv")[3]
    assert (row["number"], row["state"], row["attempts"], row["disposition"]) == ("+14155550003", "unknown", "2", "")
    assert row["reference"].startswith("autumn.")
    assert row["reference"].endswith(".2")
    assert (row["from"], row["placed_at"]) == ("+12125550100", "2027-01-01T01:00:00.000Z")
    assert (row["zones"], row["key"]) == ("America/Chicago America/Denver", "k3")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM contact WHERE id = 7", "27 rows were loaded, and the report has 26."),
        (
            "UPDATE count SET n = 20 WHERE what = 'waiting'",
            "the ledger counts 26 contacts, duplicates and refused rows",
        ),
        ("UPDATE contact SET state = 4 WHERE id = 7", "The ledger counts 0 rows that are done, and the report has 1."),
        ("DELETE FROM rejected WHERE line = 32", "The ledger counts 1 rows that are refused, and the report has 0."),
    ],
    ids=["a contact is lost", "a count is wrong", "a state is wrong", "a refused row is lost"],
)
async def test_what_does_not_add_up_is_said(tmp_path: Path, change: str, said: str) -> None:
    """A lost row or a wrong count is named in the summary and in the page."""
    async with loaded(tmp_path / "a.db") as (ledger, report):
        await ledger.write(lambda db: db.execute(change))
        summary = await report.save(tmp_path / "out.html")
    assert not summary.adds_up
    assert any(said in problem for problem in summary.problems)
    assert said in (tmp_path / "out.html").read_text()


async def test_states_that_change_meanwhile_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contact that changes its state between two pages is one row all the same, and no count is called wrong for it."""
    monkeypatch.setattr(report_module, "_PAGE", 5)
    async with loaded(tmp_path / "a.db") as (ledger, report):

        def finish(db: Database) -> None:
            db.execute("UPDATE contact SET state = ? WHERE id = 1", (ContactState.DONE,))
            counts.add(db, 1, {"waiting": -1, "done": 1})

        reading = report.pages

        async def pages() -> AsyncIterator[object]:
            async for rows in reading():
                if rows[0].line == 2:
                    await ledger.write(finish)
                yield rows

        monkeypatch.setattr(report, "pages", pages)
        summary = await report.summary()
    assert summary.adds_up
    assert summary.rows == 27


@pytest.mark.parametrize("ending", ["", ".lock", "-inbox", "-wal"])
async def test_a_report_that_replaces_the_ledger(tmp_path: Path, ending: str) -> None:
    """A report is not written over a file of the ledger, whose place it would take, by whatever name."""
    async with loaded(tmp_path / "a.db") as (_, report):
        before = (tmp_path / "a.db").stat().st_ino
        (tmp_path / "link").symlink_to(tmp_path / f"a.db{ending}")
        for path in (tmp_path / f"a.db{ending}", tmp_path / "link"):
            with pytest.raises(InvalidParameterError, match="paths: expected files beside the ledger"):
                await report.write(csv=[path])
            with pytest.raises(InvalidParameterError, match="paths: expected files beside the ledger"):
                await report.write(html=[path])
        assert (tmp_path / "a.db").stat().st_ino == before
        assert (await report.summary()).adds_up


async def test_files_that_cannot_be(tmp_path: Path) -> None:
    """A name with another ending is refused before anything is read; a folder that is not there is a typed error."""
    async with loaded(tmp_path / "a.db") as (_, report):
        with pytest.raises(
            InvalidParameterError, match=r"paths: expected names that end in .csv or .html, got 'a.xlsx'"
        ):
            await report.save(tmp_path / "out.csv", tmp_path / "a.xlsx")
        assert not (tmp_path / "out.csv").exists()
        with pytest.raises(ReportError, match=r"cannot write out.csv"):
            await report.save(tmp_path / "none" / "out.csv")
        with pytest.raises(ReportError, match=r"cannot write out.html"):
            await report.save(tmp_path / "none" / "out.html")
        for paths in ((5,), ("",), ("a\0.csv",), ("\ud800.csv",), ("a.csv", "./a.csv"), (b"a.csv",)):
            with pytest.raises(InvalidParameterError, match="paths: expected"):
                await report.save(*paths)
        with pytest.raises(InvalidParameterError, match="paths: expected a list of paths"):
            await report.write(csv="out.csv")
        assert [path.name for path in tmp_path.glob("*.csv")] == []


async def test_the_page_says_how_the_campaign_stands_now(tmp_path: Path) -> None:
    """The page of a campaign that was paused or stopped after it was opened says so."""
    async with Ledger(tmp_path / "a.db") as ledger:
        campaign = await Campaign.open(ledger, None, "autumn", from_="+14155550100")
        await campaign.stop()
        await (await campaign.report()).save(tmp_path / "a.html")
        assert "Campaign stopped" in (tmp_path / "a.html").read_text()
