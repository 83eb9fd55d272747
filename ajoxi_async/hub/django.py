"""Live transcripts from a hub in Django, under ASGI.

    async def events(request: HttpRequest, id: str) -> HttpResponseBase:
        return await sse_response(request, hub, id)

Whether somebody may watch a call is for the view to decide, before it calls this.

Rules:
1. Django has no WebSockets. In ``asgi.py``, `ajoxi_async.hub.asgi.serve_websocket` can serve those beside it.
2. Under WSGI a response would occupy a thread for as long as the call lasts, and would need a hub in that thread's loop: the hub refuses
   it as another event loop.
3. Django writes the response itself, so that `send_timeout` does not end one that waits for its browser.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Self

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from ajoxi_async.contract.headers import CONTENT_TYPE, EVENT_STREAM, JSON, LAST_EVENT_ID
from ajoxi_async.hub.browser import LAST_ID, EventBody, refused
from ajoxi_async.hub.transcript_hub import TranscriptHub
from ajoxi_async.hub.wire import RESPONSE_HEADERS

__all__ = ["sse_response"]

_HEADERS = {name: value for name, value in RESPONSE_HEADERS.items() if name != CONTENT_TYPE}


class _Pieces:
    """The pieces of a body, which is entered when the first one is asked for: a response may never be sent."""

    def __init__(self, events: EventBody) -> None:
        self._events = events
        self._entered = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._entered:
            self._entered = True
            await self._events.__aenter__()
        return await anext(self._events)


class _TranscriptResponse(StreamingHttpResponse):  # type: ignore[misc] # Django has no types
    def __init__(self, events: EventBody) -> None:
        super().__init__(_Pieces(events), content_type=EVENT_STREAM, headers=_HEADERS)
        self._events = events

    async def __aiter__(self) -> AsyncGenerator[Any]:
        # Django closes this generator, whatever ends the response, but not the iterator that was given to it.
        try:
            async for piece in super().__aiter__():
                yield piece
        finally:
            await self._events.__aexit__(None, None, None)


async def sse_response(
    request: HttpRequest, hub: TranscriptHub, call_id: str, *, interim: bool = True
) -> HttpResponseBase:
    """A response with the live transcript of a call, as server-sent events.

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
    last_id = request.headers.get(LAST_EVENT_ID) or request.GET.get(LAST_ID)
    if (answer := await refused(hub, call_id, last_id)) is not None:
        return HttpResponse(answer.body, status=answer.status, content_type=JSON if answer.body else None)
    if request.method == "HEAD":
        return HttpResponse(content_type=EVENT_STREAM, headers=_HEADERS)
    return _TranscriptResponse(EventBody(hub, call_id, last_event_id=last_id, interim=interim))
