"""Loading: how rows of a source become contacts and rejected rows, many at a time.

Rules:
1. A source is one load of a file or of rows. While it is loaded, its column ``loaded`` is 0.
2. Contacts of a batch are inserted in the order of their numbers, so that the table and its unique index grow in order. Their ids
   follow that order, and not the order of the file. A contact that was never dialled has its line as its ``due``, milliseconds of
   1970, so that contacts are dialled in the order of the file. See `FRESH`.
3. A number is a contact once. What repeats a number of the same load, or of another source, is a rejected row that says where the
   number stands.
4. A source that was loaded before adds what is new; what the ledger has already is not recorded again. So loading a file twice, in
   any order of its rows, changes nothing.
5. A load that was interrupted is repaired by loading its source again: its contacts are taken over, and its rejected rows are made
   anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ajoxi_async.dialer.loading.intake import Accepted, Batch, Refused
from ajoxi_async.dialer.rules.machine import ContactState
from ajoxi_async.dialer.rules.zones import ZoneSet
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.schema import FRESH
from ajoxi_async.dialer.storage.statements import counts
from ajoxi_async.protocol.errors import LedgerError

__all__ = ["Load", "Stored", "begin", "finish", "mark_of", "refused_before", "store"]

_DUPLICATE: Final = 1
_REFUSED: Final = 2


class Load(NamedTuple):
    """A load that is under way.

    Attributes:
        campaign: its id.
        name: of the source.
        source: the id of its source; ``None`` if the name was loaded before and nothing new has come up yet.
        again: whether a source of this name was loaded before.
        interrupted: the source of a load that was not finished, whose contacts are taken over.
    """

    campaign: int
    name: str
    source: int | None
    again: bool
    interrupted: int | None


class Stored(NamedTuple):
    """What became of a batch: contacts that are new, those of them on the do-not-call list, repeated numbers, refused rows."""

    source: int | None
    imported: int
    suppressed: int
    duplicates: int
    refused: int


class Taken(NamedTuple):
    """Contacts of an interrupted load that were taken over."""

    waiting: int
    suppressed: int


def _new_source(db: Database, campaign: int, name: str, *, again: bool = False) -> int:
    ((id,),) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM source")
    whole = f"{name} (again, {id})" if again else name
    db.execute("INSERT INTO source (id, campaign, name, loaded) VALUES (?, ?, ?, 0)", (id, campaign, whole))
    return int(id)


def begin(db: Database, campaign: int, name: str) -> Load:
    """Begin to load a source; see rules 4 and 5."""
    rows = db.execute("SELECT id, loaded FROM source WHERE campaign = ? AND name = ?", (campaign, name))
    if not rows:
        return Load(campaign, name, _new_source(db, campaign, name), again=False, interrupted=None)
    ((before, loaded),) = rows
    if loaded:
        return Load(campaign, name, None, again=True, interrupted=None)
    db.execute("UPDATE source SET name = ?, loaded = 1 WHERE id = ?", (f"{name} (interrupted, {before})", before))
    dropped = db.execute(
        "SELECT kind, count(*) FROM rejected WHERE campaign = ? AND source = ? GROUP BY kind", (campaign, before)
    )
    db.execute("DELETE FROM rejected WHERE campaign = ? AND source = ?", (campaign, before))
    amounts: dict[int, int] = dict(dropped)
    counts.add(
        db,
        campaign,
        {
            "loaded": -sum(amounts.values()),
            "duplicate": -amounts.get(_DUPLICATE, 0),
            "refused row": -amounts.get(_REFUSED, 0),
        },
    )
    return Load(campaign, name, _new_source(db, campaign, name), again=False, interrupted=before)


def _add_zones(db: Database, zones: dict[int, ZoneSet]) -> None:
    for id, names in zones.items():
        text = " ".join(names)
        db.execute("INSERT INTO zones (id, names) VALUES (?, ?) ON CONFLICT DO NOTHING", (id, text))
        if db.execute("SELECT id FROM zones WHERE names = ?", (text,)) != [(id,)]:
            raise LedgerError("another process has added zones to the ledger meanwhile: load again")


def store(db: Database, load: Load, batch: Batch, seen_before: set[int]) -> Stored:
    """Store a batch.

    Args:
        db: the database.
        load: see `begin`.
        batch: see `intake`.
        seen_before: `mark_of` each row that was refused in earlier loads, if the source was loaded before.
    """
    campaign = load.campaign
    _add_zones(db, batch.zones)
    source = load.source or _new_source(db, campaign, load.name, again=True)
    ((before,),) = db.execute("SELECT coalesce(max(id), 0) FROM contact")
    if batch.accepted:
        db.load(
            "contact",
            batch.columns,
            batch.accepted,
            fixed={"campaign": campaign, "source": source, "state": ContactState.WAITING, "due": "line", "tries": 0},
            key=("campaign", "number"),
        )
    if db.execute("SELECT 1 FROM dnc LIMIT 1"):
        db.execute(
            "UPDATE contact SET state = ?, reason = 'do not call' WHERE id > ? AND source = ? AND EXISTS"
            " (SELECT 1 FROM dnc WHERE dnc.number = contact.number AND dnc.scope IN (0, ?))",
            (ContactState.SUPPRESSED, before, source, campaign),
        )
    states: dict[int, int] = dict(
        db.execute("SELECT state, count(*) FROM contact WHERE id > ? AND source = ? GROUP BY state", (before, source))
    )
    suppressed = states.get(ContactState.SUPPRESSED, 0)
    waiting = states.get(ContactState.WAITING, 0)
    taken_over = Taken(0, 0)
    repeated: list[Refused] = []
    known = 0
    if waiting + suppressed < len(batch.accepted):
        inserted = [
            number
            for (number,) in db.execute(
                "SELECT number FROM contact WHERE id > ? AND source = ? ORDER BY id", (before, source)
            )
        ]
        repeated, known, taken_over = _repeated(db, load, source, _left_out(batch.accepted, inserted))
    refused = [row for row in batch.refused if mark_of(row) not in seen_before]
    for kind, rows in ((_DUPLICATE, repeated), (_REFUSED, refused)):
        if rows:
            db.load(
                "rejected",
                ("line", "number", "reason", "key"),
                rows,
                fixed={"campaign": campaign, "source": source, "kind": kind},
                key=("campaign", "source", "line"),
            )
    recorded = waiting + suppressed + len(repeated) + len(refused)
    if load.source is None and not recorded:
        db.execute("DELETE FROM source WHERE id = ?", (source,))
    counts.add(
        db,
        campaign,
        {
            ContactState.WAITING.word: waiting,
            ContactState.SUPPRESSED.word: suppressed,
            "loaded": recorded,
            "duplicate": len(repeated),
            "refused row": len(refused),
        },
    )
    return Stored(
        load.source or (source if recorded else None),
        waiting + taken_over.waiting,
        suppressed + taken_over.suppressed,
        len(repeated) + known,
        len(batch.refused),
    )


def mark_of(row: Refused) -> int:
    """What a refused row is known by, if its source is loaded again: its number and the reason, whatever its line."""
    return hash((row.number, row.reason))


def refused_before(db: Database, campaign: int) -> set[int]:
    """`mark_of` all rows that were refused in a campaign."""
    rows = db.execute("SELECT number, reason FROM rejected WHERE campaign = ? AND kind = ?", (campaign, _REFUSED))
    return {mark_of(Refused(0, number, reason, None)) for number, reason in rows}


def _left_out(accepted: Sequence[Accepted], inserted: list[int]) -> list[Accepted]:
    """The rows of a batch that were not inserted. Both are in the order of their numbers."""
    left = []
    place, amount = 0, len(inserted)
    for row in accepted:
        if place < amount and inserted[place] == row[0]:
            place += 1
        else:
            left.append(row)
    return left


def _repeated(db: Database, load: Load, source: int, rows: list[Accepted]) -> tuple[list[Refused], int, Taken]:
    """What becomes of rows whose number is a contact already: rejected rows, how many are known, contacts that are taken over."""
    repeated = []
    known = 0
    taken: dict[int, int] = {}
    names: dict[int, str] = {}
    for number, _, line, *rest in rows:
        key = rest[1] if rest else None
        ((of, first, state, since),) = db.execute(
            "SELECT source, line, state, due FROM contact WHERE campaign = ? AND number = ?", (load.campaign, number)
        )
        if of == load.interrupted:
            db.execute(
                "UPDATE contact SET source = ?, line = ?, due = ? WHERE campaign = ? AND number = ?",
                (source, line, line if since < FRESH else since, load.campaign, number),
            )
            taken[state] = taken.get(state, 0) + 1
        elif of == source:
            repeated.append(Refused(line, f"+{number}", f"line {first} has the same number", key))
        elif load.again:
            known += 1
        else:
            if of not in names:
                ((names[of],),) = db.execute("SELECT name FROM source WHERE id = ?", (of,))
            repeated.append(Refused(line, f"+{number}", f"line {first} of {names[of]} has the same number", key))
    suppressed = taken.pop(ContactState.SUPPRESSED, 0)
    return repeated, known, Taken(sum(taken.values()), suppressed)


def finish(db: Database, source: int, now: int) -> None:
    """Note that a source was loaded to its end."""
    db.execute("UPDATE source SET loaded = ? WHERE id = ?", (max(now, 1), source))
