"""Files of reports: whole or not there, in the order of loading."""

from __future__ import annotations

import csv
import os
import random
import tracemalloc
from pathlib import Path

import pytest

from ajoxi_async.dialer.reporting import report_file
from ajoxi_async.dialer.reporting.report_file import CsvReport, ReportError, write_text
from ajoxi_async.dialer.reporting.report_rows import COLUMNS, ReportRow


def row(load: int, line: int, **more: object) -> ReportRow:
    return ReportRow(**{"load": load, "source": "a", "line": line, "number": "+14155551234", "state": "done"} | more)


def lines(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="") as file:
        return [(one["reference"], one["line"]) for one in csv.DictReader(file)]


@pytest.mark.parametrize("piece", [1, 7, 100, 10**6])
def test_rows_are_in_the_order_of_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """However they come and however many pieces are merged, the rows are sorted by load and line, and all are there."""
    monkeypatch.setattr(report_file, "_PIECE", piece)
    loaded = [row(load, line, reference=f"load {load}") for load in (1, 2) for line in range(2, 60)]
    shuffled = random.Random(1).sample(loaded, len(loaded))
    with CsvReport(tmp_path / "out.csv") as report:
        report.write(shuffled[:50])
        report.write(shuffled[50:])
    assert lines(tmp_path / "out.csv") == [(one.reference, str(one.line)) for one in loaded]
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]


def test_cells_with_line_ends_and_quotes_survive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in a cell comes back from the file, also from a piece that was set aside."""
    monkeypatch.setattr(report_file, "_PIECE", 1)
    odd = 'a "b", c\r\nd\ne\rf'
    with CsvReport(tmp_path / "out.csv") as report:
        report.write([row(1, 2, key=odd), row(1, 3)])
    with (tmp_path / "out.csv").open(newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == list(COLUMNS)
    assert read[1][COLUMNS.index("key")] == odd


def test_an_unfinished_report_leaves_the_older_file(tmp_path: Path) -> None:
    """If rows cannot be read to their end, the file is what it was before, and nothing is left beside it."""
    path = tmp_path / "out.csv"
    path.write_text("older")

    def broken() -> None:
        with CsvReport(path) as report:
            report.write([row(1, 2)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert path.read_text() == "older"
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize(
    "write", [lambda path: CsvReport(path), lambda path: write_text(path, "x")], ids=["csv", "text"]
)
def test_a_folder_that_is_not_there(tmp_path: Path, write: object) -> None:
    """The error is the package's, and names the file and not its folder."""
    with pytest.raises(ReportError, match=r"cannot write out.csv: No such file"):
        write(tmp_path / "none" / "out.csv")


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A device or pipe is never replaced, and a link stays one."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "text")
    assert os.read(reader, 100) == b"text"
    os.close(reader)
    link.symlink_to("there")
    write_text(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "there").read_text() == "text"
    with CsvReport("/dev/null") as report:
        report.write([row(1, 2)])
    assert Path("/dev/null").is_char_device()


def test_a_text_replaces_an_older_one(tmp_path: Path) -> None:
    """The file has the new text and the permissions it had."""
    path = tmp_path / "out.html"
    path.write_text("older")
    path.chmod(0o640)
    write_text(path, "newer")
    assert path.read_text() == "newer"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["out.html"]


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the rows take no more memory than twice as much, most of it the buffers of the pieces."""
    monkeypatch.setattr(report_file, "_PIECE", 1000)
    peaks = []
    for rows in (2_000, 20_000):
        tracemalloc.start()
        with CsvReport(tmp_path / "out.csv") as report:
            for line in range(0, rows, 100):
                report.write([row(1, line + n) for n in range(100)])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no paths of open files")
def test_a_pipe_is_written_to() -> None:
    """A report can go to a program that reads it, by a path such as ``/dev/stdout``."""
    reading, writing = os.pipe()
    with open(reading) as told:
        with CsvReport(f"/dev/fd/{writing}") as report:
            report.write([row(1, 2)])
        os.close(writing)
        assert told.read().startswith("line,number,state")
