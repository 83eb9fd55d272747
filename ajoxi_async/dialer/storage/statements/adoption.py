"""Adoption: attempts for calls that the API lists and the ledger does not know, because it was restored or rolled back.

Rules:
1. An adopted attempt is one in doubt, and what the call says ends the doubt at once (`facts.Report.adopted`). If the call has ended,
   the attempt takes no place in flight, so that all the calls that a ledger has lost of one number can be adopted.
2. A call that has not ended, of a number of which another attempt is in flight, is an incident: two phones may ring.
3. A call without reference is left to the attempt in doubt that has its numbers, of whatever campaign of the ledger: a look that reads
   the whole list decides. Else, if its number is a contact that waits and the call was placed since the campaign was made, it is an
   attempt that the ledger has lost.
4. If the number is a contact of another campaign of the ledger as well, nobody can tell whose attempt was lost. Then the attempt is in
   doubt, without a call, until a person decides; so the number is called by none of them.
"""

from __future__ import annotations

from collections import Counter

from ajoxi_async.contract.calls import Call
from ajoxi_async.dialer.rules.machine import AttemptState, ContactState
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements.facts import has_ended, known_calls

__all__ = ["adopt", "adopt_by_numbers"]

#: Milliseconds by which the API's clock may be behind ours.
_SKEW = 60_000
_ADD = (
    "INSERT INTO attempt (campaign, contact, n, number, from_, state, sent, intent_at, incident, looked, reason)"
    " VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, 0, 'adopted') ON CONFLICT DO NOTHING RETURNING id"
)


def adopt(db: Database, campaign: int, number: int, n: int, call: Call, tally: Counter[str]) -> int | None:
    """Add the n-th attempt of a number for a call of its reference, and return its id; ``None`` if it is no contact."""
    rows = db.execute("SELECT id, state, tries FROM contact WHERE campaign = ? AND number = ?", (campaign, number))
    if not rows:
        tally["call without contact"] += 1
        return None
    contact, state, tries = rows[0]
    created = 0 if call.created_at is None else int(call.created_at.timestamp() * 1000)
    from_ = int(call.from_[1:]) if call.from_ and call.from_[1:].isdigit() else 0
    now = AttemptState.ENDED if has_ended(call) else AttemptState.UNKNOWN
    values = (campaign, contact, n, number, from_, now, created)
    found = db.execute(_ADD, (*values, 0))
    if not found:
        found = db.execute(_ADD, (*values, 1))
        tally["incident"] += len(found)
    if not found:
        return None  # The attempt is in the ledger after all.
    tally["attempts"] += max(n, tries) - tries
    tally["adopted"] += 1
    if n >= tries and state != ContactState.UNKNOWN:
        tally[ContactState(state).word] -= 1
        tally[ContactState.UNKNOWN.word] += 1
        state = ContactState.UNKNOWN
    db.execute("UPDATE contact SET state = ?, tries = ? WHERE id = ?", (state, max(n, tries), contact))
    return int(found[0][0])


def adopt_by_numbers(db: Database, campaign: int, number: int, call: Call, now: int, tally: Counter[str]) -> int | None:
    """Add an attempt for a call without reference, and return its id; ``None`` if it is none of this campaign's, or in doubt.

    Args:
        db: the database.
        campaign: its id.
        number: that was called.
        call: that has no reference.
        now: milliseconds since the epoch.
        tally: gets what changes in the counts.
    """
    if known_calls(db, [call.id]):
        return None
    created = 0 if call.created_at is None else int(call.created_at.timestamp() * 1000)
    from_ = int(call.from_[1:]) if call.from_ and call.from_[1:].isdigit() else 0
    doubts = db.execute(
        "SELECT id FROM attempt WHERE number = ? AND from_ = ? AND call_id IS NULL AND state IN (0, 5) AND intent_at <= ?",
        (number, from_, created + _SKEW),
    )
    if doubts:
        for (id,) in doubts:
            db.execute("UPDATE attempt SET next_look = ? WHERE id = ? AND next_look > ?", (now, id, now))
        return None
    found = db.execute(
        "SELECT c.campaign, c.id, c.tries, c.state FROM contact c JOIN campaign m ON m.id = c.campaign"
        " WHERE c.number = ? AND m.created <= ?",
        (number, created + _SKEW),
    )
    mine = [(contact, tries) for owner, contact, tries, state in found if owner == campaign and not state]
    if not mine:
        return None
    ((contact, tries),) = mine
    if len(found) == 1:
        return adopt(db, campaign, number, tries + 1, call, tally)
    values = (campaign, contact, tries + 1, number, from_, AttemptState.UNKNOWN, created)
    if added := db.execute(_ADD, (*values, 0)):
        ((id,),) = added
        db.execute(
            "UPDATE attempt SET reason = ? WHERE id = ?", ("a call without a reference may be another campaign's", id)
        )
        db.execute("UPDATE contact SET state = ?, tries = ? WHERE id = ?", (ContactState.UNKNOWN, tries + 1, contact))
        tally[ContactState.WAITING.word] -= 1
        tally[ContactState.UNKNOWN.word] += 1
        tally["attempts"] += 1
    return None
