"""The control surface's routes for time: show the clock, advance, stop, run and pause it, and list what is due."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any

import anyio.lowlevel
import msgspec
from attrs import frozen

from ajoxi_async.contract import codec
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.rules import Bounds
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.control.lists import Window, listed, window_of
from ajoxi_async.sandbox.server.control.request import ControlRequest, Route
from ajoxi_async.sandbox.server.shown import time_text
from ajoxi_async.sandbox.time.clock import AdvanceStoppedError, NeverHappenedError
from ajoxi_async.sandbox.time.jumps import Jump
from ajoxi_async.sandbox.time.live import LiveClock
from ajoxi_async.sandbox.time.timers import Due, Fired
from ajoxi_async.sandbox.time.virtual import VirtualClock
from ajoxi_async.sandbox.world import LISTED, World

__all__ = ["ROUTES", "clock_json", "due_json", "fired_json"]

#: How many events are written before other tasks may run; they take a few milliseconds.
_AT_ONCE = 500


@frozen(kw_only=True, repr=False)
class _TimerWindow(Window):
    at: Annotated[int, Bounds(0, LISTED)] | None = None


async def fired_json(fired: list[Fired]) -> msgspec.Raw:
    """Events as JSON, written in pieces: an advance of a day in a large world has hundreds of thousands of them.

    The list is empty afterwards: it is freed in pieces as well.
    """
    pieces = []
    fired.reverse()
    while fired:
        batch = fired[: -_AT_ONCE - 1 : -1]
        del fired[-_AT_ONCE:]
        rows = [_event(one) for one in batch]
        pieces.append(codec.encode(rows)[1:-1])
        await anyio.lowlevel.checkpoint()
    return msgspec.Raw(b"[" + b",".join(pieces) + b"]")


def clock_json(world: World) -> dict[str, Any]:
    """The answer to GET clock."""
    clock = world.clock
    now = clock.now()
    progress = clock.progress if isinstance(clock, VirtualClock) else None
    due = world.next_due
    return {
        "mode": clock.mode,
        "now": time_text(now),
        "next_due": time_text(due) if due is not None else None,
        "running": clock.running if isinstance(clock, LiveClock) else clock.mode != "manual",
        "speed": clock.speed if isinstance(clock, LiveClock) else None,
        "advance": None
        if progress is None
        else {
            "from": codec.format_time(progress.began),
            "now": codec.format_time(progress.now),
            "to": codec.format_time(progress.end) if progress.end is not None else None,
            "instants": progress.instants,
        },
    }


def _show(_: object, request: ControlRequest) -> Any:
    """GET clock: mode, present moment, next due moment, and the progress of an advance that runs."""
    return clock_json(request.world)


async def _advance(_: object, request: ControlRequest) -> Any:
    """POST clock/advance: takes one of seconds, to, until_event, until_idle and next."""
    given = dict(request.take(seconds=int | float, to=str | int | float, until_event=str, until_idle=bool, next=bool))
    if isinstance(to := given.get("to"), str):
        given["to"] = _moment(to)
    # Read once: if the key is deleted meanwhile, `request.world` would not return this world again.
    world = request.world
    try:
        fired = await world.advance(to_next=given.pop("next", False), **given)
    except (NeverHappenedError, AdvanceStoppedError):
        # What happened until then is in the answer, so that it has to be in the file as well.
        await world.save()
        raise
    return {"now": time_text(world.clock.now()), "fired": await fired_json(fired)}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidParameterError("to", "expected an RFC 3339 time such as '2026-11-23T09:30:00Z'")
    return moment


def _stop(_: object, request: ControlRequest) -> Any:
    """DELETE clock/advance: stop the advance; the request that started it is answered 409 ``advance_stopped``."""
    return {"stopped": request.world.stop_advance()}


def _run(_: object, request: ControlRequest) -> Any:
    """POST clock/run: let the time of a live clock flow, at `speed` if it is given."""
    request.world.resume(speed=request.take(speed=int | float).get("speed"))
    return clock_json(request.world)


def _pause(_: object, request: ControlRequest) -> Any:
    """POST clock/pause: let the time of a live clock stand still."""
    request.take()
    request.world.pause()
    return clock_json(request.world)


def _timers(_: object, request: ControlRequest) -> Any:
    """GET timers: the timers by position, the next one first."""
    start, amount = window_of(request.query(_TimerWindow))
    world = request.world
    rows = [due_json(one) for one in world.due(start, amount)]
    return {"data": rows, "at": start, "total": len(world.account.timers)}


def due_json(due: Due) -> dict[str, Any]:
    """A timer as lists show it."""
    return {"at": codec.format_time(due.at), "kind": due.kind, "id": due.id}


@frozen(kw_only=True, repr=False)
class _EventWindow(Window):
    type: str | None = None
    id: str | None = None
    cause: str | None = None


def _events(_: object, request: ControlRequest) -> Any:
    """GET events: the last events by position, the newest first; filters are ``?type=call.*``, ``?id=`` and ``?cause=``.

    The cause of an event is the id of the request that it happened in, or the name of the timer's action; ``null`` for what the
    console's phone, the control surface or a method of the sandbox did. A sandbox without a console keeps no events.
    """
    params, world = request.query(_EventWindow), request.world
    if world.events is None:
        raise Refusal("not_found", "events are kept by a sandbox that has a console")
    found = [
        one
        for one in reversed(world.events)
        if (params.type is None or fnmatchcase(one[1], params.type))
        and params.id in {None, one[2]}
        and params.cause in {None, one[3]}
    ]
    start, amount = window_of(params)
    rows = [
        {"at": time_text(moment), "what": what, "id": id, "cause": cause or None}
        for moment, what, id, cause in found[start : start + amount]
    ]
    newest = world.events[-1] if world.events else ""
    return listed(rows, start, len(found), f"{world.epoch}.{len(world.events)}.{newest}")


def _event(fired: Fired) -> dict[str, Any]:
    return {"at": codec.format_time(fired.at), "what": fired.what, "id": fired.id}


def _jumps(_: object, request: ControlRequest) -> Any:
    """GET clock/jumps: the last advances, the oldest first."""
    return {"data": [_jump(jump) for jump in request.world.jumps()]}


def _jump(jump: Jump) -> dict[str, Any]:
    return {
        "goal": jump.goal,
        "from": codec.format_time(jump.began),
        "to": codec.format_time(jump.ended),
        "instants": jump.instants,
        "fired": dict(jump.fired),
        "dead_letters": jump.dead_letters,
        "mark": jump.mark,
        "stopped": jump.stopped,
        "summary": jump.summary,
    }


ROUTES = (
    Route("GET", "clock", _show),
    Route("POST", "clock/advance", _advance),
    Route("DELETE", "clock/advance", _stop),
    Route("POST", "clock/run", _run),
    Route("POST", "clock/pause", _pause),
    Route("GET", "clock/jumps", _jumps),
    Route("GET", "timers", _timers),
    Route("GET", "events", _events),
)
