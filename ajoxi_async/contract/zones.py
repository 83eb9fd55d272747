"""Time zones of test numbers. In the zone of a test number it is late morning when a test begins, so that it may call at once.

Rules:
1. A test number is ``+1 500 555 ....``, magic or not, or ``+1 ... 555 ....`` of any area. The zones of the numbering plan are
   of no use for them: +1 500 belongs to every zone of its country code, and in any fixed zone it is night for half of the day.
2. In the zone of a number it is 10, 11 or 12 o'clock at the moment that is given; the number's last digit decides which of the
   three. Code that asks for the zone once, when it loads the contact, has a fixed zone in which evening comes later.
3. Zones are names of the IANA database. None of them has changed its clocks since 2020, so that a test behaves the same in
   every season.
4. Other numbers have no zone here, because they are real numbers with real zones.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["zone_of"]

_TEST_NUMBER = re.compile(r"\+1(?:500|[2-9]\d\d)555\d{4}", re.ASCII)
#: The offset of the first of `_ZONES`, in hours. Each zone is one hour ahead of the one before it, up to 12.
_FIRST_OFFSET = -11
_ZONES = (
    "Pacific/Pago_Pago",
    "Pacific/Honolulu",
    "Pacific/Gambier",
    "Pacific/Pitcairn",
    "America/Phoenix",
    "America/Costa_Rica",
    "America/Panama",
    "America/Puerto_Rico",
    "America/Sao_Paulo",
    "Atlantic/South_Georgia",
    "Atlantic/Cape_Verde",
    "Africa/Abidjan",
    "Africa/Lagos",
    "Africa/Johannesburg",
    "Africa/Nairobi",
    "Asia/Dubai",
    "Asia/Tashkent",
    "Asia/Dhaka",
    "Asia/Bangkok",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Brisbane",
    "Pacific/Guadalcanal",
    "Pacific/Tarawa",
)
#: The hours at which a test may begin in the zone of a number; see rule 2.
_HOURS = (10, 11, 12)


def zone_of(number: str, at: datetime) -> str | None:
    """The time zone of a test number, by its IANA name; ``None`` for any other number.

    Args:
        number: E.164.
        at: the moment at which the test begins, by the clock that the test uses; an aware time.

    Raises:
        InvalidParameterError: `at` has no zone.
    """
    if at.tzinfo is None:
        raise InvalidParameterError("at", "expected an aware time, such as datetime.now(UTC)")
    if _TEST_NUMBER.fullmatch(number) is None:
        return None
    ahead = _HOURS[int(number[-1]) % len(_HOURS)] - at.astimezone(UTC).hour
    return _ZONES[(ahead - _FIRST_OFFSET) % len(_ZONES)]
