"""Requests whose answer is lost and that are carried out later: the fault ``commit_late`` and the number 0162.

Rules:
1. A late request is a timer that holds the route, the id in its path and its body, so that snapshots and the journal have it.
2. Its parameters were checked when it came. Everything else is checked when it is carried out. If it is refused then, the only
   sign of it is ``request.refused`` in the record of the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ajoxi_async.contract import codec
from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import calls, campaigns, messages, numbers, webhooks
from ajoxi_async.sandbox.state.account import Account

__all__ = ["carry_out", "lateness", "postpone"]

#: Seconds by which a call or a message to 0162 is late.
LATE = 90.0

#: Route -> its command, which takes the account, the id in the path, the parameters and the moment.
_COMMANDS: dict[str, Callable[[Account, str, Any, float], object]] = {
    "calls.create": lambda account, _, params, now: calls.create(account, params, now),
    "calls.create_campaign": lambda account, _, params, now: campaigns.create(account, params, now),
    "calls.transfer": calls.transfer,
    "messages.send": lambda account, _, params, now: messages.send(account, params, now),
    "numbers.provision": lambda account, _, params, now: numbers.provision(account, params, now),
    "webhooks.create": lambda account, _, params, now: webhooks.create(account, params, now),
}


def lateness(route: str, params: Any) -> float | None:
    """Seconds after which a request is carried out because of a magic number; ``None`` if it is not postponed."""
    late = route in {"calls.create", "messages.send"} and magic(params.to).trouble == "late"
    return LATE if late else None


def postpone(account: Account, route: str, id: str, params: Any, moment: float) -> None:
    """Let a request be carried out at a moment.

    Args:
        account: the account of the request.
        route: the name of its route, which creates an object.
        id: the id in its path; empty if the path has none.
        params: its parameters.
        moment: when it is to be carried out.
    """
    account.later(moment, "late_request", id or None, route, codec.encode(params).decode())


def carry_out(account: Account, id: str | None, route: str, body: str, now: float) -> None:
    """Carry out a request that was postponed."""
    declared = ROUTES[route].body
    assert declared is not None
    params = codec.parse_params(codec.parse_json(body.encode()), declared)
    try:
        _COMMANDS[route](account, id or "", params, now)
    except Refusal:
        account.fired("request.refused", id or route, now)
