"""The formats of ``--format``.

Rules:
1. On a terminal the format is a table. Elsewhere a list is written as lines of JSON, which other programs can read as they come, and
   one object as JSON.
2. JSON is valid in every encoding of the output: characters that it does not have are escapes of JSON. So are characters on which
   a terminal would act.
3. CSV has a column for each field, objects in it are JSON, and what is not there is empty. Text is written as it is, except to a
   terminal, where what would act on it is an escape. Who opens it in a spreadsheet imports it as text, since ``+14155550100`` and
   ``=1+1`` are formulas there.
4. A list is written as it comes, page by page, so that a long one needs no memory and ``| head`` gets its lines at once.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ajoxi_async.cli import output
from ajoxi_async.cli.show.fields import COLUMNS, value_of
from ajoxi_async.cli.show.table import Table, record_lines
from ajoxi_async.cli.show.text import printable

__all__ = ["Writer", "default_format", "json_line", "json_text", "writer"]

_ACTING: Final = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]")

Item = Mapping[str, Any]


def _say(text: str, end: str = "\n") -> None:
    output.say(text, needed=True, end=end)


def default_format(*, listing: bool) -> str:
    """The format where none was asked for (rule 1)."""
    if sys.stdout is not None and sys.stdout.isatty():
        return "table"
    return "jsonl" if listing else "json"


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON (rule 2)."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "").replace("_", "")
    text = json.dumps(value, ensure_ascii=not encoding.startswith("utf"), indent=indent)
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def json_line(value: Any) -> None:
    """Write a value as a line of JSON.

    Raises:
        OutputError: standard output cannot be written.
    """
    _say(json_text(value))


class Writer(ABC):
    """Writes what an operation answered."""

    def __init__(self, fields: tuple[str, ...], known: tuple[str, ...], model: str) -> None:
        self._fields = fields
        self._known = known
        self._model = model

    def _chosen(self, item: Item) -> Item:
        return {name: value_of(item, name) for name in self._fields} if self._fields else item

    @abstractmethod
    def one(self, item: Item) -> None:
        """Write one object."""

    @abstractmethod
    def several(self, items: Sequence[Item]) -> None:
        """Write some items of a list."""

    @abstractmethod
    def end(self) -> None:
        """End a list."""


class _Lines(Writer):
    def one(self, item: Item) -> None:
        _say(json_text(self._chosen(item)))

    def several(self, items: Sequence[Item]) -> None:
        if items:
            _say("\n".join(json_text(self._chosen(item)) for item in items))

    def end(self) -> None:
        """See `Writer`."""


class _Json(Writer):
    _begun = False

    def one(self, item: Item) -> None:
        _say(json_text(self._chosen(item), indent=2))

    def several(self, items: Sequence[Item]) -> None:
        for item in items:
            _say(",\n" if self._begun else "[\n", end="")
            _say(_indented(json_text(self._chosen(item), indent=2)), end="")
            self._begun = True

    def end(self) -> None:
        _say("\n]" if self._begun else "[]")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.split("\n"))


class _Csv(Writer):
    _begun = False

    def one(self, item: Item) -> None:
        self.several([item])

    def several(self, items: Sequence[Item]) -> None:
        names, text = self._fields or self._known, io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if not self._begun:
            self._begun = True
            rows.writerow(names)
        rows.writerows([_csv_cell(value_of(item, name)) for name in names] for item in items)
        _say(text.getvalue().removesuffix("\n"))

    def end(self) -> None:
        if not self._begun:
            self.several([])


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json_text(value)
    return printable(value) if sys.stdout is not None and sys.stdout.isatty() else value


class _Table(Writer):
    def __init__(self, fields: tuple[str, ...], known: tuple[str, ...], model: str) -> None:
        super().__init__(fields, known, model)
        self._table = Table(fields or COLUMNS.get(model, known), asked_for=bool(fields))

    def one(self, item: Item) -> None:
        # Fields that this version does not know are shown as well.
        names = self._fields or tuple(dict.fromkeys([*self._known, *item]))
        _say("\n".join(record_lines(item, names, asked_for=bool(self._fields))))

    def several(self, items: Sequence[Item]) -> None:
        self._table.write(items)

    def end(self) -> None:
        """See `Writer`."""


_WRITERS: Final[Mapping[str, type[Writer]]] = {"table": _Table, "json": _Json, "jsonl": _Lines, "csv": _Csv}


def writer(format: str, fields: tuple[str, ...], known: tuple[str, ...], model: str) -> Writer:
    """What writes a format.

    Args:
        format: one of table, json, jsonl and csv.
        fields: the fields that were asked for; empty for the usual ones.
        known: the fields that an answer can have.
        model: the name of the model of the answer.
    """
    return _WRITERS[format](fields, known, model)
