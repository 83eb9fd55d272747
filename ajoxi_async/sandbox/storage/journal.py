"""The worlds of a sandbox in a file, so that no acknowledged change is lost when the process is killed.

Rules:
1. Before a request is answered, and before an event is posted, all changes so far are committed. No client has seen changes
   that were not committed; their timers fire again, at the same instants and with the same ids.
2. SQLite writes in a thread. Requests that wait while it writes share the next write: one commit for many requests.
3. A file belongs to one running sandbox, which holds a lock on it, and to one seed. It survives the end of the process at any
   moment; a power failure may lose the last commits.
4. The file is in WAL with one connection, which is what the lock is for: SQLite 3.7.0 to 3.51.2 can lose a commit where two
   connections write and checkpoint one (sqlite.org/wal.html: the WAL-reset bug).
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path

import anyio
import msgspec
from attrs import frozen

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.runtime.threads import in_thread
from ajoxi_async.runtime.whole import whole
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.storage.file_lock import FileLock, HeldError
from ajoxi_async.sandbox.storage.rows import Row, everything, key_of, key_row, load, row
from ajoxi_async.sandbox.world import World
from ajoxi_async.sandbox.worlds import Worlds

__all__ = ["Journal"]

_VERSION = "2"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    place INTEGER PRIMARY KEY, world TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (world, kind, id)
);
"""
#: Only the owner may read and write it.
_OWNER_ONLY = 0o600
#: The suffixes of files that SQLite creates beside the database.
_SIDE_FILES = ("-wal", "-shm", "-journal")
#: Paths that mean "no file" to SQLite.
_NO_FILE = {"", ":memory:"}
_PUT = """
INSERT INTO rows (world, kind, id, body) VALUES (?, ?, ?, ?)
ON CONFLICT (world, kind, id) DO UPDATE SET body = excluded.body
"""

#: World, kind, id, and the body, or None to delete the row. An empty kind deletes every row of the world.
_Change = tuple[str, str, str, bytes | None]
#: Changes of a world above which their rows are made by the thread that writes.
_MANY = 500


@frozen
class _Many:
    """Many changes of one world: a copy of its account, and kind and id of each."""

    world: str
    account: Account
    unsaved: dict[tuple[str, str], None]


@frozen
class _Whole:
    """A world that is written as a whole: a copy of its account."""

    world: str
    account: Account


class Journal:
    """One file and the worlds that it keeps.

    Args:
        path: of the file.
        worlds: the keys and worlds to keep.
    """

    def __init__(self, path: str | PathLike[str], worlds: Worlds) -> None:
        self._path, self._worlds = path, worlds
        self._lock = FileLock(path)
        self._writing = anyio.Lock()
        #: The keys of worlds that are to be written as a whole.
        self._replaced_worlds: set[str] = set()
        #: Number of the last write that was begun, and of the last that is committed.
        self._begun = self._written = 0

    async def open(self) -> None:
        """Open the file, lock it, and fill the worlds with what it holds.

        Raises:
            InvalidParameterError: it is not a file of a sandbox, is one of another seed, or is in use.
        """
        try:
            found = await in_thread(self._open)
        except HeldError as error:
            why = f"{os.fspath(self._path)} is locked by another sandbox ({error})"
            raise InvalidParameterError("db", f"expected a sandbox's file that nobody else has open: {why}") from None
        except (sqlite3.Error, OSError) as error:
            raise InvalidParameterError("db", f"expected a sandbox's file that nobody else has open: {error}") from None
        except BaseException:  # a cancellation, after which the file may be open
            if hasattr(self, "_connection"):
                self.close()
            raise
        self._worlds.unsaved = dict.fromkeys(self._worlds.keys)
        self._restore(found)
        for world in self._worlds.by_key.values():
            self.watch(world)

    async def aclose(self) -> None:
        """Write the remaining changes and close the file."""
        self._worlds.note_uses()
        try:
            await self.save()
        finally:
            await in_thread(self.close, surely=True)

    def watch(self, world: World) -> None:
        """Save a world from now on: first as a whole, if it is new or was restored or reset, and then its changes."""
        world.on_replaced = self._replaced
        if world.account.unsaved is None:
            self._replaced(world)

    def _replaced(self, world: World) -> None:
        world.account.track_changes()
        self._write_whole(world)

    def _write_whole(self, world: World) -> None:
        self._replaced_worlds.add(world.key)
        # `World.run` saves only if the account has unsaved changes.
        world.account.mark_unsaved("world", "")

    async def save(self) -> None:
        """Return once everything that changed before the call is committed.

        Raises:
            Refusal: it cannot be written.
        """
        # Whole: changes that were taken but not written because of a cancellation would be lost.
        await whole(self._save(self._begun))

    async def _save(self, begun: int) -> None:
        async with self._writing:
            if self._written > begun:
                # A write that began after this call has written these changes as well.
                return
            self._begun = number = self._begun + 1
            while unfinished := [world for world in self._worlds.by_key.values() if world.unfinished]:
                await unfinished[0].whole()
            changes = self._collect()
            if not changes:
                return
            try:
                await in_thread(partial(self._write, changes), surely=True)
            except sqlite3.Error as error:
                self._take_back(changes)
                raise Refusal("service_unavailable", f"the journal cannot be written: {error}") from None
            self._written = number

    def _collect(self) -> list[_Change | _Many | _Whole]:
        changes: list[_Change | _Many | _Whole] = []
        for name in self._worlds.unsaved or ():
            key = self._worlds.keys.get(name)
            changes.append(("", "key", name, key_row(key) if key is not None else None))
            if name not in self._worlds.by_key:
                changes.append((name, "", "", None))
        self._worlds.unsaved = {}
        for name, world in self._worlds.by_key.items():
            unsaved = world.account.unsaved
            if not unsaved:
                continue
            world.account.unsaved = {}
            if name in self._replaced_worlds:
                self._replaced_worlds.discard(name)
                changes.append(_Whole(name, world.account.copy()))
            elif len(unsaved) > _MANY:
                changes.append(_Many(name, world.account.copy(), unsaved))
            else:
                changes.extend((name, kind, id, row(world.account, kind, id)) for kind, id in unsaved)
            changes.append((name, "clock", "", msgspec.json.encode(world.clock.now())))
        return changes

    def _take_back(self, changes: list[_Change | _Many | _Whole]) -> None:
        for change in changes:
            if isinstance(change, _Many):
                if (world := self._worlds.by_key.get(change.world)) is not None:
                    # Before what changed since: rows keep the order in which they were first written.
                    world.account.unsaved = change.unsaved | (world.account.unsaved or {})
                continue
            if isinstance(change, _Whole):
                if (world := self._worlds.by_key.get(change.world)) is not None:
                    self._write_whole(world)
                continue
            name, kind, id, _ = change
            if not name:
                self._worlds.changed(id)
            elif (world := self._worlds.by_key.get(name)) is None:
                self._worlds.changed(name)
            elif not kind:
                self._write_whole(world)
            else:
                world.account.mark_changed(kind, id)

    def _restore(self, found: dict[str, list[Row]]) -> None:
        keys = self._worlds.keys
        for _, name, body in found.pop("", ()):
            before = keys.get(name)
            keys[name] = key_of(name, body)
            keys[name].kept |= before is not None and before.kept
        # The worlds used last are loaded last, so that the others are dropped if the file holds too many.
        for name in sorted(found, key=lambda name: (keys[name].last_used_at or 0.0) if name in keys else 0.0):
            rows = found[name]
            world = self._worlds.of(name)
            account = world.new_account()
            load(account, [each for each in rows if each[0] != "clock"])
            for _, _, body in (each for each in rows if each[0] == "clock"):
                # A clock that several worlds share goes on at the latest of their moments.
                world.clock.start_at(max(world.clock.now(), msgspec.json.decode(body)))
            account.track_changes()
            world.adopt(account)

    # These run in a thread

    def _open(self) -> dict[str, list[Row]]:
        if os.fspath(self._path) not in {"", ":memory:"}:
            self._lock.take()
        try:
            return self._load()
        except BaseException:
            self._lock.give_back()
            raise

    def close(self) -> None:
        """Close the file without writing, since no client has seen changes that are not written by now."""
        self._worlds.unsaved = None
        try:
            self._connection.close()
        finally:
            self._lock.give_back()

    def _load(self) -> dict[str, list[Row]]:
        path = os.fspath(self._path)
        if path not in _NO_FILE:
            # Made here and not by SQLite, so that others can read it at no time. Side files get the mode of the file.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY))
        connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=0.2)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            seed = str(self._worlds.seed)
            for name, value in (("version", _VERSION), ("seed", seed)):
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
                (written,) = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
                _same(name, written, value)
            found: dict[str, list[Row]] = {}
            for world, *rest in connection.execute("SELECT world, kind, id, body FROM rows ORDER BY place"):
                found.setdefault(world, []).append((rest[0], rest[1], rest[2]))
            connection.execute("COMMIT")
            if path not in _NO_FILE:
                _tighten(path)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return found

    def _write(self, changes: list[_Change | _Many | _Whole]) -> None:
        connection = self._connection
        connection.execute("BEGIN")
        try:
            for world, kind, id, body in _flat(changes):
                if not kind:
                    connection.execute("DELETE FROM rows WHERE world = ?", (world,))
                elif body is None:
                    connection.execute("DELETE FROM rows WHERE world = ? AND kind = ? AND id = ?", (world, kind, id))
                else:
                    connection.execute(_PUT, (world, kind, id, body))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        for change in changes:
            # Freed one by one: a large dict that is freed as a whole holds up the event loop.
            while isinstance(change, _Many) and change.unsaved:
                change.unsaved.popitem()


def _flat(changes: Iterable[_Change | _Many | _Whole]) -> Iterator[_Change]:
    for change in changes:
        if isinstance(change, _Many | _Whole):
            if isinstance(change, _Whole):
                yield change.world, "", "", None
            for kind, id in change.unsaved if isinstance(change, _Many) else everything(change.account):
                yield change.world, kind, id, row(change.account, kind, id)
        else:
            yield change


def _tighten(path: str) -> None:
    """Remove all permissions of a file and its side files except the owner's."""
    for file in map(Path, (path, *(path + suffix for suffix in _SIDE_FILES))):
        with suppress(FileNotFoundError):
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(_OWNER_ONLY)


def _same(name: str, written: str, wanted: str) -> None:
    if written != wanted:
        raise InvalidParameterError("db", f"the file is of {name} {written}, this sandbox of {name} {wanted}")
