"""The file of ``transcripts tail --resume``: where each call is.

Rules:
1. It holds the id of the last event of each call whose segment was written. After a crash a segment may be written twice, and none is
   lost.
2. It is replaced as a whole, so that a crash leaves the old one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ajoxi_async.cli.status import UsageError

__all__ = ["ResumeFile"]


class ResumeFile:
    """Where each call is.

    Args:
        path: of the file; ``None`` to keep nothing.

    Raises:
        UsageError: it cannot be read, or is another kind of file.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._places: dict[str, str] = {}
        if self._path is None:
            return
        try:
            read = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            self.save()
            return
        except OSError as error:
            raise UsageError(f"--resume: {path}: {error.strerror}") from None
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, Mapping) or not all(isinstance(one, str) for one in read.values()):
            raise UsageError(f"--resume: {path}: expected a file that this command has made, or none yet")
        self._places = dict(read)

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
            UsageError: it cannot be written.
        """
        if event is not None and self._places.get(call) != event:
            self._places[call] = event
            if keep:
                self.save()

    def save(self) -> None:
        """Write the file.

        Raises:
            UsageError: it cannot be written.
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
            raise UsageError(f"--resume: {self._path}: {error.strerror}") from None
