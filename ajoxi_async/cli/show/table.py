"""Tables for people.

Rules:
1. A row is one line. On a terminal it is as long as the terminal at most: columns at the end are left out, unless they were asked for,
   and long texts are shortened. Ids are never shortened, because people copy them.
2. Columns are as wide as the first rows need. Later rows that need more are shortened, so that a list can be written as it comes.
3. Colours are for terminals, if rich is installed and ``NO_COLOR`` is not set.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import define, field

from ajoxi_async.cli.output import say
from ajoxi_async.cli.show.fields import value_of
from ajoxi_async.cli.show.styles import styled
from ajoxi_async.cli.show.text import cell, printable, shortened, width

__all__ = ["Layout", "Table", "fitted", "record_lines", "terminal_columns"]

_GAP: Final = 2
#: A column that is shortened keeps so many characters, and one that is no longer than this is not shortened to make room.
_LEAST: Final = 16
_SHORT: Final = 24


def terminal_columns() -> int | None:
    """Columns of the terminal; ``None`` where standard output is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


@define
class Layout:
    """The columns of a table, and how wide each is."""

    names: list[str]
    widths: list[int]


def fitted(names: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None, *, asked_for: bool) -> Layout:
    """Lay a table out (rules 1 and 2).

    Args:
        names: of the columns, the most important first.
        rows: the cells of the first rows.
        columns: of the terminal, ``None`` for no bound.
        asked_for: whether the user has named the columns, so that none is left out.
    """
    wanted = [max([width(name), *(width(row[at]) for row in rows)]) for at, name in enumerate(names)]
    layout = Layout(list(names), wanted)
    if columns is None:
        return layout
    least = [
        one if _is_id(name) or (one <= _SHORT and not asked_for) else min(one, max(_LEAST, width(name)))
        for name, one in zip(names, wanted, strict=True)
    ]
    while not asked_for and len(layout.names) > 1 and _whole(least[: len(layout.names)]) > columns:
        del layout.names[-1], layout.widths[-1]
    while (over := _whole(layout.widths) - columns) > 0:
        room = [one - small for one, small in zip(layout.widths, least, strict=False)]
        at = max(range(len(room)), key=room.__getitem__)
        if not room[at]:
            break
        layout.widths[at] -= min(over, room[at])
    return layout


def _whole(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id")


@define
class Table:
    """Writes rows as they come.

    Attributes:
        names: the columns, the most important first.
        asked_for: whether the user has named them.
    """

    names: tuple[str, ...]
    asked_for: bool
    _layout: Layout | None = field(default=None, init=False)

    def write(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Write a row for each item, and before the first a line with the names of the columns."""
        if not items:
            return
        rows = [[cell(value_of(item, name)) for name in self.names] for item in items]
        if self._layout is None:
            self._layout = fitted(self.names, rows, terminal_columns(), asked_for=self.asked_for)
            say(styled(_line(self._layout, self._layout.names), "bold"), needed=True)
        chosen = [self.names.index(name) for name in self._layout.names]
        say("\n".join(_line(self._layout, [row[at] for at in chosen]) for row in rows), needed=True)


def _line(layout: Layout, cells: Sequence[str]) -> str:
    padded = []
    for name, text, most in zip(layout.names, cells, layout.widths, strict=True):
        shown = text if _is_id(name) else shortened(text, most)
        padded.append(shown + " " * (most - width(shown)))
    return (" " * _GAP).join(padded).rstrip()


def record_lines(item: Mapping[str, Any], names: Sequence[str], *, asked_for: bool) -> list[str]:
    """One object as lines, a field each; what is not there is left out unless it was asked for."""
    told = [(name, value_of(item, name)) for name in names]
    shown = [(name, value) for name, value in told if asked_for or value not in (None, [], {})]
    widest = max((width(name) for name, _ in shown), default=0)
    lines = []
    for name, value in shown:
        lines.append(f"{styled(f'{name:<{widest}}', 'bold')}  {cell(value)}".rstrip())
        if name == "segments" and isinstance(value, list):
            lines += [f"  {printable(str(one.get('speaker')))}: {printable(str(one.get('text')))}" for one in value]
    return lines
