"""The audio of a recording: a WAV file of near silence that lasts as long as the call, served as by a storage.

Rules (RFC 9110):
1. GET and HEAD are allowed. Every answer has a strong ETag and Last-Modified of the file, and says that ranges are accepted.
2. A request for one range of bytes gets a 206, or a 416 if the range is outside of the file. Several ranges, other units and
   a Range that cannot be read are ignored, and the answer is the whole file.
3. If there is an If-Range, the range counts only if it names the version of the file.
"""

from __future__ import annotations

import hashlib
import io
import re
import wave
from collections.abc import Mapping
from email.utils import format_datetime

from ajoxi_async.contract import headers
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.wire import Response
from ajoxi_async.sandbox.refusal import Refusal

__all__ = ["serve", "wav", "wav_size"]

_RATE = 8000
_HEADER = 44
#: Most seconds of audio, so that responses are small however long the call was.
_LONGEST = 60
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII | re.IGNORECASE)


def wav_size(seconds: int) -> int:
    """The size of the file in bytes."""
    return _HEADER + min(seconds, _LONGEST) * _RATE


def wav(seconds: int) -> bytes:
    """The file: 8 kHz, mono, 8 bit."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(_RATE)
        file.writeframes(b"\x80\x81" * (min(seconds, _LONGEST) * _RATE // 2))
    return buffer.getvalue()


def serve(recording: Recording, method: str, sent: Mapping[str, str], answer: dict[str, str]) -> Response:
    """Answer a request for the audio of a recording.

    Args:
        recording: the recording.
        method: HTTP method.
        sent: the request's headers, by lower-case name.
        answer: headers to add to every answer.

    Raises:
        Refusal: the method is not allowed.
    """
    if method not in {"GET", "HEAD"}:
        answer["Allow"] = "GET, HEAD"
        raise Refusal("method_not_allowed", f"{method[:20]} is not allowed here")
    body = wav(recording.duration or 0)
    size = len(body)
    named = {**answer, "Accept-Ranges": "bytes", "ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}-{recording.id}"'}
    if recording.created_at is not None:
        named["Last-Modified"] = format_datetime(recording.created_at, usegmt=True)
    asked = _range(sent, named, size) if method == "GET" else None
    status = 200
    if asked is not None:
        start, end = asked
        if start >= end:
            return Response(416, {**named, "Content-Range": f"bytes */{size}"}, b"")
        status, body = 206, body[start:end]
        named["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    named |= {headers.CONTENT_TYPE: "audio/wav", "Content-Length": str(len(body))}
    return Response(status, named, b"" if method == "HEAD" else body)


def _range(sent: Mapping[str, str], named: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """The requested bytes: from the first number up to, not including, the second."""
    match = _RANGE.fullmatch(sent.get("range", "").strip())
    condition = sent.get("if-range")
    if match is None or (condition is not None and condition not in {named["ETag"], named.get("Last-Modified")}):
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return max(0, size - int(suffix)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size
