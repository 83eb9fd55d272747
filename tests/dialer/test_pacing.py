"""Pacing: how many calls may begin."""

from __future__ import annotations

import heapq
import math
import random
from fractions import Fraction
from typing import Any

import pytest
from attrs import define, evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError
from ajoxi_async.dialer.rules.pacing import (
    Abandonment,
    Concurrency,
    Pacing,
    Power,
    Predictive,
    Rate,
    Seats,
    Seen,
    Smallest,
    pacing_of,
    wilson_upper,
)


@define
class Floor:
    """Agents and calls, in discrete events. A call that is answered when no agent is free is abandoned."""

    pacing: Pacing
    agents: int
    cap: Fraction = Fraction(3, 100)
    talking: int = 0
    ringing: int = 0
    unknown: int = 0
    answered: int = 0
    abandoned: int = 0
    completed: int = 0
    connected: int = 0
    talked: float = 0.0
    begun: int = 0
    left: float = math.inf

    def seen(self) -> Seen:
        return Seen(
            open=self.ringing + self.talking,
            ringing=self.ringing,
            talking=self.talking,
            unknown=self.unknown,
            agents=self.agents - self.talking,
            answered=self.answered,
            abandoned=self.abandoned,
            completed=self.completed,
            connected=self.connected,
            talked=self.talked,
            begun=self.begun,
            left=self.left,
        )

    def dial(self, now: float) -> int:
        room = self.pacing.room(now, self.seen())
        self.ringing += room
        self.begun += room
        return room

    def answer(self) -> bool:
        """A phone that rings is answered; return whether an agent takes the call."""
        self.ringing -= 1
        self.answered += 1
        self.connected += 1
        taken = self.talking < self.agents
        if taken:
            self.talking += 1
        else:
            self.abandoned += 1
            self.completed += 1
        assert self.abandoned <= self.cap * self.answered, "above the cap"
        return taken


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["dial", "dial", "answer", "answer", "all answer", "silent", "hang up", "doubt", "agent", "agent leaves"]
        ),
        st.integers(1, 20),
    ),
    max_size=150,
)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 30), STEPS, st.integers(0, 400), st.sampled_from([1.0, 2.5, 20.0]))
def test_abandoned_calls_stay_under_the_cap_at_every_moment(
    agents: int, steps: list[Any], earned: int, most: float
) -> None:
    """Whoever answers when: in `predictive`, no more than 3 % of the live answers are abandoned, after every single one."""
    floor = Floor(
        Predictive(most=most),
        agents,
        answered=earned,
        completed=2 * earned + 20,
        connected=earned,
        talked=60.0 * earned,
    )
    for what, amount in steps:
        for _ in range(amount):
            if what == "dial":
                floor.dial(0)
            elif what in {"answer", "all answer"} and floor.ringing:
                floor.answer()
            elif what == "silent" and floor.ringing:
                floor.ringing -= 1
                floor.completed += 1
            elif what == "hang up" and floor.talking:
                floor.talking -= 1
                floor.completed += 1
                floor.talked += 30
            elif what == "doubt" and floor.ringing:
                floor.ringing, floor.unknown = floor.ringing - 1, floor.unknown + 1
            elif what == "agent":
                floor.agents += 1
            elif what == "agent leaves" and floor.agents - floor.talking > floor.ringing + floor.unknown:
                floor.agents -= 1
        while what == "all answer" and floor.ringing:
            floor.answer()
    while floor.unknown:  # those in doubt were ringing after all
        floor.unknown, floor.ringing = floor.unknown - 1, floor.ringing + 1
        floor.answer()


def simulate(pacing: Pacing, agents: int, hours: float, seed: int, rate: float = 0.3) -> tuple[Floor, float]:
    """A shift of agents on a virtual clock; return it, and which share of the time the agents talked."""
    draw = random.Random(seed)
    floor = Floor(pacing, agents, cap=Fraction(1))
    events: list[tuple[float, int, str]] = [(0.0, 0, "look")]
    count, busy, now = 0, 0.0, 0.0
    while events and now < hours * 3600:
        at, _, what = heapq.heappop(events)
        busy += floor.talking * (at - now)
        now = at
        if what == "answer" and floor.answer():
            count += 1
            heapq.heappush(events, (now + draw.expovariate(1 / 60), count, "end"))
        elif what == "silent":
            floor.ringing -= 1
            floor.completed += 1
        elif what == "end":
            floor.talking -= 1
            floor.completed += 1
            floor.talked += 60
        for _ in range(floor.dial(now)):
            count += 1
            kind = "answer" if draw.random() < rate else "silent"
            heapq.heappush(events, (now + draw.uniform(4, 20), count, kind))
        if what == "look":
            count += 1
            heapq.heappush(events, (now + 0.5, count, "look"))
    return floor, busy / (now * agents)


def test_predictive_keeps_agents_busier_than_one_for_one() -> None:
    """In a shift of an hour, the budget of 3 % is used and kept, and agents talk more than with one line each."""
    careful, alone = simulate(Power(1), 20, 1, seed=1)
    floor, busy = simulate(Predictive(), 20, 1, seed=1)
    assert careful.abandoned == 0
    assert busy > alone + 0.05
    assert 0 < floor.abandoned <= 0.03 * floor.answered


def test_power_has_no_budget() -> None:
    """Five lines for each free agent abandon more than any rule allows, which is why `Stop` has a limit for it."""
    floor, _ = simulate(Power(5), 20, 1, seed=2)
    assert floor.abandoned > 0.03 * floor.answered


def test_seats_are_kept_in_use() -> None:
    """By Little's law, three quarters of fifty seats and more are in use, and few callers find none free."""
    floor, busy = simulate(Seats(50), 50, 0.5, seed=3)
    assert busy > 0.7
    assert floor.abandoned < 0.05 * floor.answered


def test_seats_begin_one_for_one() -> None:
    """As long as few calls have ended, a call is dialled for each free seat and no more."""
    seats = Seats(10)
    assert seats.room(0, Seen()) == 10
    assert seats.room(0, Seen(ringing=4, open=6, talking=2, dialing=1)) == 3
    assert seats.room(0, Seen(open=10, talking=10, completed=1000, connected=300, talked=18000)) == 0


def test_seats_slow_down_when_callers_are_abandoned() -> None:
    """Above the cap the rate falls in proportion; from 5 % on a call is dialled for each free seat only."""
    seen = Seen(completed=1000, connected=300, talked=18000.0, answered=300, open=20, ringing=20)
    assert Seats(10).room(0, seen) == 1
    assert Seats(10).room(0, evolve(seen, abandoned=15)) == 0
    assert Seats(10).room(0, evolve(seen, abandoned=15, ringing=4)) == 6


def test_the_budget() -> None:
    """Each live answer earns 0.03, each abandoned call costs 1; a third of an answer buys nothing."""
    budget = Abandonment()
    assert [budget.covered(answered, 0) for answered in (0, 33, 34, 66, 67, 100)] == [0, 0, 1, 1, 2, 3]
    assert budget.covered(100, 3) == 0
    assert budget.covered(100, 9) == 0
    assert Abandonment(0.07).covered(100, 0) == 7  # 0.07 * 100 is 7.000000000000001


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**7), st.integers(0, 10**5), st.sampled_from([0.03, 0.05, 0.01, 0.0, 1.0, 0.07]))
def test_the_budget_covers_what_it_says(answered: int, abandoned: int, cap: float) -> None:
    """After as many abandoned calls as are covered the share is at most the cap, and one more would exceed it."""
    covered = Abandonment(cap).covered(answered, abandoned)
    share = Fraction(str(cap)) * answered
    assert abandoned + covered <= max(share, abandoned)
    assert abandoned + covered + 1 > share


def test_a_period_ends_with_one_for_one() -> None:
    """In the last minutes of a period nothing is dialled that only its budget covers, since the next one begins with none."""
    pacing = Predictive(Abandonment(tail=300))
    seen = Seen(agents=2, talking=8, open=8, answered=1000, completed=3000, connected=1000, talked=60000.0)
    assert pacing.room(0, seen) > 2
    assert pacing.room(0, evolve(seen, left=300)) == 2
    assert pacing.room(0, evolve(seen, left=300.5)) > 2
    assert pacing.next_change(50.0, evolve(seen, left=100)) == 150.0
    assert pacing.next_change(50.0, seen) is None


def test_predictive_begins_one_for_one() -> None:
    """Until twenty calls have ended, and for a campaign that abandoned too many, a call is dialled for each free agent."""
    assert Predictive().room(0, Seen(agents=5)) == 5
    assert (
        Predictive().room(0, Seen(agents=5, answered=100, completed=200, connected=100, talked=6000.0, abandoned=3))
        == 5
    )
    assert Predictive().room(0, Seen(agents=5, dialing=1, ringing=2, open=2, unknown=2)) == 0


def test_predictive_dials_no_more_than_is_needed() -> None:
    """With a large budget, lines are those that free agents, and those soon free, are expected to need."""
    seen = Seen(agents=10, answered=10_000, completed=20_000, connected=10_000, talked=600_000.0)
    assert Predictive(most=20).room(0, seen) == math.ceil(10 / wilson_upper(10_000, 20_000))
    assert Predictive(most=1.5).room(0, seen) == 15
    busy = evolve(seen, agents=0, talking=40, open=40)
    assert Predictive(most=20, ring=15).room(0, busy) == math.ceil(40 * 15 / 60 / wilson_upper(10_000, 20_000))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 200), st.lists(st.floats(0, 0.4), min_size=1, max_size=120))
def test_calls_are_spaced(rate: float, pauses: list[float]) -> None:
    """However often it is asked, no second has more calls than the rate, those of 50 ms made up for, and one more."""
    pacing, now, begun = Rate(rate), 0.0, 0
    times = []
    for pause in pauses:
        now += pause
        while pacing.room(now, Seen(begun=begun)):
            begun += 1
            times.append(now)
        change = pacing.next_change(now, Seen(begun=begun))
        assert change is not None
        assert change > now
        assert change - now <= 1 / rate + 1e-9
    for first in times:
        assert sum(first <= one < first + 1 for one in times) <= rate * 1.05 + 1.001


def test_a_rate_is_reached_by_late_timers() -> None:
    """With timers that are up to 20 ms late, a rate of 100 is 100, and not less."""
    pacing, now, begun, draw = Rate(100), 0.0, 0, random.Random(1)
    while now < 30:
        while pacing.room(now, Seen(begun=begun)):
            begun += 1
        change = pacing.next_change(now, Seen(begun=begun))
        assert change is not None
        now = change + draw.uniform(0, 0.02)
    assert 2990 <= begun <= 3010


def test_a_rate_goes_on_where_a_run_left_off() -> None:
    """Calls that began before a restart are no reason to wait."""
    assert Rate(1).room(100.0, Seen(begun=5000)) == 1


def test_concurrency_counts_what_may_be_ringing() -> None:
    """Calls that are being placed, are open, or are in doubt take a place each."""
    assert Concurrency(10).room(0, Seen(dialing=1, open=2, unknown=3)) == 4
    assert Concurrency(3).room(0, Seen(unknown=5)) == 0


def test_the_smallest_limit_wins() -> None:
    """Of several limits the smallest room counts, and the last moment that one waits for."""
    both = pacing_of(rate=1, concurrency=5)
    assert isinstance(both, Smallest)
    assert both.room(0.0, Seen()) == 1
    assert both.room(0.0, Seen(begun=1, open=1)) == 0
    assert both.next_change(0.0, Seen(begun=1, open=1)) == 1.0
    assert both.room(1.0, Seen(begun=1, open=5)) == 0


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, Concurrency),
        ({"concurrency": 5}, Concurrency),
        ({"rate": 5}, Rate),
        ({"seats": 5}, Seats),
        ({"mode": "power"}, Power),
        ({"mode": "power", "lines": 3}, Power),
        ({"mode": "predictive", "abandonment": 0.05, "lines": 3}, Predictive),
        ({"mode": "preview", "rate": 5, "concurrency": 5}, Smallest),
    ],
    ids=repr,
)
def test_pacing_by_settings(options: dict[str, Any], kind: type) -> None:
    """The settings of a campaign choose its pacing."""
    assert type(pacing_of(**options)) is kind


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"mode": "fast"}, "mode"),
        ({"rate": 0}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"concurrency": 1.5}, "concurrency"),
        ({"concurrency": True}, "concurrency"),
        ({"seats": 0}, "seats"),
        ({"mode": "power", "seats": 5}, "seats"),
        ({"mode": "power", "lines": 0.5}, "lines"),
        ({"lines": 2}, "lines"),
        ({"mode": "predictive", "abandonment": 3}, "abandonment"),
        ({"mode": "power", "abandonment": 0.03}, "abandonment"),
    ],
    ids=repr,
)
def test_pacing_that_cannot_be_right(options: dict[str, Any], param: str) -> None:
    """A value that cannot be right, or does not belong to the mode, is refused by name."""
    with pytest.raises(InvalidParameterError) as caught:
        pacing_of(**options)
    assert caught.value.param == param


def test_wilson() -> None:
    """The upper bound of the answer rate: 1 without data, and nearer to the share the more there is."""
    assert wilson_upper(0, 0) == wilson_upper(20, 20) == wilson_upper(21, 20) == 1
    assert wilson_upper(3, 10) == pytest.approx(0.6032, abs=1e-3)
    assert wilson_upper(300, 1000) == pytest.approx(0.3291, abs=1e-3)
