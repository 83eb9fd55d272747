"""The control surface's stream of changes: ``GET feed``, as server-sent events.

Rules:
1. An event is a batch of `World.changes` as JSON, with the world's time. It lists changed objects without their state.
2. A connection begins with an event in which every kind is stale, because objects may have changed since the client read them.
3. A reader that reads nothing is disconnected, as a reader of live transcripts is. Until then its changes are collected in one
   batch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
from attrs import frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.base import Params
from ajoxi_async.contract.frames import HEARTBEAT, event_frame, retry_frame
from ajoxi_async.sandbox.faults.broken_answers import StreamedResponse
from ajoxi_async.sandbox.feed.changes import Changes
from ajoxi_async.sandbox.feed.subscription import ChangeSubscription
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.server.shown import time_text
from ajoxi_async.sandbox.world import World

__all__ = ["ROUTES"]

#: Real seconds after which a comment keeps the connection alive.
_HEARTBEAT = 15.0
_RECONNECT_MS = 1_000


@frozen(kw_only=True, repr=False)
class _Feed(Params):
    kinds: str | None = None


def _feed(_: object, request: ControlRequest) -> StreamedResponse:
    """GET feed: the changes of the kinds in ``?kinds=call,delivery``, or of all kinds."""
    kinds = request.query(_Feed).kinds
    changes = request.world.changes(kinds.split(",") if kinds is not None else None)
    shown = {headers.CONTENT_TYPE: headers.EVENT_STREAM, "Cache-Control": "no-cache"}
    return StreamedResponse(shown, _events(request.world, changes))


async def _events(world: World, changes: ChangeSubscription) -> AsyncIterator[bytes]:
    async with changes:
        before = changes.take()
        yield retry_frame(_RECONNECT_MS) + _event(world, Changes(before.epoch, before.seq, {}, changes.kinds))
        while True:
            batch = None
            try:
                with anyio.move_on_after(_HEARTBEAT):
                    batch = await anext(changes)
            except StopAsyncIteration:
                return
            yield _event(world, batch) if batch is not None else HEARTBEAT


def _event(world: World, batch: Changes) -> bytes:
    shown: dict[str, Any] = {
        "epoch": batch.epoch,
        "seq": batch.seq,
        "changed": batch.changed,
        "stale": sorted(batch.stale),
        "clock": {"mode": world.clock.mode, "now": time_text(world.clock.now())},
    }
    return event_frame("changes", codec.encode(shown), f"{batch.epoch}-{batch.seq}")


ROUTES = (Route("GET", "feed", _feed),)
