"""The control surface's routes for webhook deliveries: listed, looked at, replayed; and the rotation of secrets."""

from __future__ import annotations

from typing import Any

import anyio.lowlevel
from attrs import frozen

from ajoxi_async.contract import codec
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.server.control.lists import Window, listed, window_of
from ajoxi_async.sandbox.server.control.request import LATEST, ControlRequest, Route
from ajoxi_async.sandbox.server.shown import as_json
from ajoxi_async.sandbox.state import deliveries
from ajoxi_async.sandbox.state.webhook_records import Delivery
from ajoxi_async.sandbox.world import World

__all__ = ["ROUTES"]

#: Deliveries that are looked at without a pause: a few milliseconds.
_AT_ONCE = 2_000


@frozen(kw_only=True, repr=False)
class _DeliveryWindow(Window):
    state: str | None = None
    webhook_id: str | None = None
    event_id: str | None = None
    type: str | None = None
    code: str | None = None
    about: str | None = None


@frozen(kw_only=True, repr=False)
class _AttemptWindow(Window):
    webhook_id: str | None = None
    delivery_id: str | None = None
    type: str | None = None


def _version(request: ControlRequest) -> str:
    return f"{request.world.epoch}.{request.world.account.delivery_log.version}"


async def _matching(world: World, params: _DeliveryWindow) -> list[Delivery]:
    """The deliveries that match, the newest first, found in pieces."""
    accepts = deliveries.matching(
        state=params.state,
        webhook_id=params.webhook_id,
        event_id=params.event_id,
        type=params.type,
        code=params.code,
        about=params.about,
    )
    newest_first = list(reversed(world.account.deliveries.values()))
    found: list[Delivery] = []
    for first in range(0, len(newest_first), _AT_ONCE):
        found.extend(filter(accepts, newest_first[first : first + _AT_ONCE]))
        await anyio.lowlevel.checkpoint()
    return found


async def _list(_: object, request: ControlRequest) -> Any:
    """GET deliveries: by position, without bodies."""
    params, version = request.query(_DeliveryWindow), _version(request)
    found = await _matching(request.world, params)
    start, amount = window_of(params)
    rows = as_json(found[start : start + amount])
    for row in rows:
        del row["body"]
    return listed(rows, start, len(found), version)


def _attempts(_: object, request: ControlRequest) -> Any:
    """GET deliveries/attempts: the log, the oldest first."""
    params = request.query(_AttemptWindow)
    found = [
        attempt
        for attempt in request.world.deliveries(params.webhook_id)
        if params.delivery_id in {None, attempt.delivery_id} and params.type in {None, attempt.type}
    ]
    start, amount = window_of(params)
    return listed(as_json(found[start : start + amount]), start, len(found), _version(request))


async def _one(_: object, request: ControlRequest) -> Any:
    """GET deliveries/{id}: with its body, its rounds of attempts, and when it will be tried again.

    ``latest`` is the newest that matches the filters.
    """
    world, id = request.world, request.id
    if id == LATEST:
        id = next((one.id for one in await _matching(world, request.query(_DeliveryWindow))), LATEST)
    report = world.delivery(id)
    (shown,) = as_json([report.delivery])
    return {
        **shown,
        "rounds": [{"round": number, "attempts": as_json(attempts)} for number, attempts in report.rounds.items()],
        "planned": [codec.format_time(moment) for moment in report.planned],
    }


def _pending(_: object, request: ControlRequest) -> Any:
    """GET deliveries/pending."""
    return {"data": as_json(request.world.pending())}


def _dead_letters(_: object, request: ControlRequest) -> Any:
    """GET dead-letters."""
    return {"data": as_json(request.world.dead_letters())}


def _replay(_: object, request: ControlRequest) -> Any:
    """POST dead-letters/replay: those of `ids`, or all."""
    ids = request.take(ids=list).get("ids")
    if ids is not None and not (ids and all(type(id) is str for id in ids)):
        raise InvalidParameterError("ids", "expected ids of dead letters; leave it out for all")
    return {"replayed": request.world.replay(*(ids or ()))}


def _retry(_: object, request: ControlRequest) -> Any:
    """POST deliveries/{id}/retry: make the next attempt of a pending delivery now."""
    request.take()
    request.world.retry(request.id)
    return {}


def _resend(_: object, request: ControlRequest) -> Any:
    """POST deliveries/{id}/resend: deliver a finished delivery again, in a new round."""
    request.take()
    request.world.resend(request.id)
    return {}


def _discard(_: object, request: ControlRequest) -> Any:
    """DELETE dead-letters/{id}."""
    request.world.discard(request.id)
    return {}


def _rotate_secret(_: object, request: ControlRequest) -> Any:
    """POST webhooks/{id}/rotate-secret."""
    return {"secret": request.world.rotate_secret(request.id)}


ROUTES = (
    Route("GET", "deliveries", _list),
    Route("GET", "deliveries/attempts", _attempts),
    Route("GET", "deliveries/pending", _pending),
    Route("GET", "deliveries/{id}", _one),
    Route("POST", "deliveries/{id}/retry", _retry),
    Route("POST", "deliveries/{id}/resend", _resend),
    Route("GET", "dead-letters", _dead_letters),
    Route("POST", "dead-letters/replay", _replay),
    Route("DELETE", "dead-letters/{id}", _discard),
    Route("POST", "webhooks/{id}/rotate-secret", _rotate_secret),
)
