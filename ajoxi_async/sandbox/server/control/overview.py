"""The control surface's summary of a world: how many objects there are in which state, and what is going on."""

from __future__ import annotations

import time
from bisect import bisect_left
from itertools import islice, pairwise
from typing import Any

from ajoxi_async.contract.calls import CallStatus, Disposition
from ajoxi_async.sandbox.server.control.lists import request_json
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.server.control.time import clock_json, due_json
from ajoxi_async.sandbox.server.request_log import RequestLog
from ajoxi_async.sandbox.server.shown import as_json, time_text
from ajoxi_async.sandbox.state import deliveries

__all__ = ["ROUTES"]

#: How many rows each part of the summary has at most.
_LIVE, _ROWS = 10, 5
#: For how many seconds the requests of each second are counted.
_SECONDS = 60


def counts_json(request: ControlRequest) -> dict[str, Any]:
    """The answer to GET counts."""
    world = request.world
    account = world.account
    calls, states = account.calls, account.delivery_log.states
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
        "deliveries_by_state": {state: states[state] for state in deliveries.STATES},
        "faults": len(world.faults),
        "requests": len(request.requests),
        "keys": len(request.worlds.listed()),
    }


def _counts(_: object, request: ControlRequest) -> Any:
    """GET counts: the number of objects, and of those in each state. Deliveries that are ``failing`` are ``pending`` as well."""
    return counts_json(request)


def _overview(_: object, request: ControlRequest) -> Any:
    """GET overview: the clock, the counts, live calls, the last failures, dead letters, what is due, and the rate of requests."""
    world = request.world
    account = world.account
    live = [
        call
        for status in (CallStatus.ANSWERED, CallStatus.RINGING)
        for call in account.calls.rows(0, _LIVE, keys=[("status", status)]).items
    ]
    live.sort(key=lambda call: call.created_at.timestamp() if call.created_at is not None else 0.0, reverse=True)
    failures = (one for one in reversed(request.requests) if one.error is not None or (one.status or 0) >= 400)
    dead = (
        (one for one in reversed(account.deliveries.values()) if one.dead)
        if account.delivery_log.states["dead"]
        else ()
    )
    return {
        "clock": clock_json(world),
        "counts": counts_json(request),
        "live_calls": [call.to_dict() for call in live[:_LIVE]],
        "failures": [request_json(one) for one in islice(failures, _ROWS)],
        "dead_letters": [{**row, "body": None} for row in as_json(islice(dead, _ROWS))],
        "due": [due_json(one) for one in world.due(0, _ROWS)],
        "requests_by_second": _by_second(request.requests),
    }


def _by_second(log: RequestLog) -> dict[str, Any]:
    """How many requests came in each of the last seconds of the wall clock, the oldest first, and the end of the last second."""
    end = int(time.time()) + 1
    received = sorted(entry.received for entry in log)
    places = [bisect_left(received, second) for second in range(end - _SECONDS, end + 1)]
    counted = [after - before for before, after in pairwise(places)]
    return {"until": time_text(end), "counts": counted}


ROUTES = (Route("GET", "counts", _counts), Route("GET", "overview", _overview))
