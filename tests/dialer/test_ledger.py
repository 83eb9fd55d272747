"""The ledger of one process: group commits, ownership, the lock file, the inbox."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from ajoxi_async import ConfigurationError
from ajoxi_async.dialer import Ledger, LedgerError, LedgerOwnedError
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.owner_lock import OwnerLock, network_file_system
from ajoxi_async.dialer.storage.schema import VERSION
from ajoxi_async.dialer.storage.sqlite import SqliteDatabase
from ajoxi_async.dialer.storage.statements import campaigns
from ajoxi_async.runtime.threads import in_thread

pytestmark = pytest.mark.anyio


def note(name: str) -> object:
    """Work that writes a setting."""
    return lambda db: db.execute("INSERT INTO setting (name, value) VALUES (?, 1)", (name,))


async def names(ledger: Ledger) -> set[str]:
    return {name for (name,) in await ledger.read(lambda db: db.execute("SELECT name FROM setting"))}


async def test_work_that_waits_is_committed_together(tmp_path: Path) -> None:
    """What is asked for while a commit is under way has one commit for all."""
    commits: list[int] = []

    class Counted(SqliteDatabase):
        def transaction(self):
            commits.append(1)
            return super().transaction()

    async with Ledger(Counted(tmp_path / "a.db")) as ledger, ledger.owning("x"):
        async with anyio.create_task_group() as group:
            for each in range(100):
                group.start_soon(ledger.write, note(f"n{each}"))
        assert len(await names(ledger)) == 100
        assert len(commits) <= 4


async def test_work_that_fails_spoils_no_other(tmp_path: Path) -> None:
    """An error of one piece of work goes to whoever asked for it; the others of its transaction are durable."""
    errors: list[BaseException] = []

    async def fail(ledger: Ledger) -> None:
        def work(db: Database) -> None:
            note("lost")(db)  # type: ignore[operator]
            raise KeyError("wrong")

        try:
            await ledger.write(work)
        except KeyError as error:
            errors.append(error)

    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        async with anyio.create_task_group() as group:
            for each in range(10):
                group.start_soon(ledger.write, note(f"n{each}"))
            group.start_soon(fail, ledger)
        assert len(errors) == 1 and await names(ledger) == {f"n{each}" for each in range(10)}


async def test_work_is_carried_out_although_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    """A task that is cancelled while it waits leaves its work and the work of others to be carried out."""
    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        async with anyio.create_task_group() as group:
            for each in range(20):
                group.start_soon(ledger.write, note(f"n{each}"))
            await anyio.sleep(0)
            await anyio.sleep(0)
            group.cancel_scope.cancel()
        await ledger.write(note("last"))
        assert "last" in await names(ledger)


@pytest.mark.parametrize("others", [0, 1])
async def test_a_task_that_is_cancelled_behind_a_commit_holds_nobody_up(tmp_path: Path, others: int) -> None:
    """Who is cancelled during the commit of another task does not become the writer, and the work is carried out all the same."""
    go_on = threading.Event()

    def slowly(db: Database) -> None:
        note("first")(db)  # type: ignore[operator]
        assert go_on.wait(20)

    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(ledger.write, slowly)
                await anyio.wait_all_tasks_blocked()
                async with anyio.create_task_group() as waiting:
                    waiting.start_soon(ledger.write, note("cancelled"))
                    await anyio.wait_all_tasks_blocked()
                    waiting.cancel_scope.cancel()
                for each in range(others):
                    group.start_soon(ledger.write, note(f"n{each}"))
                await anyio.wait_all_tasks_blocked()
                go_on.set()
            await ledger.write(note("last"))
        assert await names(ledger) == {"first", "cancelled", "last", *(f"n{each}" for each in range(others))}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("cancelled", [0, 1])
async def test_a_writer_that_asyncio_cancels_holds_nobody_up(tmp_path: Path, cancelled: int) -> None:
    """A `task.cancel()` of asyncio, which ignores anyio's shields, ends no transaction that others wait for, and spoils none of theirs."""
    free = threading.Event()

    def slowly(db: Database) -> None:
        note("first")(db)  # type: ignore[operator]
        assert free.wait(20)

    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        tasks = [asyncio.create_task(ledger.write(slowly))]
        await anyio.wait_all_tasks_blocked()
        tasks += [asyncio.create_task(ledger.write(note(name))) for name in ("second", "third", "fourth")]
        await anyio.wait_all_tasks_blocked()
        tasks[cancelled].cancel()
        await anyio.wait_all_tasks_blocked()
        free.set()
        _, waiting = await asyncio.wait(tasks, timeout=20)
        assert not waiting
        assert [task.cancelled() or task.exception() for task in tasks] == [
            True if place == cancelled else None for place in range(4)
        ]
        assert await names(ledger) == {"first", "second", "third", "fourth"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_next_writer_is_cancelled_by_asyncio_during_its_transaction(tmp_path: Path) -> None:
    """The writer of a transaction for several tasks tells the others that it was carried out, although it is cancelled in it."""
    free, second = threading.Event(), threading.Event()

    def slowly(db: Database) -> None:
        note("second")(db)  # type: ignore[operator]
        second.set()
        assert free.wait(20)

    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        async with ledger._thread:
            tasks = [asyncio.create_task(ledger.write(work)) for work in (slowly, note("third"))]
            await anyio.wait_all_tasks_blocked()
        await in_thread(second.wait)
        tasks[0].cancel()
        free.set()
        _, waiting = await asyncio.wait(tasks, timeout=20)
        assert not waiting and tasks[0].cancelled() and tasks[1].exception() is None
        assert await names(ledger) == {"second", "third"}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_ledger_is_locked_by_a_task_that_was_cancelled(tmp_path: Path) -> None:
    """A task that asyncio cancels while it becomes the owner, or stops being it, leaves no ownership behind."""
    owns, free = threading.Event(), threading.Event()

    class Slow(SqliteDatabase):
        def own(self, name: str) -> None:
            super().own(name)
            owns.set()
            assert free.wait(20)

        def disown(self, name: str, *, settled: bool = True) -> None:
            assert free.wait(20)
            super().disown(name, settled=settled)

    async def command(ledger: Ledger) -> None:
        async with ledger.owning("x"):
            await ledger.write(note("n"))

    async with Ledger(Slow(tmp_path / "a.db")) as ledger, Ledger(tmp_path / "a.db") as other:
        task = asyncio.create_task(command(ledger))
        await in_thread(owns.wait)
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
        free.set()
        await asyncio.wait([task], timeout=20)
        assert task.cancelled() and not ledger.database.owned("x") and not ledger.blocks
        free.clear()
        await other.own("x", patience=0.0)
        await other.disown("x")
        free.set()
        task = asyncio.create_task(command(ledger))
        while not ledger.blocks:
            await asyncio.sleep(0)
        free.clear()
        while ledger.blocks:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
        free.set()
        await asyncio.wait([task], timeout=20)
        assert not ledger.database.owned("x")


async def test_a_block_loses_the_campaign_to_one_that_ends(tmp_path: Path) -> None:
    """A block that ends while another one has become an owner does not take the ownership from it."""

    async def command(ledger: Ledger, *written: str) -> None:
        async with ledger.owning("x", patience=0.0):
            for name in written:
                await ledger.write(note(name))

    async with Ledger(tmp_path / "a.db") as ledger:
        async with anyio.create_task_group() as group:
            group.start_soon(command, ledger)
            group.start_soon(command, ledger, "n")
        assert await names(ledger) == {"n"} and not ledger.database.owned("x")


@pytest.mark.parametrize("cancelled", [True, False])
async def test_work_that_waits_is_carried_out_before_the_database_is_closed(tmp_path: Path, cancelled: bool) -> None:
    """A ledger whose block ends during a commit writes what was handed over meanwhile, whether or not a task still waits for it."""
    go_on = threading.Event()

    def slowly(db: Database) -> None:
        note("first")(db)  # type: ignore[operator]
        assert go_on.wait(20)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            async with Ledger(tmp_path / "a.db") as ledger:
                await ledger.own("x")
                group.start_soon(ledger.write, slowly)
                await anyio.wait_all_tasks_blocked()
                waiting = anyio.CancelScope()

                async def wait() -> None:
                    with waiting:
                        await ledger.write(note("second"))

                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                if cancelled:
                    waiting.cancel()
                threading.Timer(0.05, go_on.set).start()
    async with Ledger(tmp_path / "a.db") as ledger:
        assert await names(ledger) == {"first", "second"}


async def test_one_owner_at_a_time(tmp_path: Path) -> None:
    """Whoever does not have the lock cannot write, and can read; when the owner has gone, the next one can have it."""
    async with Ledger(tmp_path / "a.db") as first, Ledger(tmp_path / "a.db") as second:
        async with first.owning("x"):
            await first.write(note("first"))
            assert await names(second) == {"first"}
            with pytest.raises(LedgerOwnedError, match=f"process {os.getpid()}"):
                await second.own("x", patience=0.0)
            with pytest.raises(LedgerOwnedError):
                await second.write(note("second"))
        async with second.owning("y"):
            await second.write(note("second"))
        with pytest.raises(LedgerOwnedError):
            await first.write(note("third"))
        assert await names(first) == {"first", "second"}


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The operating system frees the lock, however its holder ended."""
    path = tmp_path / "a.db"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom ajoxi_async.dialer.storage.owner_lock import OwnerLock\n"
        f"lock = OwnerLock(Path({str(path)!r})); lock.take(); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    lock = OwnerLock(path)
    with pytest.raises(LedgerOwnedError, match=str(process.pid)):
        lock.take()
    process.kill()
    process.wait()
    process.stdout.close()
    lock.take()
    assert lock.held and lock.stands()
    lock.free()


def test_a_lock_file_that_was_removed_is_noticed(tmp_path: Path) -> None:
    """An owner whose lock file is gone writes no more, because another process may have a new one."""
    database = SqliteDatabase(tmp_path / "a.db")
    database.own("x")
    (tmp_path / "a.db.lock").unlink()
    with pytest.raises(LedgerOwnedError), database.transaction():
        raise AssertionError("never begun")
    assert not database.owned("x")
    database.close()


def test_an_alarm_is_seen_without_a_system_call(tmp_path: Path) -> None:
    """The owner sees in its memory that a command was posted, before it reads the inbox."""
    owner, other = SqliteDatabase(tmp_path / "a.db"), SqliteDatabase(tmp_path / "a.db")
    owner.own("x")
    before = owner.alarm()
    id = other.post("pause", "{}", 5)
    assert owner.alarm() == (before or 0) + 1
    assert [(one.id, one.what) for one in owner.posted(0)] == [(id, "pause")]
    owner.forget(id)
    assert owner.posted(0) == [] and other.post("resume", "{}", 6) > id
    owner.close()
    other.close()


async def test_a_command_by_a_link_to_the_ledger_reaches_the_owner(tmp_path: Path) -> None:
    """Whoever names the ledger by a symbolic link, perhaps in another folder, posts to the inbox that the owner reads."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "link.db").symlink_to(tmp_path / "a.db")
    async with Ledger(tmp_path / "a.db") as owner, owner.owning("x"), Ledger(folder / "link.db") as other:
        await other.read(lambda db: db.post("pause", "{}", 0))
        assert owner.database.alarm() == 1
        assert [one.what for one in await owner.read(lambda db: db.posted(0))] == ["pause"]
    assert [path.name for path in folder.iterdir()] == ["link.db"]


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_command_after_the_inbox_was_removed_reaches_the_owner(tmp_path: Path, how: str) -> None:
    """An owner reads the inbox that is there, and not the file that it has opened before."""
    inbox = tmp_path / "a.db-inbox"
    async with Ledger(tmp_path / "a.db") as owner, owner.owning("x"):
        async with Ledger(tmp_path / "a.db") as other:
            await other.read(lambda db: db.post("resume", "{}", 0))
            assert len(await owner.read(lambda db: db.posted(0))) == 1
            inbox.rename(tmp_path / "old")
            if how == "replaced":
                inbox.write_bytes((tmp_path / "old").read_bytes())
            await other.read(lambda db: db.post("pause", "{}", 0))
        assert (await owner.read(lambda db: db.posted(0)))[-1].what == "pause"


def test_network_file_systems_are_found(tmp_path: Path) -> None:
    """The mount that a path is on decides, the longest one if there are several."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 0:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:2 / /mnt/data\\040s rw - nfs4 server:/x rw\n31 30 0:3 / /mnt/data\\040s/local rw - xfs /dev/sdb rw\n"
    )
    found = [
        network_file_system(Path(path), str(mounts)) for path in ("/a.db", "/mnt/data s/a.db", "/mnt/data s/local/a")
    ]
    assert found == [None, "nfs4", None]
    assert network_file_system(tmp_path, str(tmp_path / "none")) is None


async def test_foreign_and_newer_files_are_refused_unchanged(tmp_path: Path) -> None:
    """A database of another application, or of a newer version of this one, is not written to."""
    import sqlite3

    for name, statements in {
        "foreign.db": ["CREATE TABLE things (a)"],
        "newer.db": ["PRAGMA application_id=1097495620", f"PRAGMA user_version={VERSION + 1}", "CREATE TABLE b (a)"],
    }.items():
        made = sqlite3.connect(tmp_path / name, isolation_level=None)
        for statement in statements:
            made.execute(statement)
        made.close()
        before = (tmp_path / name).read_bytes()
        with pytest.raises(LedgerError, match=r"not changed|newer version"):
            async with Ledger(tmp_path / name) as ledger, ledger.owning("x"):
                raise AssertionError("opened")
        assert (tmp_path / name).read_bytes() == before
    (tmp_path / "text.db").write_text("no database, and longer than a header of one" * 40)
    with pytest.raises(LedgerError):
        async with Ledger(tmp_path / "text.db"):
            raise AssertionError("opened")


@pytest.mark.parametrize(
    "path", ["", ":memory:", "a\0b", 3, "/nowhere/at/all/a.db"], ids=["empty", "memory", "null", "int", "folder"]
)
def test_a_wrong_path_is_refused(path: object) -> None:
    """A ledger has to be a file in a folder that exists."""
    with pytest.raises(ConfigurationError, match="path"):
        Ledger(path)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_path_of_no_file_is_refused(tmp_path: Path) -> None:
    """A pipe would be waited for by the thread, and a device would get a lock file. Names that are too long are no error of Python's."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigurationError, match="path: "):
            Ledger(path)


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names of files are Unicode")
async def test_a_ledger_whose_name_is_no_utf8(tmp_path: Path) -> None:
    """A ledger may have every name that a file can have."""
    path = tmp_path / os.fsdecode(b"\xff%3f?#.db")
    async with Ledger(path) as ledger, ledger.owning("x"):
        await ledger.write(note("n"))
        await ledger.read(lambda db: db.post("pause", "{}", 0))
        assert len(await ledger.read(lambda db: db.posted(0))) == 1
    assert path.exists()


async def test_an_inbox_that_is_no_database_is_named(tmp_path: Path) -> None:
    """An error of the inbox does not sound as if the ledger were damaged."""
    (tmp_path / "a.db-inbox").write_bytes(b"no database" * 100)
    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        with pytest.raises(LedgerError, match="^the inbox "):
            await ledger.read(lambda db: db.posted(0))


async def test_an_owner_that_was_replaced_cannot_write(tmp_path: Path) -> None:
    """A transaction with an old epoch is given up."""
    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        row = await ledger.write(lambda db: campaigns.create(db, "x", "{}", 1))
        old = await ledger.write(lambda db: campaigns.next_epoch(db, row.id))
        new = await ledger.write(lambda db: campaigns.next_epoch(db, row.id))
        await ledger.write(lambda db: campaigns.fence(db, row.id, new))
        with pytest.raises(LedgerOwnedError):
            await ledger.write(lambda db: campaigns.fence(db, row.id, old))


async def test_a_ledger_that_is_not_open_says_so(tmp_path: Path) -> None:
    """Outside of its block a ledger refuses to work."""
    ledger = Ledger(tmp_path / "a.db")
    with pytest.raises(LedgerError, match="not open"):
        await ledger.read(lambda db: None)
    async with ledger:
        with pytest.raises(LedgerError, match="no ledger"):
            await names(ledger)


class _Slow:
    """Work that takes until it is let go, and counts how many threads are in the database at once."""

    def __init__(self) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.inside = self.most = 0

    def __call__(self, db: Database) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        self.go_on.wait(10)
        self.inside -= 1


async def _cancel_while_it_works(task: asyncio.Task[None], slow: _Slow) -> None:
    await anyio.to_thread.run_sync(slow.entered.wait, 10)
    task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_lets_no_second_thread_into_the_database(tmp_path: Path) -> None:
    """`task.cancel()` while a thread reads does not let another thread use the connection beside it."""
    slow = _Slow()
    async with Ledger(tmp_path / "a.db") as ledger:
        first = asyncio.ensure_future(ledger.read(slow))
        await _cancel_while_it_works(first, slow)
        second = asyncio.ensure_future(ledger.read(slow))
        for _ in range(20):
            await asyncio.sleep(0)
        assert slow.inside == 1
        slow.go_on.set()
        await asyncio.wait([first, second])
    assert first.cancelled() and second.exception() is None and slow.most == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_during_a_commit_holds_nobody_up(tmp_path: Path) -> None:
    """`task.cancel()` of the task that commits for others leaves none of them waiting for ever."""
    before, slow = _Slow(), _Slow()
    async with Ledger(tmp_path / "a.db") as ledger, ledger.owning("x"):
        first = asyncio.ensure_future(ledger.write(before))
        await anyio.to_thread.run_sync(before.entered.wait, 10)
        leading = asyncio.ensure_future(ledger.write(slow))
        others = [asyncio.ensure_future(ledger.write(note(f"n{each}"))) for each in range(3)]
        await asyncio.sleep(0)
        before.go_on.set()
        await _cancel_while_it_works(leading, slow)
        slow.go_on.set()
        await asyncio.wait_for(asyncio.gather(first, *others), 10)
        await asyncio.wait([leading])
        assert leading.cancelled() and await names(ledger) == {"n0", "n1", "n2"}
