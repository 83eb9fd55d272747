"""The event-stream decoder against the rules of the HTML standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.protocol.errors import StreamProtocolError
from ajoxi_async.protocol.sse import Frame, SSEDecoder


def decode(*chunks: bytes) -> list[tuple[str, str, str]]:
    """Feed the chunks and return type, data and id of the events."""
    decoder = SSEDecoder()
    return [frame[:3] for chunk in chunks for frame in decoder.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b"data: a\n\n", [("message", "a", "")], id="one"),
        pytest.param(b"data:a\r\rdata:b\r\n\r\ndata:c\n\n", [("message", c, "") for c in "abc"], id="line-endings"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")], id="bom"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", "b", "")], id="bom-once"),
        pytest.param(b"data: a\n", [], id="incomplete-is-lost"),
        pytest.param(b"data\n\n", [("message", "", "")], id="empty-data"),
        pytest.param(b"data\ndata\n\n", [("message", "\n", "")], id="two-empty-lines"),
        pytest.param(b"event: x\n\ndata: a\n\n", [("message", "a", "")], id="type-without-data-is-forgotten"),
        pytest.param(b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a", ""), ("message", "b", "")], id="type-once"),
        pytest.param(b"id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")], id="id-stays"),
        pytest.param(
            b"id: 1\ndata: a\n\nid\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "")], id="id-reset"
        ),
        pytest.param(b"id: 1\n\ndata: b\n\n", [("message", "b", "1")], id="id-without-data"),
        pytest.param(b"id: 1\nid: 2\x00\ndata: b\n\n", [("message", "b", "1")], id="id-with-nul"),
        pytest.param(b": comment\n\ndata: a\n\n", [("message", "a", "")], id="comment"),
        pytest.param(b"data:  a\n\n", [("message", " a", "")], id="one-space"),
        pytest.param(b"data:\ta\n\n", [("message", "\ta", "")], id="no-tab"),
        pytest.param(b" data: a\nDATA: a\nfoo: a\n\n", [], id="unknown-fields"),
        pytest.param(
            "data: a\u2028b\u0085c\x0bd\n\n".encode(), [("message", "a\u2028b\u0085c\x0bd", "")], id="no-lines"
        ),
        pytest.param(b"data: \xff\n\n", [("message", "\ufffd", "")], id="bad-utf8"),
        pytest.param(b"data: a:b\n\n", [("message", "a:b", "")], id="colon-in-data"),
    ],
)
def test_streams(stream: bytes, events: list[tuple[str, str, str]]) -> None:
    """Each stream gives its events, whole and byte by byte."""
    assert decode(stream) == events
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == events


@pytest.mark.parametrize(
    ("stream", "retry"),
    [(b"retry: 10\n\n", 10), (b"retry: 1x\n\n", None), (b"retry: -1\n\n", None), (b"retry: \xd9\xa3\n\n", None)],
)
def test_retry(stream: bytes, retry: int | None) -> None:
    """The reconnection time is ASCII digits and nothing else."""
    decoder = SSEDecoder()
    decoder.feed(stream)
    assert decoder.retry == retry


def test_retry_of_an_event() -> None:
    """An event tells the reconnection time set within it, and only that."""
    assert [f.retry for f in SSEDecoder().feed(b"retry: 5\ndata: a\n\ndata: b\n\n")] == [5, None]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_prompt(end: bytes) -> None:
    """An event is dispatched at the byte that completes it, even when an LF may still follow."""
    decoder = SSEDecoder()
    assert not decoder.feed(b"data: a" + end)
    assert decoder.feed(end[:1]) == [Frame("message", "a", "", None)]


PIECES = st.sampled_from(
    [
        b"data: a",
        b"data:",
        b"event: e",
        b"id: 7",
        b"id: \x00",
        b"retry: 12",
        b": c",
        b"x",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xc3",
    ]
)


@given(st.lists(PIECES, max_size=40), st.lists(st.integers(0, 400), max_size=20))
def test_any_chunking_gives_the_same_events(pieces: list[bytes], cuts: list[int]) -> None:
    """Where the network cuts the stream makes no difference."""
    stream = b"".join(pieces)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert decode(*(stream[a:b] for a, b in zip(bounds, bounds[1:], strict=False))) == decode(stream)


@pytest.mark.parametrize("chunks", [1, 200])
def test_a_megabyte_in_one_line(chunks: int) -> None:
    """A long line is taken whole, however it comes."""
    stream = b"data: " + b"x" * 1_000_000 + b"\n\n"
    size = len(stream) // chunks + 1
    assert len(decode(*(stream[i : i + size] for i in range(0, len(stream), size)))[0][1]) == 1_000_000


@pytest.mark.parametrize("line", [b"data: " + b"x" * 60, b"data: xxxxxxxx\n" * 10, b"event: " + b"y" * 60 + b"\n"])
def test_size_limit(line: bytes) -> None:
    """An event over the limit is an error, with or without line breaks in it."""
    decoder = SSEDecoder(max_event_bytes=50)
    with pytest.raises(StreamProtocolError, match="over 50 bytes"):
        decoder.feed(line)


def test_size_limit_is_per_event() -> None:
    """Many small events are not one large one."""
    decoder = SSEDecoder(max_event_bytes=20)
    assert len(decoder.feed(b"data: x\n\n" * 100)) == 100
