"""Counts of a campaign, kept in the transactions that change what they count, so that progress is read in no time."""

from __future__ import annotations

from collections.abc import Mapping

from ajoxi_async.dialer.storage.database import Database

__all__ = ["add", "read"]

_ADD = (
    "INSERT INTO count (campaign, what, n) VALUES (?, ?, ?)"
    " ON CONFLICT (campaign, what) DO UPDATE SET n = count.n + excluded.n"
)


def add(db: Database, campaign: int, changes: Mapping[str, int]) -> None:
    """Change counts by name. Names are the words of contact states, and others: ``loaded``, ``duplicate``, ``disposition.busy``."""
    # In one order everywhere, because PostgreSQL locks the rows one by one.
    for what in sorted(changes):
        if changes[what]:
            db.execute(_ADD, (campaign, what, changes[what]))


def read(db: Database, campaign: int) -> dict[str, int]:
    """All counts of a campaign by name."""
    return dict(db.execute("SELECT what, n FROM count WHERE campaign = ?", (campaign,)))
