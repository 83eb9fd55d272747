"""How many intents wait for the limiter's turn: few, and always one when a turn comes."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.dialer.rules.intents import FIRST, MOST, IntentsAhead


def simulate(between: float, commit: float, *, burst: int = 0, seconds: float = 10.0) -> tuple[float, float, int]:
    """Turns that come in an interval, after a burst of turns at once, and commits that take a time.

    Returns the share of the possible turns that were taken, and how many intents waited: on average, and at most.
    """
    ahead, waiting = IntentsAhead(), deque[float]()
    now = turn = area = 0.0
    taken = most = 0
    written: tuple[float, float, int] | None = None
    while now < seconds:
        if written is None and (room := ahead.room(len(waiting))):
            written = now, now + commit, room
        following = min(at for at in (turn if waiting else None, written[1] if written else None) if at is not None)
        area += len(waiting) * max(0.0, following - now)
        now = max(now, following)
        if written and written[1] <= now:
            ahead.were_written(now - written[0])
            waiting.extend([now] * written[2])
            most, written = max(most, len(waiting)), None
        else:
            ahead.had_turn(now - waiting.popleft())
            taken += 1
            turn = now if taken < burst else now + between
    return (taken - burst) * between / seconds, area / now, most


@pytest.mark.parametrize("commit", [0.001, 0.002, 0.004], ids=lambda commit: f"{commit * 1000:g} ms")
def test_at_the_limit_of_a_key_about_one_intent_waits(commit: float) -> None:
    """At 100 calls a second every turn is taken, one intent waits on average, and at most eight after the first burst."""
    taken, mean, most = simulate(0.01, commit, burst=10)
    assert taken > 0.99
    assert mean <= 1.0
    assert most <= 8


@pytest.mark.parametrize("commit", [0.001, 0.004, 0.02], ids=lambda commit: f"{commit * 1000:g} ms")
def test_a_limiter_that_has_rested_asks_for_no_more_of_them(commit: float) -> None:
    """While the first burst of turns lasts one intent waits: a process that dies then leaves no more in doubt than later."""
    _, _, most = simulate(0.01, commit, burst=FIRST, seconds=FIRST * commit)
    assert most == 1


@pytest.mark.parametrize("commit", [0.02, 0.05])
def test_a_slow_database_has_more_of_them(commit: float) -> None:
    """Where a commit takes longer than a turn, as many intents wait as turns come meanwhile, and nearly every turn is taken."""
    taken, mean, _ = simulate(0.01, commit, seconds=200.0)
    assert taken > 0.97
    assert mean <= 3 * commit / 0.01


@given(between=st.floats(0.0001, 1.0), commit=st.floats(0.0001, 0.1), burst=st.integers(0, 200))
def test_the_number_stays_within_its_bounds(between: float, commit: float, burst: int) -> None:
    """Whatever the pace and the database, one to 32 intents wait, and no pace is kept that the database could exceed."""
    taken, _, most = simulate(between, commit, burst=burst, seconds=1.0 + 400 * between + 20 * FIRST * commit)
    assert 1 <= most <= MOST
    if burst == 0 and between * MOST > 4 * commit:
        assert taken > 0.8


def test_after_a_failure_one_is_tried() -> None:
    """The number begins again with one when the API could not be reached."""
    ahead = IntentsAhead()
    for _ in range(FIRST + 30):
        ahead.had_turn(0.0)
        ahead.were_written(0.01)
    assert ahead.amount == MOST
    ahead.reset()
    assert ahead.room(0) == 1
    ahead.had_turn(0.0)
    ahead.were_written(0.01)
    assert ahead.room(0) == 1
