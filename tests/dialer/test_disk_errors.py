"""A disk that fails: full, or with an I/O error, at any write or sync of a run. By a file system that is written in Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from ajoxi_async.dialer import Ledger
from ajoxi_async.dialer.storage import sqlite
from ajoxi_async.protocol.errors import LedgerError

from . import power_cuts
from .power_cuts import Disk
from .scene import Scene, magic, people, run, scene

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
NUMBERS = [*people(4), magic(102)]


class FailingDisk(Disk):
    """A disk whose n-th operation from `arm` on fails, and all after it, with an error of SQLite's.

    Attributes:
        left: operations until it fails; ``None`` for a sound disk.
        error: what is raised, such as `apsw.FullError`.
        only: the kind that counts: ``write`` or ``sync``.
    """

    left: int | None = None
    error: type[Exception] = apsw.FullError
    only = "write"
    failed = 0

    def arm(self, left: int | None, error: type[Exception] = apsw.FullError, only: str = "write") -> None:
        self.left, self.error, self.only, self.failed = left, error, only, 0

    def note(self, kind: str, path: str, what: Any = None) -> None:
        if self.left is not None and kind == self.only and not path.endswith("-shm"):
            self.left -= 1
            if self.left < 0:
                self.failed += 1
                raise self.error("the disk fails")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingDisk]:
    made = FailingDisk(tmp_path)
    connect = sqlite3.connect

    def connected(path: str, **options: Any) -> Any:
        return connect(path, **options) if path.endswith("-inbox") else power_cuts.Connection(made, path, **options)

    monkeypatch.setattr(sqlite.sqlite3, "connect", connected)
    yield made
    made.arm(None)


async def _mended(here: Scene, disk: FailingDisk) -> None:
    """With a sound disk the campaign goes on to its end: nobody was called twice, and nobody is lost."""
    disk.arm(None)
    await here.ledger.__aexit__(None, None, None)
    async with Ledger(here.path) as ledger:
        last = await run(await here.campaign(ledger=ledger), until_settled=5)
        assert (await here.audit(ledger)).faults == []
    assert last.contacts["done"] + last.contacts["unknown"] == len(NUMBERS)
    assert last.contacts["unknown"] <= 8
    for number in NUMBERS:
        assert here.rings(number) <= 1
        assert len(here.posts(number)) <= 1
    assert sum(map(here.rings, NUMBERS)) >= last.contacts["done"]
    await here.ledger.__aenter__()


@pytest.mark.parametrize(
    ("error", "only"),
    [(apsw.FullError, "write"), (apsw.IOError, "write"), (apsw.IOError, "sync")],
    ids=["ENOSPC", "EIO of a write", "EIO of a sync"],
)
@pytest.mark.parametrize("after", [0, 1, 3, 8, 20])
async def test_a_disk_that_fails_in_a_run(
    tmp_path: Path, disk: FailingDisk, error: type[Exception], only: str, after: int
) -> None:
    """The run ends with a `LedgerError`, sends nothing more, and after the disk was mended nobody is called twice or lost."""
    async with scene(tmp_path) as here:
        campaign = await here.campaign(NUMBERS)
        disk.arm(after, error, only)
        ended: LedgerError | None = None
        try:
            with anyio.fail_after(20):
                async for _ in campaign.run(every=0.02, until_settled=5):
                    pass
        except LedgerError as raised:
            ended = raised
        assert (ended is not None) == bool(disk.failed)
        if ended is not None:
            assert "cannot be used" in str(ended)
            assert not any(number[1:] in str(ended) for number in NUMBERS)
        sent = len(here.wire.posts)
        await anyio.sleep(0)
        assert len(here.wire.posts) == sent
        await _mended(here, disk)


async def test_a_disk_that_fails_between_the_request_and_its_answer(tmp_path: Path, disk: FailingDisk) -> None:
    """The answer cannot be written: the contact is in doubt after the restart, found by its reference, and done."""
    async with scene(tmp_path) as here:
        campaign = await here.campaign(NUMBERS, concurrency=1)

        async def breaks(post: Any) -> None:
            disk.arm(0, apsw.IOError, "sync")

        here.wire.before = breaks
        with pytest.raises(LedgerError):
            await run(campaign)
        assert len(here.wire.posts) == 1
        here.wire.before = None
        await _mended(here, disk)
        assert len(here.wire.posts) == len(NUMBERS)


async def test_a_disk_that_is_full_while_contacts_are_loaded(tmp_path: Path, disk: FailingDisk) -> None:
    """The load raises a `LedgerError`; what it has stored stays, and loading again adds the rest, each contact once."""
    async with scene(tmp_path) as here:
        campaign = await here.campaign()
        disk.arm(3)
        with pytest.raises(LedgerError):
            await campaign.load(people(7_000))
        disk.arm(None)
        loaded = await campaign.load(people(400))
        assert loaded.imported + loaded.duplicates == 400
        found = await here.rows("SELECT count(*), count(DISTINCT number) FROM contact")
        assert found[0][0] == found[0][1]
