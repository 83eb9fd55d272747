"""The control surface's routes for campaigns: their progress, and the release of calls that wait for it."""

from __future__ import annotations

from typing import Any

from ajoxi_async.sandbox.server.control_request import ControlRequest, Route
from ajoxi_async.sandbox.server.shown import as_json

__all__ = ["ROUTES"]


def _list_all(_: object, request: ControlRequest) -> Any:
    """GET campaigns: the oldest first, with their counts."""
    return {"data": as_json(request.world.campaigns())}


def _show(_: object, request: ControlRequest) -> Any:
    """GET campaigns/{id}."""
    return as_json([request.world.campaign(request.id)])[0]


def _release(_: object, request: ControlRequest) -> Any:
    """POST campaigns/{id}/release: let `amount` calls of a preview campaign ring, or all."""
    return {"released": request.world.release(request.id, request.take(amount=int).get("amount"))}


ROUTES = (
    Route("GET", "campaigns", _list_all),
    Route("GET", "campaigns/{id}", _show),
    Route("POST", "campaigns/{id}/release", _release),
)
