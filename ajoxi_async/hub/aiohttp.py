"""Live transcripts from a hub in aiohttp.

    async def events(request: web.Request) -> web.StreamResponse:
        return await sse_response(request, hub, request.match_info["id"])

    async def live(request: web.Request) -> web.StreamResponse:
        return await serve_websocket(request, hub, request.match_info["id"])

Whether somebody may watch a call is for the handler to decide, before it calls one of these.
"""

from __future__ import annotations

from aiohttp import web

from ajoxi_async.contract.headers import JSON, LAST_EVENT_ID
from ajoxi_async.hub.browser import LAST_ID, EventBody, refused, send_events, send_messages, until_gone
from ajoxi_async.hub.transcript_hub import TranscriptHub
from ajoxi_async.hub.wire import RESPONSE_HEADERS

__all__ = ["serve_websocket", "sse_response"]

#: Bytes that wait for one browser before the next piece does.
_WRITE_BUFFER = 16 * 1024


async def sse_response(
    request: web.Request, hub: TranscriptHub, call_id: str, *, interim: bool = True
) -> web.StreamResponse:
    """Answer a GET with the live transcript of a call, as server-sent events; returns when it ends.

    The status is 404 if there is no such call, 204 if the browser has got the whole transcript already, 502 and 503 if the API cannot be
    asked.

    Args:
        request: its header ``Last-Event-ID``, or query parameter ``last_event_id``, says where it resumes.
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`.
        interim: whether segments that are not final yet are sent as well.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    last_id = _last_id(request)
    if (answer := await refused(hub, call_id, last_id)) is not None:
        return web.Response(status=answer.status, body=answer.body or None, content_type=JSON if answer.body else None)
    response = web.StreamResponse(headers=RESPONSE_HEADERS)
    async with EventBody(hub, call_id, last_event_id=last_id, interim=interim) as events:
        try:
            await response.prepare(request)
            _bound_buffer(request)
            if request.method != "HEAD" and not await send_events(events, response.write):
                _hang_up(request)
        except ConnectionError:
            pass  # the browser is gone
    return response


async def serve_websocket(
    request: web.Request, hub: TranscriptHub, call_id: str, *, interim: bool = True
) -> web.WebSocketResponse:
    """Answer a WebSocket with the live transcript of a call; returns when it ends.

    Each message is ``{"event", "data", "id"}``. Messages of the browser are ignored.

    Args:
        request: its query parameter ``last_event_id`` says where it resumes.
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`. If there is no such call, the WebSocket is closed with 4404.
        interim: whether segments that are not final yet are sent as well.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    _bound_buffer(request)

    async def respond() -> None:
        code = await send_messages(hub, call_id, socket.send_str, last_event_id=_last_id(request), interim=interim)
        if code is None:
            _hang_up(request)
        else:
            await socket.close(code=code)

    async def gone() -> None:
        async for _ in socket:
            pass

    try:
        await until_gone(respond, gone)
    except ConnectionError:
        pass
    return socket


def _bound_buffer(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=_WRITE_BUFFER)


def _hang_up(request: web.Request) -> None:
    # What waits for a browser that takes nothing would otherwise be kept until it does.
    if request.transport is not None:
        request.transport.abort()


def _last_id(request: web.Request) -> str | None:
    return request.headers.get(LAST_EVENT_ID) or request.query.get(LAST_ID)
