"""What a report reads of a ledger: the contacts with their latest attempt, and the rows that made no contact."""

from __future__ import annotations

from typing import NamedTuple

from ajoxi_async.dialer.storage.database import Database

__all__ = ["ContactAndAttempt", "Rejected", "contacts_after", "rejected_after"]


class ContactAndAttempt(NamedTuple):
    """A contact, the row that it was loaded from, and its latest attempt, if there is one (all ``None`` otherwise)."""

    id: int
    load: int
    source: str
    line: int
    number: int
    state: int
    reason: str | None
    tries: int
    due: int
    key: str | None
    zones: str | None
    n: int | None
    from_: int | None
    intent_at: int | None
    call_id: str | None
    ended_at: int | None
    disposition: str | None


class Rejected(NamedTuple):
    """A row that made no contact: `kind` is 1 for a duplicate, 2 for a refused row."""

    load: int
    source: str
    line: int
    kind: int
    number: str
    reason: str
    key: str | None


# The plus signs keep the database from another index than that of the ids, by which it would sort all contacts for each page.
_CONTACTS = (
    "SELECT c.id, c.source, s.name, c.line, c.number, c.state, c.reason, c.tries, c.due, c.key, z.names,"
    " a.n, a.from_, a.intent_at, a.call_id, a.ended_at, a.disposition"
    " FROM contact c LEFT JOIN source s ON s.id = c.source LEFT JOIN zones z ON z.id = c.zones"
    " LEFT JOIN attempt a ON a.contact = c.id AND a.n = (SELECT max(n) FROM attempt WHERE contact = c.id)"
    " WHERE +c.campaign = ? AND c.id > ? ORDER BY c.id LIMIT ?"
)
_REJECTED = (
    "SELECT r.source, s.name, r.line, r.kind, r.number, r.reason, r.key"
    " FROM rejected r LEFT JOIN source s ON s.id = r.source"
    " WHERE r.campaign = ? AND (r.source, r.line) > (?, ?) ORDER BY r.source, r.line LIMIT ?"
)


def contacts_after(db: Database, campaign: int, id: int, most: int) -> list[ContactAndAttempt]:
    """The next contacts of a campaign after an id, in the order of their ids."""
    return [ContactAndAttempt(*row) for row in db.execute(_CONTACTS, (campaign, id, most))]


def rejected_after(db: Database, campaign: int, load: int, line: int, most: int) -> list[Rejected]:
    """The next rows without a contact after a line of a load, in the order of loading."""
    return [Rejected(*row) for row in db.execute(_REJECTED, (campaign, load, line, most))]


def waiting_by_zones(db: Database, campaign: int) -> dict[tuple[str, ...], int]:
    """How many contacts wait in each set of zones, by the names of the zones."""
    rows = db.execute(
        "SELECT z.names, w.n FROM (SELECT zones, count(*) AS n FROM contact WHERE campaign = ? AND state = 0 GROUP BY zones) w"
        " LEFT JOIN zones z ON z.id = w.zones",
        (campaign,),
    )
    return {tuple((names or "").split()): amount for names, amount in rows}


def refused_reasons(db: Database, campaign: int, most: int) -> list[tuple[str, int, int]]:
    """Why rows were refused when they were loaded: the reason, how many there are, the first line. The most frequent come first."""
    rows = db.execute(
        "SELECT reason, count(*), min(line) FROM rejected WHERE campaign = ? AND kind = 2 GROUP BY reason"
        " ORDER BY count(*) DESC, min(line) LIMIT ?",
        (campaign, most),
    )
    return [(reason, amount, line) for reason, amount, line in rows]
