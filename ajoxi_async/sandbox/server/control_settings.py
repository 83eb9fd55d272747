"""The control surface's routes for what a world is told of people, lines and agents, and for time zones of test numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from attrs import asdict

from ajoxi_async.contract.checks import phone
from ajoxi_async.sandbox.server.control_request import ControlRequest, Route

__all__ = ["ROUTES"]


def _show(_: object, request: ControlRequest) -> Any:
    """GET settings."""
    return asdict(request.world.settings)


def _configure(_: object, request: ControlRequest) -> Any:
    """PUT settings: what is not given stays."""
    request.world.configure(**request.body)
    return asdict(request.world.settings)


def _show_zone(_: object, request: ControlRequest) -> Any:
    """GET zones/{id}: the time zone of a test number."""
    number = unquote(request.id)
    phone("number", number)
    return {"number": number, "zone": request.world.zone_of(number)}


ROUTES = (
    Route("GET", "settings", _show),
    Route("PUT", "settings", _configure),
    Route("GET", "zones/{id}", _show_zone),
)
