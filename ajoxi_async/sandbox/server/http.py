"""The sandbox's HTTP server: translates between aiohttp.web and `App`, `Control` or the console."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from aiohttp import ClientError, web

from ajoxi_async.contract import headers
from ajoxi_async.contract.codec import encode
from ajoxi_async.contract.errors import error_body
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError, StreamedResponse
from ajoxi_async.sandbox.server.app import MAX_BODY, App
from ajoxi_async.sandbox.server.control.request import PREFIX
from ajoxi_async.sandbox.server.control.surface import Control

__all__ = ["Server"]

#: Bytes of a body that are written at once.
_AT_ONCE = 512 * 1024

#: aiohttp logs a traceback for bytes that are not HTTP. It goes to this logger, which is silent by default.
_parser_log = logging.getLogger("ajoxi_async.sandbox.http")
_parser_log.addHandler(logging.NullHandler())
_parser_log.propagate = False
_parser_log.setLevel(logging.ERROR)

#: ``struct linger``: on, for no time. Its fields are shorter on Windows.
_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class _Connection(web.RequestHandler):
    """Answers requests that aiohttp refuses itself, such as bytes that are not HTTP, with the documented error body.

    A stream on this connection is ended as soon as its reader goes away: it would notice this no sooner than it has something to
    write, which can take long.
    """

    __slots__ = ("gone", "streaming")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The task that writes a stream, and whether its reader has gone away.
        self.streaming: asyncio.Task[Any] | None = None
        self.gone = False

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.streaming is not None:
            self.gone = True
            self.streaming.cancel()

    def handle_error(self, *args: Any, **kwargs: Any) -> web.StreamResponse:
        super().handle_error(*args, **kwargs)
        return _unreadable("the request cannot be read")


class _Listener(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=_parser_log, logger=_parser_log)


class Surface(Protocol):
    """Answers requests under a path of its own."""

    @property
    def prefix(self) -> str:
        """The beginning of these paths."""
        ...

    @property
    def shared_headers(self) -> Mapping[str, str]:
        """Headers of the API's answers, which share the origin of this surface."""
        ...

    async def handle(self, request: Request, peer: str | None) -> Response | StreamedResponse:
        """Answer a request that came from `peer`."""
        ...


class Server:
    """One listening socket.

    Args:
        app: answers the API's requests.
        control: answers those to the control surface.
        write_timeout: seconds after which a reader of a stream that reads nothing is disconnected.
        console: answers the requests under its prefix, if there is one.
    """

    def __init__(self, app: App, control: Control, write_timeout: float, console: Surface | None = None) -> None:
        self._app = app
        self._control = control
        self._console = console
        self._write_timeout = write_timeout
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port."""
        self._runner = web.ServerRunner(_Listener(self._handle), shutdown_timeout=0.5)
        await self._runner.setup()
        starting = asyncio.ensure_future(web.TCPSite(self._runner, host, port).start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # `loop.create_server` loses its socket where it is cancelled: let it end, then `stop` closes the socket.
            await asyncio.wait([starting])
            starting.exception()
            raise
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        body: bytes | None = None
        if incoming.can_read_body:
            body = await _read(incoming)
            if body is None:
                refused = _unreadable(f"a body that cannot be read, or is over {MAX_BODY} bytes, is not taken")
                unread = Request(incoming.method, incoming.rel_url.raw_path_qs, incoming.headers)
                if not unread.url.startswith(PREFIX):
                    self._app.log_unread(unread, refused.status, refused.headers[headers.REQUEST_ID])
                return refused
        request = Request(incoming.method, incoming.rel_url.raw_path_qs, incoming.headers, body)
        try:
            answer, shown = await self._answer(request, incoming)
        except ConnectionBrokenError as error:
            return _hung_up(incoming, error)
        if isinstance(answer, Response) and len(answer.body) > _AT_ONCE:
            shown = {**shown, "Content-Length": str(len(answer.body))}
            answer = _in_pieces(answer)
        if isinstance(answer, Response):
            return web.Response(status=answer.status, headers=shown, body=answer.body or None)
        return await self._stream(incoming, answer, shown)

    async def _answer(
        self, request: Request, incoming: web.BaseRequest
    ) -> tuple[Response | StreamedResponse, Mapping[str, str]]:
        """The answer to a request, and the headers to send with it."""
        console = self._console
        if not request.url.startswith(PREFIX):
            answer = await self._app.handle(request)
            return answer, answer.headers if console is None else {**answer.headers, **console.shared_headers}
        surface = console if console is not None and request.url.startswith(console.prefix) else self._control
        answer = await surface.handle(request, incoming.remote)
        return answer, answer.headers

    async def _stream(
        self, incoming: web.BaseRequest, answer: StreamedResponse, shown: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=shown)
        connection = incoming.protocol
        assert isinstance(connection, _Connection)
        try:
            await response.prepare(incoming)
            connection.streaming = asyncio.current_task()
            if incoming.transport is None:
                return response
            async for chunk in answer.chunks:
                # Close the connection of a reader that reads nothing for this long, because its events would stay in memory.
                async with asyncio.timeout(self._write_timeout):
                    await response.write(chunk)
            await response.write_eof()
        except ConnectionBrokenError as error:
            _hung_up(incoming, error)
        except TimeoutError:
            _hung_up(incoming, ConnectionBrokenError(reset=True))
        except ConnectionResetError:
            # The reader went away, as a page does that is closed.
            pass
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not connection.gone or task is None or task.uncancel() > 0:
                raise
        finally:
            connection.streaming = None
            await answer.chunks.aclose()  # type: ignore[attr-defined]
        return response


def _in_pieces(answer: Response) -> StreamedResponse:
    """A long answer that is written in pieces, as fast as the client reads, because a socket copies all that it is given at once."""

    async def pieces() -> AsyncIterator[bytes]:
        for first in range(0, len(answer.body), _AT_ONCE):
            yield answer.body[first : first + _AT_ONCE]

    return StreamedResponse(answer.headers, pieces(), answer.status)


def _hung_up(incoming: web.BaseRequest, error: ConnectionBrokenError) -> web.Response:
    """End the connection. The returned response satisfies aiohttp and is not sent."""
    transport = incoming.transport
    if transport is None:
        return web.Response()
    connection = transport.get_extra_info("socket")
    if error.reset and connection is not None:
        # Closed with nothing lingering: the peer sees a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
    else:
        transport.close()
    return web.Response()


async def _read(incoming: web.BaseRequest) -> bytes | None:
    """The body, or `None` where it is over the limit or not encoded as it says."""
    body = bytearray()
    try:
        async for chunk in incoming.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY:
                return None
    except (ClientError, web.RequestPayloadError, ValueError, zlib.error):
        return None
    return bytes(body)


def _unreadable(why: str) -> web.Response:
    refused = web.Response(status=400, body=encode(error_body("invalid_parameter", why)))
    refused.content_type = headers.JSON
    refused.headers[headers.REQUEST_ID] = f"req_{random.getrandbits(64):016x}"
    # The rest of the body is not read, so the connection cannot be used for another request.
    refused.force_close()
    return refused
