"""Parts of a file over HTTP (RFC 9110, section 14), and whether two answers carry the same version of it.

Rules:
1. A strong ETag tells two versions apart, and so does a Last-Modified that is at least a second older than the answer
   (RFC 9110, 8.8.2.2). A weak ETag does not: files that share one may differ in single bytes.
2. A part belongs to a version if it was asked for with If-Range, and neither its length nor its ETag nor its date says
   otherwise.
3. A whole file belongs to a version only if both have the same strong ETag and the same length.
4. Without Content-Length and without chunks the end of the connection is the end of the body (RFC 9112, 6.3), which
   cannot be told from a cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from attrs import frozen

__all__ = ["Part", "Version", "content_coding", "content_length", "is_chunked", "part_of", "version_of", "whole_length"]

#: What an entity tag is made of, without what not every header can carry (RFC 9110, 8.8.3).
_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')
_PART = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"bytes\s+\*/(\d{1,18})", re.ASCII | re.IGNORECASE)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


@frozen(kw_only=True)
class Version:
    """What is known of the file that an answer carries.

    Attributes:
        length: of the whole file in bytes, ``None`` where the answer does not say.
        etag: as sent, strong or weak.
        modified: Last-Modified as sent.
        validator: what If-Range may carry; ``None`` where nothing tells this version from another one.
    """

    length: int | None
    etag: str | None
    modified: str | None
    validator: str | None

    def has_part(self, other: Version) -> bool:
        """Whether a part that was asked for with this version's validator belongs to it."""
        pairs: list[tuple[object, object]] = [(self.length, other.length), (self.etag, other.etag)]
        # Servers that share a file may have dates of their own for it: the ETag decides where both have one.
        if self.etag is None or other.etag is None:
            pairs.append((self.modified, other.modified))
        return all(mine is None or its is None or mine == its for mine, its in pairs)

    def is_whole(self, other: Version) -> bool:
        """Whether a whole file is certainly this one."""
        tagged = self.etag is not None and self.validator == self.etag == other.etag
        return tagged and self.length is not None and self.length == other.length


@frozen(kw_only=True)
class Part:
    """Content-Range of a 206: the bytes from `start` up to, not including, `end`; `length` of the whole if it is said."""

    start: int
    end: int
    length: int | None


def version_of(answer: Mapping[str, str], length: int | None, *, now: float) -> Version:
    """Read what tells the version of an answer's file.

    Args:
        answer: its headers.
        length: of the whole file.
        now: when the answer came, in seconds since the epoch; counts where it has no Date.
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
    # An HTTP-date is in GMT whether or not it says so.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def content_length(answer: Mapping[str, str]) -> int | None:
    """Content-Length, or ``None`` where there is none to go by; chunks override it (RFC 9112, 6.3)."""
    value = (answer.get("Content-Length") or "").strip()
    return int(value) if _LENGTH.fullmatch(value) and not is_chunked(answer) else None


def is_chunked(answer: Mapping[str, str]) -> bool:
    """Whether a body in chunks says itself where it ends."""
    return "chunked" in (answer.get("Transfer-Encoding") or "").lower()


def content_coding(answer: Mapping[str, str]) -> str | None:
    """The coding of a body that is not as it is, ``gzip`` for instance."""
    value = (answer.get("Content-Encoding") or "").strip().lower()
    return value if value not in {"", "identity"} else None


def part_of(answer: Mapping[str, str]) -> Part | None:
    """Content-Range of a 206, or ``None`` where it is missing or cannot be."""
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
