"""The agents of a world, who talk to the people that its power and predictive campaigns reach.

Rules:
1. A call of such a campaign is a line from the moment at which it is dialled until somebody picks up, or nobody does.
2. A person who answers takes a free agent until the call is over. Where none is free, the call is abandoned: nobody speaks,
   and the person hangs up after `Timing.patience`. A machine that answers takes no agent.
3. All campaigns share the agents of their world.
"""

from __future__ import annotations

from ajoxi_async.contract.calls import Call
from ajoxi_async.sandbox.state.account import Account

__all__ = ["answered", "dialled", "ended", "free"]


def free(account: Account) -> int:
    """How many agents talk to nobody. Fewer than none after their number was lowered while they talked."""
    return (account.settings.agents or 0) - len(account.with_agent)


def dialled(account: Account, call_id: str) -> None:
    """A call of a campaign that has agents is a line from now on."""
    account.set_flag("lines", call_id, True)


def answered(account: Account, call: Call, *, by_person: bool) -> None:
    """A line was answered: an agent takes it, or it is abandoned."""
    account.set_flag("lines", call.id, False)
    if by_person:
        nobody = account.settings.agents is not None and free(account) <= 0
        account.set_flag("abandoned" if nobody else "with_agent", call.id, True)


def ended(account: Account, call_id: str) -> None:
    """A call is over: it is no line any more, and its agent is free."""
    account.set_flag("lines", call_id, False)
    account.set_flag("with_agent", call_id, False)
