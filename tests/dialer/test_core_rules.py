"""The pure parts of the core: states, references, answers, numbers to call from, settings."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ajoxi_async import InvalidParameterError
from ajoxi_async.dialer import Retry, Stop, Windows, settings
from ajoxi_async.dialer.dialing.answers import ending_of
from ajoxi_async.dialer.dialing.callers import Callers
from ajoxi_async.dialer.dialing.running import DOUBT_LOOKS, LAST_LOOK, next_doubt_look
from ajoxi_async.dialer.rules.machine import IN_FLIGHT, AttemptState, Fact, after
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.protocol.errors import status_error

A = AttemptState
FACTS = st.lists(st.sampled_from(list(Fact)), max_size=12)


@hypothesis_settings(deadline=None)
@given(FACTS)
def test_doubt_ends_by_a_call_or_a_decision_only(facts: list[Fact]) -> None:
    """Nothing but a seen call, a release or a person takes an attempt out of doubt."""
    state = A.UNKNOWN
    for fact in facts:
        step = after(state, fact)
        if step is not None:
            assert fact in {Fact.PLACED, Fact.SEEN, Fact.ENDED, Fact.RELEASED, Fact.SETTLED}
            return


@hypothesis_settings(deadline=None)
@given(FACTS)
def test_a_call_that_exists_always_counts(facts: list[Fact]) -> None:
    """Once a call was placed, seen or ended, its attempt never again has a state that says there is no call."""
    state, exists = A.INTENT, False
    for fact in facts:
        step = after(state, fact)
        state = step.state if step is not None else state
        exists = exists or fact in {Fact.PLACED, Fact.SEEN, Fact.ENDED}
        assert not exists or state in {A.OPEN, A.ENDED}
        assert step is None or step.incident == (state in {A.OPEN, A.ENDED} and step.incident)


@hypothesis_settings(deadline=None)
@given(FACTS)
def test_facts_that_are_repeated_change_nothing(facts: list[Fact]) -> None:
    """Each fact, given a second time at once, has no effect."""
    state = A.INTENT
    for fact in facts:
        step = after(state, fact)
        if step is not None:
            state = step.state
            assert after(state, fact) is None


def test_what_is_in_flight() -> None:
    """An intent, an open call and doubt may be ringing; nothing else may."""
    assert set(IN_FLIGHT) == {A.INTENT, A.OPEN, A.UNKNOWN}


@hypothesis_settings(deadline=None)
@given(st.text(min_size=1, max_size=200), st.integers(1, 10**15 - 1), st.integers(1, 999))
def test_a_reference_names_its_attempt_and_hides_the_number(name: str, number: int, attempt: int) -> None:
    """A reference is read back exactly, is the same each time, and is not one of another campaign."""
    references = References(name)
    text = references.make(number, attempt)
    assert references.read(text) == (number, attempt)
    assert text == References(name).make(number, attempt) and len(text) <= 60
    assert References(name + "!").read(text) is None
    assert not references.is_chunk(text) and references.is_chunk(references.chunk(1, 1, 1))


@pytest.mark.parametrize("text", [None, "", "autumn", "autumn.x.1", "autumn.0000000000.0", "autumn.0000000000.1.2"])
def test_what_is_no_reference(text: str | None) -> None:
    """Metadata of others is never taken for a reference."""
    assert References("autumn").read(text) is None


@hypothesis_settings(deadline=None)
@given(st.floats(0, 2e5))
def test_doubt_is_looked_up_often_first_and_for_a_day(passed: float) -> None:
    """The next look is later than now, one of the schedule or a whole hour, and none comes after a day."""
    then = next_doubt_look(1000.0, 1000.0 + passed)
    if then is None:
        assert passed >= LAST_LOOK - 3600
    else:
        assert then - 1000 > passed - 1e-6
        assert then - 1000 in DOUBT_LOOKS or (then - 1000) % 3600 == 0


def test_a_contact_is_called_from_its_own_area() -> None:
    """The number of the same area code calls; others take turns, so that none calls far more."""
    callers = Callers(["+14155550100", "+12125550100", "+442071234567"])
    assert [callers.choose(number) for number in (12125551234, 14155551234, 442079460000)] == [
        12125550100,
        14155550100,
        442071234567,
    ]
    turns = [callers.choose(13125551234) for _ in range(4)]
    assert sorted(turns) == [12125550100, 12125550100, 14155550100, 14155550100]
    one = callers.for_all()
    assert one(12125551234) == one(14155551234) == 12125550100


def test_settings_survive_the_ledger() -> None:
    """What is written to the ledger and read again are the same settings."""
    given_ones = {
        "from_": "+14155550100",
        "windows": Windows.us_strict(),
        "retry": {"busy": Retry("10m", 3600)},
        "attempts": 3,
        "per_number_24h": 2,
        "min_gap": "8h",
        "stop": Stop(failed=0.2, spend=100),
        "max_call": "2h",
        "unknown": "release",
    }
    made = settings.changed(settings.Settings(), given_ones)
    assert settings.from_json(settings.to_json(made)) == made
    assert settings.changed(made, {"attempts": None}) == made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from_", "4155550100"),
        ("from_", ["+14155550100", "+14155550100"]),
        ("windows", "always"),
        ("retry", {"busy": 600}),
        ("retry", {"engaged": Retry(600)}),
        ("attempts", 0),
        ("attempts", True),
        ("rate", 0),
        ("concurrency", 1.5),
        ("ring_timeout", 601),
        ("mode", "turbo"),
        ("engine", "twilio"),
        ("unknown", "redial"),
        ("settle", 60),
        ("expires", datetime(2026, 1, 1)),  # noqa: DTZ001 - without a zone on purpose
        ("stop", 3),
        ("record", "yes"),
        ("max_call", "soon"),
    ],
    ids=lambda value: str(value)[:30].replace("[", "(").replace("]", ")"),
)
def test_a_wrong_setting_is_named(name: str, value: object) -> None:
    """A setting that cannot be right is refused before anything is changed, with its name."""
    with pytest.raises(InvalidParameterError) as refused:
        settings.changed(settings.Settings(), {name: value})
    assert refused.value.param.partition("[")[0] == name


@pytest.mark.parametrize(
    ("status", "param", "fact", "halts"),
    [
        (422, "campaign.mode", Fact.UNSENT, True),
        (400, "campaign.name", Fact.UNSENT, True),
        (422, "campaign.contacts", Fact.REFUSED, False),
        (422, "metadata.client_reference", Fact.UNSENT, True),
        (403, "to", Fact.REFUSED, False),
        (403, None, Fact.UNSENT, True),
    ],
)
def test_a_setting_that_the_api_refuses_refuses_nobody(status: int, param: str | None, fact: Fact, halts: bool) -> None:
    """What is the same for every contact ends the run, and only what is about a contact refuses it."""
    ending = ending_of(status_error(status)("refused", status_code=status, param=param))
    assert (ending.fact, ending.halts) == (fact, halts)
