"""Times as they travel, in every form they may come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async.contract import codec
from ajoxi_async.contract.calls import Call, CallList
from ajoxi_async.contract.codec import DecodeError
from ajoxi_async.contract.encoding import structuring, times
from ajoxi_async.contract.encoding.times import format_time, parse_http_date, parse_time
from ajoxi_async.contract.errors import InvalidParameterError

NOON = datetime(2026, 11, 23, 12, 30, 15, tzinfo=UTC)


def _read(text: str) -> list[datetime | None]:
    """The same time through every way in."""
    one = f'{{"id": "a", "created_at": "{text}"}}'
    return [
        codec.decode(one.encode(), Call).created_at,
        codec.decode_page(f'{{"data": [{one}, {one}]}}'.encode(), Call).data[1].created_at,
        codec.decode_event(f'{{"id": "e", "type": "call.started", "data": {one}}}'.encode()).data.created_at,  # type: ignore[attr-defined]
        codec.converter.structure({"id": "a", "created_at": text}, Call).created_at,
        codec.parse_query([("created_after", text)], CallList).created_after,
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T12:30:15Z", NOON),
        ("2026-11-23t12:30:15z", NOON),
        ("2026-11-23T12:30:15+00:00", NOON),
        ("2026-11-23T12:30:15-00:00", NOON),
        ("2026-11-23T23:00:15+10:30", NOON),
        ("2026-11-23T00:45:15.000-11:45", NOON),
        ("2026-11-23T12:30:15.5Z", NOON.replace(microsecond=500_000)),
        ("2026-11-23T12:30:15.123456Z", NOON.replace(microsecond=123_456)),
        ("2026-11-23T12:30:15.1234567Z", NOON.replace(microsecond=123_456)),
        ("2026-11-23T12:30:15.123456789Z", NOON.replace(microsecond=123_456)),
        ("2026-11-23T12:30:15.999999999999999999999Z", NOON.replace(microsecond=999_999)),
        ("2026-12-31T23:59:59.9999999Z", datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999_999, UTC)),
        ("2017-01-01T05:29:60.25+05:30", datetime(2016, 12, 31, 23, 59, 59, 999_999, UTC)),
        ("1990-12-31t15:59:60.123456789-08:00", datetime(1990, 12, 31, 23, 59, 59, 999_999, UTC)),
    ],
)
def test_every_rfc_3339_time_is_read(text: str, moment: datetime) -> None:
    """Any precision, letter case, separator, offset and second, cut to microseconds and never rounded up."""
    assert [time and (time, time.utcoffset()) for time in _read(text)] == [(moment, _read(text)[0].utcoffset())] * 5  # type: ignore[union-attr]
    assert _read(text)[0] == moment


@pytest.mark.parametrize(
    "text", ["2026-11-23 12:30:15Z", "2026-11-23T12:30:15+0000", "2026-11-23T12:30:60Z", "2026-11-23T12:30:60+00:01"]
)
def test_a_request_writes_times_to_the_letter(text: str) -> None:
    """A space for the T, an offset without colon and a leap second at any time of day are read in answers only."""
    read = codec.decode(f'{{"id": "a", "created_at": "{text}"}}'.encode(), Call).created_at
    assert read is not None
    assert abs(read - NOON) < timedelta(minutes=1)
    with pytest.raises(InvalidParameterError, match="^created_after: .*RFC 3339"):
        codec.parse_query([("created_after", text)], CallList)


@pytest.mark.parametrize(
    "text",
    ["2026-11-23", "2026-11-23T12:30:15", "2026-13-23T12:30:15Z", "2026-02-29T00:00:00Z", "2026-11-23T12:30:61Z"]
    + [
        "2026-11-23T24:00:00Z",
        "2026-11-23T12:30Z",
        "2026-11-23T12:30:15.Z",
        "0000-01-01T00:00:00Z",
        "soon",
        "1795436415",
    ]
    + ["2026-11-23T12:30:15+24:00", "2026-11-23T12:30:60", "٢٠٢٦-11-23T12:30:15Z", "2026-11-23T12:30:15Z\\n"],
)
def test_what_is_no_time(text: str) -> None:
    """Anything else is not guessed at."""
    assert parse_time(text) is None
    with pytest.raises(DecodeError, match="created_at"):
        codec.decode(f'{{"id": "a", "created_at": "{text}"}}'.encode(), Call)


@settings(max_examples=300, deadline=None)
@given(
    st.datetimes(timezones=st.timezones() | st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))),
    st.text("0123456789", max_size=12),
    st.sampled_from("Tt "),
)
def test_times_round_trip(moment: datetime, digits: str, between: str) -> None:
    """What is written is read to the millisecond, in whatever zone it was given; finer digits are cut off."""
    text = format_time(moment)
    again = parse_time(text.replace("T", between))
    assert again is not None
    if text.endswith("Z"):
        exact = moment.astimezone(UTC)
        assert again == exact - timedelta(microseconds=exact.microsecond % 1000)
        assert len(text) == 24
        more = parse_time(text.replace("Z", f"{digits}z"))
        micro = int(f"{text[20:23]}{digits}"[:6].ljust(6, "0"))
        assert more == again.replace(microsecond=micro)
        assert codec.decode(f'{{"id":"a","created_at":"{text}"}}'.encode(), Call).created_at == again
    else:
        assert moment.year in {1, 9999}


def test_the_edges_of_the_calendar_in_a_mean_time_zone() -> None:
    """An offset with seconds, which RFC 3339 does not know, is written in whole minutes."""
    assert format_time(datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Kolkata"))) == "0001-01-01T00:00:00.000+05:53"
    assert parse_time(format_time(datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5))))) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 23 Nov 2026 12:30:15 GMT",
        "Monday, 23-Nov-26 12:30:15 GMT",
        "Mon Nov 23 12:30:15 2026",
        "Mon, 23 Nov 2026 12:30:15",
        "Mon, 23 Nov 2026 12:30:15 UTC",
        "Mon, 23 Nov 2026 12:30:15 +0000",
        "Mon, 23 Nov 2026 13:30:15 +0100",
        "mon, 23 nov 2026 12:30:15 gmt",
        " Mon, 23 Nov 2026 12:30:15 GMT ",
    ],
)
def test_every_http_date_is_read(text: str) -> None:
    """The three forms of RFC 9110 and what servers make of them, in GMT where they do not say."""
    assert parse_http_date(text) == NOON


def test_a_leap_second_of_http() -> None:
    """Second 60 is valid in an HTTP-date."""
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


_NEARLY = st.tuples(st.just("Mon, 23 Nov 2026 12:30:15 GMT"), st.integers(0, 28), st.characters()).map(
    lambda at: at[0][: at[1]] + at[2] + at[0][at[1] + 1 :]
)


@settings(max_examples=300, deadline=None)
@given(_NEARLY | st.text(max_size=40) | st.text("0123456789 :,-+GMT", max_size=40) | st.none())
def test_no_date_is_an_error(text: str | None) -> None:
    """Whatever a header holds, reading it as a date gives a time or nothing."""
    moment = parse_http_date(text)
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize("text", [None, "", "0", ",", "yesterday", "Fri, 31 Dec 9999 23:59:59 -0100", "1" * 10_000])
def test_what_is_no_http_date(text: str | None) -> None:
    """What cannot be read, and a date beyond all dates, count as absent."""
    assert parse_http_date(text) is None


class _LikeFreezegun(type):
    def __instancecheck__(cls, one: Any) -> bool:
        return isinstance(one, datetime)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, datetime)


class Frozen(datetime, metaclass=_LikeFreezegun):
    """As freezegun's FakeDatetime, which stands in place of `datetime` in every module while time is frozen."""


def test_times_are_read_while_freezegun_replaces_datetime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class in place of `datetime` changes nothing of what is read, sent or remembered."""
    for module in (structuring, times):
        monkeypatch.setattr(module, "datetime", Frozen)
    structuring.preparer.cache_clear()  # type: ignore[attr-defined]
    structuring.time_fields.cache_clear()  # type: ignore[attr-defined]
    assert [type(time) for time in _read("2016-12-31T23:59:60Z")] == [datetime] * 5
    params = codec.parse_params({"created_after": Frozen(2026, 1, 1, tzinfo=UTC)}, CallList)
    assert type(params.created_after) is datetime
    assert type(parse_http_date("Mon, 23 Nov 2026 12:30:15 GMT")) is datetime
