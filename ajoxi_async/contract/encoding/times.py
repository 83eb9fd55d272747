"""Times as they travel.

Rules:
1. The API's are RFC 3339. Written in UTC with milliseconds; read in every form RFC 3339 allows: any number of digits of
   a second, ``t`` and ``z``, a space for the ``T``, any offset, second 60. What is finer than a microsecond is cut off,
   never rounded up into the next second, and a leap second is the last microsecond before it ends.
2. HTTP's own, in ``Date``, ``Retry-After`` and ``Sunset``, come in the three forms of RFC 9110 (5.6.7), always in GMT.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

__all__ = ["exact_datetime", "format_time", "parse_http_date", "parse_time"]

#: Out of reach for freezegun, which puts a subclass in place of the name in every module; msgspec takes no subclass.
_MAKE = (datetime,)
_LAST = 999_999
_MINUTE = timedelta(minutes=1)


def format_time(moment: datetime) -> str:
    """Format an aware datetime as RFC 3339 in UTC with milliseconds."""
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # the first and the last hours of the calendar have no UTC: they keep their own offset
        offset = moment.utcoffset() or timedelta()
        # RFC 3339 knows no seconds of an offset, as local mean times have them.
        whole = timezone(offset // _MINUTE * _MINUTE)
        return moment.replace(tzinfo=whole).isoformat(timespec="milliseconds")
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def exact_datetime(value: datetime) -> datetime:
    """The same moment in the same zone, as a datetime and no subclass of it.

    Raises:
        ValueError, TypeError: it is no moment, as pandas' NaT.
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
    """Read an RFC 3339 time (rule 1); ``None`` where it is none."""
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
    """Read an HTTP-date (rule 2); ``None`` where it is none."""
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
