"""The control surface's routes for keys and worlds: mint, list and delete them. Listing keys makes no world."""

from __future__ import annotations

from typing import Any

import anyio.lowlevel
from attrs import asdict

from ajoxi_async.contract import codec
from ajoxi_async.sandbox.keys import Key
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.server.shown import time_text

__all__ = ["ROUTES"]


def _mint(_: object, request: ControlRequest) -> Any:
    """POST keys: mint a key with a world of its own, for a test worker. No other answer contains the key itself."""
    given = request.take(mode=str, deny=list, label=str)
    worlds = request.worlds
    key = worlds.mint(given.get("mode", "test"), given.get("deny", ()), given.get("label", ""))
    return {**_key(request, worlds.keys[key]), "key": key}


def _list_keys(_: object, request: ControlRequest) -> Any:
    """GET keys: every key that is accepted, masked."""
    return {"data": [_key(request, key) for key in request.worlds.listed()]}


def _delete(_: object, request: ControlRequest) -> Any:
    """DELETE keys/{id}: refuse the key from now on, and drop its world."""
    request.worlds.delete(request.id)
    return {}


async def _list_worlds(_: object, request: ControlRequest) -> Any:
    """GET worlds: the worlds that exist, each with its key, its clock and the number of its objects."""
    shown = []
    for world in list(request.worlds.by_key.values()):
        # The world may have been dropped while the objects of another one were counted.
        if not world.ended:
            clock = {"mode": world.clock.mode, "now": time_text(world.clock.now())}
            shown.append({**_key(request, request.worlds.keys[world.key]), "clock": clock, "counts": world.counts()})
        await anyio.lowlevel.checkpoint()
    return {"data": shown}


def _key(request: ControlRequest, key: Key) -> dict[str, Any]:
    shown = asdict(key.report())
    for name in ("created_at", "last_used_at"):
        shown[name] = codec.format_time(shown[name]) if shown[name] is not None else None
    worlds = request.worlds
    return {**shown, "own": key.text == worlds.own_key, "has_world": key.text in worlds.by_key}


ROUTES = (
    Route("POST", "keys", _mint, 201),
    Route("GET", "keys", _list_keys),
    Route("DELETE", "keys/{id}", _delete),
    Route("GET", "worlds", _list_worlds),
)
