"""The decoder against what browsers are held to: the parsing cases of web-platform-tests, in our own form.

The cases about connections, statuses and reconnecting stand in `tests/streaming/test_events_conformance.py`.
"""

from __future__ import annotations

import codecs

import httpx_sse
import pytest
from httpx_sse._decoders import SSEDecoder as PeerDecoder
from httpx_sse._decoders import SSELineDecoder as PeerLines
from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.protocol.errors import StreamProtocolError
from ajoxi_async.protocol.sse import MAX_EVENT, SSEDecoder

Events = list[tuple[str, str, str]]


def say(*data: str, id: str = "") -> Events:
    """Events of type "message" with the same id."""
    return [("message", text, id) for text in data]


LONG = b":" + b"x" * 2048
LAP = [b"data:msg", b"\n", b"data: msg", b"\n\n", b":", b"\n", b"falsefield:msg", b"\n\n", b"falsefield:msg", b"\n",
       b"Data:data", b"\n\n", b"data", b"\n\n", b"data:end", b"\n\n"]  # fmt: skip

#: name, stream, events, reconnection time.
CASES: list[tuple[str, bytes, Events, int | None]] = [
    ("bom", b"\xef\xbb\xbfdata:1\n\n\xef\xbb\xbfdata:2\n\ndata:3\n\n\n", say("1", "3"), None),
    ("bom-2", b"\xef\xbb\xbf\xef\xbb\xbfdata:1\n\ndata:2\n\ndata:3\n\n\n", say("2", "3"), None),
    (
        "comments",
        b"data:1\r:\0\n:\r\ndata:2\n" + LONG + b"\rdata:3\n:data:fail\r" + LONG + b"\ndata:4\n\n\n",
        say("1\n2\n3\n4"),
        None,
    ),
    ("data-before-final-empty-line", b"retry:1000\ndata:test1\n\nid:test\ndata:test2\n", say("test1"), 1000),
    ("field-data", b"data:\n\ndata\ndata\n\ndata:test\n\n\n", say("", "\n", "test"), None),
    ("field-event-empty", b"event: \ndata:data\n\n\n", say("data"), None),
    ("field-event", b"event:test\ndata:x\n\ndata:x\n\n\n", [("test", "x", ""), ("message", "x", "")], None),
    ("field-id", "id: …\nretry: 200\ndata: hello\n\n".encode(), say("hello", id="…"), 200),
    (
        "field-id-persists",
        b"id: 1\ndata: 1\n\ndata: 2\n\nid: 2\ndata:3\n\ndata:4\n\n",
        say("1", "2", id="1") + say("3", "4", id="2"),
        None,
    ),
    ("field-id-resets", b"id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n", say("1", id="1") + say("2", "3"), None),
    ("field-id-no-colon", b"id: 1\ndata: 1\n\nid\ndata:2\n\ndata:3\n\n", say("1", id="1") + say("2", "3"), None),
    *(
        (f"field-id-null-{n}", b"id: " + id + b"\nretry: 200\ndata: hello\n\n", say("hello"), 200)
        for n, id in enumerate((b"\0\0", b"x\0", b"\0x", b"x\0x", b" \0"))
    ),
    (
        "field-parsing",
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
        say("\0\n 2\n1\n3\n\n4"),
        None,
    ),
    ("field-retry-empty", b"retry\ndata:test\n\n\n", say("test"), None),
    (
        "field-unknown",
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n\n",
        say("test\n\ntest"),
        None,
    ),
    ("leading-space", b"data:\ttest\rdata: \ndata:test\n\n\n", say("\ttest\n\ntest"), None),
    ("newlines", b"data:test\r\ndata\ndata:test\r\n\r\n", say("test\n\ntest"), None),
    ("null-character", b"data:\0\n\n\n\n\n", say("\0"), None),
    ("utf-8", "data:ok…\n\n\n".encode(), say("ok…"), None),
    ("event-data", b"".join(LAP), say("msg\nmsg", "", "end"), None),
    ("onmessage", b"data: data\n\n\n", say("data"), None),
]  # fmt: skip

case = pytest.mark.parametrize(("name", "stream", "events", "retry"), CASES, ids=[case[0] for case in CASES])


def decode(*chunks: bytes) -> tuple[Events, int | None]:
    """What the chunks come to, and the reconnection time."""
    decoder = SSEDecoder()
    return [frame[:3] for chunk in chunks for frame in decoder.feed(chunk)], decoder.retry


def test_all_cases_are_here() -> None:
    """The suite has 25 cases that a decoder alone can answer."""
    assert len({name for name, *_ in CASES}) == 25


@case
def test_whole(name: str, stream: bytes, events: Events, retry: int | None) -> None:
    """In one piece the stream gives the events of the suite."""
    assert decode(stream) == (events, retry)


@case
def test_every_split(name: str, stream: bytes, events: Events, retry: int | None) -> None:
    """Split at any byte, or byte by byte, it gives the same events."""
    assert decode(*(stream[n : n + 1] for n in range(len(stream)))) == (events, retry)
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == (events, retry)


@pytest.mark.parametrize(
    ("name", "stream", "events", "retry"), [case for case in CASES if b"\r" not in case[1]], ids=lambda _: ""
)
def test_other_line_ends(name: str, stream: bytes, events: Events, retry: int | None) -> None:
    """With every LF written as CR or as CRLF it gives the same events, wherever it is split."""
    for end in (b"\r", b"\r\n"):
        other = stream.replace(b"\n", end)
        assert decode(other) == (events, retry)
        assert decode(*(other[n : n + 1] for n in range(len(other)))) == (events, retry)
        for cut in range(0, len(other), 7):
            assert decode(other[:cut], other[cut:]) == (events, retry)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_at_the_completing_byte(end: bytes) -> None:
    """Byte by byte, each event comes with the first byte that can end its blank line."""
    stream = b"".join(b"event: e" + end + b"data: " + b"x" * n + end + end for n in range(20))
    decoder, came = SSEDecoder(), []
    for at in range(len(stream)):
        came += [at] * len(decoder.feed(stream[at : at + 1]))
    expected, at = [], 0
    for n in range(20):
        at += len(b"event: e" + end + b"data: ") + n + len(end)
        expected.append(at)
        at += len(end)
    assert came == expected


def test_the_cap_is_four_mebibytes() -> None:
    """An event of the size allowed comes whole; one byte more is a typed error, in one line or in many."""
    fitting = b"x" * (MAX_EVENT - len("data:"))
    assert len(SSEDecoder().feed(b"data:" + fitting + b"\n\n")[0].data) == len(fitting)
    for large in (b"data:" + fitting + b"x", b"data:" + fitting + b"x\n\n", b"data: " + b"x" * 1000 + b"\n"):
        decoder = SSEDecoder()
        with pytest.raises(StreamProtocolError, match="over 4194304 bytes"):
            for _ in range(5000):
                decoder.feed(large)


def test_what_came_before_an_event_too_large() -> None:
    """Events that were complete are dispatched before the error, though they came in the same piece."""
    decoder = SSEDecoder(max_event_bytes=50)
    assert [frame.data for frame in decoder.feed(b"id: 1\ndata: a\n\ndata: " + b"x" * 60)] == ["a"]
    assert decoder.failure is not None
    with pytest.raises(StreamProtocolError) as caught:
        decoder.feed(b"\n\n")
    assert caught.value.last_event_id == "1"


def test_comments_are_not_kept() -> None:
    """A stream of heartbeats without a blank line, however long, is no event and fills no memory."""
    decoder = SSEDecoder(max_event_bytes=100)
    for _ in range(1000):
        assert not decoder.feed(b": heartbeat\nunknown: field\n")
    assert decoder.feed(b"data: a\n\n")


def test_the_id_of_a_resumed_stream() -> None:
    """A stream that sets no id keeps the one it was resumed with."""
    assert SSEDecoder(last_id="7").feed(b"data: a\n\n")[0].id == "7"


LINES = st.sampled_from(["data: a", "data:b", "data: é…", "data: a:b ", "event: e", "event:f", "x: y", ": c", "data"])
IDS = st.sampled_from(["", "id: 1\n", "id:…\n", "retry: 12\n"])


@given(st.lists(st.tuples(IDS, st.lists(LINES, max_size=4)), max_size=12), st.integers(1, 200), st.sampled_from("\n\r"))
def test_against_httpx_sse(blocks: list[tuple[str, list[str]]], size: int, end: str) -> None:
    """Where httpx-sse follows the standard, both give the same events: data in every event, no byte order mark, a final LF."""
    text = "".join(id + "\n".join([*lines, "data: last"]) + "\n\n" for id, lines in blocks)
    stream = (text.replace("\n", "\r\n") if end == "\r" else text).encode()
    pieces = [stream[n : n + size] for n in range(0, len(stream), size)]
    lines, peer, decoder = PeerLines(), PeerDecoder(), SSEDecoder()
    utf8 = codecs.getincrementaldecoder("utf-8")()
    theirs: list[httpx_sse.ServerSentEvent] = []
    ours = []
    for piece in pieces:
        if text := utf8.decode(piece):
            theirs += [event for line in lines.decode(text) if (event := peer.decode(line)) is not None]
        ours += decoder.feed(piece)
    theirs += [event for line in lines.flush() if (event := peer.decode(line)) is not None]
    assert ours == [(event.event, event.data, event.id, event.retry) for event in theirs]


@given(
    st.lists(st.sampled_from([
        b"data: a\n\n", b"event: e\nid: 3\ndata: b\n\n", b"id:\ndata: c\n\n", b"id: 4\nevent: f\ndata: d\n\n", b": c\n\n",
        b"retry: 5\n", b"data: \xff\n\n", b"data: \xe2\x80", b"\xa8\n\n", b"id: \0\ndata: e\n\n", b"data: f\r\n\r\n", b"\r",
        b"\n", b"data: g\ndata: h\n\n", b"\xef\xbb\xbf", b"data:  i\n\n", b"event\ndata: j\n\n", b"id\ndata: k\n\n",
    ]), max_size=30),
    st.lists(st.integers(0, 500), max_size=20),
)  # fmt: skip
def test_the_short_cut_changes_nothing(pieces: list[bytes], cuts: list[int]) -> None:
    """Decoding whole events with the regular expression gives the same as decoding byte by byte without it."""
    stream = b"".join(pieces)
    one, slow = SSEDecoder(), []
    one._kept = 0
    for n in range(len(stream)):
        slow += one.feed(stream[n : n + 1])
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    other = SSEDecoder()
    fast = [f for a, b in zip(bounds, bounds[1:], strict=False) for f in other.feed(stream[a:b])]
    assert fast == slow
    assert (other.retry, other.last_id) == (one.retry, one.last_id)
