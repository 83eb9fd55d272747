"""The pacer's arithmetic by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.protocol.pacer import Pacer


def _pacer(slots: int = 100) -> Pacer:
    pacer = Pacer()
    pacer.resize(slots)
    return pacer


def _at_once(pacer: Pacer, now: float, free: int) -> int:
    """How many may go at one moment, with so many slots free and plenty waiting."""
    taken = 0
    while free > taken and pacer.take(now, free - taken):
        taken += 1
    pacer.starve()
    return taken


def test_an_idle_key_may_burst_and_a_busy_one_may_not() -> None:
    """Five go at once while every slot is free, two while hardly one is."""
    assert _at_once(_pacer(), 0.0, 100) == 5
    assert _at_once(_pacer(), 0.0, 2) == 2


@pytest.mark.parametrize(("gap", "at_once"), [(0.02, 3), (0.03, 3), (0.06, 7), (0.08, 7), (0.5, 7)])
def test_a_long_want_of_slots_is_made_up_for(gap: float, at_once: int) -> None:
    """After more than four intervals without a slot five go at once beside the burst of two; after jitter the burst."""
    pacer = _pacer()
    assert _at_once(pacer, 0.0, 1) == 1
    assert _at_once(pacer, 0.01 + gap, 20) == at_once


def test_who_did_not_ask_is_owed_nothing() -> None:
    """A key that was idle bursts by five, however long it was idle and whatever it waited for before."""
    pacer = _pacer()
    assert _at_once(pacer, 0.0, 1) == 1
    assert _at_once(pacer, 100.0, 100) == 5


def test_a_pause_owes_nothing() -> None:
    """What wanted slots before a 429 is not made up for after it, and the pace is half for a second."""
    pacer = _pacer()
    assert _at_once(pacer, 0.0, 1) == 1
    pacer.restart(1.0, slow_start=True)
    assert _at_once(pacer, 1.06, 2) == 1
    assert 0 < pacer.wait(1.06, 2) <= 0.005


def test_the_excess_of_round_trips_slows_by_a_hundredth_at_most() -> None:
    """The interval is longer by twice the mean excess, up to 1 %."""
    pacer = _pacer()
    for _ in range(1000):
        pacer.note(0.002)
    assert pacer.interval == pytest.approx(0.01 * 1.004, rel=1e-4)
    for _ in range(1000):
        pacer.note(0.5)
    assert pacer.interval == pytest.approx(0.01 * 1.01, rel=1e-4)


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 1)), max_size=200),
    st.integers(1, 1000),
)
def test_never_more_at_once_than_two_bursts(asked: list[tuple[float, float]], slots: int) -> None:
    """Whenever slots come, and however many: no more go at one moment than a burst and what is made up for."""
    pacer, now = _pacer(slots), 0.0
    for pause, part in asked:
        now += pause + 1e-6
        assert _at_once(pacer, now, round(part * slots)) <= 10


@pytest.mark.parametrize("starved", [False, True])
def test_what_a_freeze_owes_is_forgotten(starved: bool) -> None:
    """Requests to make up for are dropped after a time without requests, or after waiting longer than any slot takes."""
    pacer = Pacer()
    pacer.resize(100)
    assert pacer.take(0.0, 100)
    pacer.starve()
    assert pacer.take(0.2, 1)
    assert pacer._debt == 4
    if starved:
        pacer.starve()
    assert sum(pacer.take(5.0, 1) for _ in range(10)) == 2
