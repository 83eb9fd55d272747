"""Live transcripts from a hub in Quart.

    @app.get("/calls/<id>/events")
    async def events(id: str) -> Response:
        return await sse_response(hub, id)

    @app.websocket("/calls/<id>/live")
    async def live(id: str) -> None:
        await serve_websocket(hub, id)

Whether somebody may watch a call is for the view to decide, before it calls one of these. Quart writes the response itself, so that
`send_timeout` does not end one that waits for its browser.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from quart import Response, request, websocket
from quart.wrappers.response import ResponseBody

from ajoxi_async.contract.headers import JSON, LAST_EVENT_ID
from ajoxi_async.hub.browser import LAST_ID, EventBody, refused, send_messages, until_gone
from ajoxi_async.hub.transcript_hub import TranscriptHub
from ajoxi_async.hub.wire import RESPONSE_HEADERS

__all__ = ["serve_websocket", "sse_response"]


class _Body(ResponseBody):
    def __init__(self, events: EventBody) -> None:
        self._events = events

    async def __aenter__(self) -> EventBody:
        return await self._events.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._events.__aexit__(kind, error, trace)


async def sse_response(hub: TranscriptHub, call_id: str, *, interim: bool = True) -> Response:
    """A response to the present request with the live transcript of a call, as server-sent events.

    The status is 404 if there is no such call, 204 if the browser has got the whole transcript already, 502 and 503 if the API cannot be
    asked.

    Args:
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`.
        interim: whether segments that are not final yet are sent as well.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    last_id = request.headers.get(LAST_EVENT_ID) or request.args.get(LAST_ID)
    if (answer := await refused(hub, call_id, last_id)) is not None:
        return Response(answer.body, status=answer.status, content_type=JSON if answer.body else None)
    response = Response(b"", headers=RESPONSE_HEADERS)
    response.headers.pop("Content-Length", None)
    if request.method != "HEAD":
        response.response = _Body(EventBody(hub, call_id, last_event_id=last_id, interim=interim))
    response.timeout = None
    return response


async def serve_websocket(hub: TranscriptHub, call_id: str, *, interim: bool = True) -> None:
    """Send the live transcript of a call over the present WebSocket until it ends.

    Args:
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`. If there is no such call, the WebSocket is closed with 4404.
        interim: whether segments that are not final yet are sent as well.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    socket: Any = websocket

    async def respond() -> None:
        last_id = socket.args.get(LAST_ID)
        code = await send_messages(hub, call_id, socket.send, last_event_id=last_id, interim=interim)
        if code is not None:
            await socket.close(code)

    async def gone() -> None:
        while True:
            await socket.receive()

    await socket.accept()
    await until_gone(respond, gone)
