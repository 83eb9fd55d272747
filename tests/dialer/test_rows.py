"""CSV files of contacts, and do-not-call files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ajoxi_async import InvalidParameterError
from ajoxi_async.dialer.loading.rows import NumberFile, from_csv, given_row
from ajoxi_async.dialer.rules.numbers import NumberRefused, reader

CSV = [
    pytest.param(b"phone\n+12126000001\n+12126000002\n", {}, id="one column"),
    pytest.param(b"+12126000001\n+12126000002\n", {}, id="no header"),
    pytest.param(b"'+12126000001\r+12126000002\r", {}, id="no header, and line ends of old Macs"),
    pytest.param("phone\n+12126000001\n+12126000002\n".encode("utf-32"), {}, id="UTF-32"),
    pytest.param(b"\xef\xbb\xbfphone\r\n+12126000001\r\n+12126000002", {}, id="byte order mark"),
    pytest.param(
        "\ufeffname;mobile\nZoë;+12126000001\nJosé;+12126000002\n".encode("utf-16-le"), {}, id="Excel's Unicode text"
    ),
    pytest.param(
        "name;mobile\nZoë;+12126000001\nJosé;+12126000002\n".encode("cp1252"), {"encoding": "cp1252"}, id="cp1252"
    ),
    pytest.param(b'name,phone\n"Doe, Jane",+12126000001\n"a ""b""\nc",+12126000002\n', {}, id="quoted"),
    pytest.param(b"id\tmobile\n7\t+12126000001\n\n8\t+12126000002\n", {"key": "id"}, id="tabs and an empty line"),
    pytest.param(b"a|Phone Number|b\n1|+12126000001|2\n1|+1 212 600 0002|2\n", {}, id="bars"),
    pytest.param(b"a,b\n+12126000009,+12126000001\n+12126000009,+12126000002\n", {"phone": "b"}, id="a named column"),
    pytest.param(b"tel;x\n(212) 600-0001;,,,,\n2126000002;,\n", {"region": "US"}, id="national spellings"),
]


@pytest.mark.parametrize(("content", "options"), CSV)
def test_forms_of_csv(tmp_path: Path, content: bytes, options: dict[str, Any]) -> None:
    """Files of spreadsheets and databases are read as they are."""
    if "region" in options:
        pytest.importorskip("phonenumbers")
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    rows = list(from_csv(path, **options).rows())
    assert [reader(options.get("region"))(row[1]) for row in rows] == ["+12126000001", "+12126000002"]
    assert [row[6] for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("content", "options", "param"),
    [
        (None, {}, "path"),
        (b"name,street\nx,y\n", {}, "phone"),
        (b"name,phone\nx,+12126000001\n", {"phone": "mobile"}, "phone"),
        (b"phone,phone\nx,y\n", {}, "phone"),
        (b"phone,z\nx,y\n", {"zone": "tz"}, "zone"),
        (b"phone\n\xff\xfe\xfd\n", {}, "encoding"),
        (b"phone\n+12126000001\n", {"encoding": "utf-7000"}, "encoding"),
        (b'phone,a\n"' + b"x" * 140_000, {}, "path"),
        (b"x" * 140_000, {}, "path"),
        (b'phone,a\n+12126000001,"x\n+12126000002,x\n', {}, "path"),
        (b'phone,"a\n+12126000001,x\n+12126000002,x\n', {}, "path"),
        ("phone\n".encode("utf-16-le"), {"encoding": "utf-16"}, "encoding"),
    ],
    ids=[
        "no file",
        "no column of numbers",
        "no such column",
        "two columns",
        "no zone column",
        "encoding",
        "no such encoding",
        "open quote",
        "a header of one endless field",
        "an open quote at the end",
        "an open quote in the header",
        "UTF-16 without its mark",
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None, options: dict[str, Any], param: str) -> None:
    """A file that cannot be read in this way is an error that names the parameter."""
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidParameterError) as caught:
        list(from_csv(path, **options).rows())
    assert caught.value.param == param


@pytest.mark.parametrize("content", [b"", b"\n\n", b"phone\n", b"\xef\xbb\xbf"], ids=repr)
def test_empty_files(tmp_path: Path, content: bytes) -> None:
    """A file without rows has none."""
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    assert list(from_csv(path).rows()) == []


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        (("",), "path"),
        ((5,), "path"),
        (("a\0b",), "path"),
        (("a.csv", "phone", {"delimiter": ";;"}), "delimiter"),
        (("a.csv", "phone", {"region": "USA"}), "region"),
        (("a.csv", "phone", {"region": ["US"]}), "region"),
        (("a.csv", 5), "phone"),
        (("a.csv", "phone", {"zone": 5}), "zone"),
        (("a.csv", "phone", {"encoding": None}), "encoding"),
        (("a.csv", "phone", {"encoding": "utf-8\0"}), "encoding"),
    ],
    ids=repr,
)
def test_from_csv_refuses(arguments: tuple[Any, ...], param: str) -> None:
    """What cannot be right is refused before the file is opened."""
    pytest.importorskip("phonenumbers")
    options = arguments[-1] if isinstance(arguments[-1], dict) else {}
    with pytest.raises(InvalidParameterError) as caught:
        from_csv(*(one for one in arguments if not isinstance(one, dict)), **options)
    assert caught.value.param == param


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """A row has the number of the line on which it ends, empty lines and lines within quotes counted."""
    path = tmp_path / "list.csv"
    path.write_text('phone,note\n+1,a\n\n+2,"b\nc"\n+3,d\n')
    assert [(row[0], row[1]) for row in from_csv(path).rows()] == [(2, "+1"), (5, "+2"), (6, "+3")]


def test_columns_of_one_name_are_all_kept(tmp_path: Path) -> None:
    """Variables of columns that have one name get names of their own, which no other column has."""
    path = tmp_path / "list.csv"
    path.write_text("phone,note,note,note (2),note\n+12126000001,a,b,c,d\n")
    assert [row[5] for row in from_csv(path).rows()] == [
        {"note": "a", "note (2)": "c", "note (3)": "b", "note (4)": "d"}
    ]


def test_variables_can_be_left_out(tmp_path: Path) -> None:
    """Other columns are variables, unless they are not wanted; columns without a name are none."""
    path = tmp_path / "list.csv"
    path.write_text("phone, name ,\n+1,Ann,x\n")
    assert [row[5] for row in from_csv(path).rows()] == [{"name": "Ann"}]
    assert [row[5] for row in from_csv(path, variables=False).rows()] == [None]


def test_do_not_call_files(tmp_path: Path) -> None:
    """A do-not-call file has a number at the beginning of each line; a header and comments are no numbers."""
    path = tmp_path / "dnc.txt"
    path.write_text('\ufeffnumber;since\n+1;2020\n\n# 5\n"+2",x\n +3 \nnonsense\n', encoding="utf-8")
    assert [row[:2] for row in NumberFile(path).rows()] == [(2, "+1"), (5, "+2"), (6, "+3"), (7, "nonsense")]
    path.write_bytes(b"\xff")
    for bad in (path, tmp_path / "missing", tmp_path):
        with pytest.raises(InvalidParameterError) as caught:
            list(NumberFile(bad).rows())
        assert caught.value.param == "do_not_call"


@pytest.mark.parametrize("line", ["Jane,+12126000001", "Jane,2126000001", ",+12126000001"])
def test_no_line_of_a_do_not_call_file_is_left_out_in_silence(tmp_path: Path, line: str) -> None:
    """A line whose number is not in its first field is given to whoever reads numbers, also the first one, so that it is refused."""
    path = tmp_path / "dnc.txt"
    path.write_text(f"{line}\n,;\n,x\n")
    rows = list(NumberFile(path).rows())
    assert [row[0] for row in rows] == [1, 3]
    for row in rows:
        with pytest.raises(NumberRefused):
            reader(None)(row[1])


def test_a_first_number_that_is_spelt_wrongly_is_no_header(tmp_path: Path) -> None:
    """In a file of one column a first line that begins with a digit is a row, which can be refused and counted."""
    path = tmp_path / "list.csv"
    path.write_text("(212) 600-0001\n+12126000002\n")
    assert [row[:2] for row in from_csv(path).rows()] == [(1, "(212) 600-0001"), (2, "+12126000002")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """A pipe is refused with its reason, and nobody waits for somebody who writes to it."""
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(InvalidParameterError, match="is a pipe"):
        list(from_csv(tmp_path / "list.csv").rows())


def test_rows_of_programs() -> None:
    """A row of a program is a number, or a mapping whose other entries are variables."""
    assert given_row("+1", 3) == (3, "+1", None, None, None, None, None)
    assert given_row({"phone": "+1", "zone": "z", "key": "k", "a": 1}, 1) == (1, "+1", "z", None, "k", {"a": 1}, None)
    assert given_row({"number": "+1"}, 1)[6] == "the row has no 'phone'"


def test_a_row_without_consent_is_refused(tmp_path: Path) -> None:
    """A named column of consents that is empty or says no refuses its row with the reason; what it says otherwise is kept."""
    file = tmp_path / "people.csv"
    said = ["web form 2026-03-01", "", " No ", "false", "0", "yes", "NULL", "unknown"]
    file.write_text("phone,basis\n" + "".join(f"+1415555{2000 + n},{text}\n" for n, text in enumerate(said)))
    found = [(row[5], row[6]) for row in from_csv(file, consent="basis").rows()]
    refused = "no consent in column 'basis'"
    assert [why for _, why in found] == [None, refused, refused, refused, refused, None, refused, refused]
    assert found[0][0] == {"basis": "web form 2026-03-01"}
    assert [row[6] for row in from_csv(file).rows()] == [None] * len(said)
    assert [row[6] for row in from_csv(file, consent="basis", variables=False).rows()][:2] == [None, refused]
    with pytest.raises(InvalidParameterError, match="consent"):
        list(from_csv(file, consent="basics").rows())
