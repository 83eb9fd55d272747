"""The engine for asyncio loops: HTTP with aiohttp.

Rules:
1. There is one session for REST calls and one for live streams, opened on first use, so that streams never take a
   connection from calls.
2. `exchange` decides what was sent and whether a connection may be used. If a connection turns out to be unusable, nothing
   was sent, so another one is taken at once.
3. Redirects are never followed, so that the Authorization header stays on its origin. Of the environment only proxies
   count, never .netrc.
4. A session of the caller's lends its connector, default headers, proxy, trace configurations and middlewares to sessions
   that this engine makes. Its other settings (raise_for_status, auth, cookies, timeouts) do not count.
5. Timeouts of five seconds and more end on a whole second, as aiohttp's own do, and all that end on the same second share a
   timer. A timer for each request would take a tenth of the time of an exchange.
6. Closing ends every exchange that is under way with an `ExchangeError`; aiohttp alone would leave a reader waiting for ever.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Any, Self, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.transports.exchange import (
    CheckedRequest,
    Exchange,
    HeldResponse,
    UnusableConnectionError,
    answer_or_raise,
    current,
)
from ajoxi_async.transports.settings import (
    MAX_BODY,
    MAX_HEAD,
    TransportSettings,
    default_tls,
    headers_of_session,
    session_is_closed,
)

__all__ = ["AiohttpTransport"]


class _Expiries:
    """The exchanges that time out at each whole second of the loop's clock."""

    #: aiohttp's own threshold for rounding.
    COARSE = 5.0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[int, set[Exchange]] = {}

    def watch(self, exchange: Exchange, timeout: float) -> set[Exchange]:
        """Let an exchange expire at a time. Returns the set from which to remove it when it has ended."""
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


#: Errors after which certainly nothing was sent, for requests that this engine did not make, as in tests with aioresponses.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, ValueError, RuntimeError)


_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class AiohttpTransport:
    """`contract.wire.Transport` over aiohttp, for the loop that is running.

    Args:
        settings: see `TransportSettings`.
        ended: called when it was closed, by its owner or because the loop ends.

    Raises:
        ConfigurationError: the session belongs to another loop.
    """

    def __init__(self, settings: TransportSettings, ended: Callable[[Any], object] = lambda _: None) -> None:
        self._settings = settings
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        if settings.session is not None and getattr(settings.session, "_loop", self._loop) is not self._loop:
            raise ConfigurationError(
                "session: this aiohttp.ClientSession belongs to another event loop; give each loop a client with a session of "
                "its own, or leave session out: without it one client serves any number of loops"
            )
        self._rest: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._keeper: AsyncGenerator[None] | None = None
        self._closed = False
        # Whether settings of the session have to be read for each request, such as its proxy.
        self._asks_options: bool = settings.trust_env or settings.session is not None
        self._under_way: set[Exchange] = set()
        self._expiries = _Expiries(self._loop)
        self._closing: asyncio.Task[None] | None = None

    # Sessions.

    async def _open(self, limit: int, url: str) -> aiohttp.ClientSession:
        if self._closed:
            raise ExchangeError("the client is closed", sent=False)
        if self._keeper is None:
            self._keeper = self._keep()
            await anext(self._keeper)
        settings = self._settings
        own = settings.session
        if own is not None and session_is_closed(own):
            raise ConfigurationError("session: it was closed; nothing was sent")
        if own is None:
            # Where the API is a sandbox on plain http, the trust store need not be loaded.
            tls = settings.tls or (default_tls() if url.startswith("https:") else True)
            session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=limit, ssl=tls),
                proxy=settings.proxy,
                **_RULES,
            )
        else:
            session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=own.connector,
                connector_owner=False,
                headers=headers_of_session(own.headers.items()),
                skip_auto_headers=own.skip_auto_headers,
                trace_configs=own.trace_configs,
                response_class=HeldResponse,
                **_RULES,
            )
            for name in ("_default_proxy", "_default_proxy_auth", "_middlewares"):
                setattr(session, name, getattr(own, name, getattr(session, name)))
        # Without this, aiohttp opens a connection for a second attempt, which `exchange` would then refuse.
        session._retry_connection = False
        return session

    async def _keep(self) -> AsyncGenerator[None]:
        # A loop that is being shut down closes its asynchronous generators. This is the last moment at which an engine that
        # was not closed can close its connections.
        try:
            yield
        finally:
            await self._close_sessions()

    async def _close_sessions(self) -> None:
        self._closed = True
        self._ended(self)
        for exchange in tuple(self._under_way):
            exchange.close()
        # All of them, although the task may be cancelled meanwhile, because the loop ends.
        async with AsyncExitStack() as closing:
            for session in (self._rest, self._streams):
                if session is not None:
                    closing.push_async_callback(session.close)
            self._rest = self._streams = None

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.aclose()

    def close_soon(self) -> None:
        """See `Engine.close_soon`."""
        # Not through `_keep`: the loop may be ending and closing that generator at this moment.
        self._closing = self._loop.create_task(self._close_sessions())

    def abandon(self) -> None:
        """See `Engine.abandon`."""
        self._closed = True
        self._ended(self)
        keeper, self._keeper = self._keeper, None
        sessions, self._rest, self._streams = (self._rest, self._streams), None, None
        self._under_way.clear()
        for session in sessions:
            if session is not None:
                _abandon(session)
        if keeper is not None:
            # The generator has nothing left to close. If the garbage collector found it open, it would ask the loop to close it.
            with suppress(StopIteration, RuntimeError):
                keeper.aclose().send(None)

    # Exchanges.

    def _begin(self) -> Exchange:
        exchange = Exchange(asyncio.current_task(self._loop))  # type: ignore[arg-type]  # an engine is used by tasks only
        if _sends_by_itself():
            exchange.sent = False
        self._under_way.add(exchange)
        return exchange

    def _options(self, url: str) -> Mapping[str, Any]:
        """The options of a request that depend on settings of the session."""
        settings = self._settings
        trusts = settings.trust_env
        if settings.session is not None:
            if session_is_closed(settings.session):
                raise ConfigurationError("session: it was closed; nothing was sent")
            trusts = settings.session.trust_env
        return {"proxy": _proxy_of_environment(url)} if trusts else {}

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        session = self._rest
        if session is None:
            request.sent = False
            session = self._rest = await self._open(self._settings.max_connections, request.url)
        exchange = self._begin()
        due = None
        timeout = _NO_TIMEOUT
        if request.timeout is not None:
            if request.timeout >= _Expiries.COARSE:
                due = self._expiries.watch(exchange, request.timeout)
            else:
                timeout = aiohttp.ClientTimeout(total=request.timeout)
        token = current.set(exchange)
        try:
            options = self._options(request.url) if self._asks_options else {}
            while True:
                try:
                    # `request` would wrap this in an object for `async with`: making, entering and leaving it costs four per
                    # cent of an exchange. A short body mostly comes together with the headers, and then the connection returns
                    # to the pool by itself.
                    response = await session._request(
                        request.method,
                        URL(request.url, encoded=True),
                        headers=request.headers,
                        data=request.body,
                        timeout=timeout,
                        allow_redirects=False,
                        **options,
                    )
                    break
                except (
                    UnusableConnectionError
                ):  # closed by now, so that each turn of this loop costs the pool a connection
                    continue
                except Exception as error:
                    response = answer_or_raise(error, exchange)
                    break
            if exchange.answer is not None:
                exchange.answer.allow_close()
            if response._body is not None:  # read by a middleware or a trace of the session
                body = response._body
            elif response.content.is_eof():
                body = response.content.read_nowait()
            else:
                async with response:
                    body = await _read(response)
            return Response(response.status, response.headers, body)
        except ConfigurationError:
            request.sent = False
            raise
        except Exception as error:
            raise self._translate(error, exchange, request) from _printable(error)
        except asyncio.CancelledError as error:
            reason = exchange.translated()
            if reason is None:
                request.sent = exchange.sent is not False
                raise
            raise self._translate(reason, exchange, request) from error
        finally:
            current.reset(token)
            self._under_way.discard(exchange)
            if exchange.answer is not None:
                exchange.answer.allow_close()
                exchange.answer.close()
            if due is not None:
                due.discard(exchange)

    def _translate(self, error: Exception, exchange: Exchange, request: Request) -> ExchangeError:
        if isinstance(error, ExchangeError):
            return error
        sent = exchange.sent if exchange.sent is not None else not isinstance(error, _NOT_SENT)
        timeout = isinstance(error, TimeoutError)
        why = mask(str(error)) or (f"after {request.timeout} s" if timeout else "")
        return ExchangeError(
            f"{'timed out' if timeout else type(error).__name__}: {why}".rstrip(": "), sent=sent, timeout=timeout
        )

    def stream(self, request: Request) -> _Stream:
        """See `Transport.stream`."""
        return _Stream(self, request)

    async def open_stream(self, request: Request, exchange: Exchange) -> aiohttp.ClientResponse:
        """Send a request and wait for the headers of its response."""
        session = self._streams
        if session is None:
            session = self._streams = await self._open(0, request.url)
        options = self._options(request.url) if self._asks_options else {}
        token = current.set(exchange)
        try:
            async with asyncio.timeout(request.timeout):
                while True:
                    try:
                        return await session.request(
                            request.method,
                            URL(request.url, encoded=True),
                            headers=request.headers,
                            data=request.body,
                            timeout=aiohttp.ClientTimeout(total=None, sock_read=request.idle_timeout),
                            allow_redirects=False,
                            **options,
                        )
                    except UnusableConnectionError:
                        continue
                    except Exception as error:
                        return answer_or_raise(error, exchange)
        except BaseException:
            if exchange.answer is not None:
                exchange.answer.allow_close()
                exchange.answer.close()
            raise
        finally:
            current.reset(token)
            if exchange.answer is not None:
                exchange.answer.allow_close()


#: Options that a session of the caller's cannot change.
_RULES: Any = {
    "request_class": CheckedRequest,
    "trust_env": False,
    "max_line_size": MAX_HEAD,
    "max_field_size": MAX_HEAD,
    "max_headers": MAX_HEAD // 4,
}


def _sends_by_itself() -> bool:
    """Whether aiohttp's own code makes requests, so that `CheckedRequest` sees each. Mocks such as aioresponses replace it."""
    code = getattr(aiohttp.ClientSession._request, "__code__", None)
    return code is not None and code.co_filename == aiohttp.ClientSession.close.__code__.co_filename


def _printable(error: Exception) -> Exception | None:
    """The error as a cause, or ``None`` if a traceback of it would show a secret, such as the password of a proxy."""
    return error if mask(str(error)) == str(error) else None


def _proxy_of_environment(url: str) -> str | None:
    target = URL(url, encoded=True)
    if target.host is None or proxy_bypass(target.host):
        return None
    proxies = getproxies()
    return proxies.get(target.scheme) or proxies.get("all")


#: Transports of the parent process, in a forked child.
_parents: list[Any] = []


def _abandon(session: aiohttp.ClientSession) -> None:
    """Close a session's sockets without its loop, so that neither aiohttp nor asyncio warns of them."""
    connector, owned = session.connector, session.connector_owner
    session.detach()
    if connector is None or not owned:
        return
    at_rest = [protocol for pool in connector._conns.values() for protocol, _ in pool]
    in_use = [protocol for protocol in connector._acquired if hasattr(protocol, "transport")]
    connector._conns.clear()
    connector._acquired.clear()
    connector._closed = True
    for protocol in (*at_rest, *in_use):
        transport: Any = protocol.transport
        protocol.transport = None
        tls = getattr(transport, "_ssl_protocol", None)
        if tls is not None:
            transport._closed = True
            transport = tls._transport
        sock = getattr(transport, "_sock", None)
        if sock is not None:
            transport._sock = None
            sock.close()
        elif transport is not None and not connector._loop.is_closed():
            # uvloop in a forked child: the transport is kept, because collecting it would remove the socket from the selector
            # that the child shares with the parent.
            _parents.append(transport)
            with suppress(OSError):
                os.close(transport.get_extra_info("socket").fileno())


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
        self._exchange: Exchange
        self._response: aiohttp.ClientResponse | None = None

    @property
    def status(self) -> int:
        return cast("aiohttp.ClientResponse", self._response).status

    @property
    def headers(self) -> Mapping[str, str]:
        return cast("aiohttp.ClientResponse", self._response).headers

    async def __aenter__(self) -> Self:
        transport, request = self._transport, self._request
        exchange = self._exchange = transport._begin()
        try:
            self._response = exchange.response = await transport.open_stream(request, exchange)
        except ConfigurationError:
            raise
        except Exception as error:
            raise transport._translate(error, exchange, request) from _printable(error)
        except asyncio.CancelledError as error:
            reason = exchange.translated()
            if reason is None:
                raise
            raise transport._translate(reason, exchange, request) from error
        finally:
            if exchange.response is None:
                transport._under_way.discard(exchange)
        return self

    def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        return self

    # An iterator class and not a generator, which a cancelled read would end.
    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await cast("aiohttp.ClientResponse", self._response).content.readany()
        except Exception as error:
            raise self._transport._translate(error, self._exchange, self._request) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            self._transport._under_way.discard(self._exchange)
            # close() and not release(), which would read the rest of the stream to keep the connection.
            self._response.close()
