"""Kept connections after a pause of the loop: a frozen function, blocking code, a suspended machine."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import ssl
import threading
import time
from typing import Any

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import trustme

from ajoxi_async import APIConnectionError, AsyncAjoxi, Hooks, RequestEvent, RetryPolicy

from .sockets import read_request, server

pytestmark = pytest.mark.anyio


def answer(name: str, status: str = "200 OK") -> bytes:
    """An answer that holds one call."""
    body = json.dumps({"id": name, "status": "ringing"}).encode()
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(body),
        body,
    )


def client_of(url: str, **settings: Any) -> AsyncAjoxi:
    """A client that does not try again, so that every answer counts."""
    return AsyncAjoxi("AJX_TEST_x", base_url=url, retry=RetryPolicy(max_retries=0), **settings)


UNASKED = [
    pytest.param(answer("call_1"), id="the same answer again"),
    pytest.param(
        b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", id="HAProxy's 408"
    ),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a head"),
    pytest.param(b"\r\n", id="an empty line"),
    pytest.param(b"", id="the end"),
]


@pytest.mark.parametrize("unasked", UNASKED)
@pytest.mark.parametrize("method", ["retrieve", "create"])
@pytest.mark.parametrize("closes", [False, True], ids=["kept open", "closed"])
async def test_what_came_while_the_loop_was_blocked_answers_no_request(
    unasked: bytes, method: str, closes: bool
) -> None:
    """Bytes that a server sent unasked while the loop was blocked are not taken for the next answer; one request is sent."""
    answered, written = threading.Event(), threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        if number > 1:
            read_request(connection)
            connection.sendall(answer("call_2"))
            return
        read_request(connection)
        connection.sendall(answer("call_1"))
        answered.wait(5)
        if unasked:
            connection.sendall(unasked)
        if closes or not unasked:
            connection.shutdown(socket.SHUT_WR)
        written.set()
        connection.recv(1)  # the client gives it up

    async with server(serve) as (url, got), client_of(url) as client:
        assert (await client.calls.retrieve("call_1")).id == "call_1"
        answered.set()
        assert written.wait(5)  # the loop stands still
        time.sleep(0.01)
        if method == "retrieve":
            second = await client.calls.retrieve("call_2")
        else:
            second = await client.calls.create(to="+14155551234", from_="+14155550100")
        assert second.id == "call_2"
    assert len(got) == 2


@pytest.mark.parametrize("unasked", UNASKED[:-1])
@pytest.mark.parametrize("library", [None, httpx, httpx2], ids=["own", "httpx", "httpx2"])
async def test_what_came_in_one_piece_with_an_answer_answers_no_request(unasked: bytes, library: Any) -> None:
    """What follows an answer in the same piece of the network's is not taken for the next answer, on any engine."""

    def serve(connection: socket.socket, number: int) -> None:
        count = 0
        while read_request(connection):
            count += 1
            connection.sendall(answer("call_2") if number > 1 or count > 1 else answer("call_1") + unasked)

    async with server(serve) as (url, got):
        session = None if library is None else library.AsyncClient()
        async with client_of(url, session=session) as client:
            try:
                assert (await client.calls.retrieve("call_1")).id == "call_1"
            except APIConnectionError:  # aiohttp takes what is no HTTP behind an answer for an error of the answer
                assert library is None
            try:
                second = await client.calls.create(to="+14155551234", from_="+14155550100")
            finally:
                if session is not None:
                    await session.aclose()
    assert second.id == "call_2"
    assert len(got) == 2


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_request_is_written_before_anything_else_runs() -> None:
    """Whatever blocks the loop right after a request began, the request is on its way: no look at the connection is stale."""
    read: list[bytes] = []

    def serve(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer("call_1"))
        connection.settimeout(0.3)
        read.append(read_request(connection))
        connection.sendall(answer("call_2"))

    armed = False

    def block(event: RequestEvent) -> None:
        if armed:
            asyncio.get_running_loop().call_soon(time.sleep, 0.5)

    async with server(serve) as (url, _), client_of(url, hooks=Hooks(on_request=block)) as client:
        await client.calls.retrieve("call_1")
        armed = True
        assert (await client.calls.create(to="+14155551234", from_="+14155550100")).id == "call_2"
    assert b'"to":"+14155551234"' in read[0].replace(b" ", b"")


async def test_all_kept_connections_are_looked_at() -> None:
    """Where every kept connection was closed meanwhile, a new one is made and nothing fails."""
    gone = threading.Semaphore(0)
    together = threading.Barrier(4)

    def serve(connection: socket.socket, number: int) -> None:
        own = connection.dup()

        def run() -> None:
            read_request(own)
            if number <= 4:
                together.wait(5)
            own.sendall(answer("call_1"))
            own.close()
            gone.release()

        threading.Thread(target=run).start()

    async with server(serve) as (url, got), client_of(url) as client:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(client.calls.retrieve, "call_1")
        for _ in range(4):
            gone.acquire(timeout=5)
        time.sleep(0.02)
        await client.calls.create(to="+14155551234", from_="+14155550100")
    assert len(got) == 5


async def test_a_sound_connection_is_kept() -> None:
    """Requests one after another use one connection, however long the loop is blocked between them."""
    numbers = set()

    def serve(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            numbers.add(number)
            connection.sendall(answer("call_1"))

    async with server(serve) as (url, _):
        async with client_of(url) as client:
            for _ in range(3):
                await client.calls.retrieve("call_1")
                time.sleep(0.02)
    assert numbers == {1}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_new_connection_that_is_closed_before_the_request_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers 503 before it is asked, and closes, has received no POST: nothing is unknown."""
    spoken = threading.Semaphore(0)

    def serve(connection: socket.socket, number: int) -> None:
        connection.sendall(b"HTTP/1.1 503 Full\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        spoken.release()

    connect = aiohttp.TCPConnector._create_connection

    async def slow(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = await connect(self, *args, **kwargs)
        spoken.acquire(timeout=5)  # the loop stands still between connecting and writing
        time.sleep(0.01)
        return made

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", slow)
    async with server(serve) as (url, got), client_of(url) as client:
        with pytest.raises(APIConnectionError, match="spoke first"):
            await client.calls.create(to="+14155551234", from_="+14155550100")
    assert not got


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority for the certificates of this test's servers."""
    return trustme.CA()


async def test_a_kept_tls_connection_that_was_closed_is_not_written_to(authority: trustme.CA) -> None:
    """Over TLS as well, the end of a kept connection while the loop was blocked costs no POST its outcome."""
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(secure)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    closed = threading.Semaphore(0)

    def serve(connection: socket.socket, number: int) -> None:
        with secure.wrap_socket(connection, server_side=True) as tls:
            read_request(tls)
            tls.sendall(answer(f"call_{number}"))
        closed.release()

    async with server(serve) as (url, got), client_of(url.replace("http:", "https:"), tls=trusting) as client:
        assert (await client.calls.retrieve("call_1")).id == "call_1"
        assert closed.acquire(timeout=5)
        time.sleep(0.02)
        placed = await client.calls.create(to="+14155551234", from_="+14155550100")
        assert placed.id == "call_2"
    assert len(got) == 2


@pytest.mark.skipif(
    not hasattr(select, "POLLRDHUP"), reason="this system does not tell the end of what is still readable"
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_new_tls_connection_that_is_closed_before_the_request_is_written(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that closes a TLS connection after its tickets has received no POST: nothing is unknown."""
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(secure)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    closed = threading.Semaphore(0)

    def serve(connection: socket.socket, number: int) -> None:
        # Without a closing message, as by a process that ends; the tickets of the handshake are there to be read.
        secure.wrap_socket(connection, server_side=True).close()
        closed.release()

    connect = aiohttp.TCPConnector._create_connection

    async def slow(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = await connect(self, *args, **kwargs)
        closed.acquire(timeout=5)  # the loop stands still between connecting and writing
        time.sleep(0.01)
        return made

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", slow)
    async with server(serve) as (url, got), client_of(url.replace("http:", "https:"), tls=trusting) as client:
        with pytest.raises(APIConnectionError, match="closed the connection"):
            await client.calls.create(to="+14155551234", from_="+14155550100")
    assert not got
