"""Parts of a file over HTTP, as values."""

from __future__ import annotations

from typing import Any

import pytest

from ajoxi_async.protocol.ranges import (
    Part,
    Version,
    content_coding,
    content_length,
    part_of,
    version_of,
    whole_length,
)

LM, LATER = "Wed, 01 Jan 2025 00:00:00 GMT", "Wed, 01 Jan 2025 00:00:01 GMT"
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({}, None),
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": '""'}, '""'),
        ({"ETag": '"a"', "Last-Modified": LM}, '"a"'),
        ({"ETag": 'W/"a"'}, None),
        ({"ETag": 'w/"a"'}, None),
        ({"ETag": "a"}, None),
        ({"ETag": '"a", "b"'}, None),
        ({"ETag": '"\x85"'}, None),
        ({"ETag": 'W/"a"', "Last-Modified": LM}, LM),
        ({"Last-Modified": LM}, LM),
        ({"Last-Modified": LM, "Date": LATER}, LM),
        ({"Last-Modified": LM, "Date": LM}, None),
        ({"Last-Modified": LATER, "Date": LM}, None),
        ({"Last-Modified": LM, "Date": "soon"}, None),
        ({"Last-Modified": "yesterday"}, None),
        ({"Last-Modified": "Wed, 01 Jan 9999 00:00:00 GMT"}, None),
        ({"Last-Modified": LM + "\r\nX: y"}, None),
    ],
    ids=range(18),
)
def test_what_if_range_may_carry(headers: dict[str, str], validator: str | None) -> None:
    """A strong ETag, else a Last-Modified at least a second older than the answer (RFC 9110, 13.1.5 and 8.8.2.2)."""
    assert version_of(headers, 5, now=NOW).validator == validator


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("bytes 0-4/5", Part(start=0, end=5, length=5)),
        ("BYTES  2-3/*", Part(start=2, end=4, length=None)),
        ("bytes 0-5/5", None),
        ("bytes 3-2/5", None),
        ("bytes */5", None),
        ("bytes 0-4", None),
        ("bytes=0-4/5", None),
        ("bytes -1-4/5", None),
        ("bytes ٠-4/5", None),
        ("bytes 0-" + "9" * 5000 + "/*", None),
        ("", None),
        (None, None),
    ],
    ids=range(12),
)
def test_content_range(value: Any, part: Part | None) -> None:
    """Content-Range is read strictly, and one that cannot be right counts as missing."""
    assert part_of({} if value is None else {"Content-Range": value}) == part


def test_lengths_and_codings() -> None:
    """Chunks override Content-Length, a 416 names the whole, and identity is no coding."""
    assert content_length({"Content-Length": " 5 "}) == 5
    assert content_length({"Content-Length": "-5"}) is content_length({"Content-Length": "5, 5"}) is None
    assert content_length({"Content-Length": "5", "Transfer-Encoding": "chunked"}) is None
    assert whole_length({"Content-Range": "bytes */5"}) == 5
    assert whole_length({"Content-Range": "bytes 0-4/5"}) is whole_length({}) is None
    assert content_coding({"Content-Encoding": " Identity "}) is content_coding({}) is None
    assert content_coding({"Content-Encoding": "GZip"}) == "gzip"


def version(etag: str | None = '"a"', modified: str | None = LM, length: int | None = 5) -> Version:
    headers = {"ETag": etag, "Last-Modified": modified}
    return version_of({name: value for name, value in headers.items() if value}, length, now=NOW)


def test_parts_of_a_version() -> None:
    """A part belongs to a version unless its length, its ETag or, where one has no ETag, its date says otherwise."""
    known = version()
    for other in (version(), version(None, None, None), version(None), version(modified=LATER)):
        assert known.has_part(other)
    for other in (version('"b"'), version(length=6), version(None, LATER), version('W/"a"')):
        assert not known.has_part(other)


def test_whole_files_of_a_version() -> None:
    """A whole file is another's for certain only with the same strong ETag and the same length."""
    assert version().is_whole(version(modified=LATER))
    for one, other in (
        (version('W/"a"'), version('W/"a"')),
        (version(None), version(None)),
        (version(), version('"b"')),
        (version(), version(length=6)),
        (version(length=None), version(length=None)),
    ):
        assert not one.is_whole(other)
