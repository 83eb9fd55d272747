"""The sandbox serves audio as storages do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ajoxi_async.contract.recordings import Recording
from ajoxi_async.sandbox.conversation.audio import serve, wav
from ajoxi_async.sandbox.refusal import Refusal

RECORDING = Recording(id="rec_1", duration=2, created_at=datetime(2025, 1, 1, tzinfo=UTC))
BODY = wav(2)
SIZE = len(BODY)


def ask(method: str = "GET", **sent: str):
    return serve(
        RECORDING, method, {name.replace("_", "-"): value for name, value in sent.items()}, {"X-Request-Id": "r"}
    )


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-0", 0, 1), ("bytes=5-", 5, SIZE), ("bytes=-7", SIZE - 7, SIZE), (f"bytes=9-{SIZE * 2}", 9, SIZE),
     (f"bytes=-{SIZE * 2}", 0, SIZE), ("Bytes=3-4", 3, 5)],
)  # fmt: skip
def test_one_range(asked: str, start: int, end: int) -> None:
    """One range of bytes is answered with that part (RFC 9110, 14.1.2)."""
    part = ask(range=asked)
    assert (part.status, part.body) == (206, BODY[start:end])
    assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"])
def test_ranges_that_hold_nothing(asked: str) -> None:
    """A range beyond the end is a 416 that names the length."""
    refused = ask(range=asked)
    assert (refused.status, refused.body, refused.headers["Content-Range"]) == (416, b"", f"bytes */{SIZE}")


@pytest.mark.parametrize("asked", ["bytes=5-4", "bytes=0-1,3-4", "lines=0-5", "bytes=", "bytes=-", "0-5", "bytes=a-b"])
def test_ranges_that_are_ignored(asked: str) -> None:
    """Several ranges, other units and what cannot be read get the whole file."""
    whole = ask(range=asked)
    assert (whole.status, whole.body) == (200, BODY)


def test_if_range() -> None:
    """A range counts only for the version that If-Range names, by its ETag or its date."""
    whole = ask()
    for condition in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        assert ask(range="bytes=5-", if_range=condition).status == 206
    for condition in ('"other"', "W/" + whole.headers["ETag"], "Wed, 01 Jan 2020 00:00:00 GMT"):
        assert ask(range="bytes=5-", if_range=condition).status == 200
    assert whole.headers["Last-Modified"] == "Wed, 01 Jan 2025 00:00:00 GMT"


def test_methods() -> None:
    """HEAD says what GET would, without the body; nothing else is allowed."""
    head = ask("HEAD", range="bytes=5-")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(SIZE))
    assert head.headers == ask().headers
    assert head.headers["Accept-Ranges"] == "bytes"
    for method in ("POST", "DELETE", "BREW"):
        with pytest.raises(Refusal, match="not allowed"):
            ask(method)
