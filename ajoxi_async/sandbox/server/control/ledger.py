"""The control surface's view of a ledger of the dialer: its campaigns with their counts, read from the file and never written.

Rules:
1. The file is opened for each request, read only and in a thread, so that the dialer that writes it is not disturbed.
2. What is read is the part of the dialer's schema that this module names. A file of another kind is refused with a reason.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio.to_thread
from attrs import frozen

from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.server.shown import time_text

__all__ = ["CAMPAIGN_STATES", "ROUTES", "LedgerFile"]

T = TypeVar("T")

#: The mark of a ledger in the header of its file.
_APPLICATION_ID: Final = 0x416A7844
#: The words of the column ``campaign.state``.
CAMPAIGN_STATES: Final = ("active", "paused", "stopped")
#: Seconds to wait while the dialer holds the file.
_PATIENCE: Final = 2.0
#: The most entries of a campaign's journal that are shown.
_ENTRIES: Final = 100

_CAMPAIGNS = "SELECT id, name, state, reason, created FROM campaign ORDER BY id DESC"
_COUNTS = "SELECT campaign, what, n FROM count ORDER BY what"
_JOURNAL = "SELECT at, who, what, detail FROM journal WHERE campaign = ? ORDER BY id DESC LIMIT ?"


@frozen
class LedgerFile:
    """The file of a ledger.

    Attributes:
        path: where it is.
    """

    path: str | PathLike[str]

    def campaigns(self) -> list[dict[str, Any]]:
        """The campaigns, the newest first, each with its counts. This blocks; call it in a thread.

        Raises:
            Refusal: the file cannot be read, or is not a ledger.
        """
        return self._read(_campaigns)

    def campaign(self, name: str) -> dict[str, Any]:
        """One campaign with the last entries of its journal, the newest first. This blocks; call it in a thread.

        Raises:
            Refusal: there is no such campaign, the file cannot be read, or it is not a ledger.
        """

        def read(db: sqlite3.Connection) -> dict[str, Any]:
            for one in _campaigns(db):
                if name in {one["name"], str(one["id"]), "latest"}:
                    rows = db.execute(_JOURNAL, (one["id"], _ENTRIES)).fetchall()
                    entries = [
                        {"at": time_text(at / 1000), "who": who, "what": what, "detail": detail}
                        for at, who, what, detail in rows
                    ]
                    return {**one, "journal": entries}
            raise Refusal("not_found", f"no campaign {name[:60]} in the ledger")

        return self._read(read)

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        try:
            address = f"{Path(fspath(self.path)).absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)) as db:
                if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
                    raise Refusal("invalid_state", "the file is not a ledger of the dialer")
                # One transaction, so that campaigns and counts are of the same moment.
                db.execute("BEGIN")
                return read(db)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise Refusal("invalid_state", f"the ledger cannot be read: {error}") from None


def _campaigns(db: sqlite3.Connection) -> list[dict[str, Any]]:
    counts: dict[int, dict[str, int]] = {}
    for campaign, what, n in db.execute(_COUNTS):
        counts.setdefault(campaign, {})[what] = n
    return [
        {
            "id": id,
            "name": name,
            "state": CAMPAIGN_STATES[state] if 0 <= state < len(CAMPAIGN_STATES) else str(state),
            "reason": reason,
            "created_at": time_text(created / 1000),
            "counts": counts.get(id, {}),
        }
        for id, name, state, reason, created in db.execute(_CAMPAIGNS)
    ]


def _given(ledger: LedgerFile | None) -> LedgerFile:
    if ledger is None:
        raise Refusal("not_found", "no ledger was given; start the sandbox with --ledger FILE")
    return ledger


async def _list(control: Any, _: ControlRequest) -> Any:
    """GET ledger: the campaigns of the dialer, the newest first."""
    return {"data": await anyio.to_thread.run_sync(_given(control.ledger).campaigns)}


async def _one(control: Any, request: ControlRequest) -> Any:
    """GET ledger/{id}: a campaign of the dialer, by its name or number; ``latest`` is the newest."""
    return await anyio.to_thread.run_sync(_given(control.ledger).campaign, request.id)


ROUTES = (Route("GET", "ledger", _list), Route("GET", "ledger/{id}", _one))
