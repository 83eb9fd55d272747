"""Models in notebooks and in rich: the fields that their repr shows, as pairs and as HTML.

Rules:
1. Secrets and phone numbers are masked as in the repr, and characters that would mislead a reader are escaped
   (`contract.masking`).
2. Everything is escaped for HTML: texts of a call come from outside.
3. A text is shown up to `LONGEST` characters, a list up to `MOST` rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum
from html import escape
from typing import Any, Final

import attrs

from ajoxi_async.contract.masking import mask, shown

__all__ = ["html_of_many", "html_of_one", "rich_pairs", "shown_fields"]

LONGEST: Final = 300
MOST: Final = 200

#: Fields that are not shown: what this version does not know, and the bytes of a delivery.
_HIDDEN: Final = frozenset({"extra", "raw"})


def shown_fields(model: Any) -> Iterator[tuple[str, Any]]:
    """The names and values of a model that its repr shows: those that are set, a secret as ``***``."""
    for attribute in attrs.fields(type(model)):
        value = getattr(model, attribute.name)
        if attribute.name not in _HIDDEN and value not in (None, (), {}):
            yield attribute.name, "***" if attribute.name == "secret" else value


class _Masked:
    """A value whose repr has something to hide."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def rich_pairs(model: Any) -> Iterator[tuple[str, Any]]:
    """The same for rich, which shows nested models and values that have nothing to hide by itself."""
    for name, value in shown_fields(model):
        # With its name, because a secret is recognised by what stands before it.
        text = f"{name}={value!r}"
        whole = _is_nested(value) or mask(text) == text
        yield name, value if whole else _Masked(mask(text).removeprefix(f"{name}="))


def _is_model(value: Any) -> bool:
    return not isinstance(value, type) and attrs.has(type(value))


def _is_nested(value: Any) -> bool:
    return _is_model(value) or (isinstance(value, tuple) and bool(value) and _is_model(value[0]))


def _cell(name: str, value: Any) -> str:
    if _is_model(value):
        return html_of_one(value)
    if _is_nested(value):
        return html_of_many(value, "")
    if isinstance(value, datetime):
        text = value.isoformat(sep=" ", timespec="milliseconds")
    elif isinstance(value, Enum):
        text = str(value.value)
    else:
        text = value if isinstance(value, str) else repr(value)
    return escape(shown(f"{name}={text}", LONGEST + len(name)).removeprefix(f"{name}="))


_LEFT = ' style="text-align: left; vertical-align: top"'


def html_of_one(model: Any) -> str:
    """A table with a row for each field of a model."""
    rows = "".join(
        f"<tr><th{_LEFT}>{escape(name)}</th><td{_LEFT}>{_cell(name, value)}</td></tr>"
        for name, value in shown_fields(model)
    )
    return f"<table><caption>{escape(type(model).__name__)}</caption>{rows}</table>"


def html_of_many(models: Sequence[Any], caption: str) -> str:
    """A table with a row for each model and a column for each field that one of them has."""
    rows = [dict(shown_fields(model)) for model in models[:MOST] if _is_model(model)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th{_LEFT}>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_LEFT}>{_cell(name, row[name]) if name in row else ''}</td>" for name in columns)
        + "</tr>"
        for row in rows
    )
    if len(models) > MOST:
        caption = f"{caption}; the first {MOST} are shown".lstrip("; ")
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
