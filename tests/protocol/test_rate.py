"""The token bucket in virtual time."""

from __future__ import annotations

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.protocol.rate import TokenBucket


def send_times(bucket: TokenBucket, arrivals: list[float]) -> list[float]:
    """When each of the arrivals goes out, first come, first served."""
    now, sent = 0.0, []
    for arrival in sorted(arrivals):
        now = max(now, arrival)
        while (wait := bucket.wait(now)) > 0:
            now += wait
        bucket.take(now)
        sent.append(now)
    return sent


def most_in_a_second(sent: list[float]) -> int:
    """The fullest half-open sliding second."""
    return max(bisect_right(sent, moment + 1.0 - 1e-7) - index for index, moment in enumerate(sent))


@given(st.integers(2, 200), st.lists(st.floats(0, 5), min_size=1, max_size=600))
def test_never_over_the_limit(limit: int, arrivals: list[float]) -> None:
    """No sliding second holds more than the limit, whenever the calls come."""
    assert most_in_a_second(send_times(TokenBucket(limit), arrivals)) <= limit


def test_saturated_rate() -> None:
    """Under full load 95 of 100 a second go out."""
    sent = send_times(TokenBucket(100), [0.0] * 1000)
    assert 94 < (len(sent) - 1) / sent[-1] < 100


def test_burst() -> None:
    """An idle bucket lets 5 % of the limit go at once."""
    sent = send_times(TokenBucket(100), [10.0] * 6)
    assert sent[4] == 10.0
    assert sent[5] > 10.0


def test_no_cap() -> None:
    """Without a cap nothing waits, except for a pause."""
    bucket = TokenBucket(None)
    assert bucket.wait(0.0) == 0
    bucket.pause(3.0)
    assert bucket.wait(1.0) == 2.0


def test_pause_is_never_shortened() -> None:
    """A later, shorter pause does not end an earlier, longer one."""
    bucket = TokenBucket(100)
    bucket.pause(5.0)
    bucket.pause(2.0)
    assert bucket.wait(0.0) == 5.0


def test_give_back() -> None:
    """A token given back can be taken at once, and no more than the burst is ever held."""
    bucket = TokenBucket(1)
    bucket.take(0.0)
    assert bucket.wait(0.0) > 0
    bucket.give_back()
    bucket.give_back()
    assert bucket.wait(0.0) == 0
    bucket.take(0.0)
    assert bucket.wait(0.0) > 0


@pytest.mark.parametrize(("before", "after"), [(100, 10), (10, 100)])
def test_new_limit(before: int, after: int) -> None:
    """A limit announced by the server holds from then on."""
    bucket = TokenBucket(before)
    bucket.set_limit(after, 0.0)
    sent = send_times(bucket, [0.0] * 300)
    assert most_in_a_second(sent) <= after
    assert most_in_a_second(sent) >= after * 0.9
