"""Live transcripts from a hub in any ASGI application: functions for the application's own routes.

    async def application(scope, receive, send):
        if scope["type"] == "websocket" and scope["path"].startswith("/live/"):
            await serve_websocket(scope, receive, send, hub, scope["path"].removeprefix("/live/"))
        else:
            await django_application(scope, receive, send)

Whether somebody may watch a call is for the application to decide, before it calls one of these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from ajoxi_async.contract.headers import JSON, LAST_EVENT_ID
from ajoxi_async.hub.browser import LAST_ID, Answer, EventBody, refused, send_events, send_messages, until_gone
from ajoxi_async.hub.transcript_hub import TranscriptHub
from ajoxi_async.hub.wire import RESPONSE_HEADERS

__all__ = ["send_sse", "serve_websocket"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LAST_EVENT_ID = LAST_EVENT_ID.lower().encode()
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in RESPONSE_HEADERS.items()]


async def send_sse(
    scope: Scope,
    receive: Receive,
    send: Send,
    hub: TranscriptHub,
    call_id: str,
    *,
    interim: bool = True,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer a GET with the live transcript of a call, as server-sent events.

    Args:
        scope: of the request, whose ``Last-Event-ID`` header, or query parameter ``last_event_id``, says where it resumes.
        receive: of the request.
        send: of the request.
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`. If there is no such call, the answer is 404.
        interim: whether segments that are not final yet are sent as well.
        headers: of the response, besides those of an event stream.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    given = list(headers)

    async def begin(status: int, own: list[tuple[bytes, bytes]]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [*own, *given]})

    async def piece(body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": True})

    async def respond() -> None:
        last_id = _last_id(scope)
        if scope["method"] == "HEAD":
            await begin(200, _HEADERS)
        elif (answer := await refused(hub, call_id, last_id)) is not None:
            await begin(answer.status, _headers_of(answer))
            await send({"type": "http.response.body", "body": answer.body})
            return
        else:
            async with EventBody(hub, call_id, last_event_id=last_id, interim=interim) as events:
                await begin(200, _HEADERS)
                if not await send_events(events, piece):
                    return
        await send({"type": "http.response.body", "body": b""})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await until_gone(respond, gone)
    except OSError:
        pass  # the browser is gone, as servers say it since version 2.4 of ASGI


async def serve_websocket(
    scope: Scope, receive: Receive, send: Send, hub: TranscriptHub, call_id: str, *, interim: bool = True
) -> None:
    """Accept a WebSocket and send it the live transcript of a call.

    Each message is ``{"event", "data", "id"}``. Messages of the browser are ignored.

    Args:
        scope: of the WebSocket, whose query parameter ``last_event_id`` says where it resumes.
        receive: of the WebSocket.
        send: of the WebSocket.
        hub: an open hub.
        call_id: as for `TranscriptHub.watch`. If there is no such call, the WebSocket is closed with 4404.
        interim: whether segments that are not final yet are sent as well.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    if (await receive())["type"] == "websocket.connect":
        await send({"type": "websocket.accept"})
        await relay(scope, receive, send, hub, call_id, interim=interim)


async def relay(scope: Scope, receive: Receive, send: Send, hub: TranscriptHub, call_id: str, *, interim: bool) -> None:
    """Like `serve_websocket`, for a WebSocket that was accepted."""

    async def message(text: str) -> None:
        await send({"type": "websocket.send", "text": text})

    async def respond() -> None:
        code = await send_messages(hub, call_id, message, last_event_id=_last_id(scope), interim=interim)
        if code is not None:
            await send({"type": "websocket.close", "code": code})

    async def gone() -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass

    try:
        await until_gone(respond, gone)
    except OSError:
        pass


def _headers_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    if not answer.body:
        return []
    return [(b"content-type", JSON.encode()), (b"content-length", str(len(answer.body)).encode())]


def _last_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name.lower() == _LAST_EVENT_ID:
            return str(value.decode("latin-1"))
    query: bytes = scope.get("query_string", b"")
    given = parse_qs(query.decode("latin-1")).get(LAST_ID)
    return given[0] if given else None
