"""The control surface's routes about what becomes of calls: settings, campaigns, time zones of test numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from attrs import asdict

from ajoxi_async.contract import checks
from ajoxi_async.sandbox.server.control.request import LATEST, ControlRequest, Route
from ajoxi_async.sandbox.server.shown import as_json

__all__ = ["ROUTES"]


def _settings(_: object, request: ControlRequest) -> Any:
    """GET settings."""
    return asdict(request.world.settings)


def _configure(_: object, request: ControlRequest) -> Any:
    """PUT settings: change the given settings; others keep their values."""
    return asdict(request.world.configure(**request.body))


def _zone(_: object, request: ControlRequest) -> Any:
    """GET zones/{id}: the time zone of a test number."""
    number = unquote(request.id)
    checks.phone("number", number)
    return {"number": number, "zone": request.world.zone_of(number)}


def _campaigns(_: object, request: ControlRequest) -> Any:
    """GET campaigns: the oldest first, with their counts."""
    return {"data": as_json(request.world.campaigns())}


def _campaign(_: object, request: ControlRequest) -> Any:
    """GET campaigns/{id}; ``latest`` is the newest."""
    campaigns = request.world.account.campaigns
    id = next(reversed(campaigns), LATEST) if request.id == LATEST else request.id
    return as_json([request.world.campaign(id)])[0]


def _release(_: object, request: ControlRequest) -> Any:
    """POST campaigns/{id}/release: let `amount` calls of a preview campaign ring, or all."""
    return {"released": request.world.release(request.id, request.take(amount=int).get("amount"))}


ROUTES = (
    Route("GET", "settings", _settings),
    Route("PUT", "settings", _configure),
    Route("GET", "zones/{id}", _zone),
    Route("GET", "campaigns", _campaigns),
    Route("GET", "campaigns/{id}", _campaign),
    Route("POST", "campaigns/{id}/release", _release),
)
