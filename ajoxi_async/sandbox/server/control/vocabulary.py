"""The control surface's vocabulary: the words that requests may have, with their meanings, so that forms are made from the code."""

from __future__ import annotations

from typing import Any, get_args

from ajoxi_async.contract.calls import CallStatus, Direction, Disposition
from ajoxi_async.contract.messages import Channel, MessageStatus
from ajoxi_async.contract.numbers import Capability, NumberStatus, NumberType
from ajoxi_async.contract.routes import ROUTES as API_ROUTES
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.sandbox.faults.faults import SECONDS, When, names_of
from ajoxi_async.sandbox.faults.meanings import MEANINGS, PRESETS
from ajoxi_async.sandbox.feed.changes import KINDS
from ajoxi_async.sandbox.outcomes.magic import MAGIC
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.state.deliveries import SCHEDULE, STATES
from ajoxi_async.sandbox.state.numbers import FIRST_NUMBER

__all__ = ["ROUTES"]


def _vocabulary(_: object, request: ControlRequest) -> Any:
    """GET vocabulary."""
    return {
        "routes": [{"name": one.name, "method": one.method, "path": one.path} for one in API_ROUTES.values()],
        "event_types": [str(one) for one in EventType],
        "magic_numbers": [{"number": number, "meaning": one.meaning} for number, one in MAGIC.items()],
        "first_number": FIRST_NUMBER,
        "fault_actions": [
            {
                "action": action,
                "what": meaning.what,
                "committed": meaning.committed,
                "client": meaning.client,
                "fields": meaning.fields,
                "seconds": SECONDS.get(action),
                "matches": names_of(action),
            }
            for action, meaning in MEANINGS.items()
        ],
        "fault_when": [{"when": when, "fields": ["p"] if when == "probability" else ["n"]} for when in get_args(When)],
        "fault_presets": [{"name": one.name, "effect": one.effect, "fault": one.fault} for one in PRESETS],
        "call_statuses": [str(one) for one in CallStatus],
        "dispositions": [str(one) for one in Disposition],
        "directions": [str(one) for one in Direction],
        "message_statuses": [str(one) for one in MessageStatus],
        "channels": [str(one) for one in Channel],
        "number_types": [str(one) for one in NumberType],
        "number_statuses": [str(one) for one in NumberStatus],
        "capabilities": [str(one) for one in Capability],
        "campaign_modes": ["preview", "power", "predictive"],
        "delivery_states": STATES,
        "delivery_schedule": SCHEDULE,
        "kinds": KINDS,
        "rate_limit": request.worlds.rate_limit,
    }


ROUTES = (Route("GET", "vocabulary", _vocabulary),)
