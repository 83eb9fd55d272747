"""Durations as users write them.

Rule: a duration is a number of seconds, a `timedelta`, or a text of digits and one unit: ``"90s"``, ``"15m"``, ``"4h"``, ``"1d"``.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["DAY", "HOUR", "MINUTE", "YEAR", "seconds"]

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
YEAR: Final = 366 * DAY

_UNITS: Final = {"s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY}
_TEXT: Final = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>[smhd])", re.ASCII)


def seconds(param: str, value: object, *, least: float = 0, most: float = YEAR) -> float:
    """A duration in seconds.

    Args:
        param: the parameter's name, for the error.
        value: see the rule above.
        least: of the result, in seconds.
        most: of the result, in seconds.

    Raises:
        InvalidParameterError: it is no duration, or not within the bounds.
    """
    if isinstance(value, timedelta):
        found = value.total_seconds()
    elif isinstance(value, str) and (match := _TEXT.fullmatch(value.strip())) is not None:
        found = float(match["number"]) * _UNITS[match["unit"]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value) if abs(value) < 1e12 else math.inf
    else:
        raise InvalidParameterError(
            param, f"expected seconds, or a text such as '90s', '4h' or '1d', got {shown(value)}"
        )
    if not least <= found <= most:  # NaN is refused here too
        raise InvalidParameterError(param, f"expected {least:g} to {most:g} seconds, got {shown(value)}")
    return found
