"""Time zones of test numbers: at the moment at which a test begins it is late morning there, so that it may call at once.

Rules:
1. A test number is ``+1 500 555 ....``, magic or not, or ``+1 ... 555 ....`` of any area. What plans of numbers say of them
   is no use: +1 500 lies in every zone of its country code, and in an area it is night for half of the day.
2. Its zone is one in which it is 10, 11 or 12 o'clock at the moment that is given; the number's last digit says which of the
   three. Whoever takes the zone once, when the contact is loaded, has a fixed zone from then on, where evening comes.
3. All are names of the IANA database. None of them has changed its clocks since 2020, so that a test means the same in every season.
4. Other numbers have no zone here: they are real ones, and so are their zones.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["zone_of"]

_TEST_NUMBER = re.compile(r"\+1(?:500|[2-9]\d\d)555\d{4}", re.ASCII)
#: From 11 hours behind UTC to 12 hours ahead.
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
#: The hours of which it is one.
_HOURS = (10, 11, 12)


def zone_of(number: str, at: datetime) -> str | None:
    """The time zone of a test number, by its IANA name; ``None`` for any other number.

    Args:
        number: E.164.
        at: aware; when the test begins, by the clock that it goes by.

    Raises:
        InvalidParameterError: `at` has no zone.
    """
    if at.tzinfo is None:
        raise InvalidParameterError("at", "expected an aware time, such as datetime.now(UTC)")
    if _TEST_NUMBER.fullmatch(number) is None:
        return None
    ahead = _HOURS[int(number[-1]) % len(_HOURS)] - at.astimezone(UTC).hour
    return _ZONES[(ahead - _FIRST_OFFSET) % len(_ZONES)]
