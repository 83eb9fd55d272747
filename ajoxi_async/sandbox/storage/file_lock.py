"""A lock on a file for one process at a time. The operating system frees it when the process is killed.

Rules:
1. The lock is a file of its own beside the locked one, ``<name>-lock``. SQLite's own locks are POSIX locks, which a process
   loses as soon as it closes the file anywhere, for instance after reading or copying it.
2. The lock file contains the process id of its holder, for the error message in other processes. It is removed when the lock
   is released. A killed process leaves the file behind, unlocked.
3. On a file system without locks, only SQLite's locks apply.
"""

from __future__ import annotations

import errno
import os
import sys
from os import PathLike
from pathlib import Path
from typing import Final

__all__ = ["FileLock", "HeldError"]

_NO_LOCKS: Final = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
#: The byte that is locked on Windows, where others cannot read locked bytes: it is after the process id.
_BYTE: Final = 1 << 20


class HeldError(Exception):
    """Another process or object has the lock."""


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # explicitly, because a forked child has the descriptor as well


class FileLock:
    """The lock of one file."""

    def __init__(self, path: str | PathLike[str]) -> None:
        # Resolved, because a link to a file is the same file.
        self._path = Path(os.path.realpath(path) + "-lock")
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            HeldError: another process, or another object of this process, has it.
            OSError: the lock file cannot be created: the folder does not exist, or there is no permission.
        """
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            try:
                self._hold(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if self._is_at_its_place(descriptor):
                self._descriptor = descriptor
                os.truncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
            else:
                os.close(descriptor)

    def _hold(self, descriptor: int) -> None:
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            process = os.read(descriptor, 20).decode("ascii", "replace")
            raise HeldError(f"process {process}" if process else "another process") from None

    def _is_at_its_place(self, descriptor: int) -> bool:
        """Whether the lock file still exists: its last holder may have removed it between its opening and its locking."""
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def give_back(self) -> None:
        """Release the lock. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            self._path.unlink()
        except OSError:
            pass  # Windows does not remove open files
        try:
            _unlock(descriptor)
        except OSError:
            pass
        os.close(descriptor)
