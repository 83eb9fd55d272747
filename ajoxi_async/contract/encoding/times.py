"""Times as they travel.

Rules:
1. The API's are RFC 3339. Written in UTC with milliseconds; read in every form RFC 3339 allows: any number of digits of
   a second, ``t`` and ``z``, a space for the ``T``, any offset, second 60. What is finer than a microsecond is cut off,
   never rounded up into the next second, and a leap second is the last microsecond before it ends.
2. In a request a time is a ``date-time`` of RFC 3339 to the letter, as the published document says: with ``T`` and not a
   space, a colon in the offset, and second 60 only where a leap second can be.
3. HTTP's own, in ``Date``, ``Retry-After`` and ``Sunset``, come in the three forms of RFC 9110 (5.6.7), always in GMT.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

__all__ = ["exact_datetime", "format_time", "is_date_time", "parse_http_date", "parse_time"]

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

    A zone that gives no offset for it is left out: Python takes such a time for a local one, as if it had no zone.

    Raises:
        ValueError, TypeError: it is not a moment, such as pandas' NaT, or its zone gives an offset that cannot be.
    """
    return _MAKE[0](
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        None if value.utcoffset() is None else value.tzinfo,
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


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_MINUTES_A_DAY = 24 * 60


def is_date_time(text: str) -> bool:
    """Whether a text is a time as a request may write it (rule 2)."""
    moment = parse_time(text) if _DATE_TIME.fullmatch(text) else None
    if moment is None:
        return False
    if text[17:19] != "60":
        return True
    local = moment.hour * 60 + moment.minute - (moment.utcoffset() or timedelta()) // _MINUTE
    return local % _MINUTES_A_DAY == _MINUTES_A_DAY - 1


def parse_http_date(text: str | None) -> datetime | None:
    """Read an HTTP-date (rule 3); ``None`` where it is none."""
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
