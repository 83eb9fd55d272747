"""Live transcripts from a hub in Litestar.

    @get("/calls/{id:str}/events")
    async def events(request: Request) -> ASGIApp:
        return sse_response(hub, request.path_params["id"])

    @websocket("/calls/{id:str}/live")
    async def live(socket: WebSocket) -> None:
        await serve_websocket(socket, hub, socket.path_params["id"])

Whether somebody may watch a call is for the handler to decide, before it calls one of these.
"""

from __future__ import annotations

from typing import Any, cast

from litestar.connection import WebSocket
from litestar.exceptions import WebSocketDisconnect
from litestar.types import ASGIApp

from ajoxi_async.hub import asgi
from ajoxi_async.hub.transcript_hub import TranscriptHub

__all__ = ["serve_websocket", "sse_response"]


def sse_response(hub: TranscriptHub, call_id: str, *, interim: bool = True) -> ASGIApp:
    """A response with the live transcript of a call, as server-sent events.

    Its status is 404 if there is no such call, 204 if the browser has got the whole transcript already, 502 and 503 if the API cannot
    be asked.

    Args:
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`.
        interim: whether segments that are not final yet are sent as well.
    """

    async def respond(scope: Any, receive: Any, send: Any) -> None:
        await asgi.send_sse(scope, receive, send, hub, call_id, interim=interim)

    return cast("ASGIApp", respond)


async def serve_websocket(
    socket: WebSocket[Any, Any, Any], hub: TranscriptHub, call_id: str, *, interim: bool = True
) -> None:
    """Send the live transcript of a call over a WebSocket until it ends. The socket is accepted unless it was before.

    Args:
        socket: of the handler; its query parameter ``last_event_id`` says where it resumes.
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`. If there is no such call, the WebSocket is closed with 4404.
        interim: whether segments that are not final yet are sent as well.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    scope, receive, send = cast("tuple[Any, Any, Any]", (socket.scope, socket.receive, socket.send))
    try:
        if socket.connection_state == "init":
            await socket.accept()
        await asgi.relay(scope, receive, send, hub, call_id, interim=interim)
    except WebSocketDisconnect:
        pass
