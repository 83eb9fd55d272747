"""Statements by themselves: a claim looks at everything again, whatever was true when its candidates were read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ajoxi_async.dialer import Retry
from ajoxi_async.dialer.dialing.running import rules_of
from ajoxi_async.dialer.rules.caps import Caps
from ajoxi_async.dialer.rules.machine import AttemptState, ContactState
from ajoxi_async.dialer.storage.statements import claims, moments

from .worlds import Where, stage

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
NUMBERS = [14045560000 + each for each in range(3)]
NOW = 1_800_000_000_000


async def claimed(
    where: Where, before: Callable[[Any, int], object], caps: Caps | None = None
) -> tuple[list[int], dict[int, str]]:
    """Read candidates, let something happen, and claim them: the numbers that were claimed, in order, and the states of all."""
    caps = caps or Caps()
    async with stage(where, NUMBERS) as here:
        id = here.campaign.row.id

        def work(db: Any) -> tuple[list[int], dict[int, str]]:
            zones = claims.waiting_zones(db, id)
            before(db, id)
            found = claims.candidates(db, id, zones, NOW, 10)
            if len(found) < len(NUMBERS):  # Something was put right before the candidates were read.
                found = [claims.Candidate(n, number, zones[0]) for n, number in enumerate(NUMBERS, 1)]
            made = claims.claim(
                db, id, found, NOW, Counter(), from_of=lambda _: 1, allowed_at=caps.next_allowed, history=caps.span
            )
            states = db.execute("SELECT number, state FROM contact")
            return [one.number for one in made], {number: ContactState(state).word for number, state in states}

        async with here.ledger.owning("autumn"):
            return await here.ledger.write(work)


def _attempt(db: Any, campaign: int, number: int, state: AttemptState, at: int) -> None:
    db.execute(
        "INSERT INTO attempt (campaign, contact, n, number, from_, state, sent, intent_at, incident, looked)"
        " SELECT campaign, id, 1, number, 1, ?, 1, ?, 0, 0 FROM contact WHERE campaign = ? AND number = ?",
        (int(state), at, campaign, number),
    )


async def test_a_number_that_is_forbidden_meanwhile(where: Where) -> None:
    """The do-not-call list is looked at by the claim, also where the contact still waits."""

    def forbid(db: Any, campaign: int) -> None:
        db.execute("INSERT INTO dnc (number, scope, since, source) VALUES (?, 0, 0, 'x')", (NUMBERS[0],))

    made, states = await claimed(where, forbid)
    assert made == NUMBERS[1:]
    assert states == {NUMBERS[0]: "suppressed", NUMBERS[1]: "dialing", NUMBERS[2]: "dialing"}


async def test_a_contact_whose_time_is_over(where: Where) -> None:
    """A contact whose time has ended at this moment is expired by the claim."""

    def expire(db: Any, campaign: int) -> None:
        db.execute("UPDATE contact SET expires = ? WHERE number = ?", (NOW, NUMBERS[0]))
        db.execute("UPDATE contact SET expires = ? WHERE number = ?", (NOW + 1, NUMBERS[1]))

    made, states = await claimed(where, expire)
    assert made == NUMBERS[1:]
    assert states[NUMBERS[0]] == "expired"


async def test_an_attempt_that_was_not_sent_counts_under_no_cap(where: Where) -> None:
    """Of two attempts a second ago only the one that may have rung keeps its number from being called."""

    def attempts(db: Any, campaign: int) -> None:
        _attempt(db, campaign, NUMBERS[0], AttemptState.UNSENT, NOW - 1000)
        _attempt(db, campaign, NUMBERS[1], AttemptState.REFUSED, NOW - 1000)
        db.execute("UPDATE contact SET tries = 1 WHERE number = ?", (NUMBERS[1],))

    made, states = await claimed(where, attempts, Caps(per_24h=1))
    assert made == [NUMBERS[0], NUMBERS[2]]
    assert states[NUMBERS[1]] == "waiting"


async def test_retries_come_before_those_who_were_never_called(where: Where) -> None:
    """Who is due again comes first, the longest due the first of them."""

    def due(db: Any, campaign: int) -> None:
        db.execute("UPDATE contact SET due = ? WHERE number = ?", (NOW - 1000, NUMBERS[1]))
        db.execute("UPDATE contact SET due = ? WHERE number = ?", (NOW - 2000, NUMBERS[2]))

    made, _ = await claimed(where, due)
    assert made == [NUMBERS[2], NUMBERS[1], NUMBERS[0]]


async def test_a_number_with_an_incident_in_flight(where: Where) -> None:
    """A call that is an incident is in flight as well: its number is not called meanwhile, and is looked at again later."""

    def incident(db: Any, campaign: int) -> None:
        _attempt(db, campaign, NUMBERS[0], AttemptState.OPEN, NOW - 1000)
        db.execute("UPDATE attempt SET incident = 1")
        db.execute("UPDATE contact SET tries = 1 WHERE number = ?", (NUMBERS[0],))

    made, states = await claimed(where, incident)
    assert made == NUMBERS[1:]
    assert states[NUMBERS[0]] == "waiting"


async def test_moments_of_a_clock_that_was_ahead(where: Where) -> None:
    """What is later than now is corrected by the API's moments, on both databases; what is not stays as it was."""
    async with stage(where, NUMBERS, attempts=3, retry={"busy": Retry(60)}) as here:
        id, rules = here.campaign.row.id, rules_of(here.campaign.settings)

        def work(db: Any) -> tuple[Any, ...]:
            ahead = NOW + 3_600_000
            db.execute("UPDATE campaign SET mark = 0")
            before = moments.is_ahead(db, id, NOW)
            for number, at in zip(NUMBERS, (NOW - 5000, ahead, ahead), strict=True):
                _attempt(db, id, number, AttemptState.ENDED, at)
            db.execute("UPDATE attempt SET disposition = 'busy', next_look = ?", (ahead + 1,))
            db.execute(
                "UPDATE attempt SET created_at = ?, ended_at = ? WHERE number = ?", (NOW - 2000, NOW - 1000, NUMBERS[1])
            )
            db.execute("UPDATE contact SET tries = 1, due = ?", (ahead + 60_000,))
            found = before, moments.is_ahead(db, id, NOW), moments.correct_attempts(db, id, NOW)
            last = moments.correct_contacts(db, id, 0, NOW, rules)
            assert moments.correct_contacts(db, id, last or 0, NOW, rules) is None
            return (
                *found,
                db.execute("SELECT intent_at, next_look FROM attempt ORDER BY number"),
                [due for (due,) in db.execute("SELECT due FROM contact ORDER BY number")],
            )

        async with here.ledger.owning("autumn"):
            before, after, amount, attempts, due = await here.ledger.write(work)
        assert (before, after, amount) == (False, True, 2)
        assert attempts == [(NOW - 5000, NOW), (NOW - 2000, NOW), (NOW, NOW)]
        assert due == [NOW + 60_000, NOW + 59_000, NOW + 60_000]


async def test_do_not_call_of_somebody_who_was_reached(where: Where) -> None:
    """A contact that has ended keeps its state, and so do the counts; only who waits is suppressed."""
    async with stage(where, NUMBERS) as here:
        await here.run()
        await here.campaign.do_not_call(f"+{NUMBERS[0]}")
        last = await here.campaign.progress()
        assert (last.contacts["done"], last.contacts["suppressed"]) == (3, 0)
        assert await here.sql("SELECT DISTINCT state FROM contact") == [(ContactState.DONE,)]
