"""The tables of a ledger, written once for SQLite and PostgreSQL.

Rules:
1. The statements are SQLite's. PostgreSQL reads ``INTEGER`` as ``BIGINT`` and no ``STRICT``; everything else is common to both.
2. Times are whole milliseconds since the epoch, UTC. Numbers are E.164 without the plus sign, as integers. Zones are names of the
   IANA database, never offsets. States are those of `machine`.
3. `MIGRATIONS` is only ever added to. The version of a ledger (``user_version``, or the table ``version``) is how many of its
   entries were carried out.
4. No index is on a column that changes with each step of an attempt, except the partial ones that the loop reads.
"""

from __future__ import annotations

from typing import Final

__all__ = ["APPLICATION_ID", "FRESH", "MIGRATIONS", "VERSION"]

#: Marks an SQLite file as a ledger of the dialer: "AjxD".
APPLICATION_ID: Final = 0x416A7844
#: The setting that holds the id of the last command of the inbox that was carried out.
APPLIED: Final = "inbox"

#: A contact that was never dialled has a `due` below this moment of 1973; see `loading.insertion`.
FRESH: Final = 100_000_000_000

_FIRST: Final = (
    # `mark`: the API's list of calls was swept up to this moment. `epoch` grows with each owner.
    """CREATE TABLE campaign (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, spec TEXT NOT NULL, state INTEGER NOT NULL,
        reason TEXT, epoch INTEGER NOT NULL, mark INTEGER NOT NULL, created INTEGER NOT NULL
    ) STRICT""",
    # A file or another origin of rows that was loaded.
    """CREATE TABLE source (
        id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, name TEXT NOT NULL, loaded INTEGER NOT NULL,
        UNIQUE (campaign, name)
    ) STRICT""",
    # `due` is below `FRESH` for a contact that was never dialled, and in the order of its source. `tries` counts the attempts that were not proven unsent. `key` is the
    # caller's own id of the contact, `variables` a JSON object.
    """CREATE TABLE contact (
        id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, number INTEGER NOT NULL, zones INTEGER NOT NULL,
        state INTEGER NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL, expires INTEGER, source INTEGER NOT NULL,
        line INTEGER NOT NULL, reason TEXT, key TEXT, variables TEXT,
        UNIQUE (campaign, number)
    ) STRICT""",
    "CREATE INDEX contact_due ON contact (campaign, zones, due) WHERE state = 0",
    "CREATE INDEX contact_expires ON contact (campaign, expires) WHERE state = 0 AND expires IS NOT NULL",
    # Rows of a source that made no contact: `kind` is 1 for a duplicate, 2 for a refused row.
    """CREATE TABLE rejected (
        campaign INTEGER NOT NULL, source INTEGER NOT NULL, line INTEGER NOT NULL, kind INTEGER NOT NULL,
        number TEXT NOT NULL, reason TEXT NOT NULL, key TEXT,
        PRIMARY KEY (campaign, source, line)
    ) STRICT""",
    # `sent` counts how often the attempt was begun: more than once only if the earlier ones were proven unsent. `via` says how
    # the call became known: 1 answer, 2 list, 3 webhook, 4 person. `incident` is 1 if it was believed not to exist.
    """CREATE TABLE attempt (
        id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, contact INTEGER NOT NULL, n INTEGER NOT NULL,
        number INTEGER NOT NULL, from_ INTEGER NOT NULL, state INTEGER NOT NULL, sent INTEGER NOT NULL,
        intent_at INTEGER NOT NULL, call_id TEXT, created_at INTEGER, ended_at INTEGER, disposition TEXT,
        duration INTEGER, via INTEGER, incident INTEGER NOT NULL, reason TEXT, looked INTEGER NOT NULL, next_look INTEGER,
        chunk INTEGER,
        UNIQUE (contact, n)
    ) STRICT""",
    "CREATE UNIQUE INDEX attempt_call ON attempt (call_id) WHERE call_id IS NOT NULL",
    "CREATE INDEX attempt_number ON attempt (number, intent_at)",
    "CREATE INDEX attempt_look ON attempt (campaign, next_look) WHERE next_look IS NOT NULL",
    # At most one attempt of a number in flight, in all campaigns of the ledger: intent, open or unknown. An incident comes on top.
    "CREATE UNIQUE INDEX attempt_in_flight ON attempt (number) WHERE state IN (0, 1, 5) AND incident = 0",
    # Intents and doubt; open calls are found by their looks.
    "CREATE INDEX attempt_unsettled ON attempt (campaign, state) WHERE state IN (0, 5)",
    # Campaigns of the API that were started for a chunk of contacts (engine="api").
    """CREATE TABLE chunk (
        id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, ref TEXT NOT NULL UNIQUE, api_id TEXT UNIQUE,
        state INTEGER NOT NULL, intent_at INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE zones (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE) STRICT",
    # `scope` is a campaign, or 0 for all.
    """CREATE TABLE dnc (
        number INTEGER NOT NULL, scope INTEGER NOT NULL, since INTEGER NOT NULL, source TEXT,
        PRIMARY KEY (number, scope)
    ) STRICT""",
    """CREATE TABLE count (
        campaign INTEGER NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL,
        PRIMARY KEY (campaign, what)
    ) STRICT""",
    """CREATE TABLE journal (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, campaign INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
)

MIGRATIONS: Final = (_FIRST,)
VERSION: Final = len(MIGRATIONS)
