"""The control surface's summary of a world: how many objects there are in which state, and what is going on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ajoxi_async.contract.calls import CallStatus, Disposition
from ajoxi_async.sandbox.server.control_request import ControlRequest, Route

__all__ = ["ROUTES"]


def _counts(_: object, request: ControlRequest) -> Any:
    """GET counts: the number of objects, and of those in each state."""
    world = request.world
    account = world.account
    calls, states = account.calls, Counter(one.state for one in account.deliveries.values())
    failing = sum(one.state == "pending" and one.attempts > 0 for one in account.deliveries.values())
    return {
        "calls": len(calls),
        "calls_by_status": {str(status): calls.count(keys=[("status", status)]) for status in CallStatus},
        "calls_by_disposition": {str(one): calls.count(keys=[("disposition", one)]) for one in Disposition},
        "messages": len(account.messages),
        "recordings": len(account.recordings),
        "numbers": len(account.numbers),
        "webhooks": len(account.webhooks),
        "campaigns": len(account.campaigns),
        "deliveries": len(account.deliveries),
        "deliveries_by_state": {
            "failing": failing,
            **{state: states[state] for state in ("pending", "delivered", "dead", "dropped")},
        },
        "faults": len(world.faults),
        "requests": len(request.requests),
        "keys": len(request.worlds.listed()),
    }


ROUTES = (Route("GET", "counts", _counts),)
