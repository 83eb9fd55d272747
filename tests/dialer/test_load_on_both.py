"""Loading, running and reporting a campaign, on both databases: what is in the one is in the other."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ajoxi_async.dialer import Retry, from_csv

from .worlds import MAGIC, Where, stage

pytestmark = pytest.mark.anyio
PLENTY = 60


async def test_from_the_file_to_the_report(where: Where, tmp_path: Path) -> None:
    """The report has a row for each row of the file, in its order, with what became of it; loading it again changes nothing."""
    rows = [
        ("+14155552671", 'Ann, "A"\\N\t', "a"),
        (f"+{MAGIC + 2}", "Bob", "b"),
        ("+14155552671", "Ann again", "c"),
        ("4.41E+11", "a spreadsheet's", "d"),
        (f"+{MAGIC + 30}", "unreachable", "e"),
        ("+14155552672", "on the list", "f"),
        *((f"+1415555{3000 + number}", "☎", str(number)) for number in range(PLENTY)),
    ]
    file = tmp_path / "contacts.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("mobile", "name", "id"), *rows])
    async with stage(where, retry={"busy": Retry(60)}, attempts=2, concurrency=50) as here:
        source = from_csv(file, phone="mobile", key="id")
        loaded = await here.campaign.load(source, do_not_call=["+14155552672"])
        assert (loaded.imported, loaded.duplicates, loaded.refused) == (PLENTY + 3, 1, 1)
        last = await here.run()
        assert last.contacts["refused"] == 1 and last.contacts["suppressed"] == 1
        assert sorted(here.rings()) == sorted(
            ["+14155552671", *[f"+{MAGIC + 2}"] * 2, *(f"+1415555{3000 + number}" for number in range(PLENTY))]
        )
        await here.campaign.load(source, do_not_call=["+14155552672"])
        assert (await here.campaign.progress()).contacts == last.contacts
        told = await (await here.campaign.report()).save(tmp_path / "report.csv")
        assert told.adds_up
    with (tmp_path / "report.csv").open(newline="", encoding="utf-8") as report:
        lines = list(csv.DictReader(report))
    by_line = {line["line"]: line for line in lines if line["key"] in "abcdef"}
    assert len(lines) >= len(rows)
    states = [by_line[str(line)]["state"] for line in range(2, 8)]
    assert states == ["done", "exhausted", "duplicate", "refused", "refused", "suppressed"]
