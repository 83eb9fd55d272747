"""Calling hours: at which moments a number may ring, in every time zone that the number may be in.

Rules:
1. Hours are half-open: at the end of an interval the window is closed. They are local times of a weekday, and dates on which
   nobody is called (holidays, blackouts) are local dates.
2. A moment is open if, in every zone that the number may be in, the local clock shows an open time of an open date. This
   defines what happens when clocks change: an hour that is skipped has no moments, and an hour that comes twice is open twice.
3. The window has to be open for the whole time that the phone may ring, so a call begins at such a moment only that all moments
   from there to the end of the ring time are open.
4. Zones are names of the IANA database and never offsets. The offset is looked up for the moment in question.
5. A number whose zones are not known may be called only if the hours have no limit at all.
6. Presets are data, with their source and the date at which it was read. They are no legal advice; which rules apply to a
   campaign is for its owner to find out.

Moments are seconds since the epoch. The zone database is read by `zoneinfo`, and nothing else here reads anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import Any, Final, Self

from attrs import field, frozen

from ajoxi_async.dialer.rules.clocks import local_intervals, zone
from ajoxi_async.dialer.rules.durations import DAY
from ajoxi_async.dialer.rules.holidays import us_holidays
from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["HORIZON", "LONGEST_RING", "PRESETS", "Opening", "Windows"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WHOLE_DAY: Final = ((0, 1440),)
#: ``10``, ``10:00`` or ``24:00``, from there to another.
_SPAN: Final = re.compile(r"(\d{1,2})(?::(\d\d))?\s*-\s*(\d{1,2})(?::(\d\d))?", re.ASCII)
#: For how many days `opening` looks ahead. Every rule that repeats does so within a year.
HORIZON: Final = 400
#: The most seconds for which a phone may ring, by the API.
LONGEST_RING: Final = 600
#: How many days are worked out at once: first those that nearly always have an opening.
_STEPS: Final = (3, 12, *([55] * 7))

Spans = tuple[tuple[int, int], ...]
Interval = tuple[float, float]


@frozen
class Opening:
    """A time in which calls may begin, and ring for their whole ring time within the window.

    Attributes:
        start: the first moment at which a call may begin, in seconds since the epoch.
        latest: the last moment at which one may begin. A window that stays open for days has more than one opening.
    """

    start: float
    latest: float

    def allows(self, at: float) -> bool:
        """Whether a call may begin at a moment."""
        return self.start <= at <= self.latest


def _minute(hour: str, minute: str | None, text: str) -> int:
    found = int(hour) * 60 + int(minute or 0)
    if found > 1440 or int(minute or 0) > 59:
        raise InvalidParameterError("windows", f"expected times from 0:00 to 24:00, got {shown(text)}")
    return found


def _spans(text: object) -> Spans:
    """Parse ``"9:00-12:30, 14-18"``. An empty text means that nobody is called on this day."""
    if not isinstance(text, str):
        raise InvalidParameterError("windows", f"expected hours such as '9:00-12:30, 14-18', got {shown(text)}")
    found = []
    for part in text.split(",") if text.strip() else ():
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise InvalidParameterError("windows", f"expected hours such as '9:00-12:30, 14-18', got {shown(text)}")
        start, end = _minute(match[1], match[2], text), _minute(match[3], match[4], text)
        if start >= end:
            raise InvalidParameterError(
                "windows",
                f"expected hours that end after they begin, got {part.strip()!r}; hours over midnight are two spans",
            )
        found.append((start, end))
    found.sort()
    for (_, before), (after, _) in pairwise(found):
        if after < before:
            raise InvalidParameterError("windows", f"expected hours that do not overlap, got {shown(text)}")
    return tuple(found)


def _days(name: object) -> range:
    """The weekdays of ``"mon"`` or ``"mon-fri"``, Monday being 0."""
    first, dash, last = name.strip().lower().partition("-") if isinstance(name, str) else ("", "", "")
    if first in _DAYS and (not dash or last in _DAYS):
        days = range(_DAYS.index(first), _DAYS.index(last if dash else first) + 1)
        if days:
            return days
    raise InvalidParameterError("windows", f"expected weekdays such as 'mon' or 'mon-fri', got {shown(name)}")


def _is_parsed(day: object) -> bool:
    try:
        return day == _spans(_hours(day))  # type: ignore[arg-type]  # whatever it is, it is no day of ours unless this is true
    except (TypeError, ValueError):
        return False


def _hours(spans: Spans) -> str:
    """Spans of a day as text, for `_spans`."""
    return ", ".join(f"{start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}" for start, end in spans)


def _week(given: object) -> tuple[Spans, ...]:
    if isinstance(given, tuple) and len(given) == 7 and all(map(_is_parsed, given)):
        return given
    if isinstance(given, str):
        return (_spans(given),) * 7
    if not isinstance(given, Mapping):
        raise InvalidParameterError(
            "windows", f"expected hours, or a mapping such as {{'mon-fri': '9-17'}}, got {type(given).__name__}"
        )
    week: dict[int, Spans] = {}
    for name, text in given.items():
        for day in _days(name):
            if day in week:
                raise InvalidParameterError("windows", f"expected each weekday once, got {_DAYS[day]!r} twice")
            week[day] = _spans(text)
    return tuple(week.get(day, ()) for day in range(7))


def _dates(given: object) -> frozenset[date]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidParameterError("closed", f"expected dates, got {type(given).__name__}")
    return frozenset(_date("closed", one) for one in given)


def _date(param: str, given: object) -> date:
    try:
        return given if type(given) is date else date.fromisoformat(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InvalidParameterError(param, f"expected dates such as '2026-12-25', got {shown(given)}") from None


def _last_date(given: object) -> date | None:
    return None if given is None else _date("known_until", given)


def _ring_least(_: object, attribute: Any, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_RING:
        raise InvalidParameterError(attribute.name, f"expected 0 to {LONGEST_RING} seconds, got {shown(value)}")


def _source(_: object, attribute: Any, value: object) -> None:
    if not isinstance(value, str) or len(value) > 4096:
        raise InvalidParameterError(attribute.name, "expected a text of at most 4096 characters")


@frozen(kw_only=True)
class Windows:
    """The hours at which phones may ring, in the local time of the number that is called.

    ``Windows({"mon-fri": "9:00-12:00, 14-20", "sat": "10-16"}, closed=["2026-12-25"])``; weekdays that are not named are
    closed. ``Windows("9-21")`` is the same for every day.

    Args:
        week: hours by weekday.
        closed: local dates on which nobody is called: `date`, or texts such as ``"2026-12-25"``.
        known_until: the last local date that `closed` is known for; every later date is closed. ``None`` for no end.
        ring_least: the least ring time in seconds that the rules ask for, before a call may be given up.
        source: where the hours come from, and when that was read.

    Raises:
        InvalidParameterError: the hours cannot be right.
    """

    week: tuple[Spans, ...] = field(converter=_week, kw_only=False)
    closed: frozenset[date] = field(default=frozenset(), converter=_dates, repr=lambda closed: f"{len(closed)} dates")
    known_until: date | None = field(default=None, converter=_last_date)
    ring_least: float = field(default=0.0, validator=_ring_least)
    source: str = field(default="", validator=_source)
    _unlimited: bool = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        whole = all(_is_whole(day) for day in self.week)
        object.__setattr__(self, "_unlimited", whole and not self.closed and self.known_until is None)

    @classmethod
    def always(cls) -> Self:
        """No limit: every hour of every day."""
        return cls("0-24", source="no limit")

    @classmethod
    def us_strict(cls) -> Self:
        """The hours that every state of the USA allows, Monday to Saturday 10:00 to 17:00, without holidays of any state.

        The federal hours are 8:00 to 21:00 (47 CFR 64.1200(c)(1)), and the narrowest of the states are those of Rhode Island
        (9 to 18, Saturday 10 to 17, no Sunday), Maine (9 to 17) and Kentucky (from 10). A phone rings for 15 seconds at least
        (47 CFR 64.1200(a)(6)). Dates are closed if they are a public holiday in any state, or are observed as one; they are
        known until the end of 2037, and later dates are closed. This is no legal advice.
        """
        return cls(
            {"mon-sat": "10-17"},
            closed=us_holidays(),
            known_until=date(2037, 12, 31),
            ring_least=15.0,
            source="intersection of 47 CFR 64.1200 and the telemarketing hours of the states, read in November 2025",
        )

    @classmethod
    def preset(cls, name: str) -> Self:
        """The preset of a name: ``always`` or ``us_strict``.

        Raises:
            InvalidParameterError: there is no such preset.
        """
        if name not in PRESETS:
            raise InvalidParameterError("windows", f"expected one of {', '.join(PRESETS)}, got {shown(name)}")
        made: Self = getattr(cls, name)()
        return made

    def to_dict(self) -> dict[str, Any]:
        """The hours as JSON, for `from_dict`."""
        return {
            "week": {name: _hours(spans) for name, spans in zip(_DAYS, self.week, strict=True)},
            "closed": sorted(day.isoformat() for day in self.closed),
            "known_until": None if self.known_until is None else self.known_until.isoformat(),
            "ring_least": self.ring_least,
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The hours that `to_dict` has described."""
        return cls(
            given["week"],
            closed=given.get("closed", ()),
            known_until=given.get("known_until"),
            ring_least=given.get("ring_least", 0.0),
            source=given.get("source", ""),
        )

    def check_ring(self, ring_timeout: float) -> None:
        """Check for how long the phones of a campaign ring.

        Raises:
            InvalidParameterError: it is shorter than the rules ask for.
        """
        if ring_timeout < self.ring_least:
            raise InvalidParameterError(
                "ring_timeout",
                f"expected at least {self.ring_least:g} seconds with these windows, got {ring_timeout:g}",
            )

    def opening(self, zones: Collection[str], at: float, ring: float) -> Opening | None:
        """The time in which calls may begin: the one that is under way, or the next one.

        Args:
            zones: every zone that the number may be in, by IANA name; empty if they are not known.
            at: a moment, in seconds since the epoch.
            ring: for how many seconds the phone may ring.

        Returns:
            The opening, which begins at `at` or later; ``None`` if there is none within the next 400 days.

        Raises:
            ConfigurationError: the zone database is missing, or lacks one of the zones.
        """
        if self._unlimited:
            return Opening(at, at + HORIZON * DAY)
        if not zones:
            return None
        start = at
        for days in _STEPS:
            end = start + days * DAY
            # A window that is open at the end of a step goes on in the next one, so that steps overlap by a day.
            for opens, closes in self._open_in_all(zones, start, end + DAY):
                if closes - ring >= opens:
                    return Opening(opens, closes - ring)
            start = end
        return None

    def is_open(self, zones: Collection[str], at: float, ring: float) -> bool:
        """Whether a call may begin at a moment. Arguments and errors are those of `opening`.

        Where many moments are asked about, keep the `Opening` and ask it.
        """
        opening = self.opening(zones, at, ring)
        return opening is not None and opening.allows(at)

    def _open_in_all(self, zones: Collection[str], start: float, end: float) -> list[Interval]:
        found: list[Interval] = [(start, end)]
        for name in zones:
            found = list(_intersection(found, list(self._open_in(name, start, end))))
            if not found:
                break
        return found

    def _open_in(self, name: str, start: float, end: float) -> Iterator[Interval]:
        """The open intervals of one zone between two moments, in order; adjacent ones are joined."""
        open_from = open_to = -math.inf
        for opens, closes in local_intervals(zone(name), self._spans_of, start, end):
            if opens > open_to:
                if open_to > open_from:
                    yield open_from, open_to
                open_from = opens
            open_to = closes
        if open_to > open_from:
            yield open_from, open_to

    def _spans_of(self, day: date) -> Spans:
        if day in self.closed or (self.known_until is not None and day > self.known_until):
            return ()
        return self.week[day.weekday()]


def _is_whole(spans: Spans) -> bool:
    end = 0
    for start, after in spans:
        if start != end:
            return False
        end = after
    return end == 1440


def _intersection(left: list[Interval], right: list[Interval]) -> Iterator[Interval]:
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            yield start, end
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1


#: The names of the presets.
PRESETS: Final = ("always", "us_strict")
