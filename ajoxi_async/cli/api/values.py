"""From what was typed to the parameters of a client's method.

Rules:
1. What cannot be read is a `UsageError` that names the option. What can be read is checked by the client.
2. A time is RFC 3339, or a day, which is its beginning in UTC, or an age, which is so long ago.
3. ``@FILE`` in a list stands for the lines of a file, ``@-`` for those of standard input. Empty lines are left out.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ajoxi_async.cli.api.operations import Operation, Option
from ajoxi_async.cli.status import UsageError
from ajoxi_async.contract.encoding.times import is_date_time, parse_time

__all__ = ["as_typed", "keywords", "moment"]

_AGE: Final = re.compile(r"(?P<amount>\d{1,6})(?P<unit>[smhdw])", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def keywords(operation: Operation, options: argparse.Namespace, now: datetime | None = None) -> dict[str, Any]:
    """The keyword arguments of the method, from the options that were given.

    Args:
        operation: whose method it is.
        options: what was typed.
        now: the moment from which ages are counted; by default this one.

    Raises:
        UsageError: an option cannot be read.
    """
    given: dict[str, Any] = {}
    for option in operation.options:
        typed = getattr(options, f"given_{option.keyword}_{option.key}")
        if typed is None:
            continue
        _check_text(option.flag, typed)
        value = _value(option, typed, now or datetime.now(UTC))
        if option.key:
            given.setdefault(option.keyword, {})[option.key] = value
        else:
            given[option.keyword] = value
    return given


def as_typed(operation: Operation) -> dict[str, str]:
    """The options of an operation by the names that its parameters have in errors."""
    flags = {"id": "ID"}
    for option in operation.options:
        whole = f"{option.keyword}.{option.key}" if option.key else option.keyword
        flags |= dict.fromkeys((option.param, whole), option.flag)
        # An error about an object is shown at the first of its options.
        flags.setdefault(option.keyword, option.flag)
    return flags


def _check_text(flag: str, typed: Any) -> None:
    """Refuse bytes that are no text in the encoding of the system; Python gives them as halves of surrogate pairs."""
    for text in typed if isinstance(typed, list) else [typed]:
        if isinstance(text, str) and not text.isascii() and re.search("[\ud800-\udfff]", text):
            raise UsageError(f"{flag}: expected text in the encoding of the system")


def _value(option: Option, typed: Any, now: datetime) -> Any:
    if option.kind == "integer":
        return whole_number(option.flag, typed)
    if option.kind == "time":
        return moment(option.flag, typed, now)
    if option.kind == "map":
        return _map(option.flag, typed)
    if option.kind == "list":
        return _list(option, typed)
    return typed


def whole_number(flag: str, typed: str) -> int:
    """A whole number.

    Raises:
        UsageError: it is none.
    """
    # Longer ones are no parameter of the API, and Python refuses to read them.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", typed):
        raise UsageError(f"{flag}: expected a whole number, got {typed[:40]!r}")
    return int(typed)


def moment(flag: str, typed: str, now: datetime) -> datetime:
    """A time, a day, or an age.

    Raises:
        UsageError: it is none of these.
    """
    try:
        if age := _AGE.fullmatch(typed):
            return now - timedelta(**{_UNITS[age["unit"]]: int(age["amount"])})
        if _DAY.fullmatch(typed):
            return datetime.fromisoformat(typed).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    else:
        read = parse_time(typed) if is_date_time(typed) else None
        if read is not None:
            return read
    raise UsageError(
        f"{flag}: expected a time with its zone such as 2026-11-23T09:30:00Z, a day such as 2026-11-23, or an age such as 90m, 2h,"
        f" 7d, got {typed[:40]!r}"
    )


def _map(flag: str, typed: Iterable[str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for text in typed:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"{flag}: expected KEY=VALUE, got {text[:40]!r}")
        if key in made:
            raise UsageError(f"{flag}: expected {key[:40]!r} once")
        made[key] = value
    return made


def _list(option: Option, typed: Iterable[str]) -> list[str]:
    made: list[str] = []
    for text in typed:
        if text.startswith("@"):
            made += _lines(option.flag, text[1:])
        elif option.choices:
            made += [one for one in text.split(",") if one]
        else:
            made.append(text)
    return made


def _lines(flag: str, path: str) -> list[str]:
    try:
        text = sys.stdin.read().removeprefix("\ufeff") if path == "-" else Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError, AttributeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "it cannot be read as text"
        raise UsageError(f"{flag}: @{path}: {why}") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
