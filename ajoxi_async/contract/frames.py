"""Frames of an event stream as they are written (HTML standard, 9.2 Server-sent events).

The decoder is `ajoxi_async.protocol.sse`. It shares no code with this file, so that tests can check one with the other.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HEARTBEAT", "event_frame", "retry_frame"]

#: A comment line, which keeps the connection alive and is not an event.
HEARTBEAT: Final = b": heartbeat\n\n"


def event_frame(kind: str, data: bytes, event_id: str | None = None) -> bytes:
    """Write one event. `data` is a JSON document on one line, so it holds no line break."""
    head = f"event: {kind}\n" + (f"id: {event_id}\n" if event_id is not None else "")
    return head.encode() + b"data: " + data + b"\n\n"


def retry_frame(milliseconds: int) -> bytes:
    """Write the time, in milliseconds, that the reader shall wait before it reconnects."""
    return f"retry: {milliseconds}\n\n".encode()
