"""A ledger in an SQLite file.

Rules:
1. The owner has one connection, which writes and checkpoints. All others read (``mode=ro``), so that the WAL-reset bug of SQLite
   3.7.0 to 3.51.2 cannot occur, which needs two connections that write or checkpoint at the same time.
2. Every commit is synced to disk (``synchronous=FULL``), and every transaction takes the write lock at its beginning.
3. The owner is whoever holds the lock file: see `owner_lock`. Before each transaction it is checked that the lock file and the
   ledger are still the files that were opened.
4. Commands of other processes go to an inbox, ``<ledger>-inbox``, a small database with a rollback journal. The owner reads it. Their
   ids go on above those that the ledger has carried out, so that a ledger that was copied without its inbox misses no command.
5. A damaged file is refused at the beginning: small ledgers are checked as a whole, of large ones the tables that every dial uses,
   so that a campaign of ten million contacts goes on within a second after a crash.
6. A file of another application, or of a newer version of this one, is refused before anything in it is changed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from ajoxi_async.dialer.rules.texts import names_a_file
from ajoxi_async.dialer.storage.database import Posted, Row, Value
from ajoxi_async.dialer.storage.owner_lock import OwnerLock
from ajoxi_async.dialer.storage.schema import APPLICATION_ID, APPLIED, MIGRATIONS, VERSION
from ajoxi_async.protocol.errors import ConfigurationError, LedgerError, LedgerOwnedError

__all__ = ["SqliteDatabase"]

#: Seconds to wait for another connection, such as that of a tool that copies the file.
_WAIT: Final = 5.0
#: KiB of pages that the owner keeps in memory. It bounds the memory of the process, whatever the size of the ledger.
_CACHE: Final = 16_000
#: Files up to so many bytes are checked as a whole when they are opened.
_SMALL: Final = 32 << 20
_CHECKED: Final = ("campaign", "chunk", "count", "dnc", "setting", "zones")
#: What messages call the inbox.
_INBOX_OF: Final = "the inbox (-inbox) of the ledger"
_INBOX: Final = (
    "CREATE TABLE IF NOT EXISTS inbox"
    " (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL) STRICT"
)
_POST: Final = (
    "INSERT INTO inbox (id, at, what, detail)"
    " SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'inbox'), 0), ?) + 1, ?, ?, ? RETURNING id"
)


class SqliteDatabase:
    """See `Database`.

    Args:
        path: of the file. Its folder has to exist.

    Raises:
        ConfigurationError: the path cannot be right.
    """

    shared: Final = False
    lease: Final = 0.0

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = _checked(path)
        self._lock = OwnerLock(self._path)
        # Resolved as for the lock, because the owner may know the ledger by another link.
        self._inbox_path = Path(os.path.realpath(self._path) + "-inbox")
        self._owned: set[str] = set()
        self._database: sqlite3.Connection | None = None
        self._writes = False
        self._file: tuple[int, int] | None = None
        self._inbox: sqlite3.Connection | None = None
        self._inbox_file: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"SqliteDatabase({str(self._path)!r})"

    @property
    def files(self) -> Collection[str]:
        """See `Database`."""
        path = os.path.realpath(self._path)
        return [path + ending for ending in ("", "-wal", "-shm", ".lock", "-inbox", "-inbox-journal")]

    # Opening and closing

    def open(self) -> None:
        """See `Database`. A file that does not exist is made by the first owner."""
        with self._typed():
            if self._database is None and self._path.exists():
                try:
                    self._connect(writes=False)
                except sqlite3.OperationalError as error:
                    # The first owner died while it made the file, which only a connection that writes can set right.
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                        raise

    def exists(self) -> bool:
        """See `Database`."""
        self.open()
        return self._database is not None and bool(self.execute("SELECT 1 FROM sqlite_master WHERE name = 'campaign'"))

    def close(self) -> None:
        """See `Database`."""
        self._owned.clear()
        try:
            with self._typed():
                for connection in (self._database, self._inbox):
                    if connection is not None:
                        connection.close()
        finally:
            self._database = self._inbox = None
            self._writes = False
            self._lock.free()

    def _connect(self, *, writes: bool) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        self._writes = False
        uri = f"file:{quote(os.fsencode(self._path))}?mode={'rwc' if writes else 'ro'}"
        database = sqlite3.connect(
            uri, uri=True, check_same_thread=False, isolation_level=None, timeout=_WAIT, cached_statements=256
        )
        try:
            if writes:
                self._prepare(database)
            else:
                self._check_version(database)
        except BaseException:
            database.close()
            raise
        self._database, self._writes, self._file = database, writes, _file_at(self._path)

    def _check_version(self, database: sqlite3.Connection) -> int:
        ((application,),) = database.execute("PRAGMA application_id").fetchall()
        ((version,),) = database.execute("PRAGMA user_version").fetchall()
        ((tables,),) = database.execute("SELECT count(*) FROM sqlite_master").fetchall()
        if application != APPLICATION_ID and (tables or version):
            raise LedgerError(f"{self._path} is another application's database; it was not changed")
        if version > VERSION:
            raise LedgerError(f"{self._path} was written by a newer version of this package (schema {version})")
        return int(version)

    def _prepare(self, database: sqlite3.Connection) -> None:
        version = self._check_version(database)
        run = database.execute
        ((mode,),) = run("PRAGMA journal_mode=WAL").fetchall()
        if mode != "wal":
            raise LedgerError(f"{self._path} is on a file system that does not support SQLite's WAL ({mode})")
        run("PRAGMA synchronous=FULL")
        run(f"PRAGMA cache_size=-{_CACHE}")
        run(f"PRAGMA journal_size_limit={64 << 20}")
        if version:
            self._check_health(database)
        if version < VERSION:
            run("BEGIN IMMEDIATE")
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    run(statement)
            run(f"PRAGMA application_id={APPLICATION_ID}")
            run(f"PRAGMA user_version={VERSION}")
            run("COMMIT")

    def _check_health(self, database: sqlite3.Connection) -> None:
        whole = self._path.stat().st_size <= _SMALL
        checks = ["PRAGMA quick_check(1)"] if whole else [f"PRAGMA quick_check({name})" for name in _CHECKED]
        for check in checks:
            found = database.execute(check).fetchall()
            if found != [("ok",)]:
                raise LedgerError(f"{self._path} is damaged: {found[0][0] if found else 'no answer'}")

    @contextmanager
    def _typed(self, what: str = "the ledger") -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerError(f"{what} {self._path} cannot be used: {error}") from error
        except OSError as error:
            raise LedgerError(f"{what} {self._path} cannot be used: {error.strerror}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            self.open()
        if self._database is None:
            raise LedgerError(f"there is no ledger {self._path} yet")
        return self._database

    # Statements

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """See `Database`."""
        try:
            return self._connection().execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise LedgerError(f"the ledger {self._path} cannot be used: {error}") from error

    def update(self, table: str, changes: Mapping[str, str], rows: Iterable[Sequence[Value]]) -> None:
        """See `Database`."""
        sets = ", ".join(f"{column} = {how}" for column, how in changes.items())
        self._execute_each(f"UPDATE {table} SET {sets} WHERE id = ?", rows)  # noqa: S608 - names of ours

    def _execute_each(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        with self._typed():
            self._connection().executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Database`."""
        if not self._owned or not self._lock.stands():
            self._owned.clear()
            raise LedgerOwnedError("this process does not own the ledger")
        run = self._connection().execute
        with self._typed():
            self._check_file()
            run("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                run("ROLLBACK")
                raise
            try:
                run("COMMIT")
            except sqlite3.Error:
                if self._connection().in_transaction:
                    run("ROLLBACK")
                raise

    def _check_file(self) -> None:
        if _file_at(self._path) != self._file:
            self._owned.clear()
            raise LedgerError(f"the ledger {self._path} was replaced while it was open, and is not written to")

    def load(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Value]],
        *,
        fixed: Mapping[str, int | str] = MappingProxyType({}),
        key: Sequence[str] = (),
    ) -> None:
        """See `Database`."""
        # A column may be read twice, so the values get names. Numbered places (?1) would do, but Python 3.12.0 and 3.12.1 warn of them.
        given = ", ".join(f"? AS {name}" for name in columns)
        more = [value if isinstance(value, str) else str(int(value)) for value in fixed.values()]
        values = ", ".join([*columns, *more])
        unless = f" ON CONFLICT ({', '.join(key)}) DO NOTHING" if key else ""
        names = ", ".join([*columns, *fixed])
        self._execute_each(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM (SELECT {given}) WHERE true{unless}",  # noqa: S608 - names of ours
            rows,
        )

    # Ownership

    def own(self, name: str) -> None:
        """See `Database`. The lock is on the whole ledger, so that one process owns all its campaigns."""
        self._lock.take()
        try:
            if not self._writes:
                with self._typed():
                    self._connect(writes=True)
        except BaseException:
            if not self._owned:
                self._lock.free()
            raise
        self._owned.add(name)

    def disown(self, name: str, *, settled: bool = True) -> None:
        """See `Database`."""
        self._owned.discard(name)
        if not self._owned and self._lock.held:
            try:
                with self._typed():
                    self._connect(writes=False)
            except LedgerError:
                pass  # Whoever uses the ledger next is told so. Who owned it may have to say something else, such as why it ends.
            finally:
                self._lock.free()

    def owned(self, name: str) -> bool:
        """See `Database`."""
        return name in self._owned and self._lock.held

    def quiet_in(self, name: str) -> float:
        """See `Database`. The lock is freed by the end of the process: requests of its are closed, or as good as answered."""
        return 0.0

    # Commands of other processes

    def _inbox_connection(self) -> sqlite3.Connection:
        if self._inbox is not None and not self._inbox_stands():
            # Somebody has removed or replaced the file, and commands are posted to the one that is there now.
            self._inbox.close()
            self._inbox = None
        if self._inbox is None:
            inbox = sqlite3.connect(self._inbox_path, check_same_thread=False, isolation_level=None, timeout=_WAIT)
            try:
                inbox.execute("PRAGMA journal_mode=DELETE")
                inbox.execute("PRAGMA synchronous=FULL")
                inbox.execute(_INBOX)
                self._inbox_file = _file_at(self._inbox_path)
            except BaseException:
                inbox.close()
                raise
            self._inbox = inbox
        return self._inbox

    def _inbox_stands(self) -> bool:
        return self._inbox_path.exists() and _file_at(self._inbox_path) == self._inbox_file

    def post(self, what: str, detail: str, at: int) -> int:
        """See `Database`."""
        with self._typed(_INBOX_OF):
            run = self._inbox_connection().execute
            run("BEGIN IMMEDIATE")
            try:
                ((id,),) = run(_POST, (self._applied(), at, what, detail)).fetchall()
                # Before the commit, so that a process that dies between the two leaves no command without alarm.
                self._lock.raise_alarm()
                run("COMMIT")
            except BaseException:
                run("ROLLBACK")
                raise
        return int(id)

    def _applied(self) -> int:
        if not self.exists():
            return 0
        ((id,),) = self.execute("SELECT coalesce(max(value), 0) FROM setting WHERE name = ?", (APPLIED,))
        return int(id)

    def posted(self, after: int) -> list[Posted]:
        """See `Database`."""
        with self._typed(_INBOX_OF):
            if self._inbox is None and not self._inbox_path.exists():
                return []
            run = self._inbox_connection().execute
            run("BEGIN IMMEDIATE")  # Whoever has raised the alarm has committed by now, or died.
            try:
                found = run("SELECT id, at, what, detail FROM inbox WHERE id > ? ORDER BY id", (after,)).fetchall()
            finally:
                run("ROLLBACK")
            return [Posted(*row) for row in found]

    def forget(self, upto: int) -> None:
        """See `Database`."""
        with self._typed(_INBOX_OF):
            self._inbox_connection().execute("DELETE FROM inbox WHERE id <= ?", (upto,))

    def alarm(self) -> int | None:
        """See `Database`."""
        return self._lock.alarm()


def _file_at(path: Path) -> tuple[int, int]:
    """Which file is at a path."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _checked(path: object) -> Path:
    if not isinstance(path, (str, PathLike)) or not isinstance(text := os.fspath(path), str):
        raise ConfigurationError(f"path: expected the path of a file, got {type(path).__name__}")
    if text in {"", ":memory:"}:
        raise ConfigurationError(
            f"path: expected the path of a file, got {text!r}: a ledger has to outlive its process"
        )
    if not names_a_file(text):
        raise ConfigurationError(
            "path: expected the path of a file, got one that no file can have: it has a null character or is no Unicode text"
        )
    found = Path(text).absolute()
    try:
        if found.is_dir():
            raise ConfigurationError(f"path: expected the path of a file, and {text} is a folder")
        if found.exists() and not found.is_file():  # A pipe would be waited for, and a device would get a lock file.
            raise ConfigurationError(f"path: expected the path of a file, and {text} is a device, a pipe or a socket")
        if not found.parent.is_dir():
            raise ConfigurationError(f"path: the folder {found.parent} does not exist")
    except OSError as error:
        raise ConfigurationError(f"path: {text[:200]} cannot be the path of a file: {error.strerror}") from None
    return found
