"""What is read from the rate limit's headers, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.protocol.rate import Budget
from ajoxi_async.protocol.rate_headers import LimitHeader, pause_after, read_number
from ajoxi_async.protocol.retry import parse_retry_after

READABLE = [
    "40",
    " 40 ",
    '"40"',
    ' " 40 " ',
    "40.0",
    "40.",
    "40, 40;w=1",
    "40;w=1",
    "40;w=01",
    '40;w="1"',
    "040",
    "40, 40",
]
READABLE += ["40,40;w=1;comment=x, 5000;w=3600", "40\t", "40;burst=5", "40, 10"]
UNREADABLE = [
    "0",
    "-5",
    "+40",
    "40/s",
    "40 per second",
    "many",
    "",
    " ",
    ",",
    ";w=1",
    "٤٠",
    "４０",
    "4e1",
    "40x",
    "0x28",
    '"40',
]
UNREADABLE += [
    "99999999999",
    "9" * 400,
    "NaN",
    "inf",
    "40;w=60",
    "40, 40;w=60",
    "1,000000;w=3600, 1;w=60",
    "4 0",
    "\0",
    "40\n1",
]


@pytest.mark.parametrize("text", READABLE)
def test_readable_forms_of_a_limit(text: str) -> None:
    """What gateways and drafts make of a number is read: its first item."""
    budget = Budget()
    turn = budget.take(0.0)
    assert turn is not None
    budget.observe(turn, 0.1, 200, {"X-RateLimit-Limit": text}, route="calls.list")
    assert budget.limit == 40


@pytest.mark.parametrize("status", [200, 429, 500])
@pytest.mark.parametrize("text", UNREADABLE)
def test_an_unreadable_limit_is_not_no_limit(text: str, status: int) -> None:
    """A header that cannot be read leaves the limit as it was, however often it comes."""
    budget = Budget(40)
    for number in range(5):
        turn = budget.take(number * 10.0)
        assert turn is not None
        budget.observe(turn, number * 10.0 + 0.1, status, {"X-RateLimit-Limit": text}, route="calls.list")
        assert budget.limit == 40


def test_an_unreadable_header_ends_a_row_of_missing_ones() -> None:
    """A header that cannot be read still counts as a header: the count of successes without one starts again."""
    header = LimitHeader(100)
    heard = [header.hear(text, 200) for text in ("100", None, None, "many", None, None, "many", None, None, None)]
    assert heard == [True] + [False] * 8 + [True]
    assert header.limit is None


def test_errors_without_the_header_lift_no_cap() -> None:
    """A gateway's errors say nothing about the cap, and do not count as successes."""
    header = LimitHeader(100)
    for status in (302, 404, 429, 500, 502) * 3:
        assert not header.hear(None, status)
    assert header.limit == 100


@given(st.text(max_size=40))
def test_whatever_stands_there(text: str) -> None:
    """No header raises, and a number that was read stands in it."""
    number = read_number(text)
    assert number is None or str(number) in text
    LimitHeader(100).hear(text, 200)


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 1.0), (0.25, 0.25), (0.0, 0.0), (30.0, 30.0), (-5.0, 1.0), (1e12, 60.0), (float("inf"), 60.0)]
    + [(float("nan"), 1.0), (float("-inf"), 1.0)],
)
def test_pauses_of_odd_retry_afters(retry_after: float | None, pause: float) -> None:
    """A negative or undefined Retry-After counts as none, a huge one as a minute, a fraction as what it says."""
    assert pause_after(retry_after) == pause
    budget = Budget()
    turn = budget.take(0.0)
    assert turn is not None
    budget.observe(turn, 5.0, 429, {}, route="calls.list", retry_after=retry_after)
    assert budget.wait(5.0) == pytest.approx(pause)


@pytest.mark.parametrize("remaining", ["junk", "-3", "", "9" * 30, "NaN", "5/s"])
@pytest.mark.parametrize("reset", ["junk", "-3", "", "9" * 30, "1790000000123", "Infinity"])
def test_unreadable_remaining_and_reset_teach_nothing(remaining: str, reset: str) -> None:
    """What others use of the key is not inferred from what cannot be read."""
    budget = Budget()
    for number in range(40):
        turn = budget.take(number * 1.0)
        assert turn is not None
        headers = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}
        budget.observe(turn, number + 0.1, 200, headers, route="calls.list")
    assert (budget._share.left, budget.pace > 98) == (1.0, True)


def test_remaining_and_reset_of_a_gateway_are_read() -> None:
    """Quotes, fractions and repeated items hide nothing of what others use."""
    budget = Budget()
    for number in range(8):
        turn = budget.take(number * 1.0)
        assert turn is not None
        headers = {
            "X-RateLimit-Remaining": '"0"',
            "X-RateLimit-Reset": f"{1790000000 + number}.0, {1790000000 + number}",
        }
        budget.observe(turn, number + 0.1, 200, {"X-RateLimit-Limit": "100", **headers}, route="calls.list")
    assert budget._share.left < 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        (" 3 ", 3.0),
        ("0.5", 0.5),
        ("3, 3", 3.0),
        ('"3"', 3.0),
        ("3.", 3.0),
        ("9" * 400, float("inf")),
        ("-3", None),
    ]
    + [("NaN", None), ("inf", None), (".", None), ("3s", None), ("", None), ("1e9", None)],
)
def test_seconds_of_a_retry_after(text: str, seconds: float | None) -> None:
    """A Retry-After that a gateway doubled or quoted is read, however long; what is no number is not."""
    assert parse_retry_after(text) == seconds
