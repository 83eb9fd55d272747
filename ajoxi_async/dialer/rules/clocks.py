"""Local clocks: from times of a local day to moments, whatever the clocks of the zone do.

Rules:
1. A zone is known by its name in the IANA database. Python's `zoneinfo` reads the database of the operating system, or that of
   the package `tzdata` where the system has none.
2. Between two changes of a zone's clock its offset is constant. Local times are translated within such a stretch only, so that
   an hour which is skipped or comes twice needs no rule of its own.
3. The clocks of a zone change at most once a day, at a whole second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["local_intervals", "offset", "zone", "zone_names"]

_DAY: Final = 86400


@cache
def zone_names() -> frozenset[str]:
    """The names of all zones of the database.

    Raises:
        ConfigurationError: there is no database.
    """
    names = frozenset(available_timezones())
    if "America/New_York" not in names:
        raise ConfigurationError(
            "the time zone database is missing, and calling hours cannot be worked out without it: pip install tzdata"
        )
    return names


@cache
def zone(name: str) -> ZoneInfo:
    """A zone of the database.

    Raises:
        ConfigurationError: there is no database, or it has no such zone.
    """
    if name not in zone_names():
        raise ConfigurationError(f"the time zone database of this machine has no {name!r:.80}: pip install -U tzdata")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ConfigurationError(f"the time zone {name!r:.80} cannot be read: {error}") from error


def offset(where: ZoneInfo, moment: int) -> int:
    """Seconds by which local clocks are ahead of UTC at a moment, in seconds since the epoch."""
    ahead = datetime.fromtimestamp(moment, UTC).astimezone(where).utcoffset()
    assert ahead is not None
    return ahead.days * _DAY + ahead.seconds


def _stretches(where: ZoneInfo, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The stretches of constant offset between two moments: their first moment, the moment of their end, their offset."""
    began, here, ahead = start, start, offset(where, start)
    while here < end:
        there = min(here + _DAY, end)
        changed = offset(where, there)
        if changed == ahead:
            here = there
            continue
        before, after = here, there  # the clock changes after `before`, and at `after` or earlier
        while after - before > 1:
            middle = (before + after) // 2
            if offset(where, middle) == ahead:
                before = middle
            else:
                after = middle
        yield began, after, ahead
        began = here = after
        ahead = offset(where, after)
    if began < end:
        yield began, end, ahead


def local_intervals(
    where: ZoneInfo, spans_of: Callable[[date], tuple[tuple[int, int], ...]], start: float, end: float
) -> Iterator[tuple[float, float]]:
    """The moments between two moments at which a local clock shows certain times, as half-open intervals in order.

    Intervals may be adjacent, but do not overlap.

    Args:
        where: the zone.
        spans_of: the times of a local date, in minutes since midnight, as half-open intervals in order.
        start: seconds since the epoch.
        end: seconds since the epoch.
    """
    for began, ended, ahead in _stretches(where, int(start // 1), int(-(-end // 1))):
        first, last = (_local_date(moment + ahead) for moment in (began, ended - 1))
        day = first
        while day <= last:
            midnight = (day - _EPOCH).days * _DAY - ahead
            for opens, closes in spans_of(day):
                lower = max(midnight + opens * 60, began, start)
                upper = min(midnight + closes * 60, ended, end)
                if lower < upper:
                    yield lower, upper
            day += timedelta(days=1)


_EPOCH: Final = date(1970, 1, 1)


def _local_date(seconds: int) -> date:
    return _EPOCH + timedelta(days=seconds // _DAY)
