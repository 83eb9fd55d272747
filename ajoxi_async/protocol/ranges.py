"""Parts of a file over HTTP (RFC 9110, section 14), and whether two answers carry the same version of a file.

Rules:
1. A strong ETag identifies a version, and so does a Last-Modified that is at least a second older than the answer (RFC 9110,
   8.8.2.2). A weak ETag does not: files with the same one may differ in single bytes.
2. A part belongs to a version if it was requested with If-Range, and its length, ETag and date do not contradict that.
3. A whole file belongs to a version only if both have the same strong ETag and the same length.
4. Without Content-Length and without chunks, the body ends with the connection (RFC 9112, 6.3). A complete body then cannot
   be distinguished from one that was cut off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import frozen

__all__ = ["Part", "Version", "content_coding", "content_length", "is_chunked", "part_of", "version_of", "whole_length"]

#: The characters of an entity tag that every header can carry (RFC 9110, 8.8.3).
_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')
_PART = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"bytes\s+\*/(\d{1,18})", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


@frozen(kw_only=True)
class Version:
    """The version of the file that an answer carries.

    Attributes:
        length: of the whole file in bytes, ``None`` if the answer does not state it.
        etag: as sent, strong or weak.
        modified: Last-Modified as sent.
        validator: the value for If-Range; ``None`` if nothing identifies this version.
    """

    length: int | None
    etag: str | None
    modified: str | None
    validator: str | None

    def has_part(self, other: Version) -> bool:
        """Whether a part that was requested with this version's validator belongs to it."""
        pairs: list[tuple[object, object]] = [(self.length, other.length), (self.etag, other.etag)]
        # Several servers of one file may have different dates for it, so the ETag decides if both have one.
        if self.etag is None or other.etag is None:
            pairs.append((self.modified, other.modified))
        return all(mine is None or its is None or mine == its for mine, its in pairs)

    def is_whole(self, other: Version) -> bool:
        """Whether a whole file is certainly this one."""
        tagged = self.etag is not None and self.validator == self.etag == other.etag
        return tagged and self.length is not None and self.length == other.length


@frozen(kw_only=True)
class Part:
    """Content-Range of a 206: the bytes from `start` up to, not including, `end`; and the `length` of the whole, if stated."""

    start: int
    end: int
    length: int | None


def version_of(answer: Mapping[str, str], length: int | None, *, now: float) -> Version:
    """Read the version of the file from the headers of an answer.

    Args:
        answer: the headers.
        length: of the whole file.
        now: when the answer came, in seconds since the epoch; used if it has no Date.
    """
    etag, modified = answer.get("ETag"), answer.get("Last-Modified")
    validator = None
    if etag is not None and _STRONG.fullmatch(etag):
        validator = etag
    elif modified is not None and _is_strong_date(modified, answer.get("Date"), now):
        validator = modified
    return Version(length=length, etag=etag, modified=modified, validator=validator)


def _is_strong_date(modified: str, date: str | None, now: float) -> bool:
    then, answered = _moment(modified), _moment(date) if date is not None else now
    return then is not None and answered is not None and answered - then >= 1.0


def _moment(value: str) -> float | None:
    if not (value.isascii() and value.isprintable()):
        return None
    try:
        moment = parsedate_to_datetime(value)
        return _aware(moment).timestamp()
    except (ValueError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    # An HTTP-date is always in GMT, even if it does not say so.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def content_length(answer: Mapping[str, str]) -> int | None:
    """Content-Length, or ``None`` if there is no valid one; chunks override it (RFC 9112, 6.3)."""
    value = (answer.get("Content-Length") or "").strip()
    return int(value) if _LENGTH.fullmatch(value) and not is_chunked(answer) else None


def is_chunked(answer: Mapping[str, str]) -> bool:
    """Whether the body is sent in chunks, which mark its end."""
    return "chunked" in (answer.get("Transfer-Encoding") or "").lower()


def content_coding(answer: Mapping[str, str]) -> str | None:
    """The coding of the body, such as ``gzip``; ``None`` if there is none."""
    value = (answer.get("Content-Encoding") or "").strip().lower()
    return value if value not in {"", "identity"} else None


def part_of(answer: Mapping[str, str]) -> Part | None:
    """Content-Range of a 206, or ``None`` if it is missing or cannot be right."""
    match = _PART.fullmatch((answer.get("Content-Range") or "").strip())
    if match is None:
        return None
    start, last = int(match[1]), int(match[2])
    length = None if match[3] == "*" else int(match[3])
    if last < start or (length is not None and last >= length):
        return None
    return Part(start=start, end=last + 1, length=length)


def whole_length(answer: Mapping[str, str]) -> int | None:
    """The length of the file that a 416 names, in its Content-Range."""
    match = _WHOLE.fullmatch((answer.get("Content-Range") or "").strip())
    return int(match[1]) if match is not None else None
