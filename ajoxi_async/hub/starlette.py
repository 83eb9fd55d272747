"""Live transcripts from a hub in Starlette and FastAPI.

    @app.get("/calls/{id}/events")
    async def events(id: str) -> Response:
        return sse_response(hub, id)

    @app.websocket("/calls/{id}/live")
    async def live(socket: WebSocket, id: str) -> None:
        await serve_websocket(socket, hub, id)

Whether somebody may watch a call is for the endpoint to decide, before it calls one of these.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ajoxi_async.hub.asgi import relay, send_sse
from ajoxi_async.hub.transcript_hub import TranscriptHub

__all__ = ["serve_websocket", "sse_response"]


class _TranscriptResponse(Response):
    def __init__(self, hub: TranscriptHub, call_id: str, *, interim: bool) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._hub = hub
        self._call_id = call_id
        self._interim = interim

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_sse(scope, receive, send, self._hub, self._call_id, interim=self._interim, headers=self.raw_headers)
        if self.background is not None:
            await self.background()


def sse_response(hub: TranscriptHub, call_id: str, *, interim: bool = True) -> Response:
    """A response with the live transcript of a call, as server-sent events; add headers and cookies of your own to it.

    Its status is 404 if there is no such call, 204 if the browser has got the whole transcript already, 502 and 503 if the API cannot
    be asked.

    Args:
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`.
        interim: whether segments that are not final yet are sent as well.
    """
    return _TranscriptResponse(hub, call_id, interim=interim)


async def serve_websocket(socket: WebSocket, hub: TranscriptHub, call_id: str, *, interim: bool = True) -> None:
    """Send the live transcript of a call over a WebSocket until it ends. The socket is accepted unless it was before.

    Args:
        socket: of the endpoint; its query parameter ``last_event_id`` says where it resumes.
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`. If there is no such call, the WebSocket is closed with 4404.
        interim: whether segments that are not final yet are sent as well.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    try:
        if socket.client_state is WebSocketState.CONNECTING:
            await socket.accept()
        await relay(socket.scope, socket.receive, socket.send, hub, call_id, interim=interim)
    except WebSocketDisconnect:
        pass
