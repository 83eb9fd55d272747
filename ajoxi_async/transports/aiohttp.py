"""The engine on asyncio.

Rules:
1. One session for REST calls and one for live streams, opened inside the running loop on first use, so that streams
   never take a connection from calls.
2. A request counts as sent from the moment aiohttp starts to write it. aiohttp calls `ClientRequest.send` exactly then,
   which is where the flag is set.
3. aiohttp re-sends GET, PUT and DELETE once by itself on a stale connection; the limiter would never see it, so a second
   `send` within one exchange is refused and left to the retry rules.
4. Redirects are never followed: the Authorization header stays on its origin.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from yarl import URL

from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.transports import TransportSettings

__all__ = ["AiohttpTransport"]

#: No answer of the API is near this; a body without end must not fill the memory.
MAX_BODY = 64 * 1024 * 1024

_sends: ContextVar[list[str]] = ContextVar("ajoxi_async_sends")


class _Request(aiohttp.ClientRequest):
    # No coroutine of its own, but aiohttp's: this is on the path of every request.
    def send(self, conn: Any) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        sends = _sends.get()
        if sends:
            raise aiohttp.ServerDisconnectedError("the connection was stale")
        sends.append(self.method)
        return super().send(conn)


#: What these mean whoever made the session: the connection was never made.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


@lru_cache(maxsize=64)
def _timeout(total: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total)


class AiohttpTransport:
    """`contract.wire.Transport` over aiohttp."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._rest: aiohttp.ClientSession | None = settings.session
        self._streams: aiohttp.ClientSession | None = settings.session
        self._loop: asyncio.AbstractEventLoop | None = None

    def _open(self, limit: int) -> aiohttp.ClientSession:
        settings = self._settings
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=settings.tls if settings.tls is not None else True),
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=settings.trust_env,
            proxy=settings.proxy,
        )

    def _enter_loop(self) -> None:
        # A client that outlives asyncio.run() holds sessions of a closed loop, which can be neither used nor closed.
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._settings.session is None:
                for stale in (self._rest, self._streams):
                    if stale is not None:
                        stale.detach()
                self._rest = self._streams = None
            self._loop = loop

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        self._enter_loop()
        session = self._rest
        if session is None:
            session = self._rest = self._open(self._settings.max_connections)
        sends: list[str] = []
        token = _sends.set(sends)
        try:
            async with session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                timeout=_timeout(request.timeout),
                allow_redirects=False,
            ) as response:
                return Response(response.status, response.headers, await _read(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._translate(error, sends) from error
        finally:
            _sends.reset(token)

    def _translate(self, error: Exception, sends: list[str]) -> ExchangeError:
        # A session of the caller's own does not report its sends: then only what cannot have been sent counts as such.
        sent = bool(sends) if self._settings.session is None else not isinstance(error, _NOT_SENT)
        timeout = isinstance(error, TimeoutError)
        return ExchangeError(
            f"{'timed out' if timeout else type(error).__name__}: {error}".rstrip(": "), sent=sent, timeout=timeout
        )

    def stream(self, request: Request) -> _Stream:
        """See `Transport.stream`."""
        self._enter_loop()
        if self._streams is None:
            self._streams = self._open(0)
        return _Stream(self, self._streams, request)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        if self._settings.session is not None:
            return
        sessions, self._rest, self._streams = (self._rest, self._streams), None, None
        for session in sessions:
            if session is not None:
                await session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    if (
        response.content_length is not None
        and response.content_length <= MAX_BODY
        and not response.headers.get("Content-Encoding")
    ):
        return await response.read()
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise aiohttp.ClientPayloadError(f"the body is over {MAX_BODY} bytes")
    return b"".join(pieces)


class _Stream:
    """`StreamResponse`, open from `__aenter__` to `__aexit__`."""

    def __init__(self, transport: AiohttpTransport, session: aiohttp.ClientSession, request: Request) -> None:
        self._transport = transport
        self._session = session
        self._request = request
        self._sends: list[str] = []
        self._response: aiohttp.ClientResponse | None = None

    @property
    def status(self) -> int:
        return cast("aiohttp.ClientResponse", self._response).status

    @property
    def headers(self) -> Mapping[str, str]:
        return cast("aiohttp.ClientResponse", self._response).headers

    async def __aenter__(self) -> Self:
        request = self._request
        token = _sends.set(self._sends)
        try:
            async with asyncio.timeout(request.timeout):
                self._response = await self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=request.body,
                    timeout=aiohttp.ClientTimeout(total=None, sock_read=request.idle_timeout),
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._transport._translate(error, self._sends) from error
        finally:
            _sends.reset(token)
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        try:
            async for chunk in cast("aiohttp.ClientResponse", self._response).content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._transport._translate(error, self._sends) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # close(), not release(): the rest of a stream is not read to save a connection.
        if self._response is not None:
            self._response.close()
