"""Power cuts: what a ledger has promised is on the disk whenever the power goes. `AJOXI_POWER_CUTS=1` tries every prefix of writes."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async.dialer import Retry
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.dialer.storage import sqlite

from .power_cuts import Connection, Disk
from .scene import Post, magic, people, run, scene

EVERY = "AJOXI_POWER_CUTS" in os.environ
pytestmark = pytest.mark.timeout(0 if EVERY else 180)


def _record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Run a campaign with lost answers and retries on a recorded disk; each request is marked when it leaves."""
    disk = Disk(folder)
    connect = sqlite3.connect

    def recorded(path: str, **options: Any) -> Any:
        return connect(path, **options) if path.endswith("-inbox") else Connection(disk, path, **options)

    monkeypatch.setattr(sqlite.sqlite3, "connect", recorded)

    async def main() -> None:
        async with scene(folder) as stage:

            async def leaves(post: Post) -> None:
                found = References("autumn").read(post.reference)
                assert found is not None
                disk.mark(tuple(found))

            stage.wire.before = leaves
            stage.sandbox.faults.add(action="drop_after_commit", match="calls.create", when="every", n=4)
            numbers = [*people(5), magic(102), magic(105)]
            await run(await stage.campaign(numbers, attempts=2, retry={"busy": Retry(60), "no_answer": Retry(60)}))

    anyio.run(main)
    monkeypatch.undo()
    return disk


def test_no_request_without_a_durable_intent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a cut at any moment the ledger opens undamaged and has the attempt of every request that had left."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    disk = _record(folder, monkeypatch)
    marks = [index for index, (kind, _, _) in enumerate(disk.log) if kind == "mark"]
    assert len(marks) >= 9
    draw = random.Random(1)
    cuts = (
        range(len(disk.log) + 1)
        if EVERY
        else sorted({*range(60), *marks, *(mark + 1 for mark in marks), *draw.sample(range(len(disk.log)), 40)})
    )
    tried = 0
    for cut in cuts:
        left = {what for kind, _, what in disk.log[:cut] if kind == "mark"}
        for state in disk.states(cut, draw, EVERY):
            tried += 1
            found = _reopened(tmp_path / "after", state)
            assert left <= found, f"after {cut} events {left - found} are missing"
    assert tried >= 100
    print(f"{tried} states after {len(cuts)} cuts")


def _reopened(folder: Path, files: dict[str, bytes]) -> set[tuple[int, int]]:
    """The attempts of a ledger that was cut off, as a new process finds them."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    if not files.get("ledger.db") and not files.get("ledger.db-wal"):
        return set()
    database = sqlite.SqliteDatabase(folder / "ledger.db")
    database.open()
    try:
        database.own("autumn")
        assert database.execute("PRAGMA integrity_check") == [("ok",)]
        return {(number, n) for number, n in database.execute("SELECT number, n FROM attempt")}
    finally:
        database.close()
