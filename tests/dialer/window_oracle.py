"""When a phone may ring, said a second time and more simply: by asking the local clock for every minute of the ring time.

Since 1972 clocks differ from UTC by whole minutes, and hours of windows begin at whole minutes, so that nothing changes in between.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from ajoxi_async.dialer.rules.windows import Windows

#: Windows that meet changes of the clock, and those of campaigns.
WINDOWS = (
    Windows.us_strict(),
    Windows("8-21"),
    Windows({"mon-fri": "9:00-12:30, 14-20", "sat": "10-16"}, closed=["2026-12-25", "2027-12-27"]),
    Windows("1:30-2:15, 2:45-3:30"),
    Windows("0-2, 22-24"),
    Windows({"sun": "0-24"}),
    Windows("0-24", closed=["2024-03-10", "2026-10-25", "2030-11-03"]),
)
BEGIN = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp())
RINGS = (1, 15, 25, 59.5, 60, 600)


def rings_inside(windows: Windows, zones: Collection[str], at: float, ring: float) -> bool:
    """Whether all of [at, at + ring) lies within the windows, in every zone."""
    moments = [at]
    minute = (at // 60 + 1) * 60
    while minute < at + ring:
        moments.append(minute)
        minute += 60
    for name in zones:
        for moment in moments:
            local = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(name))
            day = local.date()
            if day in windows.closed or (windows.known_until is not None and day > windows.known_until):
                return False
            now = local.hour * 60 + local.minute
            if not any(start <= now < end for start, end in windows.week[day.weekday()]):
                return False
    return True


@cache
def transitions(name: str) -> tuple[int, ...]:
    """The moments from 2020 to 2037 at which the clock of a zone changes: the first seconds of the new time."""

    def ahead(moment: int) -> float:
        offset = datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(name)).utcoffset()
        assert offset is not None
        return offset.total_seconds()

    found = []
    last = ahead(BEGIN)
    for day in range(BEGIN, END, 86400):
        now = ahead(day + 86400)
        if now != last:
            before, after = day, day + 86400
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if ahead(middle) == last else (before, middle)
            found.append(after)
            last = now
    return tuple(found)


def check(windows: Windows, zones: Collection[str], at: float, ring: float, draw: random.Random) -> None:
    """What `Windows.opening` says is what the local clocks say."""
    told = (zones, at, ring, windows)
    opening = windows.opening(zones, at, ring)
    inside = rings_inside(windows, zones, at, ring)
    if opening is None:
        assert not inside, told
        return
    assert opening.start >= at, told
    assert opening.allows(at) == inside, told
    assert rings_inside(windows, zones, opening.start, ring), told
    assert rings_inside(windows, zones, opening.latest, ring), told
    between = draw.uniform(opening.start, opening.latest)
    assert rings_inside(windows, zones, between, ring), told
    if not inside:
        assert not rings_inside(windows, zones, opening.start - 1, ring), told
        assert not rings_inside(windows, zones, draw.uniform(at, opening.start - 1), ring), told
    if opening.latest < at + 2 * 86400:  # longer ones are told in pieces
        assert not rings_inside(windows, zones, opening.latest + 1, ring), told


def random_moment(draw: random.Random, zones: Collection[str]) -> float:
    """A moment from 2020 to 2037; every second one within two hours of a change of a clock."""
    changes = transitions(draw.choice(list(zones)))
    if changes and draw.random() < 0.5:
        return draw.choice(changes) + draw.choice([-7200, -3600, -1, 0, 1, 3600, draw.uniform(-7200, 7200)])
    return draw.uniform(BEGIN, END)
