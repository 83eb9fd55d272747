"""Moments in the ledger that are later than now, because the clock that wrote them was ahead and has been set back.

Rules:
1. They are looked for only if the mark of the campaign or the latest attempt of the ledger is later than now.
2. An attempt that is later than now was begun when the API made its call, as far as that is known, else now. So the attempts of a
   number keep their order, and caps and gaps count from no moment that is still to come.
3. A contact that waits for its retry is due by the end of its last call, which is on the API's clock, and whoever waits for
   something else is looked at now: the claim decides again.
4. Looks that are further away than any look can be are due now.
5. The API's list is swept from the last call on that the ledger knows, because the mark does not say how far it was swept.
"""

from __future__ import annotations

from typing import Final

from ajoxi_async.dialer.rules.machine import AttemptState
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.schema import FRESH
from ajoxi_async.dialer.storage.statements.facts import Rules

__all__ = ["correct_attempts", "correct_contacts", "is_ahead"]

#: Milliseconds by which a clock may go back without anything being corrected.
_STEP: Final = 10_000
#: The longest time between two looks, in milliseconds.
_LONGEST_LOOK: Final = 3_600_000
#: Contacts that are corrected in one transaction.
_MOST: Final = 5_000


def is_ahead(db: Database, campaign: int, now: int) -> bool:
    """Whether the ledger was written by a clock that was ahead of the present one."""
    if db.execute("SELECT 1 FROM campaign WHERE id = ? AND mark > ?", (campaign, now + _STEP)):
        return True
    return db.execute("SELECT intent_at FROM attempt ORDER BY id DESC LIMIT 1") > [(now + _STEP,)]


def correct_attempts(db: Database, campaign: int, now: int) -> int:
    """Correct the moments of attempts and looks, and the mark; return how many attempts there were."""
    found = db.execute(
        "UPDATE attempt SET intent_at = CASE WHEN created_at < ? THEN created_at ELSE ? END"
        " WHERE campaign = ? AND intent_at > ? RETURNING id",
        (now, now, campaign, now),
    )
    db.execute(
        "UPDATE attempt SET next_look = ? WHERE campaign = ? AND next_look > ?", (now, campaign, now + _LONGEST_LOOK)
    )
    known = db.execute(
        "SELECT created_at FROM attempt WHERE campaign = ? AND created_at IS NOT NULL ORDER BY id DESC LIMIT 1",
        (campaign,),
    )
    mark = min(now, known[0][0]) if known else 0
    db.execute("UPDATE campaign SET mark = ? WHERE id = ? AND mark > ?", (mark, campaign, now))
    return len(found)


def correct_contacts(db: Database, campaign: int, after: int, now: int, rules: Rules) -> int | None:
    """Correct when the next contacts after an id are due; return the id of the last one, ``None`` if there was none."""
    rows = db.execute(
        "SELECT c.id, c.due, a.n, a.state, a.ended_at, a.disposition FROM contact c"
        " LEFT JOIN attempt a ON a.contact = c.id AND a.n = c.tries"
        " WHERE c.campaign = ? AND c.state = 0 AND c.id > ? AND c.due > ? AND c.due >= ? ORDER BY c.id LIMIT ?",
        (campaign, after, now, FRESH, _MOST),
    )
    for id, due, n, state, ended_at, disposition in rows:
        then = now
        if state == AttemptState.ENDED and disposition is not None:
            delay = rules.retry_delay(disposition, n)
            then = now if delay is None else max(now, min(ended_at or now, now) + round(delay * 1000))
        if then < due:
            db.execute("UPDATE contact SET due = ? WHERE id = ?", (then, id))
    return rows[-1][0] if rows else None
