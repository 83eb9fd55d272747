"""A server that does with each connection what a test says, in a thread, so that a blocked loop does not block it."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

__all__ = ["OK", "Serve", "answering", "read_request", "received", "server", "serving"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: req_1\r\n\r\n{}"

Serve = Callable[[socket.socket, int], None]

received: list[bytes] = []


def _listen(serve: Serve) -> tuple[socket.socket, threading.Thread]:
    listener = socket.create_server(("127.0.0.1", 0))
    received.clear()

    def loop() -> None:
        number = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            number += 1
            try:
                serve(connection, number)
            except OSError:
                pass
            finally:
                connection.close()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return listener, thread


def _url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run `serve(connection, number)` for each connection in turn; yield the base URL and the requests read."""
    listener, thread = _listen(serve)
    try:
        yield _url_of(listener), received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        # In a thread, for the loop still has connections to close.
        await anyio.to_thread.run_sync(thread.join, 5)


@contextmanager
def serving(serve: Serve) -> Iterator[tuple[str, list[bytes]]]:
    """As `server`, for tests that start loops of their own; connections are served side by side."""

    def beside(connection: socket.socket, number: int) -> None:
        own = connection.dup()
        own.settimeout(5)

        def run() -> None:
            try:
                serve(own, number)
            except OSError:
                pass
            finally:
                own.close()

        threading.Thread(target=run, daemon=True).start()

    listener, thread = _listen(beside)
    try:
        yield _url_of(listener), received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def read_request(connection: socket.socket) -> bytes:
    """Read one request, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            while len(body) < int(value):
                body += connection.recv(65536)
    received.append(head + b"\r\n\r\n" + body)
    return received[-1]


def answering(*replies: bytes) -> Serve:
    """Read a request and send a reply, for each reply; then close."""

    def serve(connection: socket.socket, number: int) -> None:
        for reply in replies:
            if not read_request(connection):
                return
            connection.sendall(reply)

    return serve
