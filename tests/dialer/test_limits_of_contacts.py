"""Retries, caps, stop limits and durations."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError
from ajoxi_async.dialer.rules.caps import Caps
from ajoxi_async.dialer.rules.durations import seconds
from ajoxi_async.dialer.rules.retries import Retry, checked_retries, due_after, retry_delay
from ajoxi_async.dialer.rules.stop import Stop, Tally

DAY = 86400.0


@pytest.mark.parametrize(
    ("given_", "found"),
    [
        (600, 600),
        (1.5, 1.5),
        ("90s", 90),
        ("15m", 900),
        ("4h", 14400),
        (" 1 d ", 86400),
        ("0.5h", 1800),
        (timedelta(hours=2), 7200),
    ],
)
def test_durations(given_: Any, found: float) -> None:
    """A duration is seconds, a `timedelta`, or digits with a unit."""
    assert seconds("retry", given_) == found


@pytest.mark.parametrize(
    "given_",
    ["4", "4 hours", "h", "-4h", "", "1h30m", "٤h", None, True, -1, math.nan, math.inf, 10**400, "9999d"],
    ids=repr,
)
def test_durations_that_cannot_be_right(given_: Any) -> None:
    """What is no duration is refused with the name of its parameter."""
    with pytest.raises(InvalidParameterError) as caught:
        seconds("min_gap", given_)
    assert caught.value.param == "min_gap"


def test_the_delay_follows_the_attempt() -> None:
    """The n-th delay follows the n-th attempt, and the last one all later attempts."""
    retry = Retry("10m", 3600)
    assert [retry.delay(tries) for tries in (1, 2, 3, 9)] == [600, 3600, 3600, 3600]
    assert Retry.from_dict(retry.to_dict()) == retry


def test_retries_by_disposition() -> None:
    """A disposition without a retry is not tried again."""
    rules = checked_retries({"busy": Retry(600), "no_answer": Retry("4h", "1d")})
    assert retry_delay(rules, "busy", 2) == 600
    assert retry_delay(rules, "no_answer", 2) == DAY
    assert retry_delay(rules, "answered", 1) is None


@settings(max_examples=40, deadline=None)
@given(st.floats(1.5e9, 2.2e9), st.floats(1, 3e7))
def test_a_retry_is_never_early(ended_at: float, delay: float) -> None:
    """The due moment in milliseconds is not before the end of the delay, and less than two milliseconds after it."""
    due = due_after(ended_at, delay)
    assert -0.001 < due - (ended_at * 1000 + delay * 1000) < 2  # a double has no more digits


@pytest.mark.parametrize(
    "retry",
    [{"gone": Retry(60)}, {"busy": 600}, {"busy": None}, [("busy", Retry(60))], {1: Retry(60)}, None, "busy"],
    ids=repr,
)
def test_retries_that_cannot_be_right(retry: Any) -> None:
    """Unknown dispositions and values that are no `Retry` are refused."""
    with pytest.raises(InvalidParameterError, match="retry"):
        checked_retries(retry)


@pytest.mark.parametrize("delays", [(), (0,), ("0s",), (-5,), ("soon",)], ids=repr)
def test_delays_that_cannot_be_right(delays: tuple[Any, ...]) -> None:
    """A delay is at least a second; without one there is no retry."""
    with pytest.raises(InvalidParameterError, match="retry"):
        Retry(*delays)


CAPS = st.builds(
    Caps,
    st.none() | st.integers(1, 4),
    st.none() | st.integers(1, 6),
    st.sampled_from([0, 60, 8 * 3600, 3 * DAY]),
)


@settings(max_examples=40, deadline=None)
@given(CAPS, st.lists(st.floats(0, 40 * DAY).map(round), max_size=25))
def test_no_rolling_period_holds_more_than_the_cap(caps: Caps, wishes: list[int]) -> None:
    """Attempts that are made when they are allowed never exceed a cap in any period of 24 hours or 30 days, or the gap."""
    times: list[float] = []
    now = 0.0
    for wish in sorted(wishes):
        now = max(now, wish)
        allowed = caps.next_allowed(times, now)
        assert allowed >= now
        if allowed - now < 2 * DAY:  # waits for it, or gives up
            now = allowed
            assert caps.next_allowed(times, now) == now
            times.append(now)
    for cap, period in ((caps.per_24h, DAY), (caps.per_30d, 30 * DAY)):
        if cap is not None:
            for last in times:
                assert sum(last - period < one <= last for one in times) <= cap
    assert all(after - before >= caps.min_gap for before, after in zip(times, times[1:], strict=False))


@settings(max_examples=40, deadline=None)
@given(CAPS, st.lists(st.floats(0, 40 * DAY), min_size=1, max_size=8))
def test_caps_allow_at_the_first_moment(caps: Caps, times: list[float]) -> None:
    """A second before the allowed moment, one attempt more would exceed a cap or the gap; old and surplus attempts change nothing."""
    now = max(times)
    allowed = caps.next_allowed(times, now)
    if allowed > now:
        earlier = (now + allowed) / 2
        exceeded = [
            cap is not None and sum(earlier - period < one for one in times) >= cap
            for cap, period in ((caps.per_24h, DAY), (caps.per_30d, 30 * DAY))
        ]
        assert any(exceeded) or earlier - max(times) < caps.min_gap
    needed = sorted(one for one in times if one > now - caps.span)[-caps.most :] if caps.most else []
    assert caps.next_allowed(needed, now) == allowed


def test_an_attempt_leaves_the_period_after_exactly_a_day() -> None:
    """24 hours after an attempt, to the second, it does not count any more."""
    caps = Caps(per_24h=1)
    assert caps.next_allowed([1000.0], 1000.0 + DAY - 1) == 1000.0 + DAY
    assert caps.next_allowed([1000.0], 1000.0 + DAY) == 1000.0 + DAY
    # With two allowed, the earlier of the two latest makes room, whatever came before it.
    assert Caps(per_24h=2).next_allowed([10.0, 1000.0, 5000.0], 6000.0) == 1000.0 + DAY


def test_without_caps_everything_is_allowed() -> None:
    """Without a cap no history is needed."""
    caps = Caps()
    assert (caps.span, caps.most) == (0, 0)
    assert caps.next_allowed([1.0] * 50, 2.0) == 2.0


@pytest.mark.parametrize(
    "caps", [{"per_24h": 0}, {"per_30d": 1.5}, {"per_24h": True}, {"min_gap": -1}, {"min_gap": "x"}], ids=repr
)
def test_caps_that_cannot_be_right(caps: dict[str, Any]) -> None:
    """A cap is a whole number from 1 on, a gap a duration."""
    with pytest.raises(InvalidParameterError) as caught:
        Caps(**caps)
    assert caught.value.param in caps


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        (Tally(ended=200, failed=40), None),
        (Tally(ended=200, failed=41), "41 of the latest 200"),
        (Tally(ended=49, failed=49), None),
        (Tally(unknown=49), None),
        (Tally(unknown=50), "50 attempts are in doubt"),
        (Tally(placed=24_999), None),
        (Tally(placed=25_000), "25000 is spent"),
        (Tally(answered=1000, abandoned=30), None),
        (Tally(answered=1000, abandoned=31), "31 of 1000"),
        (Tally(answered=49, abandoned=49), None),
    ],
    ids=repr,
)
def test_stop_limits(tally: Tally, reason: str | None) -> None:
    """A campaign stops when a limit is exceeded, and not before."""
    stop = Stop(failed=0.2, unknown=50, spend=25_000, abandoned=0.03)
    found = stop.reason(tally)
    assert found is None if reason is None else reason in str(found)
    assert Stop.from_dict(stop.to_dict()) == stop


def test_what_calls_cost() -> None:
    """With prices, the next call is not placed if it would exceed the budget."""
    stop = Stop(spend=10, per_call=0.5, per_minute=0.1)
    assert stop.cost(Tally(placed=10, seconds=600)) == 6.0
    assert stop.reason(Tally(placed=19)) is None
    assert stop.reason(Tally(placed=19, seconds=60)) == "9.6 is spent, and another call would exceed 10"


@pytest.mark.parametrize(
    "stop",
    [
        {"failed": 20},
        {"unknown": 0},
        {"unknown": 1.5},
        {"spend": -1},
        {"spend": "10"},
        {"sample": 500},
        {"window": 0},
        {"failed": True},
        {"per_call": math.nan},
    ],
    ids=repr,
)
def test_stop_limits_that_cannot_be_right(stop: dict[str, Any]) -> None:
    """A share is at most 1, an amount at least 0; the error names the limit."""
    with pytest.raises(InvalidParameterError) as caught:
        Stop(**stop)
    assert caught.value.param == f"stop.{next(iter(stop))}"
