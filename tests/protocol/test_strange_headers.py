"""What servers and gateways write into headers, over the wire on both engines: nothing of it breaks reading or printing."""

from __future__ import annotations

import logging
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from ajoxi_async import (
    APIResponseValidationError,
    APIStatusError,
    AsyncAjoxi,
    Hooks,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    StreamInterruptedError,
)
from ajoxi_async.contract.masking import shown
from ajoxi_async.contract.routes import CALLS_LIST
from ajoxi_async.contract.wire import Response
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.protocol import answers
from ajoxi_async.protocol.errors import APIError
from ajoxi_async.protocol.redirects import next_hop
from ajoxi_async.protocol.retry import parse_retry_after
from tests.client.fakes import KEY

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(*heads: bytes, body: bytes = b"{}") -> AsyncIterator[tuple[AsyncAjoxi, list[bytes]]]:
    """A client of a server that answers with these heads, repeating the last one, and the requests it got."""
    asked: list[bytes] = []
    left = list(heads)

    async def serve(stream: SocketStream) -> None:
        async with stream:
            data = b""
            while b"\r\n\r\n" not in data:
                try:
                    data += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
            asked.append(data)
            head = left.pop(0) if len(left) > 1 else left[0]
            sent = b"" if head.startswith(b"204") else b"Content-Length: %d\r\n\r\n" % len(body) + body
            head = head.replace(b"\n", b"\r\n") + b"\r\nConnection: close\r\n"
            await stream.send(b"HTTP/1.1 " + head + (sent or b"\r\n"))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with AsyncAjoxi(KEY, base_url=url, retry=RetryPolicy(max_retries=0), limiter=LocalLimiter()) as client:
            yield client, asked
        tasks.cancel_scope.cancel()


def _is_safe(text: str) -> bool:
    return text.isascii() and text.isprintable()


@pytest.mark.parametrize(
    "id",
    [b"\xff\xfe", b"req_\xe9", "req_é".encode(), b"req_\x80\x9b31m", b"a" * 6000, b"", b"a, b"],
)
async def test_any_request_id_can_be_printed(id: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are not ASCII, or very many, reach errors, hooks and logs escaped and bounded; the error pickles."""
    told: list[Any] = []
    body = b'{"error": {"code": "not_found", "message": "no"}}'
    with caplog.at_level(logging.DEBUG, logger="ajoxi_async"):
        async with answering(b"404 Not Found\nX-Request-Id: " + id, body=body) as (client, _):
            watched = client.with_options(hooks=Hooks(on_response=told.append))
            with pytest.raises(NotFoundError) as caught:
                await watched.calls.retrieve("call_1")
    assert _is_safe(str(caught.value))
    assert len(str(caught.value)) < 500
    assert told[0].request_id == caught.value.request_id
    assert _is_safe(caught.value.request_id or "")
    assert len(caught.value.request_id or "") <= 200
    assert pickle.loads(pickle.dumps(caught.value)).request_id == caught.value.request_id
    assert caplog.text.isascii()


async def test_headers_that_are_given_twice() -> None:
    """Of a header that counts once the first value counts, on both engines."""
    head = (
        b"429 Too Many\nX-Request-Id: req_1\nX-Request-Id: req_2\nRetry-After: 7\nRetry-After: 9\n"
        b"Date: Mon, 23 Nov 2026 10:00:00 GMT\nDate: Mon, 23 Nov 2026 11:00:00 GMT"
    )
    async with answering(head) as (client, _):
        with pytest.raises(RateLimitError) as caught:
            await client.calls.retrieve("call_1")
    assert (caught.value.request_id, caught.value.retry_after) == ("req_1", 7.0)


@pytest.mark.parametrize(
    "kind",
    [
        b"Content-Type: text/event-stream",
        b"content-type: Text/Event-Stream ; charset=utf-8",
        b'Content-Type: text/event-stream;charset="utf-8"; x=y',
        b"Content-Type: text/event-stream\nContent-Type: text/event-stream",
        b"Content-Type: text/event-stream\nContent-Type: text/event-stream;charset=UTF-8",
        b"Content-Type: text/html\nContent-Type: text/event-stream",
        b"Content-Type: text/event-stream, ",
        b"Content-Type: text/event-stream, */*",
    ],
)
async def test_event_streams_are_known_by_their_type(kind: bytes) -> None:
    """Case, parameters and a type given twice do not hide an event stream, on either engine."""
    async with answering(b"200 OK\n" + kind, body=b"data: a\n\n") as (client, _):
        async with client.events("GET", "/x", reconnect=False) as events:
            assert [event.data async for event in events] == ["a"]


@pytest.mark.parametrize(
    "kind",
    [b"X: y", b"Content-Type: ", b"Content-Type: text/event-stream\nContent-Type: text/html", b"Content-Type: \xff"],
)
async def test_other_types_are_no_event_stream(kind: bytes) -> None:
    """Where a type is given twice the last one counts, as for browsers; none is none."""
    async with answering(b"200 OK\n" + kind, body=b"data: a\n\n") as (client, _):
        with pytest.raises(APIResponseValidationError, match="expected an event stream"):
            async with client.events("GET", "/x", reconnect=False):
                pass


@pytest.mark.parametrize(
    "kind", [b"X: y", b"Content-Type: text/plain\nContent-Type: a/b", b"Content-Type: application/json; charset=latin1"]
)
async def test_json_is_read_whatever_its_type(kind: bytes) -> None:
    """The API answers in JSON; a type that a gateway lost or changed does not matter."""
    async with answering(b"200 OK\n" + kind, body='{"id": "call_1", "to": "é"}'.encode()) as (client, _):
        assert (await client.calls.retrieve("call_1")).to == "é"


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (b"/a b", b"/a%20b"),
        (b"/\xc3\xa9?q=\xc3\xa9", b"/%C3%A9?q=%C3%A9"),
        (b" /padded ", b"/padded"),
        (b"/done%20already", b"/done%20already"),
        (b"?only=query", b"/x?only=query"),
        (b"/first\nLocation: /second", b"/first"),
    ],
)
async def test_a_location_is_followed_as_browsers_do(location: bytes, path: bytes) -> None:
    """What a URL cannot hold is percent-encoded; of two the first one counts."""
    async with answering(b"302 Found\nLocation: " + location, b"204 No Content") as (client, asked):
        async with client.events("GET", "/x"):
            pass
    assert asked[1].startswith(b"GET " + path + b" HTTP/1.1")


@pytest.mark.parametrize("location", [b"\xff\xfe", b"/\xff", b"http://[", b"http://\xff/", b"//", b"javascript:1", b""])
async def test_a_location_that_cannot_be_followed(location: bytes) -> None:
    """Whatever stands there, the caller gets an APIError that can be printed, and no foreign one."""
    async with answering(b"302 Found\nLocation: " + location, b"404 Not Found") as (client, _):
        with pytest.raises((APIError, StreamInterruptedError)) as caught:
            async with client.events("GET", "/x", max_outage=0.01):
                pass
    assert _is_safe(str(caught.value))


@pytest.mark.parametrize("location", ["/\udcff", "/" + "x" * 20_000, "\ud83d", "/a\x00b", "/\x7f"])
def test_a_next_hop_is_ascii_or_an_error(location: str) -> None:
    """No engine is given a URL that it cannot write."""
    try:
        assert _is_safe(next_hop("https://api.ajoxi.com/v1", location, "events"))
    except APIResponseValidationError as error:
        assert _is_safe(str(error))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120, 120", 120.0),
        ("120,", 120.0),
        ("5.", 5.0),
        ("9" * 5000, float("inf")),
        ("1" * 400 + ".5", float("inf")),
        ("+5", None),
        ("5 s", None),
        ("０", None),
        ("\udcff", None),
        ("", None),
        (".", None),
        ("nan", None),
        ("inf", None),
        ("Monday, 23-Nov-26 10:00:05 GMT", 5.0),
        ("Mon Nov 23 10:00:05 2026", 5.0),
        ("Mon, 23 Nov 2026 10:00:60 GMT", 59.0),
        ("Fri, 31 Dec 9999 23:59:59 -0100", None),
    ],
)
def test_any_retry_after(value: str, seconds: float | None) -> None:
    """Seconds in any length, the first of several, and each form of an HTTP-date; what cannot be read is absent."""
    assert parse_retry_after(value, "Mon, 23 Nov 2026 10:00:00 GMT") == seconds


# What an error prints.

HOSTILE = "line\nbreak \x1b]0;title\x07 \x9b31m \u2028 \u202egnp.exe \ud83d " + "x" * 100_000


@pytest.mark.parametrize(
    "made",
    [
        lambda: APIStatusError(HOSTILE),
        lambda: APIStatusError("no", code=HOSTILE, param=HOSTILE, request_id=HOSTILE, route=HOSTILE),
        lambda: answers.error_from(
            Response(502, {"X-Request-Id": HOSTILE}, HOSTILE.encode("utf-8", "replace")), None, "r", 1
        ),
        lambda: answers.unexpected_answer(Response(200, {}, HOSTILE.encode("utf-8", "replace")), HOSTILE, "r"),
    ],
)
def test_no_error_writes_to_a_terminal_what_a_server_wrote(made: Callable[[], APIError]) -> None:
    """An error's text is one line, bounded, without control characters, and every stream that takes UTF-8 takes it."""
    error = made()
    for text in (str(error), repr(error), error.message, getattr(error, "excerpt", ""), error.request_id or ""):
        if text is error.request_id and text is HOSTILE:
            continue  # given by hand; what comes from an answer is escaped
        text.encode()
        assert not any(ord(letter) < 32 or 126 < ord(letter) < 160 for letter in text)
        assert not {"\u2028", "\u202e"} & set(text)
        assert len(text) < 6000


def test_ordinary_text_is_shown_as_it_is() -> None:
    """Letters of every script, emoji of several code points and spaces are text."""
    for text in ("Grüße, «ça va»", "日本語　です", "👩‍👩‍👧 ok", "a\N{NO-BREAK SPACE}b", "\\n"):
        assert shown(text, 100) == text
    assert shown(shown("a\nb\x1b" * 50, 60), 60) == shown("a\nb\x1b" * 50, 60)


def test_a_retirement_notice_is_one_line() -> None:
    """Values of Deprecation and Sunset are escaped and bounded as well."""
    notice = answers.retirement_notice(CALLS_LIST, {"Deprecation": HOSTILE, "Sunset": HOSTILE})
    assert notice is not None
    assert "\n" not in notice
    assert "\x1b" not in notice
    assert len(notice) < 300


@pytest.mark.parametrize("location", ["http://api.ajoxi.com/x", "ftp://api.ajoxi.com/x", "http://", "", None])
def test_a_redirect_never_leads_off_https(location: str | None) -> None:
    """From https to http, to another scheme or to no host no redirect is followed."""
    with pytest.raises(APIResponseValidationError, match="cannot be followed"):
        next_hop("https://api.ajoxi.com/v1", location, "events")
    assert next_hop("http://127.0.0.1/v1", "https://api.ajoxi.com/x", "events") == "https://api.ajoxi.com/x"
