"""Work on many items that is carried out at once."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.protocol.errors import LedgerError

pytestmark = pytest.mark.anyio


async def test_rows_are_changed_by_their_ids(where: str) -> None:
    """Changes of many rows at once are those of one after the other: texts of every kind, none, and an id that repeats."""
    texts = ["a,b", "{}", 'a "word"', "back\\slash", "NULL", "", None, "ü€😀\n"]
    changes = {"detail": "?", "who": "who || coalesce(?, 'x')", "what": "'changed'"}

    def work(db: Database) -> list[Any]:
        for id in range(1, 10):
            db.execute("INSERT INTO journal (id, at, campaign, who, what, detail) VALUES (?, 1, 1, '', '', '')", (id,))
        db.update("journal", changes, [(f"{text}", text, id) for id, text in enumerate(texts, 1)])
        db.update("journal", changes, [("first", "1", 2), ("last", "2", 2), ("other", "3", 1), ("third", "4", 2)])
        db.update("journal", changes, [])
        return db.execute("SELECT id, what, detail, who FROM journal ORDER BY id")

    expected = [[id, "changed", f"{text}", "x" if text is None else text] for id, text in enumerate(texts, 1)]
    expected[0][2:] = ["other", "a,b3"]
    expected[1][2:] = ["third", "{}124"]
    async with Ledger(where) as ledger:
        await ledger.own("autumn")
        assert await ledger.write(work) == [*map(tuple, expected), (9, "", "", "")]


async def test_items_that_wait_together(where: str) -> None:
    """Items that wait for the same work are carried out by one call, and each caller gets its own result."""
    calls: list[list[int]] = []
    results: dict[int, str] = {}

    def work(db: Database, items: list[int]) -> list[str]:
        calls.append(items)
        for item in items:
            db.execute("INSERT INTO setting (name, value) VALUES (?, ?)", (str(item), item))
        return [f"{item} is kept" for item in items]

    async with Ledger(where) as ledger:
        await ledger.own("autumn")

        async def write(item: int) -> None:
            results[item] = await ledger.write_each(work, item)

        async with anyio.create_task_group() as tasks:
            for item in range(20):
                tasks.start_soon(write, item)
        assert results == {item: f"{item} is kept" for item in range(20)}
        assert sorted(sum(calls, [])) == list(range(20))
        assert len(calls) <= 3
        kept = await ledger.read(lambda db: db.execute("SELECT value FROM setting ORDER BY value"))
        assert kept == [(item,) for item in range(20)]


async def test_an_item_that_fails_alone(where: str) -> None:
    """An item that breaks the work of all is refused alone; the others are kept, once each."""
    outcomes: dict[int, Any] = {}

    def work(db: Database, items: list[int]) -> list[int]:
        for item in items:
            db.execute(
                "INSERT INTO setting (name, value) VALUES (?, ?) RETURNING name",
                (str(item), None if item == 3 else item),
            )
        return items

    async with Ledger(where) as ledger:
        await ledger.own("autumn")

        async def write(item: int) -> None:
            try:
                outcomes[item] = await ledger.write_each(work, item)
            except LedgerError as error:
                outcomes[item] = error

        async with anyio.create_task_group() as tasks:
            for item in range(6):
                tasks.start_soon(write, item)
        assert isinstance(outcomes.pop(3), LedgerError)
        assert outcomes == {item: item for item in (0, 1, 2, 4, 5)}
        kept = await ledger.read(lambda db: db.execute("SELECT value FROM setting ORDER BY value"))
        assert kept == [(0,), (1,), (2,), (4,), (5,)]
