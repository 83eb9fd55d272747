"""The lock on an SQLite ledger: a file beside it that its owner holds for life, with a number that others may raise.

Rules:
1. The lock is ``flock`` (``msvcrt`` on Windows), which the operating system frees when the process is killed, however it ends.
   Whatever an owner left half-done belongs to a dead process once the lock was taken.
2. The file is ``<ledger>.lock``. It is never removed: a process that locked a removed file would not exclude one that locks a
   new file of the same name. `stands` finds out whether somebody else removed it.
3. SQLite's own locks are POSIX locks, which a process loses when it closes the file anywhere. So the ledger itself is not locked.
4. Locks of network file systems cannot be relied on; such ledgers are refused.
5. Bytes 0 to 31 hold the process id of the owner, for messages. Bytes 64 to 71 count the commands that were posted. The owner maps
   them into its memory, so that it sees before each call, without a system call, whether there are commands.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from pathlib import Path
from typing import Final

from ajoxi_async.protocol.errors import LedgerError, LedgerOwnedError

__all__ = ["OwnerLock", "network_file_system"]

_SIZE: Final = 4096
_COUNT: Final = struct.Struct("<q")
_COUNT_AT: Final = 64
#: The byte that is locked on Windows, where others cannot read locked bytes.
_BYTE: Final = 1 << 20
_NETWORK: Final = ("9p", "afs", "cifs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs")


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(descriptor: int, size: int, at: int) -> bytes:
    os.lseek(descriptor, at, os.SEEK_SET)  # Windows has no `os.pread`.
    return os.read(descriptor, size)


def _write(descriptor: int, data: bytes, at: int) -> None:
    os.lseek(descriptor, at, os.SEEK_SET)
    os.write(descriptor, data)


def network_file_system(path: Path, mounts: str = "/proc/self/mountinfo") -> str | None:
    """The type of the network file system that a path is on; ``None`` if it is on none, or if this cannot be found out."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found: tuple[int, str] = (-1, "")
    for line in lines:
        before, _, rest = line.partition(" - ")
        fields, kinds = before.split(" "), rest.split(" ")
        if len(fields) > 4 and kinds:
            place = fields[4].replace("\\040", " ")
            inside = place == "/" or path == Path(place) or Path(place) in path.parents
            if inside and len(place) >= found[0]:
                found = (len(place), kinds[0])
    return found[1] if found[1] in _NETWORK else None


class OwnerLock:
    """The lock file of one ledger. One object serves one process."""

    def __init__(self, ledger: Path) -> None:
        # Resolved, because a link to a file is the same file.
        self._path = Path(os.path.realpath(ledger) + ".lock")
        self._descriptor: int | None = None
        self._map: mmap.mmap | None = None
        self._process = 0

    @property
    def held(self) -> bool:
        """Whether this process holds the lock. Does no I/O."""
        return self._descriptor is not None and self._process == os.getpid()

    def take(self) -> None:
        """Take the lock, without waiting.

        Raises:
            LedgerOwnedError: another process, or another object of this process, has it.
            LedgerError: the lock file cannot be made, or its locks cannot be relied on.
        """
        if self.held:
            return
        kind = network_file_system(self._path)
        if kind is not None:
            raise LedgerError(f"the ledger is on a network file system ({kind}), whose locks cannot be relied on")
        descriptor = self._open()
        try:
            try:
                _lock(descriptor)
            except OSError:
                process = _read(descriptor, 32, 0).rstrip(b"\0").decode("ascii", "replace")
                raise LedgerOwnedError(
                    f"the ledger belongs to process {process or '(unknown)'}, which is alive"
                ) from None
            _write(descriptor, str(os.getpid()).encode().ljust(32, b"\0"), 0)
            self._map = mmap.mmap(descriptor, _SIZE)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._process = descriptor, os.getpid()
        if not self.stands():
            self.free()
            raise LedgerOwnedError("the lock file of the ledger was replaced; try again")

    def free(self) -> None:
        """Free the lock. Idempotent."""
        mapped, self._map = self._map, None
        descriptor, self._descriptor = self._descriptor, None
        if mapped is not None:
            mapped.close()
        if descriptor is not None:
            os.close(descriptor)

    def stands(self) -> bool:
        """Whether the lock is held and its file is still at its place."""
        if not self.held or self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def alarm(self) -> int:
        """A number that grows with each `raise_alarm`, from memory; 0 if the lock is not held."""
        mapped = self._map
        return 0 if mapped is None else int(_COUNT.unpack_from(mapped, _COUNT_AT)[0])

    def raise_alarm(self) -> None:
        """Tell the owner that a command is being posted. Anyone may do so, one at a time."""
        descriptor = self._open()
        try:
            (count,) = _COUNT.unpack(_read(descriptor, _COUNT.size, _COUNT_AT))
            _write(descriptor, _COUNT.pack(count + 1), _COUNT_AT)
        except OSError as error:
            raise LedgerError(f"the lock file of the ledger cannot be written: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            if os.fstat(descriptor).st_size < _SIZE:
                os.ftruncate(descriptor, _SIZE)
        except OSError as error:
            raise LedgerError(f"the lock file of the ledger cannot be made: {error.strerror}") from error
        return descriptor
