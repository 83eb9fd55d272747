"""A file that appears only when it is complete. Its methods block, so call them in a thread.

Rules:
1. The audio is written to a hidden file beside the target. It is renamed to the target when it is complete and synced to
   the disk; until then an older file of that name is unchanged.
2. If the target is a link, the file it points to is replaced. The permissions of an older file are kept.
3. After a failure the hidden file is removed. Only a process that is killed leaves its ``.ajoxi-….part`` behind.
4. Every error of the operating system becomes a `DownloadFileError`.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ajoxi_async.protocol.errors import DownloadFileError

__all__ = ["PartialFile"]


class PartialFile:
    """One download's file. `open` first, then `write`, then `finish` or `discard`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._target = Path(path)
        self._partial: Path | None = None
        self._file: BinaryIO | None = None
        self._size = 0
        self._replaces = False

    def open(self) -> None:
        """Make the partial file.

        Raises:
            DownloadFileError: no file of that name can be made or replaced.
        """
        with self._typed():
            self._target = target = Path(os.path.realpath(self._path))
            with suppress(FileNotFoundError):
                mode = target.stat().st_mode
                self._replaces = True
                if stat.S_ISDIR(mode):
                    raise IsADirectoryError(errno.EISDIR, "it is a directory; expected the path of a file")
                if not stat.S_ISREG(mode):
                    raise OSError(errno.EINVAL, "it is no regular file; to write into a device or a pipe, use stream()")
                if not os.access(target, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            partial = target.with_name(f".ajoxi-{secrets.token_hex(6)}.part")
            self._file = partial.open("xb")
            self._partial = partial

    def write(self, start: int, pieces: list[bytes]) -> None:
        """Write pieces from byte `start` on: the end of the file, or an earlier byte when the download has started again.

        Raises:
            DownloadFileError: the disk is full, for instance.
        """
        assert self._file is not None
        with self._typed():
            if start != self._size:
                self._file.seek(start)
                self._file.truncate()
            data = b"".join(pieces)
            self._file.write(data)
            self._size = start + len(data)

    def finish(self) -> None:
        """Sync the complete file and rename it to the target.

        Raises:
            DownloadFileError: it cannot be synced or renamed.
        """
        assert self._file is not None
        assert self._partial is not None
        with self._typed():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if self._replaces:
                with suppress(OSError):
                    shutil.copymode(self._target, self._partial)
            self._partial.replace(self._target)
            self._partial = None
        # The rename is durable once the directory is synced; some systems do not let a directory be opened.
        with suppress(OSError):
            directory = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def discard(self) -> None:
        """Remove what was written. Idempotent."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        if self._partial is not None:
            with suppress(OSError):
                self._partial.unlink()

    @contextmanager
    def _typed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DownloadFileError(
                f"{self._path}: {error.strerror or error}",
                errno=error.errno,
                strerror=error.strerror,
                filename=self._path,
            ) from error
