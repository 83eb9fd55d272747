"""Facts about attempts: what an answer, a webhook, a list or a person says, and what it makes of the attempt and its contact.

Rules:
1. `machine.after` alone decides what a fact changes. A fact that changes nothing writes nothing.
2. After an attempt has ended, the contact is done, waits for its next attempt, or is exhausted: see `Outcome`.
3. A contact whose number was put on the do-not-call list meanwhile waits no more.
4. Of an incident (`machine`, rule 4) the contact gets no further attempt: it is done when the call ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.dialer.clock import milliseconds
from ajoxi_async.dialer.database import Database
from ajoxi_async.dialer.machine import AttemptState, ContactState, Fact, after
from ajoxi_async.dialer.statements.contacts import is_dnc

__all__ = ["ANSWER", "LIST", "PERSON", "WEBHOOK", "Changed", "Report", "Rules", "attempt_of", "fact_of", "record"]

#: How a call became known (`attempt.via`).
ANSWER: Final = 1
LIST: Final = 2
WEBHOOK: Final = 3
PERSON: Final = 4


class Report(NamedTuple):
    """A fact about an attempt, with what is known of the call.

    Attributes:
        attempt: the id of the attempt.
        fact: what became known.
        call_id: the call, if there is one.
        created_at: when it was placed, in milliseconds by the API's clock.
        ended_at: when it ended, in milliseconds by the API's clock.
        disposition: how it ended.
        duration: seconds from the answer to the end.
        via: how it became known.
        reason: why it was refused or not sent, or who released it.
    """

    attempt: int
    fact: Fact
    call_id: str | None = None
    created_at: int | None = None
    ended_at: int | None = None
    disposition: str | None = None
    duration: int | None = None
    via: int | None = None
    reason: str | None = None


class Rules(NamedTuple):
    """What the ledger needs to know of a campaign's settings.

    Attributes:
        attempts: how many attempts a contact gets.
        retry_delay: seconds from the end of the n-th attempt with this disposition to the next one; ``None`` for none.
        first_look: milliseconds from the placing of a call to the first look at how it ended.
        doubt_look: milliseconds from the intent of an attempt in doubt to the first look for its call.
    """

    attempts: int
    retry_delay: Callable[[str, int], float | None]
    first_look: int
    doubt_look: int


class Changed(NamedTuple):
    """What a fact changed.

    Attributes:
        attempt: its id.
        before: its state before.
        now: its state from now on.
        contact_before: the state of its contact before.
        contact: the state of its contact from now on.
        incident: whether the call was believed not to exist.
        number: the number, as an integer.
        disposition: how the call ended, if it did.
        duration: seconds from the answer to the end.
        lasted: seconds from the placing of the call to its end, if both are known.
    """

    attempt: int
    before: AttemptState
    now: AttemptState
    contact_before: ContactState
    contact: ContactState
    incident: bool
    number: int
    disposition: str | None
    duration: int | None = None
    lasted: float | None = None


_READ = (
    "SELECT a.state, a.contact, a.n, a.number, a.intent_at, a.incident, a.call_id, a.created_at, c.state, c.tries"
    " FROM attempt a JOIN contact c ON c.id = a.contact WHERE a.id = ?"
)
_WRITE = (
    "UPDATE attempt SET state = ?, call_id = coalesce(?, call_id), created_at = coalesce(?, created_at), ended_at = ?,"
    " disposition = ?, duration = ?, via = coalesce(via, ?), incident = ?, reason = ?, next_look = ?, looked = 0"
    " WHERE id = ?"
)


def fact_of(attempt: int, call: Call, via: int) -> Report:
    """What a call of the API says about its attempt."""
    created = None if call.created_at is None else milliseconds(call.created_at.timestamp())
    if call.ended_at is None and call.disposition is None and call.status != CallStatus.COMPLETED:
        return Report(attempt, Fact.SEEN, call.id, created, via=via)
    ended = None if call.ended_at is None else milliseconds(call.ended_at.timestamp())
    disposition = None if call.disposition is None else str(call.disposition.value)
    return Report(attempt, Fact.ENDED, call.id, created, ended, disposition or "unknown", call.duration, via)


def attempt_of(db: Database, campaign: int, number: int, n: int) -> int | None:
    """The id of an attempt by its number and place, as a reference names it."""
    rows = db.execute(
        "SELECT a.id FROM contact c JOIN attempt a ON a.contact = c.id WHERE c.campaign = ? AND c.number = ? AND a.n = ?",
        (campaign, number, n),
    )
    return rows[0][0] if rows else None


def record(
    db: Database, campaign: int, reports: Iterable[Report], now: int, rules: Rules, tally: Counter[str]
) -> list[Changed]:
    """Write what became known; return what changed. `now` is in milliseconds, `tally` gets what changes in the counts."""
    changed = []
    for report in reports:
        one = _record(db, campaign, report, now, rules, tally)
        if one is not None:
            changed.append(one)
    return changed


def _record(
    db: Database, campaign: int, report: Report, now: int, rules: Rules, tally: Counter[str]
) -> Changed | None:
    rows = db.execute(_READ, (report.attempt,))
    if not rows:
        return None
    state, contact, n, number, intent_at, incident, call_id, created_at, contact_state, tries = rows[0]
    before = AttemptState(state)
    step = after(before, report.fact)
    if step is None:
        return None
    if report.call_id not in {None, call_id} and (
        call_id is not None or db.execute("SELECT 1 FROM attempt WHERE call_id = ?", (report.call_id,))
    ):
        # Two calls for one attempt, or two attempts for one call: it says nothing about this attempt.
        tally["foreign call"] += 1
        return None
    incident = int(incident or step.incident)
    next_look = None
    if step.state is AttemptState.OPEN:
        next_look = now + rules.first_look
    elif step.state is AttemptState.UNKNOWN:
        next_look = max(now, intent_at + rules.doubt_look)
    db.execute(
        _WRITE,
        (
            step.state,
            report.call_id,
            report.created_at,
            report.ended_at,
            report.disposition,
            report.duration,
            report.via,
            incident,
            report.reason,
            next_look,
            report.attempt,
        ),
    )
    if step.incident:
        tally["incident"] += 1
    if step.state is AttemptState.ENDED and report.disposition is not None:
        tally[f"disposition.{report.disposition}"] += 1
        tally["talk seconds"] += report.duration or 0
    if step.incident and n < tries:
        # A later attempt has begun meanwhile; the contact's state is that attempt's.
        now_and_before = ContactState(contact_state)
        return Changed(
            report.attempt, before, step.state, now_and_before, now_and_before, True, number, report.disposition
        )
    then, due, reason = _contact_after(
        db, campaign, step.state, report, n, number, intent_at, now, rules, incident=bool(incident)
    )
    if step.state is AttemptState.UNSENT:
        tries -= 1
        tally["attempts"] -= 1
    elif before is AttemptState.UNSENT:
        tries += 1
        tally["attempts"] += 1
    db.execute(
        "UPDATE contact SET state = ?, due = coalesce(?, due), tries = ?, reason = ? WHERE id = ?",
        (then, due, tries, reason, contact),
    )
    tally[ContactState(contact_state).word] -= 1
    tally[then.word] += 1
    created_at = report.created_at or created_at
    known = report.ended_at is not None and created_at is not None
    return Changed(
        report.attempt,
        before,
        step.state,
        ContactState(contact_state),
        then,
        bool(incident),
        number,
        report.disposition,
        report.duration,
        (report.ended_at - created_at) / 1000 if known else None,  # type: ignore[operator]  # `known` says so
    )


def _contact_after(
    db: Database,
    campaign: int,
    state: AttemptState,
    report: Report,
    n: int,
    number: int,
    intent_at: int,
    now: int,
    rules: Rules,
    *,
    incident: bool,
) -> tuple[ContactState, int | None, str | None]:
    """The state of a contact after its latest attempt has got a state, when it is due next, and why."""
    if state is AttemptState.OPEN:
        return ContactState.OPEN, None, None
    if state is AttemptState.UNKNOWN:
        return ContactState.UNKNOWN, None, None
    if state is AttemptState.REFUSED:
        return ContactState.REFUSED, None, report.reason
    if state is AttemptState.ENDED:
        delay = None if report.disposition is None else rules.retry_delay(report.disposition, n)
        if incident or delay is None:
            return ContactState.DONE, None, report.disposition
        if n >= rules.attempts:
            return ContactState.EXHAUSTED, None, report.disposition
        # The end is on the API's clock; whatever that says, it was between the intent and now.
        due: int | None = min(max(report.ended_at or now, intent_at), now) + round(delay * 1000)
    elif state is AttemptState.ABSENT:
        if n >= rules.attempts:
            return ContactState.EXHAUSTED, None, "released"
        due = now
    else:
        due = None  # Unsent: as it was before.
    if is_dnc(db, campaign, number):
        return ContactState.SUPPRESSED, due, "do not call"
    return ContactState.WAITING, due, None
