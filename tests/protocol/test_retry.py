"""The table of fates, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.contract.wire import ExchangeError, Response
from ajoxi_async.protocol.retry import Fate, RetryPolicy, RetryQuota, classify, delay_before_retry, parse_retry_after

POLICY = RetryPolicy()
METHODS = ("GET", "PUT", "DELETE", "POST")


@pytest.mark.parametrize(
    ("outcome", "envelope", "fate"),
    [
        (Response(200, {}, b""), False, Fate.DONE),
        (Response(204, {}, b""), False, Fate.DONE),
        (Response(301, {}, b""), False, Fate.REJECTED),
        (Response(400, {}, b""), True, Fate.REJECTED),
        (Response(404, {}, b""), False, Fate.REJECTED),
        (Response(429, {}, b""), True, Fate.REFUSED),
        (Response(500, {}, b""), True, Fate.DOCUMENTED),
        (Response(500, {}, b""), False, Fate.GATEWAY),
        (Response(502, {}, b""), False, Fate.GATEWAY),
        (Response(524, {}, b""), False, Fate.GATEWAY),
        (Response(303, {}, b""), False, Fate.GATEWAY),
        (Response(101, {}, b""), False, Fate.GATEWAY),
        (ExchangeError("dns", sent=False), False, Fate.NOT_SENT),
        (ExchangeError("reset", sent=True), False, Fate.UNKNOWN),
    ],
)
def test_classify(outcome: Response | ExchangeError, envelope: bool, fate: Fate) -> None:
    """Every observation has one fate."""
    assert classify(outcome, has_envelope=envelope) is fate


REPEATED = {
    ("documented", Fate.NOT_SENT): METHODS,
    ("documented", Fate.REFUSED): METHODS,
    ("documented", Fate.REJECTED): (),
    ("documented", Fate.DONE): (),
    ("documented", Fate.DOCUMENTED): METHODS,
    ("documented", Fate.GATEWAY): METHODS[:3],
    ("documented", Fate.UNKNOWN): METHODS[:3],
    ("strict", Fate.NOT_SENT): METHODS,
    ("strict", Fate.REFUSED): METHODS,
    ("strict", Fate.DOCUMENTED): METHODS[:3],
    ("strict", Fate.GATEWAY): METHODS[:3],
    ("strict", Fate.UNKNOWN): METHODS[:3],
    ("always", Fate.NOT_SENT): METHODS,
    ("always", Fate.REFUSED): METHODS,
    ("always", Fate.REJECTED): (),
    ("always", Fate.DOCUMENTED): METHODS,
    ("always", Fate.GATEWAY): METHODS,
    ("always", Fate.UNKNOWN): METHODS,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("writes", "fate"), list(REPEATED))
def test_who_is_sent_again(writes: str, fate: Fate, method: str) -> None:
    """A POST that may have been received is sent again under "always" only."""
    policy = RetryPolicy(writes=writes)  # type: ignore[arg-type]
    delay = delay_before_retry(policy, fate, method, attempt=1, retry_after=None, jitter=0.5)
    assert (delay is not None) == (method in REPEATED[writes, fate])


def test_attempts_are_bounded() -> None:
    """After `max_retries` retries there is no other."""
    delays = [
        delay_before_retry(POLICY, Fate.NOT_SENT, "GET", attempt=n, retry_after=None, jitter=0.1) for n in (1, 2, 3)
    ]
    assert [delay is None for delay in delays] == [False, False, True]


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_full_jitter(attempt: int, jitter: float) -> None:
    """A backoff lies between 0 and its bound, which doubles up to the cap."""
    policy = RetryPolicy(max_retries=50)
    delay = delay_before_retry(policy, Fate.NOT_SENT, "GET", attempt=attempt, retry_after=None, jitter=jitter)
    assert delay is not None
    assert delay == jitter * min(8.0, 0.5 * 2 ** (attempt - 1))


def test_retry_after_is_a_lower_bound() -> None:
    """The server's Retry-After is never undercut."""
    assert delay_before_retry(POLICY, Fate.REFUSED, "POST", attempt=1, retry_after=3.0, jitter=0.0) == 3.0
    longer = delay_before_retry(POLICY, Fate.REFUSED, "POST", attempt=1, retry_after=3.0, jitter=0.5)
    assert longer == 3.25


def test_patience_ends() -> None:
    """A Retry-After above the policy's patience is given up, not slept through."""
    assert delay_before_retry(POLICY, Fate.REFUSED, "GET", attempt=1, retry_after=3600.0, jitter=0.1) is None


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        (None, None, None),
        ("3", None, 3.0),
        (" 3 ", None, 3.0),
        ("0.5", None, 0.5),
        ("-1", None, None),
        ("soon", None, None),
        ("٣", None, None),
        ("1e9", None, None),
        ("Mon, 23 Nov 2026 10:00:05 GMT", "Mon, 23 Nov 2026 10:00:00 GMT", 5.0),
        ("Mon, 23 Nov 2026 09:00:05 GMT", "Mon, 23 Nov 2026 10:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 10:00:05 GMT", None, None),
        ("Mon, 23 Nov 2026 10:00:05 GMT", "yesterday", None),
    ],
)
def test_retry_after_header(value: str | None, date: str | None, seconds: float | None) -> None:
    """Seconds or an HTTP-date, the latter against the server's own Date; anything else counts as absent."""
    assert parse_retry_after(value, date) == seconds


@pytest.mark.parametrize(
    "wrong", [{"max_retries": -1}, {"base": 0}, {"cap": -1}, {"patience": -0.1}, {"writes": "sometimes"}]
)
def test_policy_refuses_nonsense(wrong: dict[str, object]) -> None:
    """A policy that cannot be meant is refused when it is made."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryPolicy(**wrong)  # type: ignore[arg-type]


def test_what_a_success_gives_back() -> None:
    """A first attempt that succeeds gives a fifth of a retry back, a call that took retries all of them, up to the quota."""
    quota = RetryQuota(10)
    quota.left = 5
    quota.earn(0)
    assert quota.left == pytest.approx(5.2)
    quota.earn(3)
    assert quota.left == pytest.approx(8.2)
    quota.earn(3)
    assert quota.left == 10
    assert [RetryQuota(0.9).spend(), RetryQuota(1).spend()] == [False, True]
