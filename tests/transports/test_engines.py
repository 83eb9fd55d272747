"""Both engines against a real socket: what they send, what they bring back, and how they fail."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import AsyncIterator

import anyio
import pytest

from ajoxi_async.contract.wire import ExchangeError, Request, Transport
from ajoxi_async.transports import EngineTransport, TransportSettings

from .sockets import OK, answering, read_request, server

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine() -> AsyncIterator[Transport]:
    """The engine of the running event loop, closed afterwards."""
    transport = EngineTransport(TransportSettings())
    yield transport
    await transport.aclose()


async def test_exchange(engine: Transport) -> None:
    """Method, path, headers and body arrive as given; status, headers and body come back."""
    async with server(answering(OK)) as (url, got):
        response = await engine.send(Request("POST", f"{url}/v1/a%2Fb?x=%20", {"X-A": "1"}, b'{"k":1}', 5))
    assert (response.status, response.body, response.headers.get("x-request-id")) == (200, b"{}", "req_1")
    head = got[0].decode()
    assert head.startswith("POST /v1/a%2Fb?x=%20 HTTP/1.1\r\n")
    assert "x-a: 1" in head.lower()
    assert head.endswith('{"k":1}')


async def test_refused_connection_was_not_sent(engine: Transport) -> None:
    """If no server listens, nothing was sent."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(ExchangeError) as caught:
            await engine.send(Request("POST", url, body=b"{}", timeout=5))
    assert caught.value.sent is False


async def test_unresolvable_host_was_not_sent(engine: Transport) -> None:
    """Where a name does not resolve nothing was sent."""
    with pytest.raises(ExchangeError) as caught:
        await engine.send(Request("POST", "http://nowhere.invalid/", body=b"{}", timeout=5))
    assert caught.value.sent is False


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_dropped_after_receipt_was_sent_once(engine: Transport, method: str) -> None:
    """A connection dropped after the request says "sent", and the engine sends nothing again by itself."""
    async with server(answering(b"")) as (url, got):
        with pytest.raises(ExchangeError) as caught:
            await engine.send(Request(method, url, body=b"{}" if method == "POST" else None, timeout=5))
    assert caught.value.sent is True
    assert caught.value.timeout is False
    assert len(got) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_stale_connection_is_not_resent_silently(engine: Transport, method: str) -> None:
    """If a kept connection breaks during the second request, this is reported, and no third request is sent."""
    async with server(answering(OK, b"")) as (url, got):
        await engine.send(Request("GET", url, timeout=5))
        with pytest.raises(ExchangeError) as caught:
            await engine.send(Request(method, url, timeout=5))
    assert caught.value.sent is True
    assert len(got) == 2


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
     b"HTTP/1.1 200 OK\r\nContent-Le", b"SSH-2.0-OpenSSH\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"],
    ids=["short-body", "short-chunk", "half-head", "no-http", "bad-gzip"],
)  # fmt: skip
async def test_half_an_answer_was_sent(engine: Transport, reply: bytes) -> None:
    """Half an answer, or none that can be read, says "sent"."""
    async with server(answering(reply)) as (url, got):
        with pytest.raises(ExchangeError) as caught:
            await engine.send(Request("POST", url, body=b"{}", timeout=5))
    assert caught.value.sent is True
    assert len(got) == 1


async def test_timeout_after_sending(engine: Transport) -> None:
    """A server that never answers is a timeout of a request that was sent."""
    release = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        release.wait(5)

    async with server(serve) as (url, _):
        with pytest.raises(ExchangeError) as caught:
            await engine.send(Request("POST", url, body=b"{}", timeout=0.1))
        release.set()
    assert (caught.value.sent, caught.value.timeout) == (True, True)


async def test_redirects_stay(engine: Transport) -> None:
    """A redirect is an answer like any other."""
    async with server(answering(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as (
        url,
        got,
    ):
        response = await engine.send(Request("POST", url, {"Authorization": "Bearer x"}, b"{}", 5))
    assert response.status == 307
    assert len(got) == 1


async def test_cookies_are_not_kept(engine: Transport) -> None:
    """One answer's cookie does not travel with the next request."""
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"
    async with server(answering(cookie, OK)) as (url, got):
        await engine.send(Request("GET", url, timeout=5))
        await engine.send(Request("GET", url, timeout=5))
    assert b"cookie" not in got[1].lower()


async def test_stream(engine: Transport) -> None:
    """A stream gives bytes as they come, and its clean end is the end of the iteration."""
    gate = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\none")
        gate.wait(5)
        connection.sendall(b"two")

    async with server(serve) as (url, _):
        async with engine.stream(Request("GET", url, timeout=5)) as stream:
            assert (stream.status, stream.headers.get("content-type")) == (200, "text/event-stream")
            chunks = aiter(stream.chunks())
            assert await anext(chunks) == b"one"
            gate.set()
            assert [chunk async for chunk in chunks] == [b"two"]


async def test_stream_that_is_reset(engine: Transport) -> None:
    """A stream cut within a chunk is an ExchangeError, not an end."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n5\r\ntw"
    async with server(answering(head)) as (url, _):
        with pytest.raises(ExchangeError):
            async with engine.stream(Request("GET", url, timeout=5)) as stream:
                async for _ in stream.chunks():
                    pass


async def test_silent_stream(engine: Transport) -> None:
    """A stream without a byte for its idle timeout is a timeout."""
    release = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none")
        release.wait(5)

    async with server(serve) as (url, _):
        with pytest.raises(ExchangeError) as caught:
            async with engine.stream(Request("GET", url, timeout=5, idle_timeout=0.1)) as stream:
                async for _ in stream.chunks():
                    pass
        release.set()
    assert caught.value.timeout is True


async def test_leaving_a_stream_closes_its_socket(engine: Transport) -> None:
    """The server sees the connection go when the block is left in the middle."""
    gone = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        if connection.recv(1) == b"":
            gone.set()

    async with server(serve) as (url, _):
        async with engine.stream(Request("GET", url, timeout=5)) as stream:
            async for _ in stream.chunks():
                break
        assert await anyio.to_thread.run_sync(gone.wait, 3)


async def test_cancelled_exchange_frees_its_connection() -> None:
    """A cancelled call gives its place in the pool back."""
    transport = EngineTransport(TransportSettings(max_connections=1))

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        if number > 1:
            connection.sendall(OK)
        else:
            connection.recv(1)

    async with server(serve) as (url, _):
        with anyio.move_on_after(0.1) as scope:
            await transport.send(Request("GET", url, timeout=5))
        assert scope.cancelled_caught
        assert (await transport.send(Request("GET", url, timeout=5))).status == 200
        await transport.aclose()


@pytest.mark.parametrize("head", [b"X-Long: " + b"x" * 40_000 + b"\r\n", b"X-Many: y\r\n" * 3_000], ids=["one", "many"])
async def test_forty_kilobytes_of_headers(engine: Transport, head: bytes) -> None:
    """An answer with 40 KB of headers is taken, whether it is one header or thousands."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + head + b"\r\n{}"
    async with server(answering(reply)) as (url, _):
        response = await engine.send(Request("GET", url, timeout=5))
    assert response.body == b"{}"


async def test_headers_without_end(engine: Transport) -> None:
    """A megabyte of headers is an ExchangeError and not a megabyte in memory."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n{}"
    async with server(answering(reply)) as (url, _):
        with pytest.raises(ExchangeError) as caught:
            await engine.send(Request("GET", url, timeout=5))
    assert caught.value.sent is True
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_event_stream(engine: Transport, coding: str) -> None:
    """A stream that is compressed though it was not asked for is decoded as it comes, event by event."""
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    gate = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: %s\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head % coding.encode())
        connection.sendall(packer.compress(b"data: one\n\n") + packer.flush(zlib.Z_SYNC_FLUSH))
        gate.wait(5)
        connection.sendall(packer.compress(b"data: two\n\n") + packer.flush())

    async with server(serve) as (url, _):
        async with engine.stream(Request("GET", url, {"Accept-Encoding": "identity"}, timeout=5)) as stream:
            seen = b""
            async for chunk in stream.chunks():
                seen += chunk
                if seen == b"data: one\n\n":
                    gate.set()
    assert seen == b"data: one\n\ndata: two\n\n"


async def test_content_types_given_twice(engine: Transport) -> None:
    """Two Content-Type headers are no error, for a send and for a stream."""
    reply = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\n{}"
    )
    async with server(answering(reply)) as (url, _):
        response = await engine.send(Request("GET", url, timeout=5))
        assert response.body == b"{}"
        async with engine.stream(Request("GET", url, timeout=5)) as stream:
            assert b"".join([chunk async for chunk in stream.chunks()]) == b"{}"


@pytest.mark.parametrize("value", [b"\xff\xfe", b"caf\xc3\xa9", b"\xed\xa0\xbd", b"a\tb", b""], ids=repr)
async def test_odd_bytes_in_headers(engine: Transport, value: bytes) -> None:
    """Whatever bytes a header holds, the answer is read and the header can be printed."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: " + value + b"\r\n\r\n{}"
    async with server(answering(reply)) as (url, _):
        response = await engine.send(Request("GET", url, timeout=5))
    assert isinstance(response.headers.get("x-request-id", ""), str)


async def test_white_space_around_the_value_of_a_header_is_no_unknown_outcome(engine: Transport) -> None:
    """White space around a value is not part of it, and no engine stumbles over it when it has begun to send."""
    async with server(answering(OK)) as (url, got):
        response = await engine.send(Request("POST", url, {"X-Own": " a b\t"}, b"{}", 5))
    assert response.status == 200
    (line,) = (line for line in got[0].splitlines() if line.lower().startswith(b"x-own:"))
    assert line[len("X-Own:") :].strip() == b"a b"
