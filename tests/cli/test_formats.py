"""How answers are written: tables, JSON, lines of JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async.cli import main
from ajoxi_async.cli.show.fields import value_of
from ajoxi_async.cli.show.formats import writer
from ajoxi_async.cli.show.table import fitted
from ajoxi_async.cli.show.text import cell, printable, shortened, width

from .conftest import FROM, TO, Screen, Server
from .terminal import COMMAND, environment

Run = Callable[..., tuple[int, str, str]]
HOSTILE = "=1+1 \x1b[2J\u202e\x9b3m\ud800é😀\r\n\t\"',"


@settings(max_examples=40)
@given(st.text(max_size=40), st.integers(1, 30))
def test_shortened_texts_fit(text: str, most: int) -> None:
    """A text that is shown takes no more columns than it may, and is left alone if it fits."""
    shown = printable(text)
    assert shown.isprintable()
    short = shortened(shown, most)
    assert width(short) <= most
    assert short == shown or width(shown) > most


@settings(max_examples=30)
@given(
    st.lists(
        st.lists(st.text(max_size=20).map(lambda text: printable(text * 3)), min_size=4, max_size=4),
        min_size=1,
        max_size=5,
    ),
    st.integers(60, 120),
)
def test_tables_fit(rows: list[list[str]], columns: int) -> None:
    """A table is no wider than the terminal, or has its first column alone, and its first column is whole where that is an id."""
    layout = fitted(["id", "status", "to", "body"], rows, columns, asked_for=False)
    whole = sum(layout.widths) + 2 * (len(layout.widths) - 1)
    assert whole <= columns or layout.names == ["id"]
    assert layout.names[0] == "id"
    assert layout.widths[0] == max([2, *(width(row[0]) for row in rows)])


def test_columns_that_were_asked_for_stay() -> None:
    """A column of `--fields` is shortened and never left out."""
    names = ["body", "id", "url"]
    layout = fitted(names, [["x" * 200, "call_8f2a1b3c", "y" * 100]], 80, asked_for=True)
    assert layout.names == names
    assert sum(layout.widths) + 4 == 80
    assert layout.widths[1] == len("call_8f2a1b3c")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (7, "7"),
        ("2026-11-23T09:30:00.000Z", "2026-11-23T09:30:00Z"),
        ({"kind": "forward", "target": None}, "kind=forward"),
        (["voice", "sms"], "voice, sms"),
        ([{"text": "a"}, {"text": "b"}], "2"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
    ],
)
def test_cells(value: Any, shown: str) -> None:
    """A value is one line of text without control characters."""
    assert cell(value) == shown


def test_fields_of_fields() -> None:
    """A name with a dot is a field of a field, unless there is a field of that name."""
    item = {"metadata": {"a": "1"}, "b.c": "2"}
    assert [value_of(item, name) for name in ("metadata.a", "b.c", "metadata.x.y", "none")] == ["1", "2", None, None]


@pytest.mark.parametrize("format", ["table", "json", "jsonl", "csv"])
def test_hostile_text(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Text of strangers has no effect on a terminal, and is the same text for who reads JSON or CSV."""
    write = writer(format, (), ("id", "body"), "Message")
    item = {"id": "msg_1", "body": HOSTILE}
    if format == "csv":
        item = {"id": "msg_1", "body": HOSTILE.replace("\ud800", "")}
    write.several([item, item])
    write.end()
    out = capsys.readouterr().out
    if format == "csv":
        assert list(csv.DictReader(io.StringIO(out, newline=""))) == [item, item]
        return
    assert not set(out) & set("\x1b\x9b\u202e\r\t\ud800")
    if format == "table":
        assert out.count("\n") == 3
    else:
        read = json.loads(out) if format == "json" else [json.loads(line) for line in out.splitlines()]
        assert read == [item, item]


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_hostile_text_as_csv_on_a_terminal(screen: Callable[..., Screen]) -> None:
    """CSV has text as it is for other programs only: on a terminal it has no effect either."""
    terminal = screen("stdout")
    write = writer("csv", (), ("id", "body"), "Message")
    write.several([{"id": "msg_1", "body": HOSTILE}])
    shown = terminal.shown()
    assert not set(shown) & set("\x1b\x9b\u202e\r\t\ud800")
    assert shown.count("\n") == 2


def test_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is an empty array of JSON, the line of names of CSV, and nothing otherwise."""
    shown = {}
    for format in ("table", "json", "jsonl", "csv"):
        write = writer(format, (), ("id", "to"), "Call")
        write.end()
        shown[format] = capsys.readouterr().out
    assert shown == {"table": "", "json": "[]\n", "jsonl": "", "csv": "id,to\n"}


def test_one_object(server: Server, ajoxi: Run) -> None:
    """One object is a line for each field in a table, a row in CSV, and the same object in both kinds of JSON."""
    create = ("calls", "create", "--to", TO, "--from", FROM, "--metadata", "a=b", "--format")
    table = ajoxi(*create, "table")[1].splitlines()
    assert [line.split()[0] for line in table] == ["id", "status", "direction", "from", "to", "created_at", "metadata"]
    (row,) = csv.DictReader(io.StringIO(ajoxi(*create, "csv")[1]))
    assert json.loads(row["metadata"]) == {"a": "b"}
    assert row["duration"] == ""
    first, second = ajoxi(*create, "json")[1], ajoxi(*create, "jsonl")[1]
    assert (first.count("\n") > 10, second.count("\n")) == (True, 1)
    assert json.loads(first).keys() == json.loads(second).keys()
    id = json.loads(second)["id"]
    shown = ajoxi("calls", "retrieve", id, "--fields", "to,metadata.a,agent_id", "--format", "table")[1]
    assert shown.splitlines() == [f"to          {TO}", "metadata.a  b", "agent_id"]


def test_json_where_characters_lack(server: Server, ajoxi: Run) -> None:
    """What is written is JSON wherever characters lack."""
    body = "Grüße, 😀 & ☃"
    ajoxi("messages", "send", "--to", TO, "--from", FROM, "--body", body)
    run = subprocess.run(
        [*COMMAND, "messages", "list"], capture_output=True, check=True, timeout=30,
        env=environment(PYTHONIOENCODING="cp1252", **server.environment),
    )  # fmt: skip
    assert json.loads(run.stdout.decode("cp1252"))["body"] == body


@pytest.mark.parametrize(
    ("columns", "env"),
    [(80, {}), (200, {"NO_COLOR": "1"}), (80, {"TERM": "dumb"}), (40, {"PYTHONIOENCODING": "ascii"})],
    ids=str,
)
def test_tables_on_terminals(
    server: Server, ajoxi: Run, screen: Callable[..., Screen], columns: int, env: dict[str, str]
) -> None:
    """On a terminal a list is a table that fits into it, bold at the top where there are styles, and ids are whole."""
    for body in ("Grüße " * 30, "short"):
        ajoxi("messages", "send", "--to", TO, "--from", FROM, "--body", body)
    ids = {line.split('"')[3] for line in ajoxi("messages", "list", "--fields", "id")[1].splitlines()}
    terminal = screen("stdout", columns=columns, **env)
    assert main(["messages", "list"]) == 0
    text = terminal.shown()
    assert ("\x1b[1m" in text) == (env.get("TERM") != "dumb")
    assert "\x1b[3" not in text
    lines = text.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert len(lines) == 3
    assert {line.split()[0] for line in lines[1:]} == ids
    assert all(len(line) <= columns for line in lines)
    assert ("body" in lines[0]) == (columns >= 80)
