"""A server that fails on purpose, on asyncio and trio, and notes what reached it.

    async with FaultServer(reset_after_commit, then=ok) as server:
        ...                         # a client on server.url
    assert len(server.received) == 2

Rules:
1. The n-th exchange gets the n-th fault of the script; when the script is used up, every further one gets `then`.
2. A fault is an async function over an `Exchange`: it reads, commits, sends, stalls, resets or closes as it likes. After
   one that leaves the connection open, the next request on it is waited for.
3. `received` holds the requests that were read, whole or in part: what a double dial is counted by. `committed` holds
   those that were carried out.
4. An exchange begins with its first byte, so that a connection that is only opened takes no fault from the script;
   `on_accept` is for what goes wrong before.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from attrs import define, field

__all__ = ["Exchange", "Fault", "FaultServer", "Received", "answer", "deaf_url", "refusing_url", "success"]


@define
class Received:
    """A request as it arrived; `whole` once head and body are there."""

    at: float
    connection: int
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""
    whole: bool = False

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class Exchange:
    """One request on a connection, and whatever is done to it."""

    def __init__(self, server: FaultServer, stream: SocketStream, connection: int, kept: bytearray) -> None:
        self._server = server
        self._stream = stream
        self._buffer = kept
        self._connection = connection
        self.request: Received | None = None
        self.open = True

    async def first_byte(self) -> bool:
        """Wait until some bytes of a request are there; False when the peer has closed the connection."""
        return bool(self._buffer) or await self._more()

    async def _more(self) -> bool:
        try:
            self._buffer += await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.open = False
            return False
        return True

    async def read_head(self) -> Received:
        """Read to the end of the headers."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                raise ConnectionError("the client went away within the head")
            self.note()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        request = self.note()
        request.method, request.path, _ = first.split(" ", 2)
        request.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._buffer[:] = rest
        return request

    async def read(self) -> Received:
        """Read the whole request, with a Content-Length or without a body."""
        await self.read_head()
        return await self.read_body()

    async def read_body(self) -> Received:
        """Read what follows the head."""
        request = self.note()
        length = int(request.headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not await self._more():
                raise ConnectionError("the client went away within the body")
        request.body, self._buffer[:] = bytes(self._buffer[:length]), self._buffer[length:]
        request.whole = True
        return request

    def note(self) -> Received:
        """Count the request as received, however much of it was read."""
        if self.request is None:
            self.request = Received(anyio.current_time(), self._connection)
            self._server.received.append(self.request)
        return self.request

    def commit(self) -> None:
        """Carry the request out: place the call, take the number."""
        assert self.request is not None
        self._server.committed.append(self.request)

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def stall(self) -> None:
        """Do nothing more until the client gives up."""
        while await self._more():
            self._buffer.clear()

    async def ignore(self) -> None:
        """Not even read."""
        await anyio.sleep_forever()

    async def close(self) -> None:
        """End the connection in good order."""
        self.open = False
        await self._stream.aclose()

    async def reset(self) -> None:
        """Tear the connection down: the client sees a reset, not an end."""
        raw = self._stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close()


Fault = Callable[[Exchange], Awaitable[None]]

_PHRASE = {200: "OK", 201: "Created", 204: "No Content", 404: "Not Found", 429: "Too Many Requests", 502: "Bad Gateway"}


def answer(status: int, body: Any = b"", headers: Mapping[str, Any] = {}, *, length: int | str | None = None) -> bytes:
    """The bytes of an answer: a body as JSON, or as the bytes given; `length` lies about it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    lines = {"Content-Type": kind, "X-Request-Id": "req_0123456789abcdef", **headers}
    if status != 204:
        lines["Content-Length"] = len(raw) if length is None else length
    head = [
        f"HTTP/1.1 {status} {_PHRASE.get(status, 'Whatever')}",
        *(f"{name}: {value}" for name, value in lines.items()),
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + raw


def success(request: Received, headers: Mapping[str, Any] = {}) -> bytes:
    """What the API would say: the parameters given, and the id of the path where it has one."""
    if request.method == "DELETE":
        return answer(204, headers=headers)
    parts = request.path.partition("?")[0].split("/")
    body = {**(request.json() or {}), "id": parts[3] if len(parts) > 3 else "made_00000001"}
    return answer(201 if len(parts) == 3 else 200, body, headers)


async def ok(exchange: Exchange) -> None:
    """Nothing wrong with this one."""
    request = await exchange.read()
    exchange.commit()
    await exchange.send(success(request))


class FaultServer:
    """Listens on loopback while it is entered; `url` is where."""

    def __init__(self, *script: Fault, then: Fault = ok, on_accept: Fault | None = None, scheme: str = "http") -> None:
        self._script = list(script)
        self._then = then
        self._on_accept = on_accept
        self._scheme = scheme
        self._tasks: TaskGroup
        self.received: list[Received] = []
        self.committed: list[Received] = []
        self.connections = 0
        self.open_connections = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._listener = listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1024)
        port = listener.extra(SocketAttribute.local_port)
        self.url = f"{self._scheme}://127.0.0.1:{port}"
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(listener.serve, self._serve, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
        with anyio.CancelScope(shield=True):
            await self._listener.aclose()

    async def _serve(self, stream: SocketStream) -> None:
        self.connections += 1
        self.open_connections += 1
        number, buffer = self.connections, bytearray()
        try:
            # A client that goes away in the middle is no error here.
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
                exchange = Exchange(self, stream, number, buffer)
                if self._on_accept is not None:
                    await self._on_accept(exchange)
                while exchange.open and await exchange.first_byte():
                    await (self._script.pop(0) if self._script else self._then)(exchange)
                    if exchange.open:
                        exchange = Exchange(self, stream, number, buffer)
        finally:
            self.open_connections -= 1
            with anyio.CancelScope(shield=True):
                await stream.aclose()


@asynccontextmanager
async def refusing_url() -> AsyncIterator[str]:
    """A port on which no server listens, reserved for this test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@asynccontextmanager
async def deaf_url() -> AsyncIterator[str]:
    """A port whose backlog is full: connecting to it hangs."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
