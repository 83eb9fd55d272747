"""The rows of campaigns, their owners' epochs, and the journal."""

from __future__ import annotations

from typing import Final, NamedTuple

from ajoxi_async.dialer.rules.machine import CampaignState
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.protocol.errors import ConfigurationError, LedgerError, LedgerOwnedError

__all__ = [
    "CampaignRow",
    "bind",
    "create",
    "fence",
    "find",
    "journal",
    "names",
    "next_epoch",
    "of",
    "set_mark",
    "set_spec",
    "set_state",
]


class CampaignRow(NamedTuple):
    """A campaign: its id and name, its settings as JSON, its state and why, and up to when the API's list was swept."""

    id: int
    name: str
    spec: str
    state: int
    reason: str | None
    epoch: int
    mark: int
    created: int


_APIS: Final = ("sandbox", "test", "live")
_COLUMNS = "id, name, spec, state, reason, epoch, mark, created"


def find(db: Database, name: str) -> CampaignRow | None:
    """A campaign by its name."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM campaign WHERE name = ?", (name,))
    return CampaignRow(*rows[0]) if rows else None


def of(db: Database, name: str) -> CampaignRow:
    """A campaign by its name, which the caller has opened before.

    Raises:
        LedgerError: it is not there. The file was removed meanwhile, and an empty ledger was made in its place.
    """
    row = find(db, name)
    if row is None:
        raise LedgerError(f"the campaign {name!r:.80} is not in the ledger any more")
    return row


def names(db: Database) -> list[str]:
    """The names of all campaigns, the oldest first."""
    return [name for (name,) in db.execute("SELECT name FROM campaign ORDER BY id")]


def create(db: Database, name: str, spec: str, now: int) -> CampaignRow:
    """Add a campaign that is not in the ledger yet. Its list of calls counts as swept up to now."""
    ((id,),) = db.execute(
        "INSERT INTO campaign (name, spec, state, epoch, mark, created) VALUES (?, ?, ?, 0, ?, ?) RETURNING id",
        (name, spec, CampaignState.ACTIVE, now, now),
    )
    return CampaignRow(id, name, spec, CampaignState.ACTIVE, None, 0, now, now)


def bind(db: Database, api: str) -> None:
    """Bind the ledger to a kind of API, the first time; refuse another one later.

    Raises:
        ConfigurationError: the ledger belongs to another kind.
    """
    rows = db.execute("SELECT value FROM setting WHERE name = 'api'")
    if not rows:
        db.execute("INSERT INTO setting (name, value) VALUES ('api', ?)", (_APIS.index(api),))
    elif _APIS[rows[0][0]] != api:
        raise ConfigurationError(
            f"ledger: it was run with a key of another kind ({_APIS[rows[0][0]]}, and this one is {api}): whoever was called"
            " there would count as called here; use another ledger"
        )


def set_spec(db: Database, campaign: int, spec: str) -> None:
    """Change the settings of a campaign."""
    db.execute("UPDATE campaign SET spec = ? WHERE id = ?", (spec, campaign))


def next_epoch(db: Database, campaign: int) -> int:
    """Raise the epoch of a campaign, so that an owner before this one cannot write any more; return the new one."""
    ((epoch,),) = db.execute("UPDATE campaign SET epoch = epoch + 1 WHERE id = ? RETURNING epoch", (campaign,))
    return int(epoch)


def fence(db: Database, campaign: int, epoch: int) -> None:
    """Refuse to write for an owner whose epoch is over. PostgreSQL locks the row, so that it cannot end before the commit.

    Raises:
        LedgerOwnedError: there is a newer owner.
    """
    rows = db.execute("SELECT epoch FROM campaign WHERE id = ? /*FOR SHARE*/", (campaign,))
    if rows != [(epoch,)]:
        raise LedgerOwnedError("another process has become the owner of the campaign")


def set_state(db: Database, campaign: int, state: CampaignState, reason: str | None) -> None:
    """Pause, resume or stop a campaign. A stopped one stays stopped."""
    db.execute(
        "UPDATE campaign SET state = ?, reason = ? WHERE id = ? AND state <> ?",
        (state, reason, campaign, CampaignState.STOPPED),
    )


def set_mark(db: Database, campaign: int, mark: int) -> None:
    """Note up to when the API's list of calls was swept. The mark never goes back."""
    db.execute("UPDATE campaign SET mark = ? WHERE id = ? AND mark < ?", (mark, campaign, mark))


def journal(db: Database, campaign: int, at: int, who: str, what: str, detail: str = "") -> None:
    """Keep the evidence of what was decided about a campaign: pauses, releases, incidents, changed settings."""
    db.execute(
        "INSERT INTO journal (at, campaign, who, what, detail) VALUES (?, ?, ?, ?, ?)",
        (at, campaign, who, what, detail),
    )
