"""A log of handled events in an SQLite file, for all workers of one machine.

Rules:
1. A file that is not an event log is refused before anything in it is changed: if it is not a database, or its table
   ``events`` belongs to another application.
2. SQLite 3.7.0 to 3.51.2, except 3.44.6 and 3.50.7, can lose a committed transaction when two connections write and
   checkpoint one WAL file at the same time (sqlite.org/wal.html: the WAL-reset bug). With these versions a rollback journal
   is used, a file in WAL mode is converted, and this is logged once. Other versions use WAL. Each commit is synced to disk.
3. A connection belongs to one process, because SQLite connections must not be carried over a fork.
4. Before each use it is checked that the file was not deleted or replaced while it was open, since writes would be lost.
5. A request waits for at most `WAIT` seconds altogether, however many others wait for the same file.
6. Times are those of the wall clock, since a file outlives its machine. After the clock was set back, a claim holds for `lease` seconds
   from the next delivery of its event on, and not until the time that it was given. After it was set forward, claims expire early.
7. SQLite is used in threads of the log's own, because anyio's forty are shared with the rest of the application.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from attrs import Factory, define

from ajoxi_async.protocol.errors import ConfigurationError, EventLogError
from ajoxi_async.runtime.threads import in_thread
from ajoxi_async.webhooks.greenlets import native_lock
from ajoxi_async.webhooks.logs.memory import LEASE, REMEMBER, Claim, check_spans

__all__ = ["SqliteLog"]

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("ajoxi_async.webhooks")

#: Seconds to wait for another process that writes, and for others to close a file whose journal mode is changed.
WAIT: Final = 10.0
CONVERT_WAIT: Final = 2.0
#: Threads of each event loop. More would not help, since SQLite allows one writer at a time.
THREADS: Final = 4

#: `state` is "done", or the owner of the claim.
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, state TEXT NOT NULL, until REAL NOT NULL) STRICT",
    "CREATE INDEX IF NOT EXISTS events_until ON events (until)",
    "DELETE FROM events WHERE until < 0",  # deletes nothing; a read-only file fails here and not at the first event
)
_COLUMNS: Final = [("id", "TEXT", 1), ("state", "TEXT", 0), ("until", "REAL", 0)]
#: Errors that a later attempt would not avoid.
_WRONG_FILE: Final = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}

_threads: Final[RunVar[anyio.CapacityLimiter]] = RunVar("ajoxi_async.webhooks.logs.sqlite")
#: Messages that this process has logged already.
_said: Final[set[str]] = set()


def wal_is_sound(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether a version of SQLite does not have the WAL-reset bug (rule 2)."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def _say(level: int, message: str, *args: object) -> None:
    if message not in _said:
        _said.add(message)
        logger.log(level, message, *args)


@contextmanager
def _typed(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind = ConfigurationError if code in _WRONG_FILE else EventLogError
        raise kind(f"path: the event log {path} cannot be used: {error}") from error


def _check_path(path: object) -> str:
    if not isinstance(path, (str, PathLike)) or not isinstance(text := os.fspath(path), str):
        raise ConfigurationError(f"path: expected the path of a file, got {type(path).__name__}")
    if text in {"", ":memory:"}:
        raise ConfigurationError(f"path: expected the path of a file, got {text!r}; MemoryLog() keeps events in memory")
    if "\0" in text:
        raise ConfigurationError("path: expected the path of a file, got one with a null character")
    try:
        os.fsencode(text)
        is_folder, is_in_folder = Path(text).is_dir(), Path(text).absolute().parent.is_dir()
    except (OSError, ValueError) as error:  # too long, or text that a file name cannot hold
        raise ConfigurationError(f"path: expected the path of a file, got {text[:80]!r}: {error}") from None
    if is_folder:
        raise ConfigurationError(f"path: expected the path of a file, and {text} is a folder")
    if not is_in_folder:
        raise ConfigurationError(f"path: the folder {Path(text).absolute().parent} does not exist")
    return text


def _refuse_foreign(database: sqlite3.Connection, path: str) -> None:
    found = database.execute("SELECT name, type, tbl_name FROM sqlite_master").fetchall()
    ours = {"events": ("table", "events"), "events_until": ("index", "events")}
    foreign = [name for name, kind, of in found if ours.get(name.lower(), (kind, of.lower())) != (kind, of.lower())]
    columns = [(name, kind.upper(), key) for _, name, kind, _, _, key in database.execute("PRAGMA table_info(events)")]
    if foreign or (columns and columns != _COLUMNS):
        raise ConfigurationError(
            f"path: {path} is another application's database: its {(foreign or ['events'])[0]!r} is not an event log's;"
            " it was not changed"
        )


def _choose_journal(database: sqlite3.Connection, path: str, last_try: bool) -> None:
    wanted = "wal" if wal_is_sound() else "delete"
    if wanted == "delete":
        _say(
            logging.INFO,
            "SQLite %s can lose what several connections commit to a WAL file: event logs keep a rollback journal",
            sqlite3.sqlite_version,
        )
    try:
        database.execute(f"PRAGMA journal_mode={wanted}")
    except sqlite3.OperationalError as error:
        if not (last_try and _is_busy(error)):
            raise
        if wanted == "delete":
            _say(
                logging.WARNING,
                "%s stays in WAL, for another process has it open: SQLite %s can lose commits until all have ended",
                path,
                sqlite3.sqlite_version,
            )
    database.execute("PRAGMA synchronous=FULL")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _connect(path: str) -> sqlite3.Connection:
    began = time.monotonic()
    while True:
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=WAIT)
        try:
            waited = time.monotonic() - began
            _refuse_foreign(database, path)
            _choose_journal(database, path, last_try=waited > CONVERT_WAIT)
            database.execute("BEGIN IMMEDIATE")
            for statement in _TABLE:
                database.execute(statement)
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            database.close()
            # The workers of a server start together. Changing the journal mode fails at once while another worker has the
            # file open, whatever the timeout, so each worker closes it between its attempts.
            if not _is_busy(error) or time.monotonic() - began > WAIT:
                raise
            time.sleep(random.uniform(0.002, 0.02))
        except BaseException:
            database.close()
            raise
        else:
            return database


@define
class _Open:
    """The connection of one process, its lock, and the identity of the file."""

    lock: Lock = Factory(native_lock)
    database: sqlite3.Connection | None = None
    file: tuple[int, int] = (0, 0)


class SqliteLog:
    """A log in a file, for all workers of one machine. It is kept when they end.

    Its methods raise `EventLogError` if the file cannot be read or written: the disk is full, another process has had it
    locked for 10 s, it was deleted or replaced while it was open, or the log was closed.

    Args:
        path: of the database, which is created if it does not exist.
        remember: seconds.
        lease: seconds.
        clock: seconds since the epoch.

    Raises:
        ConfigurationError: the path cannot be right, the file cannot be written, or it is not an event log.
        EventLogError: another process has it locked, or the disk is full.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        remember: float = REMEMBER,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._remember, self._lease = check_spans(remember, lease)
        self._clock = clock
        self._path = _check_path(path)
        self._places: dict[int, _Open] = {}
        self._closed = False
        self._connection()  # raises now if the path cannot be used

    def _place(self) -> _Open:
        return self._places.setdefault(os.getpid(), _Open())

    def _connection(self) -> sqlite3.Connection:
        """The connection of this process. Hold its lock while using it."""
        if self._closed:
            raise EventLogError(f"the event log {self._path} is closed")
        place = self._place()
        if place.database is None:
            place.database = _connect_typed(self._path)
            place.file = self._file()
        elif self._file() != place.file:
            raise EventLogError(
                f"the event log {self._path} was replaced while it was open, and is not written to: start this process again"
            )
        return place.database

    def _file(self) -> tuple[int, int]:
        try:
            found = Path(self._path).stat()
        except OSError as error:
            raise EventLogError(
                f"the event log {self._path} was deleted while it was open ({error.strerror}), and is not written to:"
                " put it back or start this process again"
            ) from error
        return found.st_dev, found.st_ino

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        # From here on, because tasks wait for a thread, and threads for the connection, one after the other.
        until = time.monotonic() + WAIT

        def locked() -> T:
            lock = self._place().lock
            if not lock.acquire(timeout=max(0.0, until - time.monotonic())):
                raise EventLogError(f"the event log {self._path} has been locked for {WAIT:g} s")
            try:
                with _typed(self._path):
                    database = self._connection()
                    left = max(0.0, until - time.monotonic())
                    database.execute(f"PRAGMA busy_timeout={round(left * 1000)}")
                    return work(database)
            except ConfigurationError as error:  # the file was fit when the log was made
                raise EventLogError(str(error)) from error
            finally:
                lock.release()

        try:
            threads = _threads.get()
        except LookupError:
            _threads.set(threads := anyio.CapacityLimiter(THREADS))
        # It is waited for, so that a claim is not released while a thread still makes it.
        return await in_thread(locked, threads, surely=True)

    async def claim(self, id: str, owner: str) -> Claim:
        """See `EventLog`."""
        given_up = False

        def claim(database: sqlite3.Connection) -> Claim:
            if given_up:
                return "running"
            now, run = self._clock(), database.execute
            run("DELETE FROM events WHERE until <= ?", (now,))
            taken = run("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", (id, owner, now + self._lease)).rowcount
            if taken:
                return "new"
            row = run("SELECT state FROM events WHERE id = ?", (id,)).fetchone()
            if row is not None and row[0] == "done":
                return "done"
            latest = now + self._lease  # later only if the clock was set back since the claim was made
            run("UPDATE events SET until = ? WHERE id = ? AND state <> 'done' AND until > ?", (latest, id, latest))
            return "running"

        try:
            return await self._run(claim)
        except BaseException:
            # `task.cancel()` of asyncio does not wait for the thread, in which a release may overtake the claim.
            given_up = True
            raise

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        row = (id, self._clock() + self._remember)
        await self._run(lambda database: database.execute("INSERT OR REPLACE INTO events VALUES (?, 'done', ?)", row))

    async def release(self, id: str, owner: str) -> None:
        """See `EventLog`."""
        await self._run(lambda run: run.execute("DELETE FROM events WHERE id = ? AND state = ?", (id, owner)))

    def close(self) -> None:
        """Close the file. A closed log cannot be used again. Idempotent."""
        self._closed = True
        place = self._place()
        with place.lock:
            if place.database is not None:
                place.database.close()
                place.database = None


def _connect_typed(path: str) -> sqlite3.Connection:
    with _typed(path):
        return _connect(path)
