"""The control surface's lists by position: some rows by their numbers, and the number of rows in the whole list.

A page that scrolls through a long list asks only for the rows that it shows, ``?at=52300&limit=60``. An answer has ``data``,
``at``, ``total`` and ``version``, a text that changes whenever the list changes.

Rules:
1. The newest object is row 0. New objects shift the row numbers of the others, so that a client reads its rows again when the
   version has changed.
2. A search by `number`, a part of a phone number, looks at each row, in pieces between which other requests are answered. All
   other filters have an index.
3. The filters are those of the API's lists, and additionally `disposition`, `status` and dates in lists for which the API does
   not have them. An unknown filter is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import anyio.lowlevel
import msgspec
from attrs import frozen

from ajoxi_async.contract import codec
from ajoxi_async.contract.base import Params, Time
from ajoxi_async.contract.calls import CallStatus, Direction, Disposition
from ajoxi_async.contract.checks import Metadata, PageLimit
from ajoxi_async.contract.headers import DEFAULT_PAGE
from ajoxi_async.contract.messages import Channel, MessageStatus
from ajoxi_async.contract.rules import Bounds
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.server.control.request import LATEST, ControlRequest, Route
from ajoxi_async.sandbox.server.request_log import CUT_BODY, LoggedRequest, RequestLog
from ajoxi_async.sandbox.server.shown import time_text
from ajoxi_async.sandbox.state.lists import filter_keys
from ajoxi_async.sandbox.state.lists.store import Store

__all__ = ["ROUTES", "Window", "listed", "request_json", "window_of"]

_LAST_ROW = 1_000_000_000
#: Rows that are looked at without a pause: a few milliseconds.
_AT_ONCE = 2_000
#: Rows that are kept as JSON, by the packed object. They are of any store, since an id is of one kind of object.
_KEPT = 1_000
_encoded: dict[bytes, msgspec.Raw] = {}


@frozen(kw_only=True, repr=False)
class Window(Params):
    """The requested rows: `limit` of them, beginning with number `at`."""

    at: Annotated[int, Bounds(0, _LAST_ROW)] | None = None
    limit: PageLimit | None = None


@frozen(kw_only=True, repr=False)
class _CallWindow(Window):
    created_after: Time | None = None
    created_before: Time | None = None
    status: CallStatus | None = None
    direction: Direction | None = None
    disposition: Disposition | None = None
    campaign_id: str | None = None
    number: str | None = None
    metadata: Metadata | None = None


@frozen(kw_only=True, repr=False)
class _MessageWindow(Window):
    created_after: Time | None = None
    created_before: Time | None = None
    status: MessageStatus | None = None
    direction: Direction | None = None
    channel: Channel | None = None
    conversation_id: str | None = None
    number: str | None = None


@frozen(kw_only=True, repr=False)
class _RecordingWindow(Window):
    created_after: Time | None = None
    created_before: Time | None = None
    agent_id: str | None = None


@frozen(kw_only=True, repr=False)
class _RequestWindow(Window):
    route: str | None = None
    status: str | None = None
    method: str | None = None
    source: str | None = None
    key_id: str | None = None
    fault: str | None = None
    about: str | None = None


def window_of(params: Window) -> tuple[int, int]:
    """The number of the first requested row, and the most rows to return."""
    return params.at or 0, params.limit or DEFAULT_PAGE


def listed(rows: Sequence[Any], start: int, total: int, version: str) -> dict[str, Any]:
    """The answer that shows these rows."""
    return {"data": rows, "at": start, "total": total, "version": version}


def _keys(**given: str | None) -> list[tuple[str, str]]:
    return [(name, value) for name, value in given.items() if value is not None]


def _rows(request: ControlRequest, store: Store[Any], params: Any, keys: Sequence[tuple[str, str]]) -> dict[str, Any]:
    start, amount = window_of(params)
    rows = store.packed_rows(start, amount, keys=keys, since=params.created_after, until=params.created_before)
    version = f"{request.world.epoch}.{store.version}"
    return listed([_row(packed, store) for packed in rows.items], start, rows.total, version)


async def _searched(
    request: ControlRequest, store: Store[Any], params: Any, keys: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The rows in which one of both numbers contains `params.number`."""
    wanted = params.number.lstrip("+")
    digits, version = wanted.encode(errors="replace"), f"{request.world.epoch}.{store.version}"
    start, amount = window_of(params)
    found, total = [], 0
    rows = store.packed_newest_first(keys=keys, since=params.created_after, until=params.created_before)
    for looked, packed in enumerate(rows, 1):
        if looked % _AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
        # Most rows do not even contain the digits, which is found without unpacking them.
        if digits in packed and (wanted in ((row := store.unpack(packed)).from_ or "") or wanted in (row.to or "")):
            if start <= total < start + amount:
                found.append(_row(packed, store))
            total += 1
    return listed(found, start, total, version)


def _row(packed: bytes, store: Store[Any]) -> msgspec.Raw:
    """An object as JSON. Pages ask for the same rows again and again, and few of them have changed since."""
    known = _encoded.get(packed)
    if known is None:
        known = msgspec.Raw(codec.encode(store.unpack(packed)))
        if len(_encoded) >= _KEPT:
            _encoded.clear()
        _encoded[packed] = known
    return known


async def _calls(_: object, request: ControlRequest) -> Any:
    """GET calls."""
    params = request.query(_CallWindow)
    keys = _keys(
        status=params.status,
        direction=params.direction,
        disposition=params.disposition,
        campaign_id=params.campaign_id,
    )
    keys.extend(filter_keys.of_metadata(params.metadata or {}))
    store = request.world.account.calls
    return await _searched(request, store, params, keys) if params.number else _rows(request, store, params, keys)


async def _messages(_: object, request: ControlRequest) -> Any:
    """GET messages."""
    params = request.query(_MessageWindow)
    keys = _keys(
        status=params.status,
        direction=params.direction,
        channel=params.channel,
        conversation_id=params.conversation_id,
    )
    store = request.world.account.messages
    return await _searched(request, store, params, keys) if params.number else _rows(request, store, params, keys)


def _recordings(_: object, request: ControlRequest) -> Any:
    """GET recordings."""
    params = request.query(_RecordingWindow)
    return _rows(request, request.world.account.recordings, params, _keys(agent_id=params.agent_id))


def _found_requests(params: _RequestWindow, log: RequestLog) -> tuple[LoggedRequest, ...]:
    return log.find(
        route=params.route,
        status=params.status,
        method=params.method,
        source=params.source,
        key_id=params.key_id,
        fault=params.fault,
        about=params.about,
    )


def _requests(_: object, request: ControlRequest) -> Any:
    """GET requests: the requests with all keys, without headers and bodies."""
    params, log = request.query(_RequestWindow), request.requests
    found = _found_requests(params, log)
    start, amount = window_of(params)
    rows = found[::-1][start : start + amount]
    return listed([request_json(entry) for entry in rows], start, len(found), str(log.version))


def _one_request(_: object, request: ControlRequest) -> Any:
    """GET requests/{id}: a request with its answer, bodies up to 64 KiB; ``latest`` is the newest that matches the filters."""
    log = request.requests
    if request.id == LATEST:
        entry = next(iter(_found_requests(request.query(_RequestWindow), log)[-1:]), None)
    else:
        entry = log.get(request.id)
    if entry is None:
        raise Refusal("not_found", f"no request {request.id[:60]} is kept")
    return {
        **request_json(entry),
        "request_headers": dict(entry.request_headers),
        "request_body": entry.request_body[:CUT_BODY].decode(errors="replace"),
        "response_headers": dict(entry.response_headers),
        "response_body": entry.response_body[:CUT_BODY].decode(errors="replace"),
    }


def _clear_requests(_: object, request: ControlRequest) -> Any:
    """DELETE requests."""
    request.requests.clear()
    return {}


def request_json(entry: LoggedRequest) -> dict[str, Any]:
    """A request without headers and bodies."""
    return {
        "id": entry.id,
        "method": entry.method,
        "url": entry.url,
        "route": entry.route,
        "status": entry.status,
        "error": entry.error,
        "source": entry.source,
        "key_id": entry.key_id,
        "at": time_text(entry.received),
        "moment": time_text(entry.moment) if entry.moment is not None else None,
        "latency": entry.latency,
        "faults": [{"id": fault.id, "action": fault.action} for fault in entry.faults],
        "response_bytes": entry.response_bytes,
        "streamed": entry.streamed,
        "duration": entry.duration,
    }


ROUTES = (
    Route("GET", "calls", _calls),
    Route("GET", "messages", _messages),
    Route("GET", "recordings", _recordings),
    Route("GET", "requests", _requests),
    Route("DELETE", "requests", _clear_requests),
    Route("GET", "requests/{id}", _one_request),
)
