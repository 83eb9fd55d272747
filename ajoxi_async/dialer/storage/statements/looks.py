"""Looks: which attempts are to be looked up next, because their call has not ended or may not exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements.facts import STALE

__all__ = ["Look", "due", "intents", "next_at", "past", "postpone", "set_stale", "unknown"]


class Look(NamedTuple):
    """An attempt that is looked up: open or unknown.

    Attributes:
        looked: how often it was looked up since it has its state.
        reason: why it is in doubt, or stale.
    """

    id: int
    state: int
    number: int
    from_: int
    n: int
    call_id: str | None
    intent_at: int
    looked: int
    created_at: int | None
    next_look: int | None
    chunk: int | None
    reason: str | None


_COLUMNS = "id, state, number, from_, n, call_id, intent_at, looked, created_at, next_look, chunk, reason"


def due(db: Database, campaign: int, now: int, most: int) -> list[Look]:
    """Attempts whose look is due, the earliest first. `now` is in milliseconds."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM attempt WHERE campaign = ? AND next_look <= ? ORDER BY next_look, id LIMIT ?",
        (campaign, now, most),
    )
    return [Look(*row) for row in rows]


def next_at(db: Database, campaign: int) -> int | None:
    """When the next look is due, in milliseconds; ``None`` if none is."""
    ((at,),) = db.execute(
        "SELECT min(next_look) FROM attempt WHERE campaign = ? AND next_look IS NOT NULL", (campaign,)
    )
    return at  # type: ignore[no-any-return]


def postpone(db: Database, looked: Iterable[tuple[int, int | None]], reason: str | None = None) -> None:
    """Note that attempts were looked up without result, and when each is looked up again, ``None`` for never; and perhaps why."""
    changes = {"looked": "looked + 1", "next_look": "?", "reason": "coalesce(?, reason)"}
    db.update("attempt", changes, [(then, reason, id) for id, then in looked])


def set_stale(db: Database, id: int, then: int | None) -> bool:
    """Note that a call has been open for longer than a call can last, and when it is looked up next; return whether that is new.

    It counts no more (`facts.STALE`), and its end is taken when it comes.
    """
    found = db.execute("SELECT 1 FROM attempt WHERE id = ? AND state = 1 AND coalesce(reason, '') <> ?", (id, STALE))
    db.execute(
        "UPDATE attempt SET reason = ?, looked = looked + 1, next_look = ? WHERE id = ? AND state = 1",
        (STALE, then, id),
    )
    return bool(found)


def intents(db: Database, campaign: int) -> list[int]:
    """The attempts whose intent is written and of which nothing else is known."""
    return [
        id for (id,) in db.execute("SELECT id FROM attempt WHERE campaign = ? AND state = 0 ORDER BY id", (campaign,))
    ]


def past(db: Database, campaign: int, before: int) -> int:
    """How many attempts in doubt have no call any more: they were begun before a moment, in milliseconds, or are looked up no more."""
    ((amount,),) = db.execute(
        "SELECT count(*) FROM attempt WHERE campaign = ? AND state = 5 AND (intent_at < ? OR next_look IS NULL)",
        (campaign, before),
    )
    return int(amount)


def unknown(db: Database, campaign: int) -> list[Look]:
    """All attempts in doubt, the oldest first."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM attempt WHERE campaign = ? AND state = 5 ORDER BY intent_at, id",
        (campaign,),
    )
    return [Look(*row) for row in rows]
