"""The agents of a world, who talk to the people that its power and predictive campaigns reach.

Rules:
1. A call of such a campaign occupies a line from the moment at which it is dialled until it is answered or stops ringing.
2. If a person answers, the call takes a free agent until it is over. If no agent is free, the call is abandoned: nobody speaks,
   and the person hangs up after `Timing.patience`. A call that a machine answers takes no agent.
3. All campaigns share the agents of their world.
"""

from __future__ import annotations

from ajoxi_async.contract.calls import Call
from ajoxi_async.sandbox.state.account import Account

__all__ = ["answered", "dialled", "ended", "free"]


def free(account: Account) -> int:
    """How many agents are free. The number is negative if `Settings.agents` was lowered while agents talked."""
    return (account.settings.agents or 0) - len(account.with_agent)


def dialled(account: Account, call_id: str) -> None:
    """Note that a call of a campaign with agents was dialled: it occupies a line from now on."""
    account.set_flag("lines", call_id, True)


def answered(account: Account, call: Call, *, by_person: bool) -> None:
    """Note that a call was answered: if by a person, an agent takes it or it is abandoned."""
    account.set_flag("lines", call.id, False)
    if by_person:
        none_free = account.settings.agents is not None and free(account) <= 0
        account.set_flag("abandoned" if none_free else "with_agent", call.id, True)


def ended(account: Account, call_id: str) -> None:
    """Note that a call is over: its line and its agent are free."""
    account.set_flag("lines", call_id, False)
    account.set_flag("with_agent", call_id, False)
