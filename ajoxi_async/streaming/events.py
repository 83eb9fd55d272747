"""Any event stream of the API as raw events: the HTML standard's EventSource (9.2) as an async iterator.

Rules:
1. 204 ends the stream. Any other status than 200, and any other type than ``text/event-stream``, fails it without a second
   attempt. After a connection has ended or broken, another one is opened after the server's ``retry``.
2. At most five redirects are followed. The Authorization header is sent to the API's origin only.
3. With ``reconnect=False`` the stream ends with the response, and a broken connection is an error.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.wire import Request
from ajoxi_async.pipeline.options import CallOptions, check_options, check_path, merge_headers
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.protocol.resume import standard_delay
from ajoxi_async.streaming.event_source import EventSource, Rules, check_event_id, check_seconds

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

__all__ = ["EventStream", "open_events"]


class EventStream:
    """Events as they arrive. Made by ``client.events``; use it in ``async with``."""

    def __init__(self, source: EventSource) -> None:
        # Imported here, because it imports the whole of httpx.
        from httpx_sse import ServerSentEvent

        self._event = ServerSentEvent
        self._source = source

    @property
    def last_event_id(self) -> str | None:
        """Where a new stream can resume: the last id the server had set when the last event was delivered."""
        return self._source.last_event_id

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return self._source.reconnects

    @property
    def retry(self) -> int | None:
        """The reconnection time the server last asked for, in milliseconds. ``retry`` of an event is only that event's."""
        return self._source.retry_ms

    async def __aenter__(self) -> Self:
        await self._source.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and close its socket. Any task may call it. Idempotent."""
        await self._source.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        source = self._source
        while not source.ready:
            if source.ended:
                source.check()
                raise StopAsyncIteration
            source.consumed_all()
            await source.read()
        frame = source.ready.popleft()
        source.consumed(frame)
        return self._event(*frame)


def open_events(
    pipeline: Pipeline,
    method: str,
    path: str,
    options: CallOptions,
    *,
    reconnect: bool,
    last_event_id: str | None,
    idle_timeout: float | None,
    max_outage: float,
) -> EventStream:
    """See `AsyncAjoxi.events`."""
    check_options(options)
    if options.get("timeout") is not None:
        raise InvalidParameterError("timeout", "an event stream has none; see idle_timeout and max_outage")
    if method != "GET":
        raise InvalidParameterError("method", f"expected 'GET', which alone can be repeated, got {method!r:.40}")
    path = check_path(path)
    check_event_id(last_event_id=last_event_id)
    check_seconds(idle_timeout=idle_timeout, max_outage=max_outage)
    if extra := options.get("extra_query"):
        path += ("&" if "?" in path else "?") + urlencode(extra)
    rules = Rules(
        name=f"the event stream of {path.partition('?')[0]}",
        route="events",
        delay=standard_delay,
        waited_out=lambda _: False,
        reconnect=reconnect,
        opening_is_progress=True,
        redirects=True,
        idle_timeout=idle_timeout,
        max_outage=max_outage,
    )
    sent = merge_headers(pipeline.headers, options.get("extra_headers") or {})
    return EventStream(
        EventSource(pipeline, Request(method, pipeline.base_url + path, sent), rules, last_event_id=last_event_id)
    )
