"""What a browser is sent, as events of an event stream or as messages of a WebSocket.

| event | data | id |
| --- | --- | --- |
| ``snapshot`` | ``{"call_id"}``: everything said so far follows; forget what you have | |
| ``segment`` | a segment; a higher ``revision`` of a ``sequence`` replaces a lower one | where to resume |
| ``completed`` | ``{"call_id"}``: nothing more comes | tells that nothing is to come |
| ``failed`` | ``{"code", "message"}``: nothing more comes for now | |

Rules:
1. An event stream has them as events, and a comment as the sign of life. A WebSocket has them as ``{"event", "data", "id"}``, and
   ``{"event": "alive"}``, because a page sees neither pings nor pongs.
2. Only what a browser may know is said of a failure: its code, but neither ids nor messages of the API.
3. The status of a response that fails before it has begun: 404 if the call does not exist or its id cannot be right; 503 if trying
   again may help; otherwise 502, since it is not the browser's fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError, error_body
from ajoxi_async.contract.frames import HEARTBEAT, event_frame, retry_frame
from ajoxi_async.hub.timeline import Entry
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    StreamError,
)

__all__ = ["RESPONSE_HEADERS", "Events", "Messages", "refusal"]

#: ``X-Accel-Buffering`` is nginx's. Proxies must neither store nor compress the stream, which would hold it back.
RESPONSE_HEADERS: Final = {
    headers.CONTENT_TYPE: headers.EVENT_STREAM,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
#: Milliseconds after which a browser connects again.
_RECONNECT_MS: Final = 1000

_CODES: Final[tuple[tuple[tuple[type[AjoxiError], ...], int, str, str], ...]] = (
    ((NotFoundError, InvalidParameterError), 404, "not_found", "There is no such call."),
    (
        (StreamError, APIConnectionError, RateLimitError, InternalServerError),
        503,
        "service_unavailable",
        "The live transcript is not available now.",
    ),
)


def _what(error: AjoxiError) -> tuple[int, str, str]:
    for kinds, status, code, message in _CODES:
        if isinstance(error, kinds):
            return status, code, message
    return 502, "internal_error", "The live transcript cannot be read."


def refusal(error: AjoxiError) -> tuple[int, bytes]:
    """The status and the JSON body of a response that fails before it has begun."""
    status, code, message = _what(error)
    return status, codec.encode(error_body(code, message))


def _failure(error: AjoxiError) -> bytes:
    _, code, message = _what(error)
    return codec.encode({"code": code, "message": message})


def _call(call_id: str) -> bytes:
    return codec.encode({"call_id": call_id})


class Events:
    """Events of an event stream, as bytes."""

    preamble: Final = retry_frame(_RECONNECT_MS) + HEARTBEAT
    alive: Final = HEARTBEAT

    @staticmethod
    def snapshot(call_id: str) -> bytes:
        """What begins the state so far."""
        return event_frame("snapshot", _call(call_id))

    @staticmethod
    def segment(entry: Entry, id: Callable[[], str]) -> bytes:
        """A segment. It is encoded once for all consumers."""
        if entry.frame is None:
            entry.frame = event_frame("segment", codec.encode(entry.segment), id())
        return entry.frame

    @staticmethod
    def completed(call_id: str, id: str) -> bytes:
        """What ends a transcript."""
        return event_frame("completed", _call(call_id), id)

    @staticmethod
    def failed(error: AjoxiError) -> bytes:
        """What ends a stream that cannot go on."""
        return event_frame("failed", _failure(error))


class Messages:
    """Messages of a WebSocket, as text."""

    alive: Final = '{"event":"alive"}'

    @staticmethod
    def snapshot(call_id: str) -> str:
        """What begins the state so far."""
        return _message("snapshot", _call(call_id))

    @staticmethod
    def segment(entry: Entry, id: Callable[[], str]) -> str:
        """A segment. It is encoded once for all consumers."""
        if entry.message is None:
            entry.message = _message("segment", codec.encode(entry.segment), id())
        return entry.message

    @staticmethod
    def completed(call_id: str, id: str) -> str:
        """What ends a transcript."""
        return _message("completed", _call(call_id), id)

    @staticmethod
    def failed(error: AjoxiError) -> str:
        """What ends a stream that cannot go on."""
        return _message("failed", _failure(error))


def _message(event: str, data: bytes, id: str | None = None) -> str:
    message = {"event": event, "data": Raw(data)}
    if id is not None:
        message["id"] = id
    return codec.encode(message).decode()
