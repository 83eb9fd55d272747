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
from typing import NamedTuple

from ajoxi_async.dialer.database import Database
from ajoxi_async.dialer.machine import AttemptState, ContactState
from ajoxi_async.dialer.statements.contacts import is_dnc

__all__ = ["Candidate", "Claimed", "candidate", "candidates", "claim", "next_due", "waiting_zones"]

#: Milliseconds after which a number that is in flight elsewhere in the ledger is looked at again.
_BUSY = 60_000


class Candidate(NamedTuple):
    """A contact that seems to be due."""

    id: int
    number: int
    zones: int


class Claimed(NamedTuple):
    """An attempt whose intent is written."""

    id: int
    contact: int
    number: int
    zones: int
    n: int
    from_: int
    expires: int | None
    variables: str | None


def waiting_zones(db: Database, campaign: int) -> list[int]:
    """The ids of the zones in which contacts of a campaign wait."""
    found = []
    at = -1
    # A jump from one set of zones to the next: there may be millions of contacts in each.
    while rows := db.execute(
        "SELECT zones FROM contact WHERE campaign = ? AND state = 0 AND zones > ? ORDER BY zones LIMIT 1", (campaign, at)
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
            "SELECT due, id, number, zones FROM contact WHERE campaign = ? AND state = 0 AND zones = ? AND due > 0"
            " AND due <= ? ORDER BY due, id LIMIT ?",
            (campaign, zone, now, most),
        )
        fresh += db.execute(
            "SELECT due, id, number, zones FROM contact WHERE campaign = ? AND state = 0 AND zones = ? AND due = 0"
            " ORDER BY id LIMIT ?",
            (campaign, zone, most),
        )
    found = sorted(again) + sorted(fresh)
    return [Candidate(id, number, zone) for _, id, number, zone in found[:most]]


def candidate(db: Database, campaign: int, number: int) -> Candidate | None:
    """The contact of a number, if it waits."""
    rows = db.execute("SELECT id, number, zones FROM contact WHERE campaign = ? AND number = ? AND state = 0", (campaign, number))
    return Candidate(*rows[0]) if rows else None


def next_due(db: Database, campaign: int, zone: int) -> int | None:
    """The due time of the first contact that waits in a set of zones; 0 if one was never dialled, ``None`` if none waits."""
    rows = db.execute(
        "SELECT due FROM contact WHERE campaign = ? AND state = 0 AND zones = ? ORDER BY due LIMIT 1", (campaign, zone)
    )
    return rows[0][0] if rows else None


_INTENT = (
    "INSERT INTO attempt (campaign, contact, n, number, from_, state, sent, intent_at, incident, looked)"
    " VALUES (?, ?, ?, ?, ?, 0, 1, ?, 0, 0) ON CONFLICT DO NOTHING RETURNING id"
)
_AGAIN = (
    "UPDATE attempt SET state = 0, sent = sent + 1, from_ = ?, intent_at = ?, reason = NULL"
    " WHERE contact = ? AND n = ? AND state = 3 RETURNING id"
)


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
    claimed: list[Claimed] = []
    for one in found:
        rows = db.execute(
            "SELECT tries, expires, variables FROM contact WHERE id = ? AND state = 0 AND due <= ?", (one.id, now)
        )
        if not rows:
            continue
        tries, expires, variables = rows[0]
        if expires is not None and expires <= now:
            _end(db, one.id, ContactState.EXPIRED, None, tally)
            continue
        if is_dnc(db, campaign, one.number):
            _end(db, one.id, ContactState.SUPPRESSED, "do not call", tally)
            continue
        earlier = db.execute(
            "SELECT intent_at, state FROM attempt WHERE number = ? AND intent_at > ? ORDER BY intent_at",
            (one.number, now - round(history * 1000)),
        )
        moments = [moment / 1000 for moment, state in earlier if state != AttemptState.UNSENT]
        due = round(allowed_at(moments, now / 1000) * 1000) if history else now
        if due > now:
            db.execute("UPDATE contact SET due = ? WHERE id = ?", (due, one.id))
            continue
        from_ = from_of(one.number)
        rows = db.execute(_INTENT, (campaign, one.id, tries + 1, one.number, from_, now))
        if not rows:
            rows = db.execute(_AGAIN, (from_, now, one.id, tries + 1))
        if not rows:  # The number has an attempt in flight, of another campaign perhaps.
            db.execute("UPDATE contact SET due = ? WHERE id = ?", (now + _BUSY, one.id))
            continue
        ((id,),) = rows
        db.execute("UPDATE contact SET state = ?, tries = tries + 1 WHERE id = ?", (ContactState.DIALING, one.id))
        tally[ContactState.WAITING.word] -= 1
        tally[ContactState.DIALING.word] += 1
        tally["attempts"] += 1
        claimed.append(Claimed(id, one.id, one.number, one.zones, tries + 1, from_, expires, variables))
    return claimed


def _end(db: Database, contact: int, state: ContactState, reason: str | None, tally: Counter[str]) -> None:
    db.execute("UPDATE contact SET state = ?, reason = ? WHERE id = ?", (state, reason, contact))
    tally[ContactState.WAITING.word] -= 1
    tally[state.word] += 1
