"""Files that cannot be used, vanish, belong to somebody else, or are written by many."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from ajoxi_async import ConfigurationError, Event, EventLogError
from ajoxi_async.contract import signing
from ajoxi_async.webhooks.logs import SqliteLog
from ajoxi_async.webhooks.logs import sqlite as sqlite_log
from ajoxi_async.webhooks.router import WebhookRouter

pytestmark = pytest.mark.anyio

SECRET = "whsec_0123456789"
BODY = b'{"id": "evt_1", "type": "call.completed", "data": {"id": "call_1"}}'


@contextmanager
def opened(path: Path, **settings: Any) -> Iterator[SqliteLog]:
    """A log that is closed in the end."""
    log = SqliteLog(path, **settings)
    try:
        yield log
    finally:
        log.close()


def mode_of(path: Path) -> str:
    """The journal mode that the file is in."""
    return {b"\x01\x01": "rollback", b"\x02\x02": "wal"}[path.read_bytes()[18:20]]


@pytest.fixture(params=[False, True], ids=["with the bug", "sound"])
def sound(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this SQLite is taken for one whose WAL is sound."""
    monkeypatch.setattr(sqlite_log, "wal_is_sound", lambda: request.param)
    monkeypatch.setattr(sqlite_log, "_said", set())
    return bool(request.param)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 7, 0), False), ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False),
        ((3, 50, 6), False), ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True),
        ((3, 52, 0), True), ((4, 0, 0), True),
    ],
)  # fmt: skip
async def test_versions_whose_wal_is_sound(version: tuple[int, ...], expected: bool) -> None:
    """3.7.0 to 3.51.2 can lose a commit, but for 3.44.6 and 3.50.7."""
    assert sqlite_log.wal_is_sound(version) is expected


async def test_the_journal(tmp_path: Path, sound: bool, caplog: pytest.LogCaptureFixture) -> None:
    """WAL where it is sound; elsewhere a rollback journal, which is said once; each commit waits for the disk."""
    with caplog.at_level(logging.INFO, logger="ajoxi_async.webhooks"):
        for name in ("a.db", "b.db"):
            with opened(tmp_path / name) as log:
                await log.claim("evt_1", "worker")
                assert log._connection().execute("PRAGMA synchronous").fetchone() == (2,)
            assert mode_of(tmp_path / name) == ("wal" if sound else "rollback")
    assert caplog.text.count("keep a rollback journal") == (0 if sound else 1)


async def test_a_file_in_wal_is_converted(tmp_path: Path, sound: bool) -> None:
    """What an earlier version of this package or of SQLite left in WAL loses nothing and changes its journal."""
    path = tmp_path / "events.db"
    with opened(path) as log:
        log._connection().execute("PRAGMA journal_mode=WAL")
        await log.claim("evt_1", "worker")
        await log.done("evt_1")
    with opened(path) as log:
        assert await log.claim("evt_1", "worker") == "done"
    assert mode_of(path) == ("wal" if sound else "rollback")


async def test_workers_convert_a_file_together(tmp_path: Path, sound: bool) -> None:
    """Workers that begin at the same moment on a file in another journal mode all get it open."""
    together = threading.Barrier(4)

    def begin(path: Path) -> None:
        together.wait()
        SqliteLog(path).close()

    with ThreadPoolExecutor(4) as workers:
        for number in range(5):
            path = tmp_path / f"{number}.db"
            with closing(sqlite3.connect(path)) as database:
                database.execute(f"PRAGMA journal_mode={'DELETE' if sound else 'WAL'}")
                database.execute("CREATE TABLE other (x)")
            await anyio.to_thread.run_sync(list, workers.map(begin, [path] * 4))
            assert mode_of(path) == ("wal" if sound else "rollback")


async def test_a_file_that_another_process_keeps_in_wal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that begins while those of an older version run does not fail; the log says what is at stake."""
    monkeypatch.setattr(sqlite_log, "wal_is_sound", lambda: False)
    monkeypatch.setattr(sqlite_log, "CONVERT_WAIT", 0.1)
    monkeypatch.setattr(sqlite_log, "_said", set())
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as older:
        older.execute("PRAGMA journal_mode=WAL")
        older.execute("CREATE TABLE other (x)")
        with opened(path) as log:
            assert await log.claim("evt_1", "worker") == "new"
    assert "stays in WAL" in caplog.text


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE events (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE Events (id TEXT PRIMARY KEY, state TEXT, until REAL, more TEXT)",
        "CREATE VIEW events AS SELECT 'x' AS id, 'done' AS state, 1.0 AS until",
        "CREATE TABLE events_until (x)",
    ],
)
async def test_the_table_of_another_application(statement: str, journal: str, tmp_path: Path) -> None:
    """It is refused by name, and not a byte of its file is changed."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA journal_mode={journal}")
        database.execute(statement)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"path: .*app\.db is another application's"):
        SqliteLog(path)
    assert path.read_bytes() == before


async def test_beside_tables_of_another_application(tmp_path: Path) -> None:
    """A file with other tables takes ours as well, and theirs stay."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE orders (x)")
        database.execute("INSERT INTO orders VALUES (7)")
    with opened(path) as log:
        assert await log.claim("evt_1", "worker") == "new"
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT x FROM orders").fetchall() == [(7,)]


async def test_paths_that_cannot_be(tmp_path: Path) -> None:
    """A folder that is missing, a folder, a file of something else, no file at all: told when the log is made."""
    (tmp_path / "notes.txt").write_text("not a database, and long enough to be told from an empty one" * 20)
    wrong: dict[Any, str] = {
        tmp_path / "missing" / "events.db": "the folder .*missing does not exist",
        tmp_path: "is a folder",
        tmp_path / "notes.txt": "not a database",
        "": "MemoryLog",
        ":memory:": "MemoryLog",
        b"events.db": "expected the path of a file, got bytes",
        None: "got NoneType",
        7: "got int",
        "a\0b": "null character",
    }
    for path, why in wrong.items():
        with pytest.raises(ConfigurationError, match=f"path: .*{why}"):
            SqliteLog(path)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
async def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    """A read-only file is told when the log is made."""
    path = tmp_path / "events.db"
    SqliteLog(path).close()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    root = os.geteuid() == 0
    above = [one for one in path.parents if not one.stat().st_mode & 0o001] if root else []
    if root:
        for one in above:
            one.chmod(one.stat().st_mode | 0o011)
        os.seteuid(65534)  # to root nothing is read-only
    try:
        with pytest.raises(ConfigurationError, match="readonly database"):
            SqliteLog(path)
    finally:
        if root:
            os.seteuid(0)
            for one in above:
                one.chmod(one.stat().st_mode & ~0o011)
        tmp_path.chmod(0o755)


async def test_a_full_disk(tmp_path: Path) -> None:
    """An event that cannot be written down is answered 503 by the router, and handled when there is room."""
    with opened(tmp_path / "events.db") as log:
        database = log._connection()
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count={pages}")
        router = WebhookRouter(SECRET, log=log)

        @router.fallback
        async def handler(event: Event) -> None:
            """Handled."""

        with pytest.raises(EventLogError, match="full"):
            for number in range(1000):
                await log.claim(f"evt_{number}_" + "x" * 500, "worker")
        body = BODY.replace(b"evt_1", b"evt_" + b"y" * 3000)
        assert (await router.receive(body, signing.sign(body, [SECRET]))).status == 503
        database.execute(f"PRAGMA max_page_count={pages + 100}")
        assert (await router.receive(body, signing.sign(body, [SECRET]))).status == 204


async def test_a_file_that_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another process does not give up ends in an error of ours, when the log is made and later."""
    monkeypatch.setattr(sqlite_log, "WAIT", 0.1)
    monkeypatch.setattr(sqlite_log, "CONVERT_WAIT", 0.05)
    path = tmp_path / "events.db"
    with opened(path) as log, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EventLogError, match="locked"):
            await log.claim("evt_1", "worker")
        with pytest.raises(EventLogError, match="locked"):
            SqliteLog(path)
        other.execute("ROLLBACK")
        assert await log.claim("evt_1", "worker") == "new"


async def test_many_that_wait_for_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for at most `WAIT` seconds, and not for those before it as well: the platform waits for 15 s."""
    monkeypatch.setattr(sqlite_log, "WAIT", 0.05)
    errors: list[EventLogError] = []

    async def claim(log: SqliteLog) -> None:
        with pytest.raises(EventLogError, match="locked") as raised:
            await log.claim("evt_1", "worker")
        errors.append(raised.value)

    with opened(tmp_path / "events.db") as log:
        lock = log._place().lock
        lock.acquire()
        late = threading.Timer(10, lock.release)  # so that nothing hangs if nobody gives up
        late.start()
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(2 * sqlite_log.THREADS):
                    tasks.start_soon(claim, log)
        finally:
            late.cancel()
            if lock.locked():
                lock.release()
        assert len(errors) == 2 * sqlite_log.THREADS
        monkeypatch.setattr(sqlite_log, "WAIT", 10.0)
        assert await log.claim("evt_1", "worker") == "new"


async def test_a_clock_that_is_set_back_while_a_claim_holds(tmp_path: Path) -> None:
    """The claim of a worker that died lapses after its lease all the same, while the platform still delivers the event."""
    now = 1_000_000.0
    with opened(tmp_path / "events.db", clock=lambda: now, lease=10) as log:
        await log.claim("evt_1", "died")
        now -= 86_400
        assert await log.claim("evt_1", "next") == "running"
        now += 9
        assert await log.claim("evt_1", "next") == "running"
        now += 2
        assert await log.claim("evt_1", "next") == "new"
        now += 1
        await log.done("evt_1")
        now -= 86_400
        assert await log.claim("evt_1", "next") == "done"


async def test_a_file_that_becomes_read_only(tmp_path: Path) -> None:
    """What the log raises once it was made is an `EventLogError`, also where no later attempt may help."""
    with opened(tmp_path / "events.db") as log:
        database = log._connection()
        database.execute("PRAGMA query_only=1")
        with pytest.raises(EventLogError, match="readonly"):
            await log.claim("evt_1", "worker")
        database.execute("PRAGMA query_only=0")
        assert await log.claim("evt_1", "worker") == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted")
@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_vanished(replaced: bool, tmp_path: Path) -> None:
    """What is written into a deleted file is lost: it is noticed and said; a file that is put back is good again."""
    path, away = tmp_path / "events.db", tmp_path / "away.db"
    with opened(path) as log:
        await log.claim("evt_1", "worker")
        path.rename(away)
        if replaced:
            SqliteLog(path).close()
        with pytest.raises(EventLogError, match="replaced" if replaced else "deleted"):
            await log.claim("evt_2", "worker")
        with pytest.raises(EventLogError):
            await log.done("evt_1")
        assert path.exists() == replaced
        if not replaced:
            away.rename(path)
            assert await log.claim("evt_1", "worker") == "running"


async def test_a_closed_log(tmp_path: Path) -> None:
    """It says so, and opens nothing by itself."""
    log = SqliteLog(tmp_path / "events.db")
    log.close()
    log.close()
    with pytest.raises(EventLogError, match="closed"):
        await log.claim("evt_1", "worker")


async def test_all_other_threads_are_busy(tmp_path: Path) -> None:
    """An application that keeps every thread of anyio's busy does not hold up the log."""
    go = threading.Event()
    with opened(tmp_path / "events.db") as log:
        async with anyio.create_task_group() as tasks:
            for _ in range(45):
                tasks.start_soon(anyio.to_thread.run_sync, go.wait, 10)
            await anyio.sleep(0.1)
            try:
                with anyio.fail_after(3):
                    assert await log.claim("evt_1", "worker") == "new"
            finally:
                go.set()


def test_one_log_in_loops_of_many_threads(tmp_path: Path) -> None:
    """Threads that each run their own loops share a log, and each event is claimed once."""
    with opened(tmp_path / "events.db") as log, ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda number: anyio.run(log.claim, f"evt_{number % 10}", "worker"), range(80)))
        assert claims.count("new") == 10
        assert claims.count("running") == 70


def test_many_processes_write(tmp_path: Path) -> None:
    """What four processes commit at the same time is all there."""
    path = tmp_path / "events.db"
    SqliteLog(path).close()
    code = """
import anyio, sys
from ajoxi_async.webhooks.logs import SqliteLog
log = SqliteLog(sys.argv[1])
async def main():
    for number in range(20):
        assert await log.claim(f"evt_{sys.argv[2]}_{number}", "worker") == "new"
        await log.done(f"evt_{sys.argv[2]}_{number}")
anyio.run(main)
"""
    workers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(number)]) for number in range(4)]
    assert [worker.wait(timeout=50) for worker in workers] == [0] * 4
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM events WHERE state = 'done'").fetchone() == (80,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_log_that_was_used_before_a_fork(tmp_path: Path) -> None:
    """A child opens the file for itself, also where its parent was in the middle of using it."""
    with opened(tmp_path / "events.db") as log:
        assert anyio.run(log.claim, "evt_1", "worker") == "new"
        with log._place().lock:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = anyio.run(log.claim, "evt_1", "child") == "running" and 42
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
        assert anyio.run(log.claim, "evt_1", "worker") == "running"
