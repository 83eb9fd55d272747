"""The engine on asyncio.

Rules:
1. One session for REST calls and one for live streams, opened inside the running loop on first use, so that streams
   never take a connection from calls.
2. A request counts as sent from the moment aiohttp starts to write it. aiohttp calls `ClientRequest.send` exactly then,
   which is where the flag is set.
3. aiohttp re-sends GET, PUT and DELETE once by itself on a stale connection; the limiter would never see it, so a second
   `send` within one exchange is refused and left to the retry rules.
4. Redirects are never followed: the Authorization header stays on its origin.
5. Timeouts of five seconds and more end on the whole second, as aiohttp's own do, and all that end on the same one share
   a timer: a timer a request would cost a tenth of the whole exchange.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from yarl import URL

from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.transports import TransportSettings

__all__ = ["AiohttpTransport"]

#: No answer of the API is near this; a body without end must not fill the memory.
MAX_BODY = 64 * 1024 * 1024


class _Exchange:
    """What is to be known of an exchange while it lasts: whether it was sent, and whether its time ran out."""

    __slots__ = ("cancelling", "expired", "sent", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelling = task.cancelling()
        self.sent = self.expired = False

    def expire(self) -> None:
        self.expired = True
        self.task.cancel()

    def was_not_asked_for(self) -> bool:
        """Whether nobody cancelled the task: aiohttp cancels what waits for a connection when its connector is closed."""
        return not self.expired and self.task.cancelling() <= self.cancelling

    def was_cancelled_by_expiry(self) -> bool:
        """Whether the CancelledError in hand is our own; as `asyncio.timeout` tells it."""
        return self.expired and self.task.uncancel() <= self.cancelling


_current: ContextVar[_Exchange] = ContextVar("ajoxi_async_exchange")


class _Request(aiohttp.ClientRequest):
    # No coroutine of its own, but aiohttp's: this is on the path of every request.
    def send(self, conn: Any) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        exchange = _current.get()
        if exchange.sent:
            raise aiohttp.ServerDisconnectedError("the connection was stale")
        # What came in while a kept connection was idle is nobody's answer, and would be taken for this request's.
        if conn.protocol is not None and conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError("the connection holds what nobody asked for")
        exchange.sent = True
        return super().send(conn)


class _Expiries:
    """The exchanges that end on each whole second of the loop's clock."""

    #: aiohttp's own threshold for rounding.
    COARSE = 5.0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, set[_Exchange]] = {}

    def watch(self, exchange: _Exchange, timeout: float) -> set[_Exchange]:
        """Let an exchange expire; to be taken out of the set when it has ended."""
        second = math.ceil(self._loop.time() + timeout)
        due = self._due.get(second)
        if due is None:
            due = self._due[second] = set()
            self._loop.call_at(second, self._expire, second)
        due.add(exchange)
        return due

    def _expire(self, second: int) -> None:
        for exchange in self._due.pop(second):
            exchange.expire()


#: What these mean whoever made the session: the connection was never made.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class AiohttpTransport:
    """`contract.wire.Transport` over aiohttp."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._rest: aiohttp.ClientSession | None = settings.session
        self._streams: aiohttp.ClientSession | None = settings.session
        if settings.session is not None:
            settings.session._retry_connection = False  # rule 3: DELETE of a number is irreversible
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expiries: _Expiries

    def _open(self, limit: int) -> aiohttp.ClientSession:
        settings = self._settings
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=settings.tls if settings.tls is not None else True),
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=settings.trust_env,
            proxy=settings.proxy,
        )
        # Spares the connection that a refused second attempt would open; where aiohttp drops it, rule 3 holds still.
        session._retry_connection = False
        return session

    def _begin(self) -> _Exchange:
        # Naming the loop spares a system call; there is a task of it unless this is another loop than before.
        task = asyncio.current_task(self._loop) if self._loop is not None else None
        return _Exchange(task if task is not None else self._enter_loop())

    def _enter_loop(self) -> asyncio.Task[Any]:
        # A client that outlives asyncio.run() holds sessions of a closed loop, which can be neither used nor closed.
        if self._settings.session is None:
            for stale in (self._rest, self._streams):
                if stale is not None:
                    stale.detach()
            self._rest = self._streams = None
        self._loop = asyncio.get_running_loop()
        self._expiries = _Expiries(self._loop)
        return cast("asyncio.Task[Any]", asyncio.current_task())

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        exchange = self._begin()
        session = self._rest
        if session is None:
            session = self._rest = self._open(self._settings.max_connections)
        due = None
        timeout = _NO_TIMEOUT
        if request.timeout is not None:
            if request.timeout >= _Expiries.COARSE:
                due = self._expiries.watch(exchange, request.timeout)
            else:
                timeout = aiohttp.ClientTimeout(total=request.timeout)
        token = _current.set(exchange)
        try:
            # Awaited, not entered: entering and leaving is five coroutines. A short body has come with the headers, mostly,
            # and then the connection is back in the pool by itself.
            response = await session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                timeout=timeout,
                allow_redirects=False,
            )
            if response.content.is_eof():
                body = response.content.read_nowait()
            else:
                async with response:
                    body = await _read(response)
            return Response(response.status, response.headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._translate(error, exchange) from error
        except asyncio.CancelledError as error:
            if exchange.was_not_asked_for():
                raise self._translate(aiohttp.ClientConnectionError("the client was closed"), exchange) from error
            if not exchange.was_cancelled_by_expiry():
                request.sent = exchange.sent or self._settings.session is not None
                raise
            raise self._translate(TimeoutError(f"after {request.timeout} s"), exchange) from error
        finally:
            _current.reset(token)
            if due is not None:
                due.discard(exchange)

    def _translate(self, error: Exception, exchange: _Exchange) -> ExchangeError:
        # A session of the caller's own does not report its sends: then only what cannot have been sent counts as such.
        sent = exchange.sent if self._settings.session is None else not isinstance(error, _NOT_SENT)
        timeout = isinstance(error, TimeoutError)
        return ExchangeError(
            f"{'timed out' if timeout else type(error).__name__}: {error}".rstrip(": "), sent=sent, timeout=timeout
        )

    def stream(self, request: Request) -> _Stream:
        """See `Transport.stream`."""
        return _Stream(self, request)

    def begin_stream(self) -> tuple[_Exchange, aiohttp.ClientSession]:
        """An exchange in the running loop, and the session of streams."""
        exchange = self._begin()
        if self._streams is None:
            self._streams = self._open(0)
        return exchange, self._streams

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        if self._settings.session is not None:
            return
        sessions, self._rest, self._streams = (self._rest, self._streams), None, None
        for session in sessions:
            if session is not None:
                await session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise aiohttp.ClientPayloadError(f"the body is over {MAX_BODY} bytes")
    return b"".join(pieces)


class _Stream:
    """`StreamResponse`, open from `__aenter__` to `__aexit__`."""

    def __init__(self, transport: AiohttpTransport, request: Request) -> None:
        self._transport = transport
        self._request = request
        self._exchange: _Exchange
        self._response: aiohttp.ClientResponse | None = None

    @property
    def status(self) -> int:
        return cast("aiohttp.ClientResponse", self._response).status

    @property
    def headers(self) -> Mapping[str, str]:
        return cast("aiohttp.ClientResponse", self._response).headers

    async def __aenter__(self) -> Self:
        request = self._request
        self._exchange, session = self._transport.begin_stream()
        token = _current.set(self._exchange)
        try:
            async with asyncio.timeout(request.timeout):
                self._response = await session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=request.body,
                    timeout=aiohttp.ClientTimeout(total=None, sock_read=request.idle_timeout),
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._transport._translate(error, self._exchange) from error
        finally:
            _current.reset(token)
        return self

    def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        return self

    # No generator: a cancelled read would be the end of it.
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await cast("aiohttp.ClientResponse", self._response).content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._transport._translate(error, self._exchange) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # close(), not release(): the rest of a stream is not read to save a connection.
        if self._response is not None:
            self._response.close()
