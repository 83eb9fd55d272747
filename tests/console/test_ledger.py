"""The dialer's ledger in the console: read from its file while the dialer writes it, and never written."""

from __future__ import annotations

import importlib.util
import sqlite3
from pathlib import Path

import pytest

from ajoxi_async import InvalidParameterError, Sandbox
from ajoxi_async.cli import main
from ajoxi_async.sandbox import Refusal
from ajoxi_async.sandbox.server.control.ledger import CAMPAIGN_STATES, LedgerFile

from .page import signed_in

TABLES = """
    PRAGMA journal_mode = WAL; PRAGMA application_id = 1097496644;
    CREATE TABLE campaign (id INTEGER PRIMARY KEY, name TEXT, spec TEXT, state INTEGER, reason TEXT, epoch INTEGER, mark INTEGER,
      created INTEGER) STRICT;
    CREATE TABLE count (campaign INTEGER, what TEXT, n INTEGER, PRIMARY KEY (campaign, what)) STRICT;
    CREATE TABLE journal (id INTEGER PRIMARY KEY, at INTEGER, campaign INTEGER, who TEXT, what TEXT, detail TEXT) STRICT;
    INSERT INTO campaign VALUES (1, 'spring', '{}', 2, 'done', 1, 0, 1767225600000), (2, 'autumn', '{}', 0, NULL, 1, 0, 1767225601000);
    INSERT INTO count VALUES (2, 'waiting', 7), (2, 'done', 3), (2, 'disposition.answered', 3);
    INSERT INTO journal VALUES (1, 1767225600000, 2, 'me', 'resume', '{}'), (2, 1767225601000, 2, 'me', 'pause', '{}');
"""


_OPEN: list[sqlite3.Connection] = []


@pytest.fixture(autouse=True)
def closed_at_the_end():
    yield
    while _OPEN:
        _OPEN.pop().close()


def written(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    _OPEN.append(db)
    db.executescript(TABLES)
    return db


@pytest.mark.asyncio
async def test_campaigns_and_their_counts(tmp_path: Path) -> None:
    """The newest campaign comes first, with every count, while another connection has a transaction open; nothing is written."""
    path = tmp_path / "ledger #1?.db"
    db = written(path)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE count SET n = 99")
    async with signed_in(ledger=path) as page:
        autumn, spring = (await page.get("ledger"))["data"]
        assert autumn == {
            "id": 2, "name": "autumn", "state": "active", "reason": None, "created_at": "2026-01-01T00:00:01.000Z",
            "counts": {"waiting": 7, "done": 3, "disposition.answered": 3},
        }  # fmt: skip
        assert (spring["state"], spring["reason"], spring["counts"]) == ("stopped", "done", {})
        for name in ("autumn", "2", "latest"):
            assert [one["what"] for one in (await page.get(f"ledger/{name}"))["journal"]] == ["pause", "resume"]
        assert (await page.ask("GET", "ledger/winter"))[0] == 404
        assert (await page.ask("POST", "ledger", {}))[0] == 405
    db.execute("ROLLBACK")
    db.close()


@pytest.mark.asyncio
async def test_its_view_is_read_every_second(tmp_path: Path) -> None:
    """What the dialer commits is told, although nothing in the world of the sandbox changes."""
    db = written(tmp_path / "ledger.db")
    async with signed_in(ledger=tmp_path / "ledger.db") as page, page.feed(views={"ledger": "ledger"}) as feed:
        await feed.until(lambda one: one["views"])
        db.execute("UPDATE count SET n = 6 WHERE what = 'waiting'")
        state = await feed.until(lambda one: one["views"])
        assert state["views"]["ledger"]["data"][0]["counts"]["waiting"] == 6
    db.close()


def test_what_is_no_ledger(tmp_path: Path) -> None:
    """A file that is missing, of another kind, or no database is refused, and is not made."""
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE campaign (id)")
    db.close()
    (tmp_path / "text").write_text("no database " * 100)
    for path in (tmp_path / "missing.db", other, tmp_path / "text", tmp_path, "\0"):
        with pytest.raises(Refusal):
            LedgerFile(path).campaigns()
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.asyncio
async def test_without_one() -> None:
    """A sandbox without a ledger says how to give one; a ledger without a console is refused."""
    async with signed_in() as page:
        status, shown = await page.ask("GET", "ledger")
        assert (status, "--ledger" in shown["error"]["message"]) == (404, True)
    with pytest.raises(InvalidParameterError, match="ledger"):
        Sandbox(ledger="x")
    with pytest.raises(SystemExit):
        main(["sandbox", "--no-console", "--ledger", "x"])


@pytest.mark.skipif(importlib.util.find_spec("ajoxi_async.dialer") is None, reason="there is no dialer")
def test_the_words_are_those_of_the_dialer() -> None:
    """The states and the mark of the file are the dialer's own."""
    from ajoxi_async.dialer.rules import machine
    from ajoxi_async.dialer.storage import schema  # type: ignore[import-not-found]

    assert [state.name.lower() for state in machine.CampaignState] == list(CAMPAIGN_STATES)
    assert schema.APPLICATION_ID == 1097496644
