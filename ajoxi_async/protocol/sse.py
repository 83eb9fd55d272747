"""The reading side of an event stream, byte by byte (HTML standard, 9.2.5 and 9.2.6).

Rules:
1. UTF-8, one byte order mark at the very start is dropped, bad bytes are replaced. Lines end with LF, CR or CRLF and
   nothing else: U+2028 and U+0085 are ordinary characters.
2. An event is dispatched at the byte that completes its blank line, and not one later: a CR is not held back to see
   whether an LF follows.
3. Fields ``event``, ``data``, ``id``, ``retry``; one space after the colon is dropped; a comment begins with a colon;
   other fields are ignored. ``id`` with a NUL is ignored, ``retry`` must be ASCII digits.
4. No event without data. The id persists until another one comes. What is incomplete at the end of the stream is lost.
5. An event above the size limit is an error, or a server without blank lines could fill the memory.
"""

from __future__ import annotations

from typing import NamedTuple

from ajoxi_async.protocol.errors import StreamProtocolError

__all__ = ["Frame", "SSEDecoder"]

_BOM = b"\xef\xbb\xbf"
_LF = 0x0A


class Frame(NamedTuple):
    """One dispatched event. ``id`` is the last id the stream has set, this event's or an earlier one's."""

    event: str
    data: str
    id: str
    retry: int | None


class SSEDecoder:
    """An incremental decoder: feed it bytes as they come.

    Args:
        max_event_bytes: the most bytes one event may hold.

    Attributes:
        retry: the last reconnection time the stream asked for, in milliseconds.
        last_id: the last event id.
    """

    def __init__(self, max_event_bytes: int = 4 * 1024 * 1024) -> None:
        self.retry: int | None = None
        self.last_id = ""
        self._max = max_event_bytes
        self._at_start = True
        self._skip_lf = False
        self._partial: list[bytes] = []
        self._size = 0
        self._event = b""
        self._data: list[bytes] = []
        self._id = b""
        self._event_retry: int | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """Decode the next bytes into the events they complete.

        Raises:
            StreamProtocolError: an event is over the size limit.
        """
        if self._at_start:
            chunk = b"".join((*self._partial, chunk))
            self._partial.clear()
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._partial.append(chunk)
                return []
            self._at_start = False
            chunk = chunk.removeprefix(_BOM)
        if not chunk:
            return []
        if self._skip_lf:
            self._skip_lf = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
                if not chunk:
                    return []
        self._skip_lf = chunk.endswith(b"\r")
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        frames: list[Frame] = []
        if lines:
            if self._partial:
                self._partial.append(lines[0])
                lines[0] = b"".join(self._partial)
                self._partial.clear()
            for line in lines:
                if line:
                    self._size += len(line)
                    self._check_size()
                    self._field(line)
                else:
                    self._dispatch(frames)
        if rest:
            self._partial.append(rest)
            self._check_size(sum(map(len, self._partial)) if len(self._partial) < 64 else self._fold())
        return frames

    def _fold(self) -> int:
        # Many tiny pieces of one line: join them now and then, so that neither their number nor the summing grows.
        joined = b"".join(self._partial)
        self._partial[:] = [joined]
        return len(joined)

    def _check_size(self, pending: int = 0) -> None:
        if self._size + pending > self._max:
            raise StreamProtocolError(f"an event is over {self._max} bytes", last_event_id=self.last_id or None)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value
        elif name == b"retry" and value.isdigit():
            # More digits than a lifetime of milliseconds are no time to wait.
            self.retry = self._event_retry = int(value[:16])

    def _dispatch(self, frames: list[Frame]) -> None:
        self.last_id = self._id.decode("utf-8", "replace")
        if self._data:
            frames.append(
                Frame(
                    self._event.decode("utf-8", "replace") or "message",
                    b"\n".join(self._data).decode("utf-8", "replace"),
                    self.last_id,
                    self._event_retry,
                )
            )
            self._data.clear()
        self._event = b""
        self._event_retry = None
        self._size = 0
