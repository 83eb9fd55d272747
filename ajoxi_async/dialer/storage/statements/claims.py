"""Claims: which contacts are due, and the intent that is written before a call is sent.

Rules:
1. Contacts that were tried before and are due come first, by their due time; then those that were never dialled, in their order.
2. A claim looks at everything again in its own transaction: the contact waits and is due, its time is not over, the number is not
   on the do-not-call list, has no attempt in flight anywhere in the ledger, and is under its caps.
3. A contact that may not be dialled yet gets the moment from which on it may; it is not looked at before.
4. An attempt that was proven unsent keeps its number and its reference when the contact is claimed again. Otherwise each attempt
   has a number of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import NamedTuple

from ajoxi_async.dialer.rules.machine import AttemptState, ContactState
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.schema import FRESH
from ajoxi_async.dialer.storage.statements.contacts import dnc_among
from ajoxi_async.dialer.storage.statements.lists import in_lists

__all__ = ["Candidate", "Claimed", "candidate", "candidates", "claim", "next_due", "waiting_zones"]

#: Milliseconds after which a number that is in flight elsewhere in the ledger is looked at again.
_BUSY = 60_000


class Candidate(NamedTuple):
    """A contact that seems to be due."""

    id: int
    number: int
    zones: int


class Claimed(NamedTuple):
    """An attempt whose intent is written.

    Attributes:
        sent: how often it was begun; it may be claimed again before the task of an earlier time has ended.
    """

    id: int
    contact: int
    number: int
    zones: int
    n: int
    from_: int
    expires: int | None
    variables: str | None
    sent: int = 1

    @property
    def key(self) -> tuple[int, int]:
        """Tells it from the same attempt at another time."""
        return self.id, self.sent


def waiting_zones(db: Database, campaign: int) -> list[int]:
    """The ids of the zones in which contacts of a campaign wait."""
    found = []
    at = -1
    # A jump from one set of zones to the next: there may be millions of contacts in each.
    while rows := db.execute(
        "SELECT zones FROM contact WHERE campaign = ? AND state = 0 AND zones > ? ORDER BY zones LIMIT 1",
        (campaign, at),
    ):
        ((at,),) = rows
        found.append(at)
    return found


def candidates(db: Database, campaign: int, zones: Iterable[int], now: int, most: int) -> list[Candidate]:
    """Contacts that are due in some zones, in the order in which they are to be dialled."""
    again: list[tuple[int, int, int, int]] = []
    fresh: list[tuple[int, int, int, int]] = []
    for zone in zones:
        again += db.execute(
            "SELECT due, id, number, zones FROM contact WHERE campaign = ? AND state = 0 AND zones = ? AND due >= ?"
            " AND due <= ? ORDER BY due, id LIMIT ?",
            (campaign, zone, FRESH, now, most),
        )
        fresh += db.execute(
            "SELECT due, id, number, zones FROM contact WHERE campaign = ? AND state = 0 AND zones = ? AND due < ?"
            " ORDER BY due, id LIMIT ?",
            (campaign, zone, FRESH, most),
        )
    found = sorted(again) + sorted(fresh)
    return [Candidate(id, number, zone) for _, id, number, zone in found[:most]]


def candidate(db: Database, campaign: int, number: int) -> Candidate | None:
    """The contact of a number, if it waits."""
    rows = db.execute(
        "SELECT id, number, zones FROM contact WHERE campaign = ? AND number = ? AND state = 0", (campaign, number)
    )
    return Candidate(*rows[0]) if rows else None


def next_due(db: Database, campaign: int, zone: int) -> int | None:
    """The due time of the first contact that waits in a set of zones; below `FRESH` if one was never dialled, ``None`` if none waits."""
    rows = db.execute(
        "SELECT due FROM contact WHERE campaign = ? AND state = 0 AND zones = ? ORDER BY due LIMIT 1", (campaign, zone)
    )
    return rows[0][0] if rows else None


#: By the id alone: with more conditions PostgreSQL may take the index of what is due, and read all of it.
_READ = "SELECT id, state, due, tries, expires, variables FROM contact WHERE id IN {}"
_EARLIER = "SELECT number, intent_at, state FROM attempt WHERE number IN {} AND intent_at > ? ORDER BY intent_at"
_INTENT = (
    "INSERT INTO attempt (campaign, contact, n, number, from_, state, sent, intent_at, incident, looked)"
    " SELECT campaign, id, tries + 1, number, CAST(? AS BIGINT), 0, 1, CAST(? AS BIGINT), 0, 0 FROM contact WHERE id IN {}"
    " AND NOT EXISTS (SELECT 1 FROM attempt other WHERE other.number = contact.number AND other.state IN (0, 1, 5))"
    " ORDER BY id ON CONFLICT DO NOTHING RETURNING id, contact"
)
_AGAIN = (
    "UPDATE attempt SET state = 0, sent = sent + 1, from_ = ?, intent_at = ?, reason = NULL"
    " WHERE contact = ? AND n = ? AND state = 3 AND NOT EXISTS"
    " (SELECT 1 FROM attempt other WHERE other.number = attempt.number AND other.state IN (0, 1, 5)) RETURNING id, sent"
)
_DIAL = "UPDATE contact SET state = 1, tries = tries + 1 WHERE id IN {}"


def claim(
    db: Database,
    campaign: int,
    found: Sequence[Candidate],
    now: int,
    tally: Counter[str],
    *,
    from_of: Callable[[int], int],
    allowed_at: Callable[[Sequence[float], float], float],
    history: float,
) -> list[Claimed]:
    """Write an intent for each candidate that may be dialled now.

    Args:
        db: the database.
        campaign: its id.
        found: what `candidates` returned, some time ago perhaps.
        now: milliseconds since the epoch.
        tally: gets what changes in the counts.
        from_of: gives the number to call from for a number.
        allowed_at: the rule of the caps: from the moments of the attempts so far and the present, in seconds, the moment from which
            on another one is allowed.
        history: seconds of attempts that `allowed_at` needs; 0 if there are no caps.
    """
    allowed = {
        one.contact: one for one in _allowed(db, campaign, found, now, tally, allowed_at=allowed_at, history=history)
    }
    froms = {id: from_of(one.number) for id, one in allowed.items()}
    attempts: dict[int, tuple[int, int]] = {}
    for from_ in dict.fromkeys(froms.values()):
        for places, some in in_lists([id for id in allowed if froms[id] == from_]):
            rows = db.execute(_INTENT.format(places), (from_, now, *some))
            attempts.update((contact, (id, 1)) for id, contact in rows)
    for id, one in allowed.items():
        if id not in attempts:
            rows = db.execute(_AGAIN, (froms[id], now, id, one.n))
            if rows:
                attempts[id] = rows[0]
            else:  # The number has an attempt in flight, of another campaign perhaps.
                db.execute("UPDATE contact SET due = ? WHERE id = ?", (now + _BUSY, id))
    for places, some in in_lists(list(attempts)):
        db.execute(_DIAL.format(places), some)
    tally[ContactState.WAITING.word] -= len(attempts)
    tally[ContactState.DIALING.word] += len(attempts)
    tally["attempts"] += len(attempts)
    return [
        one._replace(id=attempts[id][0], from_=froms[id], sent=attempts[id][1])
        for id, one in allowed.items()
        if id in attempts
    ]


def _allowed(
    db: Database,
    campaign: int,
    found: Sequence[Candidate],
    now: int,
    tally: Counter[str],
    *,
    allowed_at: Callable[[Sequence[float], float], float],
    history: float,
) -> list[Claimed]:
    """What may be dialled now, without the attempt and the number to call from. The others are ended or get their moment."""
    contacts: dict[int, tuple[int, int | None, str | None]] = {}
    for places, some in in_lists([one.id for one in found]):
        for id, state, due, tries, expires, variables in db.execute(_READ.format(places), some):
            if state == ContactState.WAITING and due <= now:
                contacts[id] = tries, expires, variables
    waiting = [one for one in found if one.id in contacts]
    numbers = [one.number for one in waiting]
    forbidden = dnc_among(db, campaign, numbers)
    moments: dict[int, list[float]] = {}
    if history:
        for places, some in in_lists(numbers):
            for number, moment, state in db.execute(_EARLIER.format(places), (*some, now - round(history * 1000))):
                if state != AttemptState.UNSENT:
                    moments.setdefault(number, []).append(moment / 1000)
    allowed = []
    for one in waiting:
        tries, expires, variables = contacts[one.id]
        due = ceil(allowed_at(moments.get(one.number, []), now / 1000) * 1000) if history else now
        if expires is not None and expires <= now:
            _end(db, one.id, ContactState.EXPIRED, None, tally)
        elif one.number in forbidden:
            _end(db, one.id, ContactState.SUPPRESSED, "do not call", tally)
        elif due > now:
            db.execute("UPDATE contact SET due = ? WHERE id = ?", (due, one.id))
        else:
            allowed.append(Claimed(0, one.id, one.number, one.zones, tries + 1, 0, expires, variables))
    return allowed


def _end(db: Database, contact: int, state: ContactState, reason: str | None, tally: Counter[str]) -> None:
    db.execute("UPDATE contact SET state = ?, reason = ? WHERE id = ?", (state, reason, contact))
    tally[ContactState.WAITING.word] -= 1
    tally[state.word] += 1
