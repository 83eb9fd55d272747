"""Chunks: campaigns of the API that were started for some contacts at once."""

from __future__ import annotations

from collections.abc import Iterable

from ajoxi_async.dialer.storage.database import Database

__all__ = ["add", "attempt_of", "reference", "set_api_id"]


def add(db: Database, campaign: int, ref: str, attempts: Iterable[int], now: int) -> int:
    """Add a chunk of attempts whose intents are written in the same transaction, and return its id."""
    ((id,),) = db.execute(
        "INSERT INTO chunk (campaign, ref, state, intent_at) VALUES (?, ?, 0, ?) RETURNING id", (campaign, ref, now)
    )
    db.update("attempt", {"chunk": "?"}, [(id, one) for one in attempts])
    return int(id)


def set_api_id(db: Database, chunk: int, api_id: str) -> bool:
    """Note the id of the API's campaign; return whether it can be this chunk's, and is not another one's."""
    if not api_id or db.execute("SELECT 1 FROM chunk WHERE api_id = ? AND id <> ?", (api_id, chunk)):
        return False
    db.execute("UPDATE chunk SET api_id = ?, state = 1 WHERE id = ?", (api_id, chunk))
    return True


def reference(db: Database, chunk: int) -> str:
    """The reference of a chunk."""
    ((ref,),) = db.execute("SELECT ref FROM chunk WHERE id = ?", (chunk,))
    return str(ref)


def attempt_of(db: Database, campaign: int, number: int, call_id: str) -> int | None:
    """The attempt of a call that carries the reference of a chunk: that of its number which has this call, or none yet."""
    rows = db.execute(
        "SELECT id FROM attempt WHERE campaign = ? AND number = ? AND chunk IS NOT NULL"
        " AND (call_id = ? OR (call_id IS NULL AND state IN (0, 1, 5))) ORDER BY id DESC LIMIT 1",
        (campaign, number, call_id),
    )
    return rows[0][0] if rows else None
