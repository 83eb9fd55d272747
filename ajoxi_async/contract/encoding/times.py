"""Reading and writing times.

Rules:
1. Times of the API are in RFC 3339. They are written in UTC with milliseconds, and read in every form that RFC 3339 allows:
   any number of digits of a second, ``t`` and ``z``, a space for the ``T``, any offset, second 60. Digits finer than a
   microsecond are cut off, so that a time is never rounded up into the next second. A leap second is read as the last
   microsecond before it.
2. HTTP-dates, in ``Date``, ``Retry-After`` and ``Sunset``, come in the three forms of RFC 9110 (5.6.7), always in GMT.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

__all__ = ["exact_datetime", "format_time", "parse_http_date", "parse_time"]

#: In a tuple, where freezegun does not replace it: freezegun puts a subclass under the name in every module, and msgspec
#: accepts no subclass.
_MAKE = (datetime,)
_LAST = 999_999
_MINUTE = timedelta(minutes=1)


def format_time(moment: datetime) -> str:
    """Format an aware datetime as RFC 3339 in UTC with milliseconds."""
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # in the first and last hours of the calendar UTC is out of range, so the offset is kept
        offset = moment.utcoffset() or timedelta()
        # RFC 3339 has no seconds of an offset, which local mean times have.
        whole = timezone(offset // _MINUTE * _MINUTE)
        return moment.replace(tzinfo=whole).isoformat(timespec="milliseconds")
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def exact_datetime(value: datetime) -> datetime:
    """The same moment in the same zone, as a plain datetime and not a subclass.

    Raises:
        ValueError, TypeError: it is not a moment, such as pandas' NaT.
    """
    return _MAKE[0](
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.tzinfo,
        fold=value.fold,
    )


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):?([0-5]\d))", re.ASCII
)


def parse_time(text: str) -> datetime | None:
    """Read an RFC 3339 time (rule 1); ``None`` if it is not one."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    *moment, fraction, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, moment)
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    if second == 60:
        second, micro = 59, _LAST
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset) if offset else UTC
        return _MAKE[0](year, month, day, hour, minute, second, micro, tzinfo=zone)
    except ValueError:
        return None


def parse_http_date(text: str | None) -> datetime | None:
    """Read an HTTP-date (rule 2); ``None`` if it is not one."""
    if text is None or len(text) > 64:
        return None
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        moment = _MAKE[0](*parts[:5], min(parts[5], 59), tzinfo=UTC)
        return moment - timedelta(seconds=parts[9] or 0)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
