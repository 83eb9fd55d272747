"""Calling hours."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError
from ajoxi_async.dialer.dialing.openings import Openings
from ajoxi_async.dialer.rules import clocks
from ajoxi_async.dialer.rules.windows import Opening, Windows
from ajoxi_async.protocol.errors import ConfigurationError

from . import window_oracle as oracle

NEW_YORK, DENVER, PHOENIX = "America/New_York", "America/Denver", "America/Phoenix"
#: Zones whose clocks change in unusual ways: by half an hour, at midnight, for a month, not any more, across the date line.
ODD = (
    NEW_YORK,
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Scoresbysund",
    "Asia/Beirut",
    "Asia/Gaza",
    "Europe/Volgograd",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "America/Santiago",
    "America/Nuuk",
)


def moment(text: str, zone: str = "UTC", fold: int = 0) -> float:
    """The moment of a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@given(
    st.sampled_from(oracle.WINDOWS),
    st.lists(st.sampled_from(ODD), min_size=1, max_size=3),
    st.sampled_from(oracle.RINGS),
    st.integers(),
)
@settings(max_examples=60, deadline=None)
def test_a_phone_rings_inside_the_window_in_every_zone(
    windows: Windows, zones: list[str], ring: float, seed: int
) -> None:
    """At random moments, half of them near a change of a clock, the opening is what local clocks say, minute by minute."""
    draw = random.Random(seed)
    oracle.check(windows, zones, oracle.random_moment(draw, zones), ring, draw)


@pytest.mark.parametrize("zone", ODD)
def test_every_change_of_a_clock(zone: str) -> None:
    """Around every change of a clock from 2020 to 2037, the opening is what local clocks say."""
    draw = random.Random(zone)
    for change in oracle.transitions(zone):
        for near in (change - 1, change, change + 1800.5):
            oracle.check(draw.choice(oracle.WINDOWS), (zone,), near, draw.choice(oracle.RINGS), draw)


def test_the_oracle_sees_changes() -> None:
    """The moments of change that the tests use exist: two a year in New York, none in Phoenix."""
    assert len(oracle.transitions(NEW_YORK)) == 36
    assert oracle.transitions(PHOENIX) == ()


def test_hours_are_half_open() -> None:
    """At the beginning of the hours a call may begin, and at their end none may; the ring time ends with the window."""
    windows = Windows("8-21")
    at = moment("2026-03-02T08:00", NEW_YORK)
    assert windows.opening([NEW_YORK], at, 25) == Opening(at, moment("2026-03-02T21:00", NEW_YORK) - 25)
    assert windows.is_open([NEW_YORK], at, 25)
    assert not windows.is_open([NEW_YORK], at - 0.001, 25)
    assert windows.is_open([NEW_YORK], moment("2026-03-02T20:59:35", NEW_YORK), 25)
    assert not windows.is_open([NEW_YORK], moment("2026-03-02T20:59:35.1", NEW_YORK), 25)
    assert not windows.is_open([NEW_YORK], moment("2026-03-02T21:00", NEW_YORK), 0.1)


def test_all_zones_have_to_be_open() -> None:
    """A number that may be in two zones is called in the hours that both have."""
    opening = Windows("8-21").opening([NEW_YORK, DENVER], moment("2026-03-02T00:00", NEW_YORK), 25)
    assert opening == Opening(moment("2026-03-02T08:00", DENVER), moment("2026-03-02T21:00", NEW_YORK) - 25)


def test_the_hour_that_comes_twice_is_open_twice() -> None:
    """On the night on which clocks go back, a window from 1:15 to 1:45 is open two times."""
    windows = Windows("1:15-1:45")
    first = moment("2026-11-01T01:15", NEW_YORK)
    again = moment("2026-11-01T01:15", NEW_YORK, fold=1)
    assert again - first == 3600
    assert windows.opening([NEW_YORK], first - 60, 30) == Opening(first, first + 1770)
    assert windows.opening([NEW_YORK], first + 1771, 30) == Opening(again, again + 1770)


def test_an_hour_that_is_skipped_has_no_moments() -> None:
    """On the night on which clocks go forward, a window from 2:15 to 2:45 is not open."""
    windows = Windows("2:15-2:45")
    opening = windows.opening([NEW_YORK], moment("2026-03-08T00:00", NEW_YORK), 30)
    assert opening is not None
    assert opening.start == moment("2026-03-09T02:15", NEW_YORK)


def test_arizona_keeps_its_time_while_the_navajo_nation_does_not() -> None:
    """In summer, 8 o'clock comes an hour earlier in Denver's time than in Phoenix's; a number of both waits for the later one."""
    opening = Windows("8-21").opening([DENVER, PHOENIX], moment("2026-07-01T00:00", DENVER), 25)
    assert opening is not None
    assert opening.start == moment("2026-07-01T08:00", PHOENIX) == moment("2026-07-01T09:00", DENVER)


def test_a_window_over_the_night_of_the_change_is_whole() -> None:
    """A window that stays open over a change of the clock has one opening, as long as the elapsed time."""
    opening = Windows({"sun": "0-6"}).opening([NEW_YORK], moment("2026-11-01T00:00", NEW_YORK), 25)
    assert opening is not None
    assert opening.latest + 25 - opening.start == 7 * 3600


@pytest.mark.parametrize(
    ("windows", "zones"),
    [
        pytest.param(Windows("8-21"), (), id="zones are not known"),
        pytest.param(Windows("8-8:05"), (NEW_YORK,), id="shorter than the ring time"),
        pytest.param(Windows("9-17"), (NEW_YORK, "Asia/Tokyo"), id="night on one side"),
        pytest.param(Windows({}), (NEW_YORK,), id="no day"),
        pytest.param(Windows("9-17", known_until=date(2026, 1, 1)), (NEW_YORK,), id="holidays are not known any more"),
    ],
)
def test_no_lawful_minute(windows: Windows, zones: tuple[str, ...]) -> None:
    """Where no minute is open in all zones there is no opening, instead of one that never comes."""
    assert windows.opening(zones, moment("2026-03-02T00:00"), 600) is None
    assert not windows.is_open(zones, moment("2026-03-02T12:00"), 600)


def test_an_opening_far_ahead_is_found() -> None:
    """A window that opens once a year is found within the horizon."""
    days = [date.fromordinal(day) for day in range(date(2026, 1, 2).toordinal(), date(2027, 1, 1).toordinal())]
    opening = Windows("9-17", closed=days).opening([NEW_YORK], moment("2026-01-02T00:00", NEW_YORK), 25)
    assert opening is not None
    assert opening.start == moment("2027-01-01T09:00", NEW_YORK)


def test_always_needs_no_zone() -> None:
    """Without a limit, a number whose zone is not known may be called at any moment."""
    opening = Windows.always().opening((), 1e9, 600)
    assert opening is not None
    assert opening.allows(1e9)
    assert Windows("0-12, 12-24").is_open((), 1e9, 600)


def test_us_strict() -> None:
    """The preset is open on weekdays and Saturdays from 10 to 17, and on no holiday of any state."""
    windows = Windows.us_strict()
    assert windows.is_open([NEW_YORK], moment("2026-03-04T10:00", NEW_YORK), 25)
    assert windows.is_open([NEW_YORK], moment("2026-03-07T16:59", NEW_YORK), 25)
    for closed in ("2026-03-04T17:00", "2026-03-04T09:59", "2026-03-08T12:00"):
        assert not windows.is_open([NEW_YORK], moment(closed, NEW_YORK), 25)
    holidays = ("2026-07-03", "2026-11-26", "2026-04-20", "2027-12-31", "2026-02-17", "2026-03-03")
    for day in (
        holidays
    ):  # Independence Day observed, Thanksgiving, Patriots' Day, New Year's observed, Mardi Gras, Town Meeting
        assert not windows.is_open([NEW_YORK], moment(f"{day}T12:00", NEW_YORK), 25), day
    assert windows.opening([NEW_YORK], moment("2038-01-01T00:00"), 25) is None
    assert "47 CFR" in windows.source
    with pytest.raises(InvalidParameterError) as caught:
        windows.check_ring(14)
    assert caught.value.param == "ring_timeout"
    windows.check_ring(15)


@pytest.mark.parametrize("windows", oracle.WINDOWS)
def test_windows_survive_the_ledger(windows: Windows) -> None:
    """As JSON and back, windows are the same."""
    assert Windows.from_dict(windows.to_dict()) == windows


@pytest.mark.parametrize(
    "week",
    [
        "21-8",
        "8-25",
        "8:60-9",
        "8",
        "8-12, 11-14",
        "8-8",
        {"fri-mon": "9-17"},
        {"mon": "9-17", "mon-fri": "9-17"},
        {"montag": "9-17"},
        {"mon": 9},
        {1: "9-17"},
        9,
        "8-٩",
    ],
    ids=repr,
)
def test_hours_that_cannot_be_right(week: object) -> None:
    """Hours that end before they begin, overlap, or are no hours are refused by name."""
    with pytest.raises(InvalidParameterError) as caught:
        Windows(week)  # type: ignore[arg-type]
    assert caught.value.param == "windows"


@pytest.mark.parametrize("closed", ["2026-12-25", ["25.12.2026"], [5], 7, [datetime(2026, 1, 1, tzinfo=UTC)]], ids=repr)
def test_dates_that_cannot_be_right(closed: object) -> None:
    """Dates are ISO dates or `date`."""
    with pytest.raises(InvalidParameterError) as caught:
        Windows("9-17", closed=closed)  # type: ignore[arg-type]
    assert caught.value.param == "closed"


def test_an_unknown_preset() -> None:
    """Presets are called by name, and the error says which there are."""
    assert Windows.preset("us_strict") == Windows.us_strict()
    with pytest.raises(InvalidParameterError, match="always, us_strict"):
        Windows.preset("eu")


def test_a_machine_without_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no time zone database, the error says how to get one, and nothing is dialled in UTC."""
    monkeypatch.setattr(clocks, "available_timezones", set)
    clocks.zone_names.cache_clear()
    clocks.zone.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="pip install tzdata"):
            Windows("8-21").opening([NEW_YORK], 1e9, 25)
    finally:
        clocks.zone_names.cache_clear()
        clocks.zone.cache_clear()


def test_a_zone_that_this_machine_does_not_know() -> None:
    """A zone from a newer database is an error that names it, and not UTC."""
    with pytest.raises(ConfigurationError, match="Europe/Atlantis"):
        Windows("8-21").opening(["Europe/Atlantis"], 1e9, 25)


def test_an_opening_that_is_kept_ends() -> None:
    """What was open an hour ago is asked about again: calls begin until the ring time before the end, and not a moment later."""
    openings = Openings(Windows("9-17"), 30.0)
    openings.learn({1: ("UTC",)})
    midnight = 20_000 * 86_400.0
    for hours, allowed in (
        (9, True),
        (10, True),
        (17 - 30 / 3600, True),
        (17 - 29.9 / 3600, False),
        (8.999, False),
        (33, True),
    ):
        assert openings.allows(1, midnight + hours * 3600) is allowed
    opening = Windows("9-17").opening(["UTC"], midnight, 30.0)
    assert opening is not None
    assert [
        opening.allows(at) for at in (opening.start - 0.001, opening.start, opening.latest, opening.latest + 0.001)
    ] == [
        False,
        True,
        True,
        False,
    ]
