"""Time zones of test numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError
from ajoxi_async.contract import zones
from ajoxi_async.contract.zones import zone_of

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.from_regex(r"\+1(500|[2-9][0-9]{2})555[0-9]{4}", fullmatch=True))
def test_it_is_late_morning_when_a_test_begins(moment: datetime, number: str) -> None:
    """Whatever the moment, it is 10 to 12 o'clock at every test number, and stays day for six hours at least."""
    name = zone_of(number, moment)
    assert name is not None
    zone = ZoneInfo(name)
    local = moment.astimezone(zone)
    assert local.hour in {10, 11, 12}
    assert local.hour == 10 + int(number[-1]) % 3
    assert (moment + timedelta(hours=6)).astimezone(zone).hour in {16, 17, 18}


def test_the_zones_are_iana_s_and_never_change_their_clocks() -> None:
    """24 different zones of the database, an hour apart, summer and winter."""
    assert len(set(zones._ZONES)) == 24
    assert set(zones._ZONES) <= available_timezones()
    for year in range(2020, 2038):
        for month in (1, 4, 7, 10):
            moment = datetime(year, month, 1, tzinfo=UTC)
            offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for zone in zones._ZONES]
            assert offsets == [timedelta(hours=hours) for hours in range(-11, 13)]


@pytest.mark.parametrize(
    "number", ["+12125551", "+442055512345", "ext:204", "+15005560100", "+11235551234", "", "+1500555٠٠٠٠"]
)
def test_other_numbers_have_no_zone_here(number: str) -> None:
    """What is no test number lies where the plans of numbers say."""
    assert zone_of(number, datetime.now(UTC)) is None


def test_a_time_without_a_zone() -> None:
    """A naive time is refused by name."""
    with pytest.raises(InvalidParameterError) as caught:
        zone_of("+15005550100", datetime(2026, 1, 1))
    assert caught.value.param == "at"
