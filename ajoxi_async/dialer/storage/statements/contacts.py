"""Contacts: how loaded rows become contacts, and what do-not-call, expiry and a stop make of those that wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ajoxi_async.dialer.rules.machine import ContactState
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements import counts
from ajoxi_async.dialer.storage.statements.lists import in_lists

__all__ = [
    "Loaded",
    "NewContact",
    "add",
    "cancel",
    "expire",
    "forbidden_intents",
    "is_dnc",
    "next_expiry",
    "put_dnc",
    "source_id",
    "suppress_unlawful",
    "zones_id",
    "zones_of",
]


class NewContact(NamedTuple):
    """A row that was read and found to be in order.

    Attributes:
        number: E.164 without the plus sign.
        zones: the id of its zones, see `zones_id`.
        line: of the source.
        expires: milliseconds since the epoch after which it is not dialled; ``None`` for never.
        key: the caller's own id.
        variables: a JSON object.
        reason: why it is not to be called, if it is not (it becomes ``suppressed``).
    """

    number: int
    zones: int
    line: int
    expires: int | None = None
    key: str | None = None
    variables: str | None = None
    reason: str | None = None


class Loaded(NamedTuple):
    """What became of rows: how many are new contacts, and the rows that repeat a number, as positions in what was given."""

    imported: int
    suppressed: int
    duplicates: list[int]


def zones_id(db: Database, names: Sequence[str]) -> int:
    """The id of a set of zones, by the names of its zones in the order of the alphabet; added if it is new."""
    text = " ".join(names)
    rows = db.execute("SELECT id FROM zones WHERE names = ?", (text,))
    if rows:
        return int(rows[0][0])
    ((id,),) = db.execute("INSERT INTO zones (names) VALUES (?) RETURNING id", (text,))
    return int(id)


def zones_of(db: Database) -> dict[int, tuple[str, ...]]:
    """All sets of zones by their ids."""
    return {id: tuple(names.split()) for id, names in db.execute("SELECT id, names FROM zones")}


def source_id(db: Database, campaign: int, name: str, now: int) -> int:
    """The id of a source of rows by its name; added if it is new."""
    rows = db.execute("SELECT id FROM source WHERE campaign = ? AND name = ?", (campaign, name))
    if rows:
        return int(rows[0][0])
    ((id,),) = db.execute(
        "INSERT INTO source (campaign, name, loaded) VALUES (?, ?, ?) RETURNING id", (campaign, name, now)
    )
    return int(id)


_ADD = (
    "INSERT INTO contact (campaign, number, zones, state, due, tries, expires, source, line, reason, key, variables)"
    " VALUES (?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?) ON CONFLICT (campaign, number) DO NOTHING RETURNING id"
)


def add(db: Database, campaign: int, source: int, rows: Iterable[NewContact]) -> Loaded:
    """Add contacts one by one. `load` has a faster way for millions."""
    tally: Counter[str] = Counter()
    duplicates = []
    for place, row in enumerate(rows):
        blocked = row.reason is not None
        if not blocked and is_dnc(db, campaign, row.number):
            blocked, row = True, row._replace(reason="do not call")
        state = ContactState.SUPPRESSED if blocked else ContactState.WAITING
        values = (campaign, row.number, row.zones, state, row.expires, source, row.line, row.reason)
        if db.execute(_ADD, (*values, row.key, row.variables)):
            tally[state.word] += 1
        else:
            duplicates.append(place)
    counts.add(db, campaign, tally)
    blocked_ones = tally[ContactState.SUPPRESSED.word]
    return Loaded(tally.total() - blocked_ones, blocked_ones, duplicates)


def is_dnc(db: Database, campaign: int, number: int) -> bool:
    """Whether a number is not to be called, in a campaign or at all."""
    return bool(db.execute("SELECT 1 FROM dnc WHERE number = ? AND scope IN (0, ?)", (number, campaign)))


def dnc_among(db: Database, campaign: int, numbers: Sequence[int]) -> set[int]:
    """Those of some numbers that are not to be called, in a campaign or at all."""
    found: set[int] = set()
    for places, some in in_lists(numbers):
        rows = db.execute(f"SELECT number FROM dnc WHERE number IN {places} AND scope IN (0, ?)", (*some, campaign))
        found.update(number for (number,) in rows)
    return found


def forbidden_intents(db: Database, campaign: int) -> set[int]:
    """The numbers that were put on the do-not-call list after an intent was written for them."""
    rows = db.execute(
        "SELECT a.number FROM attempt a JOIN dnc d ON d.number = a.number AND d.scope IN (0, a.campaign)"
        " WHERE a.campaign = ? AND a.state = 0",
        (campaign,),
    )
    return {number for (number,) in rows}


def put_dnc(db: Database, numbers: Iterable[int], scope: int, since: int, source: str) -> int:
    """Put numbers on the do-not-call list and suppress the contacts that wait for a call; return how many of these there were.

    Args:
        db: the database.
        numbers: E.164 without the plus sign.
        scope: a campaign, or 0 for all campaigns of the ledger.
        since: milliseconds since the epoch.
        source: where it comes from, for the evidence.
    """
    suppressed: Counter[int] = Counter()
    campaigns = [(scope,)] if scope else db.execute("SELECT id FROM campaign")
    for number in numbers:
        db.execute(
            "INSERT INTO dnc (number, scope, since, source) VALUES (?, ?, ?, ?) ON CONFLICT (number, scope) DO NOTHING",
            (number, scope, since, source),
        )
        # By campaign, because the index of numbers begins with it.
        for (campaign,) in campaigns:
            found = db.execute(
                "UPDATE contact SET state = ?, reason = 'do not call' WHERE campaign = ? AND number = ? AND state = 0"
                " RETURNING id",
                (ContactState.SUPPRESSED, campaign, number),
            )
            suppressed[campaign] += len(found)
    for campaign, amount in suppressed.items():
        counts.add(db, campaign, {ContactState.WAITING.word: -amount, ContactState.SUPPRESSED.word: amount})
    return suppressed.total()


def expire(db: Database, campaign: int, now: int, tally: Counter[str], *, all_of_them: bool = False) -> int:
    """End the contacts that wait and whose time is over, or all that wait; return how many."""
    found = db.execute(
        "UPDATE contact SET state = ? WHERE campaign = ? AND state = 0"
        + ("" if all_of_them else " AND expires IS NOT NULL AND expires <= ?")
        + " RETURNING id",
        (ContactState.EXPIRED, campaign) if all_of_them else (ContactState.EXPIRED, campaign, now),
    )
    _move(tally, ContactState.EXPIRED, len(found))
    return len(found)


def next_expiry(db: Database, campaign: int) -> int | None:
    """When the time of the next contact that waits is over, in milliseconds; ``None`` if none has such a time."""
    ((at,),) = db.execute(
        "SELECT min(expires) FROM contact WHERE campaign = ? AND state = 0 AND expires IS NOT NULL", (campaign,)
    )
    return at  # type: ignore[no-any-return]


def suppress_unlawful(db: Database, campaign: int, zones: int, tally: Counter[str]) -> int:
    """End the contacts whose zones have no moment at which all windows are open; return how many."""
    found = db.execute(
        "UPDATE contact SET state = ?, reason = 'no lawful minute in all zones of the number'"
        " WHERE campaign = ? AND zones = ? AND state = 0 RETURNING id",
        (ContactState.SUPPRESSED, campaign, zones),
    )
    _move(tally, ContactState.SUPPRESSED, len(found))
    return len(found)


def cancel(db: Database, campaign: int, most: int, tally: Counter[str]) -> int:
    """End contacts that wait, because the campaign was stopped; return how many. Repeat it until it returns 0."""
    found = db.execute(
        "UPDATE contact SET state = ? WHERE id IN (SELECT id FROM contact WHERE campaign = ? AND state = 0 LIMIT ?)"
        " RETURNING id",
        (ContactState.CANCELED, campaign, most),
    )
    _move(tally, ContactState.CANCELED, len(found))
    return len(found)


def _move(tally: Counter[str], state: ContactState, amount: int) -> None:
    tally[ContactState.WAITING.word] -= amount
    tally[state.word] += amount
