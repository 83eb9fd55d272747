"""A ledger on a disk whose power may be cut: every write and sync is recorded, and the states that a cut can leave are made again.

A file's content is durable up to its last sync. Of what was written since, a cut may leave any number of the first writes, the last
of them torn. The files of locks and of the inbox are no part of it.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
from attrs import define, field

#: What is recorded: a write, a change of length, a sync, a file that is removed, or a mark of the test.
Event = tuple[str, str, Any]


@define(eq=False)
class Disk:
    """What was done to the files of a ledger, in order."""

    folder: Path
    log: list[Event] = field(factory=list)
    _vfs: Any = None

    def __attrs_post_init__(self) -> None:
        self._vfs = _Vfs(self, f"recorder-{id(self)}")

    @property
    def vfs(self) -> str:
        return str(self._vfs.name)

    def mark(self, what: Any) -> None:
        """Note that something has happened that the disk does not know."""
        self.log.append(("mark", "", what))

    def note(self, kind: str, path: str, what: Any = None) -> None:
        name = Path(path).name
        if not name.endswith("-shm"):
            self.log.append((kind, name, what))

    def states(self, upto: int, draw: random.Random, every: bool) -> Iterator[dict[str, bytes]]:
        """What a cut after so many events can leave: of each file, all writes, those that were synced, and some between."""
        durable: dict[str, bytearray] = {}
        pending: dict[str, list[Event]] = {}
        for event in self.log[:upto]:
            kind, name, what = event
            if kind == "mark":
                continue
            if kind == "sync":
                _apply(durable.setdefault(name, bytearray()), pending.pop(name, []))
            elif kind == "remove":
                durable.pop(name, None)
                pending.pop(name, None)
            else:
                durable.setdefault(name, bytearray())
                pending.setdefault(name, []).append(event)
        most = max((len(events) for events in pending.values()), default=0)
        lengths = range(most + 1) if every else sorted({0, most, draw.randint(0, most)})
        for length in lengths:
            found = {}
            for name, content in durable.items():
                left = bytearray(content)
                events = pending.get(name, [])[:length]
                if events and events[-1][0] == "write" and draw.random() < 0.5:
                    kind, _, (offset, data) = events[-1]
                    events[-1] = (kind, name, (offset, data[: draw.randint(0, len(data))]))
                _apply(left, events)
                found[name] = bytes(left)
            yield found


def _apply(content: bytearray, events: Sequence[Event]) -> None:
    for kind, _, what in events:
        if kind == "truncate":
            del content[what:]
            content.extend(bytes(what - len(content)))
        else:
            offset, data = what
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk, name: str) -> None:
        self._disk, self.name = disk, name
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        return _File(self._disk, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        self._disk.note("remove", name)
        super().xDelete(name, sync)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk, self._path = disk, name.filename() if hasattr(name, "filename") else str(name)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.note("write", self._path, (offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.note("truncate", self._path, size)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._disk.note("sync", self._path)


class Connection:
    """What the ledger uses of `sqlite3.Connection`, on a recorded disk."""

    def __init__(self, disk: Disk, path: str, **options: Any) -> None:
        writes = "mode=ro" not in path
        flags = apsw.SQLITE_OPEN_URI | (
            apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if writes else apsw.SQLITE_OPEN_READONLY
        )
        self._inner = apsw.Connection(path, flags=flags, vfs=disk.vfs)
        self._inner.set_busy_timeout(5000)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        try:
            return _Rows(self._inner.execute(sql, tuple(parameters)).fetchall())
        except apsw.Error as error:
            raise sqlite3.OperationalError(str(error)) from error

    def executemany(self, sql: str, rows: Any) -> None:
        for row in rows:
            self.execute(sql, row)

    @property
    def in_transaction(self) -> bool:
        return bool(self._inner.in_transaction)

    def close(self) -> None:
        # A connection that only reads cannot lock its file for a checkpoint, which SQLite ignores and apsw does not.
        with suppress(apsw.Error):
            self._inner.close()


class _Rows:
    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def fetchall(self) -> list[Any]:
        return self._rows
