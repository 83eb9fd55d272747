"""What a campaign would do: first call, first hour, last call, and who can never be called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.dialer.rules.forecast import forecast

HOUR, DAY = 3600.0, 86400.0


def daily(opens: float, closes: float):
    """A window of the same hours each day, in seconds of the day."""

    def opening(at: float) -> tuple[float, float]:
        start = at // DAY * DAY
        if at <= start + closes:
            return max(at, start + opens), start + closes
        return start + DAY + opens, start + DAY + closes

    return opening


HOURS = {("East",): daily(8 * HOUR, 20 * HOUR), ("West",): daily(11 * HOUR, 23 * HOUR)}


def opening(zones: tuple[str, ...], at: float) -> tuple[float, float] | None:
    return HOURS[zones](at) if zones in HOURS else None


def test_a_night_and_two_zones() -> None:
    """At 6 o'clock: the first call at 8, an hour of one zone's calls, the other zone waits until 11, nobody is forgotten."""
    found = forecast({("East",): 7200, ("West",): 3600, ("Nowhere", "East"): 5}, opening, 6 * HOUR, 1)
    assert found.first == 8 * HOUR
    assert found.first_hour == 3600
    assert found.last == pytest.approx(12 * HOUR)
    assert found.waiting == [(8 * HOUR, ("East",), 7200), (11 * HOUR, ("West",), 3600)]
    assert found.never == {("Nowhere", "East"): 5}


def test_more_than_a_day() -> None:
    """What does not fit into the window is called when it opens again."""
    found = forecast({("East",): 50_000}, opening, 8 * HOUR, 1)
    assert found.last == pytest.approx(DAY + 8 * HOUR + 50_000 - 12 * HOUR)


def test_a_window_without_end() -> None:
    """Without limits the calls begin at once and last as long as the rate takes."""
    found = forecast({("East",): 300}, lambda _, at: (at, float("inf")), 5.0, 100)
    assert (found.first, found.first_hour, found.last, found.waiting) == (5.0, 300, 8.0, [])


@pytest.mark.parametrize("contacts", [{}, {("East",): 0}, {("Nowhere",): 3}], ids=["none", "zero", "never"])
def test_nobody_to_call(contacts: dict[tuple[str, ...], int]) -> None:
    """Without anybody who may be called there is no first call."""
    found = forecast(contacts, opening, 0.0, 1)
    assert (found.first, found.first_hour, found.last) == (None, 0, None)
    assert sum(found.never.values()) == sum(contacts.values())


@given(
    st.dictionaries(st.sampled_from([("East",), ("West",)]), st.integers(1, 10**6), min_size=1),
    st.floats(0, 2 * DAY),
    st.sampled_from([0.5, 3.0, 98.5]),
)
def test_the_last_call_is_when_it_can_be(contacts: dict[tuple[str, ...], int], now: float, rate: float) -> None:
    """The calls take as long as the rate needs, and the first and last fall into an open window."""
    found = forecast(contacts, opening, now, rate)
    total = sum(contacts.values())
    assert found.first is not None
    assert found.last is not None
    assert found.last - found.first >= total / rate * (1 - 1e-6) - 2 / rate
    for moment in (found.first, found.last):
        assert any(opening(zones, moment)[0] <= moment + 1e-3 for zones in contacts)
    assert found.first_hour <= min(total, rate * HOUR + 1)
