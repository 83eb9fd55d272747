"""The control surface's routes for snapshots: those made with it, and the marks that worlds make by themselves."""

from __future__ import annotations

from typing import Any

import anyio.lowlevel
from attrs import define, evolve, field

from ajoxi_async.sandbox.marks import Snapshot
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.server.shown import time_text
from ajoxi_async.sandbox.world import World

__all__ = ["ROUTES", "SNAPSHOTS", "KeptSnapshots"]

#: The most snapshots that are kept at a time, of all worlds together, besides the marks.
SNAPSHOTS = 100


@define(eq=False)
class KeptSnapshots:
    """The snapshots that were made by hand, each with the key of its world."""

    _kept: dict[str, tuple[str, Snapshot]] = field(factory=dict, init=False)
    _made: int = field(default=0, init=False)

    def make(self, request: ControlRequest) -> Any:
        """POST snapshots: make a snapshot, with a `label` if one is given."""
        label = request.take(label=str).get("label", "")
        # Snapshots of worlds that are gone are removed, since no request can use them.
        self._kept = {id: kept for id, kept in self._kept.items() if kept[0] in request.worlds.by_key}
        if len(self._kept) >= SNAPSHOTS:
            raise Refusal("invalid_state", f"{SNAPSHOTS} snapshots are kept; delete one")
        world = request.world
        self._made += 1
        snapshot = evolve(world.snapshot(label), id=f"snap_{self._made}")
        self._kept[snapshot.id] = world.key, snapshot
        world.feed.mark("snapshot", snapshot.id)
        return _shown(snapshot)

    async def list_all(self, request: ControlRequest) -> Any:
        """GET snapshots: those made by hand and the marks, in the order of their moments in the world's time."""
        rows = []
        for snapshot in sorted(self._of(request.world), key=lambda one: one.moment):
            rows.append(_shown(snapshot))
            await anyio.lowlevel.checkpoint()
        return {"data": rows}

    def restore(self, request: ControlRequest) -> Any:
        """POST snapshots/{id}/restore: restore a snapshot or a mark."""
        request.world.restore(self._find(request))
        return {}

    def drop(self, request: ControlRequest) -> Any:
        """DELETE snapshots/{id}."""
        if self._find(request).automatic:
            raise Refusal("invalid_state", f"{request.id[:60]} is a mark, which goes by itself when newer ones come")
        request.world.free(self._kept.pop(request.id)[1].account)
        request.world.feed.mark("snapshot", request.id)
        return {}

    def _of(self, world: World) -> list[Snapshot]:
        return [*(snapshot for key, snapshot in self._kept.values() if key == world.key), *world.marks()]

    def _find(self, request: ControlRequest) -> Snapshot:
        for snapshot in self._of(request.world):
            if snapshot.id == request.id:
                return snapshot
        raise Refusal("not_found", f"no snapshot {request.id[:60]} of this key's world")


def _shown(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "label": snapshot.label,
        "at": time_text(snapshot.moment),
        "automatic": snapshot.automatic,
        "counts": snapshot.counts,
    }


ROUTES = (
    Route("GET", "snapshots", lambda control, request: control.snapshots.list_all(request)),
    Route("POST", "snapshots", lambda control, request: control.snapshots.make(request), 201),
    Route("POST", "snapshots/{id}/restore", lambda control, request: control.snapshots.restore(request)),
    Route("DELETE", "snapshots/{id}", lambda control, request: control.snapshots.drop(request)),
)
