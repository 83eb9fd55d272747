"""Commands of people and other processes: they are carried out by the owner, each once, in the order in which they were posted.

Rules:
1. A command is carried out in one transaction with the note that it was, so that a crash neither loses nor repeats it.
2. Whatever a command does is in the journal, with its moment.
3. A command may be of another campaign than the one that is run: the inbox is that of the ledger. Each is carried out by the rules of
   its own campaign.
4. A command that was carried out by another campaign's owner has effect when its own has heard of it. On PostgreSQL, where owners are
   on several machines, each owner notes up to which command it has.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.encoding.structuring import structure
from ajoxi_async.dialer.rules.machine import CampaignState, Fact
from ajoxi_async.dialer.rules.references import References
from ajoxi_async.dialer.storage.database import Database, Posted
from ajoxi_async.dialer.storage.schema import APPLIED
from ajoxi_async.dialer.storage.statements import campaigns, counts
from ajoxi_async.dialer.storage.statements.calls import attempt_of_call
from ajoxi_async.dialer.storage.statements.campaigns import CampaignRow
from ajoxi_async.dialer.storage.statements.contacts import put_dnc
from ajoxi_async.dialer.storage.statements.facts import PERSON, WEBHOOK, Report, Rules, attempt_of, fact_of, record

__all__ = ["COMMANDS", "applied", "apply", "carry_out", "hear", "heard"]

#: What a command may be.
COMMANDS: Final = ("pause", "resume", "stop", "do_not_call", "release", "done", "call", "look")
#: Gives the rules of a campaign.
RulesFor = Callable[[CampaignRow], Rules]


def applied(db: Database) -> int:
    """The id of the last command of the inbox that was carried out."""
    rows = db.execute("SELECT value FROM setting WHERE name = ?", (APPLIED,))
    return int(rows[0][0]) if rows else 0


def heard(db: Database, campaign: int) -> int:
    """The id of the last command of which the owner of a campaign has heard (rule 4)."""
    rows = db.execute("SELECT value FROM setting WHERE name = ?", (_heard_by(campaign),))
    return int(rows[0][0]) if rows else 0


def hear(db: Database, campaign: int, command: int) -> None:
    """Note that the owner of a campaign sends nothing before it has taken over what commands up to this one have changed."""
    _set(db, _heard_by(campaign), command)


def _heard_by(campaign: int) -> str:
    return f"{APPLIED} heard by {campaign}"


def _set(db: Database, name: str, value: int) -> None:
    db.execute(
        "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def apply(db: Database, posted: Sequence[Posted], rules_for: RulesFor, now: int) -> None:
    """Carry out commands of the inbox, and note it."""
    done = applied(db)
    for one in posted:
        if one.id > done:
            carry_out(db, one.what, json.loads(one.detail), rules_for, now)
            done = one.id
    _set(db, APPLIED, done)


def carry_out(db: Database, what: str, detail: dict[str, Any], rules_for: RulesFor, now: int) -> int:
    """Carry out a command; return how many contacts or attempts it changed.

    Args:
        db: the database.
        what: one of `COMMANDS`.
        detail: its arguments: ``campaign`` (a name), ``who``, ``reason``; ``numbers`` and ``everywhere`` of ``do_not_call``;
            ``attempts`` of ``release`` and ``done``, as pairs of a number and the place of the attempt; ``call`` of
            ``call``, which is an event of a webhook.
        rules_for: gives the rules of the campaign of the command.
        now: milliseconds since the epoch.
    """
    row = campaigns.find(db, detail["campaign"])
    if row is None or what == "look":  # Something was changed already, and every owner looks for it.
        return 0
    changed, tally = 0, Counter[str]()
    shown = {name: value for name, value in detail.items() if name not in {"campaign", "who", "numbers", "attempts"}}
    if what in {"pause", "resume", "stop"}:
        state = {"pause": CampaignState.PAUSED, "resume": CampaignState.ACTIVE, "stop": CampaignState.STOPPED}[what]
        campaigns.set_state(db, row.id, state, detail.get("reason") or None)
    elif what == "do_not_call":
        scope = 0 if detail.get("everywhere", True) else row.id
        changed = put_dnc(db, detail["numbers"], scope, now, str(detail.get("reason") or detail["who"]))
        shown["numbers"] = len(detail["numbers"])
    elif what in {"release", "done"}:
        fact = Fact.RELEASED if what == "release" else Fact.SETTLED
        found = [attempt_of(db, row.id, number, n) for number, n in detail["attempts"]]
        reports = [Report(id, fact, via=PERSON, reason=str(detail["who"])) for id in found if id is not None]
        changed = len(record(db, row.id, reports, now, rules_for(row), tally))
        counts.add(db, row.id, tally)
        shown["attempts"] = changed
    elif what == "call":
        call = structure(detail["call"], Call)
        id = attempt_of_call(db, row.id, References(row.name), call)
        reports = [] if id is None else [fact_of(id, call, WEBHOOK)]
        changed = len(record(db, row.id, reports, now, rules_for(row), tally))
        counts.add(db, row.id, tally)
        return changed
    campaigns.journal(db, row.id, now, str(detail["who"]), what, json.dumps(shown, sort_keys=True))
    return changed
