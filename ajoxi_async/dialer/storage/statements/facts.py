"""Facts about attempts: what an answer, a webhook, a list or a person says, and what it makes of the attempt and its contact.

Rules:
1. `machine.after` alone decides what a fact changes. A fact that changes nothing writes nothing.
2. After an attempt has ended, the contact is done, waits for its next attempt, or is exhausted: see `Outcome`.
3. A contact whose number was put on the do-not-call list meanwhile waits no more.
4. After an incident (`machine`, rule 4) the contact gets no further attempt: it is done when what is under way has ended.
5. The state of a contact is that of its latest attempt. What becomes known of an earlier one does not change it, except by rule 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from attrs import define, frozen

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.dialer.clock import milliseconds
from ajoxi_async.dialer.rules.machine import AttemptState, ContactState, Fact, Step, after
from ajoxi_async.dialer.rules.texts import storable
from ajoxi_async.dialer.storage.database import Database, Value
from ajoxi_async.dialer.storage.statements.contacts import dnc_among
from ajoxi_async.dialer.storage.statements.lists import in_lists

__all__ = [
    "ANSWER",
    "LIST",
    "PERSON",
    "STALE",
    "WEBHOOK",
    "Changed",
    "Report",
    "Rules",
    "attempt_of",
    "fact_of",
    "has_ended",
    "known_calls",
    "record",
    "record_each",
]

#: How a call became known (`attempt.via`).
ANSWER: Final = 1
LIST: Final = 2
WEBHOOK: Final = 3
PERSON: Final = 4
#: Why an open call counts no more (`attempt.reason`): it has been open for longer than a call can last. The count of this name is
#: that of these calls.
STALE: Final = "stale"


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
        adopted: whether the attempt was added for this call a moment ago (`adoption`), so that it counts as one in doubt.
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
    adopted: bool = False


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
    "SELECT a.id, a.state, a.contact, a.n, a.number, a.intent_at, a.incident, a.call_id, a.created_at, a.reason,"
    " c.state, c.tries"
    " FROM attempt a JOIN contact c ON c.id = a.contact WHERE a.id IN {}"
)
_ATTEMPT: Final = {
    "state": "?",
    "call_id": "coalesce(?, call_id)",
    "created_at": "coalesce(?, created_at)",
    "ended_at": "?",
    "disposition": "?",
    "duration": "?",
    "via": "coalesce(via, ?)",
    "incident": "?",
    "reason": "?",
    "next_look": "?",
    "looked": "0",
}
_CONTACT: Final = {"state": "?", "due": "coalesce(?, due)", "tries": "?", "reason": "?"}
#: Why an attempt is in doubt whose answer has named the call of another one.
_FOREIGN: Final = "the answer is another call's"
#: Facts after which a contact may wait again.
_AGAIN = frozenset({Fact.ENDED, Fact.UNSENT, Fact.RELEASED})


def has_ended(call: Call) -> bool:
    """Whether a call of the API has ended."""
    return call.ended_at is not None or call.disposition is not None or call.status == CallStatus.COMPLETED


def fact_of(attempt: int, call: Call, via: int) -> Report:
    """What a call of the API says about its attempt."""
    created = None if call.created_at is None else milliseconds(call.created_at.timestamp())
    if not has_ended(call):
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


def known_calls(db: Database, ids: Sequence[str]) -> set[str]:
    """Those of some calls that belong to an attempt, of any campaign of the ledger."""
    found: set[str] = set()
    for places, some in in_lists(ids):
        found.update(call for (call,) in db.execute(f"SELECT call_id FROM attempt WHERE call_id IN {places}", some))
    return found


def record(
    db: Database, campaign: int, reports: Iterable[Report], now: int, rules: Rules, tally: Counter[str]
) -> list[Changed]:
    """Write what became known; return what changed. `now` is in milliseconds, `tally` gets what changes in the counts."""
    return [one for one in record_each(db, campaign, list(reports), now, rules, tally) if one is not None]


def record_each(
    db: Database, campaign: int, reports: Sequence[Report], now: int, rules: Rules, tally: Counter[str]
) -> list[Changed | None]:
    """As `record`, with a result for each report."""
    reports = [_stored(report) for report in reports]
    known = _Known.read(db, campaign, reports)
    writes: list[tuple[Value, ...]] = []
    contacts: list[tuple[Value, ...]] = []
    changed = [_changed(known, report, now, rules, tally, writes, contacts) for report in reports]
    db.update("attempt", _ATTEMPT, writes)
    db.update("contact", _CONTACT, contacts)
    return changed


def _stored(report: Report) -> Report:
    """A report whose texts every database takes: PostgreSQL takes no null characters, and these texts are the API's."""
    call, disposition, reason = (
        text if text is None or "\0" not in text else storable(text)
        for text in (report.call_id, report.disposition, report.reason)
    )
    return report._replace(call_id=call, disposition=disposition, reason=reason)


@define
class _Contact:
    """What is known of a contact."""

    state: ContactState
    tries: int


@define
class _Attempt:
    """What is known of an attempt."""

    state: AttemptState
    contact_id: int
    n: int
    number: int
    intent_at: int
    incident: int
    call_id: str | None
    created_at: int | None
    reason: str | None
    contact: _Contact


@frozen
class _Known:
    """What the ledger knows of the attempts of some reports, read at once; it follows the changes.

    Attributes:
        attempts: by their ids.
        calls: those of the reports that belong to an attempt.
        forbidden: those of the numbers that are on the do-not-call list.
        marred: the contacts that have had an incident.
    """

    attempts: dict[int, _Attempt]
    calls: set[str]
    forbidden: set[int]
    marred: set[int]

    @classmethod
    def read(cls, db: Database, campaign: int, reports: Sequence[Report]) -> _Known:
        """Read it."""
        attempts: dict[int, _Attempt] = {}
        contacts: dict[int, _Contact] = {}
        for places, some in in_lists(list(dict.fromkeys(report.attempt for report in reports))):
            for id, state, contact, *known, contact_state, tries in db.execute(_READ.format(places), some):
                shared = contacts.setdefault(contact, _Contact(ContactState(contact_state), tries))
                attempts[id] = _Attempt(*(AttemptState(state), contact, *known, shared))
        calls = known_calls(db, [report.call_id for report in reports if report.call_id is not None])
        again = {report.attempt for report in reports if report.fact in _AGAIN}
        forbidden = dnc_among(db, campaign, [attempts[id].number for id in sorted(again & attempts.keys())])
        marred = {attempt.contact_id for attempt in attempts.values() if attempt.incident}
        tried = {attempts[id].contact_id for id in again & attempts.keys() if attempts[id].contact.tries > 1}
        for places, some in in_lists(sorted(tried)):
            rows = db.execute(f"SELECT contact FROM attempt WHERE contact IN {places} AND incident = 1", some)
            marred.update(contact for (contact,) in rows)
        return cls(attempts, calls, forbidden, marred)


def _changed(
    known: _Known,
    report: Report,
    now: int,
    rules: Rules,
    tally: Counter[str],
    writes: list[tuple[Value, ...]],
    contacts: list[tuple[Value, ...]],
) -> Changed | None:
    """What a report changes, which is added to what is to be written."""
    attempt = known.attempts.get(report.attempt)
    if attempt is None:
        return None
    before = AttemptState.UNKNOWN if report.adopted else attempt.state
    step = after(before, report.fact)
    if step is None:
        return None
    if report.call_id not in {None, attempt.call_id} and (attempt.call_id is not None or report.call_id in known.calls):
        # Two calls for one attempt, or two attempts for one call: it says nothing about this attempt.
        tally["foreign call"] += 1
        if report.fact is not Fact.PLACED or before is not AttemptState.INTENT:
            return None
        # It was the answer, and no other one will come.
        report, step = Report(report.attempt, Fact.DOUBTFUL, reason=_FOREIGN), Step(AttemptState.UNKNOWN)
    attempt.state, attempt.incident = step.state, int(attempt.incident or step.incident)
    if report.call_id is not None:
        attempt.call_id = report.call_id
        known.calls.add(report.call_id)
    attempt.created_at = report.created_at or attempt.created_at
    next_look = None
    if step.state is AttemptState.OPEN:
        next_look = now + rules.first_look
    elif step.state is AttemptState.UNKNOWN:
        next_look = max(now, attempt.intent_at + rules.doubt_look)
    writes.append(
        (
            step.state,
            report.call_id,
            report.created_at,
            report.ended_at,
            report.disposition,
            report.duration,
            report.via,
            attempt.incident,
            report.reason,
            next_look,
            report.attempt,
        )
    )
    if before is AttemptState.OPEN and attempt.reason == STALE:
        tally[STALE] -= 1
    if step.incident:
        tally["incident"] += 1
    if step.state is AttemptState.ENDED and report.disposition is not None:
        tally[f"disposition.{report.disposition}"] += 1
        tally["talk seconds"] += report.duration or 0
    contact = attempt.contact
    was = contact.state
    if step.incident:
        known.marred.add(attempt.contact_id)
    if attempt.n < contact.tries:
        if not step.incident or was is not ContactState.WAITING:
            incident = bool(attempt.incident)
            return Changed(report.attempt, before, step.state, was, was, incident, attempt.number, report.disposition)
        due: int | None = None
        reason: str | None = "incident"
        contact.state = ContactState.DONE
    else:
        contact.state, due, reason = _contact_after(known, attempt, report, now, rules)
    if step.state is AttemptState.UNSENT:
        contact.tries -= 1
        tally["attempts"] -= 1
    elif before is AttemptState.UNSENT:
        contact.tries += 1
        tally["attempts"] += 1
    contacts.append((contact.state, due, contact.tries, reason, attempt.contact_id))
    tally[was.word] -= 1
    tally[contact.state.word] += 1
    lasted = None
    if report.ended_at is not None and attempt.created_at is not None:
        lasted = (report.ended_at - attempt.created_at) / 1000
    return Changed(
        report.attempt,
        before,
        step.state,
        was,
        contact.state,
        bool(attempt.incident),
        attempt.number,
        report.disposition,
        report.duration,
        lasted,
    )


def _contact_after(
    known: _Known, attempt: _Attempt, report: Report, now: int, rules: Rules
) -> tuple[ContactState, int | None, str | None]:
    """The state of a contact after its latest attempt has got a state, when it is due next, and why."""
    state = attempt.state
    if state is AttemptState.OPEN:
        return ContactState.OPEN, None, None
    if state is AttemptState.UNKNOWN:
        return ContactState.UNKNOWN, None, None
    if state is AttemptState.REFUSED:
        return ContactState.REFUSED, None, report.reason
    if state is AttemptState.ENDED:
        delay = None if report.disposition is None else rules.retry_delay(report.disposition, attempt.n)
        if delay is None or attempt.contact_id in known.marred:
            return ContactState.DONE, None, report.disposition
        if attempt.n >= rules.attempts:
            return ContactState.EXHAUSTED, None, report.disposition
        # The end is on the API's clock; whatever that says, it was between the intent and now.
        due: int | None = min(max(report.ended_at or now, attempt.intent_at), now) + round(delay * 1000)
    elif attempt.contact_id in known.marred:
        return ContactState.DONE, None, "incident"
    elif state is AttemptState.ABSENT:
        if attempt.n >= rules.attempts:
            return ContactState.EXHAUSTED, None, "released"
        due = now
    else:
        due = None  # Unsent: as it was before.
    if attempt.number in known.forbidden:
        return ContactState.SUPPRESSED, due, "do not call"
    return ContactState.WAITING, due, None
