"""Turning the values that callers give into the exact builtins that are sent.

Rules:
1. An instance of a subclass counts as its base class with the same value: Django's SafeString, NumPy's str_, members of a str
   or int enum, pandas' Timestamp, freezegun's FakeDatetime. Overridden methods (``__str__``, ``__format__``) do not matter.
2. Any Mapping is an object with the pairs of its ``items()``. (A QueryDict stores lists, which its ``items()`` hides.) Any
   other collection but bytes and text, and any iterator, is a list.
3. An integer of any kind (NumPy's int64) is an integer; a NumPy array or scalar is the value of its ``tolist()``. A bool is
   not a number, and neither is a Decimal, which does not mix with floats.
4. Values are nested at most `MAX_DEPTH` levels deep, so that a value which contains itself is refused.
"""

from __future__ import annotations

import numbers
from collections import UserString
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from ajoxi_async.contract.encoding.parsing import MAX_DEPTH
from ajoxi_async.contract.encoding.times import exact_datetime
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["exact", "integer", "is_unicode", "seconds"]

_EXACT = frozenset({str, int, float, bool, type(None)})


def exact(value: Any, param: str = "body", depth: int = MAX_DEPTH) -> Any:
    """Turn a value into exact builtins. A value to which no rule above applies is returned unchanged.

    Args:
        value: as the caller gave it.
        param: the name of the parameter, for the error.
        depth: levels of nesting that are left.

    Raises:
        InvalidParameterError: it is nested deeper than `MAX_DEPTH` levels, or a datetime that is not a moment (pandas' NaT, or a
            zone without a sound offset).
    """
    if type(value) in _EXACT:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, datetime):
        try:
            return exact_datetime(value)
        except (TypeError, ValueError):
            raise InvalidParameterError(param, f"expected a time, got a {type(value).__name__} that is none") from None
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, numbers.Integral):
        return value.__index__()
    if isinstance(value, (bytes, bytearray, memoryview, UserString, type)):
        return value
    listed = getattr(value, "tolist", None)
    many = isinstance(value, (Collection, Iterator))
    if not many and not callable(listed):
        return value
    if depth <= 0:
        raise InvalidParameterError(param, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {
            str.__str__(key) if isinstance(key, str) else key: exact(item, param, depth - 1)
            for key, item in value.items()
        }
    if callable(listed):
        return exact(listed(), param, depth - 1)
    return [exact(item, param, depth - 1) for item in value]


def integer(value: Any) -> int | None:
    """An integer of any kind as an int; ``None`` for anything else, a bool included."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return None
    return int(value.__index__())


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can carry a text: it holds no half of a surrogate pair, as text from an environment variable may."""
    try:
        str.encode(text)
    except UnicodeEncodeError:
        return False
    return True


def seconds(value: Any) -> float | None:
    """A span of time as a float: any real number; ``None`` for anything else, a bool or a NaN included."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        number = float(value)
    except (OverflowError, ValueError):
        return None
    return number if number == number else None  # noqa: PLR0124 - a NaN is not itself
