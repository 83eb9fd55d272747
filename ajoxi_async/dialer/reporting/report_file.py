"""Writing a report's files.

Rules:
1. A file is whole or not there: it is written beside its place and renamed at the end. A report that fails leaves an older file
   as it was.
2. The rows of a CSV file are in the order in which they were loaded, whatever the order in which they are written here. They are
   sorted in pieces of `_PIECE` rows, and the pieces are merged, so that memory does not grow with their number.
3. Errors of the file system are `ReportError`s.
"""

from __future__ import annotations

import csv
import heapq
import marshal
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.dialer.reporting.report_rows import COLUMNS, ReportRow, cells

__all__ = ["CsvReport", "ReportError", "write_text"]

_PIECE: Final = 50_000
#: Rows of a piece that are read at once when the pieces are merged.
_AT_ONCE: Final = 50
#: What rows are sorted by, the number of the load and the line in it, and the row as it is in the file.
_Keyed = tuple[int, int, str]


class ReportError(AjoxiError):
    """A report's file cannot be written: a full disk, no permission, a directory in its place."""


@contextmanager
def _report_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(f"cannot write {path.name or path}: {error.strerror or error}") from None


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file as a whole.

    Raises:
        ReportError: it cannot be written.
    """
    with _report_errors(Path(path)), _Whole(Path(path)) as file:
        file.write(text)


class _Whole:
    """A text file that takes its place when the block is left without an error.

    Attributes:
        folder: that the file is in, where there is room for it; ``None`` for what is no file.
    """

    def __init__(self, path: Path) -> None:
        # A link is followed. What is no file, such as /dev/stdout, cannot be replaced and is written to.
        if path.exists() and not path.is_file():  # As it is named: where a pipe leads to has no path.
            self._place = self.folder = None
            self._file = path.open("w", encoding="utf-8", newline="")
            return
        self._place = path = path.resolve()
        self.folder = path.parent
        # In the same directory, because only a rename within a file system is a single step.
        self._unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
        self._file = self._unfinished.open("x", encoding="utf-8", newline="")
        if path.exists():
            shutil.copymode(path, self._unfinished)

    def __enter__(self) -> IO[str]:
        return self._file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._place is None:
            self._file.close()
            return
        try:
            with self._file:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if kind is None:
                self._unfinished.replace(self._place)
        finally:
            self._unfinished.unlink(missing_ok=True)


class CsvReport:
    """The CSV file of a report. Leaving the block finishes the file, or discards it after an error.

    Args:
        path: of the file.

    Raises:
        ReportError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._rows: list[_Keyed] = []
        self._pieces: list[IO[bytes]] = []
        self._open_pieces = ExitStack()
        with _report_errors(self._path):
            self._whole = _Whole(self._path)

    def write(self, rows: Sequence[ReportRow]) -> None:
        """Add rows, in any order."""
        lines = _Lines()
        csv.writer(lines, lineterminator="\n").writerows(map(cells, rows))
        self._rows += [(row.load, row.line, line) for row, line in zip(rows, lines.written, strict=True)]
        if len(self._rows) >= _PIECE:
            with _report_errors(self._path):
                self._set_aside()

    def _set_aside(self) -> None:
        piece = tempfile.TemporaryFile(dir=self._whole.folder)  # noqa: SIM115 - the stack closes it
        self._open_pieces.enter_context(piece)
        self._pieces.append(piece)
        self._rows.sort()
        for start in range(0, len(self._rows), _AT_ONCE):
            marshal.dump(self._rows[start : start + _AT_ONCE], piece)
        marshal.dump([], piece)
        self._rows.clear()
        piece.seek(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _report_errors(self._path), self._open_pieces:
            if kind is not None:
                self._whole.__exit__(kind, error, trace)
                return
            with self._whole as file:
                csv.writer(file, lineterminator="\n").writerow(COLUMNS)
                self._rows.sort()
                merged = heapq.merge(*map(_rows_of, self._pieces), self._rows)
                file.writelines(line for _, _, line in merged)


class _Lines:
    """Takes what a `csv.writer` writes: a line for each row."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.write = self.written.append


def _rows_of(piece: IO[bytes]) -> Iterator[_Keyed]:
    while rows := marshal.load(piece):  # noqa: S302 - this process wrote it, into a file that has no name
        yield from rows
