"""A decoder of event streams (HTML standard, 9.2.5 and 9.2.6).

Rules:
1. The stream is UTF-8. One byte order mark at the very start is dropped, and invalid bytes are replaced. Lines end with LF,
   CR or CRLF only: U+2028 and U+0085 are ordinary characters.
2. An event is dispatched at the byte that completes its blank line. A CR is not held back to see whether an LF follows.
3. The fields are ``event``, ``data``, ``id`` and ``retry``. One space after the colon is dropped, a line that begins with a
   colon is a comment, and other fields are ignored. ``id`` with a NUL is ignored, ``retry`` must be ASCII digits.
4. There is no event without data. The id stays until another one comes, and takes effect at the blank line. An incomplete
   event at the end of the stream is dropped.
5. An event above the size limit is an error, since a server without blank lines could fill the memory. Comments and unknown
   fields are not kept and do not count. Events that are complete before it are dispatched first.
6. Events in the usual form, with LF and at most one line of each field, are read by one regular expression. This makes
   decoding faster and does not change the result.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ajoxi_async.protocol.errors import StreamProtocolError

__all__ = ["MAX_EVENT", "Frame", "SSEDecoder"]

#: Most bytes of one event.
MAX_EVENT = 4 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LF = 0x0A
#: A whole event: the groups are type, id and data of a usual one, or, as the fourth, any other text before a blank line.
_EVENTS = re.compile(
    r"(?:event: ?+(.*+)\n)?+(?:id: ?+(.++)\n)?+data: ?+(.*+)\n\n"
    r"|((?:.++\n)*+\n)"
).findall
_new = tuple.__new__


class Frame(NamedTuple):
    """One dispatched event. ``id`` is the last id the stream has set, this event's or an earlier one's."""

    event: str
    data: str
    id: str
    retry: int | None


class SSEDecoder:
    """An incremental decoder: feed it bytes as they come.

    Args:
        max_event_bytes: the most bytes that one event may have.
        last_id: the id until the stream sets another one; a resumed stream keeps its id.

    Attributes:
        retry: the last reconnection time the stream asked for, in milliseconds.
        last_id: the last event id.
        failure: the error that follows the frames returned so far; the next `feed` raises it.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT, *, last_id: str = "") -> None:
        self.retry: int | None = None
        self.last_id: str = last_id
        self.failure: StreamProtocolError | None = None
        self._max = max_event_bytes
        self._at_start = True
        self._skip_lf = False
        # Whether anything of the next event has been read.
        self._begun = False
        # The beginning of an event, while it is short enough to be read again together with the rest.
        self._tail = b""
        self._kept = min(2048, max_event_bytes)
        self._partial: list[bytes] = []
        self._size = 0
        self._event = b""
        self._data: list[bytes] = []
        self._id = last_id
        self._event_retry: int | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """Decode the next bytes into the events they complete.

        Raises:
            StreamProtocolError: an event is over the size limit.
        """
        frames: list[Frame] = []
        if self.failure is None:
            try:
                self._feed(chunk, frames)
            except StreamProtocolError as error:
                self.failure = error
        if self.failure is not None and not frames:
            raise self.failure
        return frames

    def _feed(self, chunk: bytes, frames: list[Frame]) -> None:
        if self._at_start:
            chunk = b"".join((*self._partial, chunk))
            self._partial.clear()
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._partial.append(chunk)
                return
            self._at_start = False
            chunk = chunk.removeprefix(_BOM)
        if chunk and self._skip_lf:
            self._skip_lf = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
        if self._tail:
            chunk, self._tail = self._tail + chunk, b""
        if self._begun and (end := chunk.find(b"\n\n") + 2) > 1:
            self._lines(chunk[:end], frames)
            chunk = chunk[end:]
        if not self._begun and (end := chunk.rfind(b"\n\n") + 2) > 1:
            self._events(chunk[:end], frames)
            chunk = chunk[end:]
        # A reconnection time takes effect at its line, before the event is complete.
        if not self._begun and len(chunk) <= self._kept and b"\r" not in chunk and b"retry" not in chunk:
            self._tail = chunk
        else:
            self._lines(chunk, frames)

    def _events(self, chunk: bytes, frames: list[Frame]) -> None:
        """Decode whole events; `data` begins with the beginning of an event."""
        try:
            text = chunk.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\r" in text or "\0" in text or len(chunk) > self._max:
            self._lines(chunk, frames)
            return
        last = self.last_id
        for event, id, data, other in _EVENTS(text):
            if other:
                self.last_id = self._id = last
                self._lines(other.encode(), frames)
                last = self.last_id
            else:
                last = id or last
                frames.append(_new(Frame, (event or "message", data, last, None)))
        self.last_id = self._id = last

    def _lines(self, chunk: bytes, frames: list[Frame]) -> None:
        if not chunk:
            return
        self._skip_lf = chunk.endswith(b"\r")
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        if lines:
            if self._partial:
                self._partial.append(lines[0])
                lines[0] = b"".join(self._partial)
                self._partial.clear()
            for line in lines:
                if line:
                    self._begun = True
                    self._check(len(line))
                    self._field(line)
                else:
                    self._dispatch(frames)
        if rest:
            self._begun = True
            self._partial.append(rest)
            self._check(sum(map(len, self._partial)) if len(self._partial) < 64 else self._fold())

    def _fold(self) -> int:
        # A line in many tiny pieces: they are joined now and then, so that their number does not grow without bound.
        joined = b"".join(self._partial)
        self._partial[:] = [joined]
        return len(joined)

    def _check(self, size: int) -> None:
        if size > self._max:
            raise StreamProtocolError(f"an event is over {self._max} bytes", last_event_id=self.last_id or None)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._size += len(value) + 1
            self._check(self._size)
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            # A time with more digits than this would be longer than a lifetime.
            self.retry = self._event_retry = int(value[:16])

    def _dispatch(self, frames: list[Frame]) -> None:
        self.last_id = self._id
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
        self._begun = False
