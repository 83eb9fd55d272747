"""The file of ``transcripts tail --resume``: where each call is.

Rules:
1. It holds the id of the last event of each call whose segment was written. After a crash a segment may be written twice, and none is
   lost.
2. It is replaced as a whole, so that a crash leaves the old one. If it is a link, the file that it points to is replaced.
3. It is written before anything is followed, so that a file that cannot be written is found then.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ajoxi_async.cli.status import UsageError
from ajoxi_async.contract.errors import AjoxiError

__all__ = ["ResumeFile", "ResumeFileError"]


class ResumeFileError(AjoxiError):
    """The file cannot be written any more."""


class ResumeFile:
    """Where each call is.

    Args:
        path: of the file; ``None`` to keep nothing.

    Raises:
        UsageError: it cannot be read or written, or is another kind of file.
    """

    def __init__(self, path: str | None) -> None:
        self._named, self._path = path, None if path is None else Path(os.path.realpath(path))
        self._places: dict[str, str] = {}
        if self._path is None:
            return
        try:
            self._places = self._read(self._path)
            self.save()
        except ResumeFileError as error:
            raise UsageError(error.message) from None

    def _read(self, file: Path) -> dict[str, str]:
        try:
            # What a device or a pipe would say never ends.
            regular = stat.S_ISREG(file.stat().st_mode)
            read = json.loads(file.read_text("utf-8")) if regular else None
            if regular and not os.access(file, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"--resume: {self._named}: {error.strerror}") from None
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, Mapping) or not all(isinstance(one, str) for one in read.values()):
            raise UsageError(f"--resume: {self._named}: expected a file that this command has made, or none yet")
        return dict(read)

    def place(self, call: str) -> str | None:
        """Where a call is; ``None`` at its beginning."""
        return self._places.get(call)

    def reached(self, call: str, event: str | None, *, keep: bool) -> None:
        """Note where a call is.

        Args:
            call: its id.
            event: the id of the last event that was written.
            keep: whether the file is written now.

        Raises:
            ResumeFileError: it cannot be written.
        """
        if event is not None and self._places.get(call) != event:
            self._places[call] = event
            if keep:
                self.save()

    def save(self) -> None:
        """Write the file.

        Raises:
            ResumeFileError: it cannot be written.
        """
        if self._path is None:
            return
        new = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            new.write_text(json.dumps(self._places, indent=1) + "\n", "utf-8")
            new.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise ResumeFileError(f"--resume: {self._named}: {error.strerror}") from None
