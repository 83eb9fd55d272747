"""The engine for trio, and for a caller's ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` on trio and asyncio.

Rules:
1. There is one client for REST calls and one for live streams, as on asyncio.
2. httpcore reports ``send_request_headers.started`` just before the first byte, from where on a request counts as sent. A
   second report within one exchange, from a transport or authentication that repeats requests, is refused. With a transport
   that reports nothing, a request counts as sent once the transport has it.
3. httpx has no timeout for a whole exchange, so a cancel scope around it is used.
4. Redirects are never followed, and cookies are never kept.
5. A client of the caller's lends its transports, default headers and event hooks to a copy of it that this engine makes. Its
   other settings (redirects, auth, cookies, query parameters, timeouts) do not count. An exception of a response hook is
   logged, because the answer has come.
6. A connection that brought more bytes than its answer is not used again, because they would be taken for the next answer.
7. What httpx logs about a request has no query of a URL; see `transports.httpx_log`.
8. Closing ends all exchanges that are under way, including those that wait for a connection, which httpcore would send later.
9. An exchange is cancelled by its scope only (`runtime.whole`). httpcore shields what must be whole from anyio's cancellations and
   not from ``task.cancel()``, which would leave connections in its pool that nobody can use.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self, cast

import anyio

from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.runtime.loops import running_loop
from ajoxi_async.runtime.whole import whole
from ajoxi_async.transports.httpx_log import mask_log_of, masked_log
from ajoxi_async.transports.settings import (
    MAX_BODY,
    TransportSettings,
    default_tls,
    headers_of_session,
    session_is_closed,
    session_kind,
)

__all__ = ["HttpxTransport"]

logger: logging.Logger = logging.getLogger("ajoxi_async")

_SECOND_ATTEMPT = "a second attempt within one exchange is refused"
#: What httpcore reports before it connects or sends. It does both for requests that waited for a connection while it was closed.
_BEGINNINGS = ("connect_tcp.started", "connect_unix_socket.started", "send_request_headers.started")


def _check_open(session: Any) -> None:
    """Refuse to use a session of the caller's after its owner has closed it.

    Raises:
        ConfigurationError: it was closed.
    """
    if session is not None and session_is_closed(session):
        raise ConfigurationError("session: it was closed; nothing was sent")


class _Trace:
    """The state of an exchange, and the scope that ends it.

    Attributes:
        session: of the caller's, if there is one.
        reports: whether the transport reports when it sends.
        handed: whether the transport has the request.
        opening: a connection whose TLS handshake has not ended.
        response: of a stream, once its headers have come.
    """

    def __init__(self, *, session: Any, reports: bool) -> None:
        self.session: Any = session
        self.reports: bool = reports
        self.handed: bool = False
        self.closed: bool = False
        self.opening: Any = None
        self.response: Any = None
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self._sent = False

    @property
    def sent(self) -> bool:
        """Whether any byte may have been sent."""
        return self._sent or (self.handed and not self.reports)

    def close(self) -> None:
        self.closed = True
        self.scope.cancel()

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.reports = True
        if not self._sent and event.endswith(_BEGINNINGS):
            _check_open(self.session)
        if event.endswith("connect_tcp.complete"):
            self.opening = info["return_value"]
        elif event.endswith("start_tls.complete"):
            self.opening = None
        # The CONNECT of a proxy's tunnel is reported too; it contains nothing of the request.
        elif event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            if self._sent:
                raise RuntimeError(_SECOND_ATTEMPT)
            self._sent, self.opening = True, None

    async def settle(self) -> None:
        """Close the connection of a cancelled TLS handshake, which httpcore closes after errors only."""
        opening, self.opening = self.opening, None
        if opening is not None:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await opening.aclose()


def _why(error: BaseException) -> str:
    """The message of an error; for a failed TLS handshake that of its cause."""
    seen: BaseException | None = error
    while seen is not None:
        if str(seen):
            return str(seen)
        seen = seen.__cause__ or seen.__context__
    return ""


def _translate(error: Exception, sent: bool) -> ExchangeError:
    if isinstance(error, ExchangeError):
        return error
    timeout = isinstance(error, TimeoutError) or any(
        kind.__name__ == "TimeoutException" for kind in type(error).__mro__
    )
    why = mask(_why(error))
    return ExchangeError(
        f"{'timed out' if timeout else type(error).__name__}: {why}".rstrip(": "), sent=sent, timeout=timeout
    )


def _printable(error: Exception) -> Exception | None:
    """The error as a cause, or ``None`` if a traceback of it would show a secret, such as the password of a proxy."""
    return error if mask(str(error)) == str(error) else None


async def _note_handing(request: Any) -> None:
    trace = request.extensions["trace"]
    if trace.handed:
        raise RuntimeError(_SECOND_ATTEMPT)
    trace.handed = True


def _harmless(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def call(response: Any) -> None:
        try:
            await hook(response)
        except Exception as error:
            logger.warning("a response hook of the session failed: %s", mask(f"{type(error).__name__}: {error}"))

    return call


async def _close(response: Any) -> None:
    """Close a response. Its answer has come, whatever a transport of the session raises now."""
    try:
        await response.aclose()
    except Exception as error:
        logger.warning("a response could not be closed: %s", mask(f"{type(error).__name__}: {error}"))


def _no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class HttpxTransport:
    """`contract.wire.Transport` over httpx, for the loop that is running.

    Args:
        settings: see `TransportSettings`.
        ended: called when it was closed, by its owner or because the loop ends.
    """

    def __init__(self, settings: TransportSettings, ended: Callable[[Any], object] = lambda _: None) -> None:
        self._settings = settings
        self._ended = ended
        self._loop = running_loop()
        # The library of the session. httpx2 has the same interface as httpx, with classes of its own.
        library = session_kind(settings.session) or "httpx"
        self._library: Any = importlib.import_module(library)
        mask_log_of(library)
        self._reports = settings.session is None or self._all_report(settings.session)
        self._rest: Any = None
        self._streams: Any = None
        self._keeper: AsyncGenerator[None] | None = None
        self._closed = False
        self._under_way: set[_Trace] = set()
        self._open_streams: set[_Stream] = set()

    def _all_report(self, session: Any) -> bool:
        # Only httpx's own transport is known to report; mocks, applications and other libraries' transports may not.
        transports = [getattr(session, "_transport", None), *getattr(session, "_mounts", {}).values()]
        own = self._library.AsyncHTTPTransport
        return all(type(transport) is own for transport in transports if transport is not None)

    async def _open(self, limit: int | None) -> Any:
        if self._closed:
            raise ExchangeError("the client is closed", sent=False)
        if self._keeper is None:
            self._keeper = self._keep()
            await anext(self._keeper)
        settings = self._settings
        if settings.session is not None:
            return self._copy(settings.session)
        return self._library.AsyncClient(
            verify=settings.tls or default_tls(),
            proxy=settings.proxy,
            trust_env=settings.trust_env,
            limits=self._library.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=15),
            timeout=None,
            follow_redirects=False,
            cookies=_no_cookies(),
        )

    def _copy(self, session: Any) -> Any:
        _check_open(session)
        client = copy.copy(session)
        # As bytes, because httpx gives those that are not ASCII as text that it does not take back.
        given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in session.headers.raw]
        client.headers = [(name.encode(), value.encode("latin-1")) for name, value in headers_of_session(given)]
        client.event_hooks = {
            "request": [*session.event_hooks["request"], _note_handing],
            "response": [_harmless(hook) for hook in session.event_hooks["response"]],
        }
        client.auth = None
        client.params = {}
        client.base_url = ""
        client.cookies = _no_cookies()
        client.follow_redirects = False
        return client

    async def _keep(self) -> AsyncGenerator[None]:
        # A loop that is being shut down closes its asynchronous generators. This is the last moment at which an engine that
        # was not closed can close its connections.
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self._close_clients()

    async def _close_clients(self) -> None:
        self._closed = True
        self._ended(self)
        for trace in tuple(self._under_way):
            trace.close()
        for stream in tuple(self._open_streams):
            await stream.close()
        clients, self._rest, self._streams = (self._rest, self._streams), None, None
        if self._settings.session is None:
            for client in clients:
                if client is not None:
                    await client.aclose()

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._closed = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.aclose()

    def close_soon(self) -> None:
        """See `Engine.close_soon`."""
        if isinstance(self._loop, asyncio.AbstractEventLoop):
            self._closing = self._loop.create_task(self._close_clients())
        else:
            import trio

            # A run that is ending starts no new task. It closes its generators, `_keep` among them.
            with suppress(RuntimeError):
                trio.lowlevel.spawn_system_task(self._close_clients)

    def abandon(self) -> None:
        """See `Engine.abandon`."""
        self._closed = True
        self._ended(self)
        keeper, self._keeper = self._keeper, None
        clients, self._rest, self._streams = (self._rest, self._streams), None, None
        self._under_way.clear()
        self._open_streams.clear()
        if self._settings.session is None:
            for client in clients:
                _abandon(client)
        if keeper is not None:
            # The generator has nothing left to close. If the garbage collector found it open, it would ask the loop to close it.
            with suppress(StopIteration, RuntimeError):
                keeper.aclose().send(None)

    def _build(self, client: Any, request: Request, trace: _Trace) -> Any:
        _check_open(self._settings.session)
        return client.build_request(
            request.method,
            request.url,
            # As bytes, because an event id set by a server may not be ASCII. White space around a value is not part of it, and
            # h11 refuses it when the request has begun to be sent.
            headers=[(name.encode(), value.strip(" \t").encode()) for name, value in request.headers.items()],
            content=request.body,
            timeout=self._library.Timeout(None, read=request.idle_timeout),
            extensions={"trace": trace},
        )

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        trace = _Trace(session=self._settings.session, reports=self._reports)
        if request.timeout is not None:
            trace.scope.deadline = anyio.current_time() + request.timeout
        self._under_way.add(trace)
        try:
            if self._rest is None:
                self._rest = await self._open(self._settings.max_connections)
            if (answer := await whole(self._exchange(request, trace), trace.scope.cancel)) is not None:
                return answer
        except ConfigurationError:
            request.sent = False
            raise
        except Exception as error:
            raise _translate(error, trace.sent) from _printable(error)
        except BaseException:
            request.sent = trace.sent
            raise
        finally:
            self._under_way.discard(trace)
        if trace.closed:
            raise ExchangeError("the client was closed", sent=trace.sent)
        raise _translate(TimeoutError(f"after {request.timeout} s"), trace.sent)

    async def _exchange(self, request: Request, trace: _Trace) -> Response | None:
        """The answer; ``None`` if the scope has ended the exchange."""
        try:
            with trace.scope, masked_log():
                response = await self._rest.send(
                    self._build(self._rest, request, trace), stream=True, auth=None, follow_redirects=False
                )
                try:
                    body = await self._read(response)
                    _part_with_surplus(response)
                    return Response(response.status_code, response.headers, body)
                finally:
                    await _close(response)
        finally:
            await trace.settle()
        return None

    def stream(self, request: Request) -> _Stream:
        """See `Transport.stream`."""
        return _Stream(self, request)

    async def open_stream(self, request: Request, trace: _Trace) -> Any:
        """Send a request and wait for the headers of its response."""
        if request.timeout is not None:
            trace.scope.deadline = anyio.current_time() + request.timeout
        self._under_way.add(trace)
        try:
            if self._streams is None:
                self._streams = await self._open(None)
            await whole(self._head(request, trace), trace.scope.cancel)
        except BaseException:
            if trace.response is not None:  # it came when the caller was cancelled already
                await whole(_close(trace.response))
            raise
        finally:
            self._under_way.discard(trace)
        if trace.response is not None:
            return trace.response
        if trace.closed:
            raise ExchangeError("the client was closed", sent=trace.sent)
        raise TimeoutError(f"after {request.timeout} s")

    async def _head(self, request: Request, trace: _Trace) -> None:
        try:
            with trace.scope, masked_log():
                trace.response = await self._streams.send(
                    self._build(self._streams, request, trace), stream=True, auth=None, follow_redirects=False
                )
        finally:
            await trace.settle()

    async def _read(self, response: Any) -> bytes:
        if response.is_stream_consumed:  # by a response hook of the session
            return cast("bytes", response.content)
        pieces, size = [], 0
        # Not `aiter_raw`, which releases the connection at the end: `_part_with_surplus` has to run before that.
        async for piece in response.stream:
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY:
                raise ValueError(f"the body is over {MAX_BODY} bytes")
        if "Content-Encoding" not in response.headers:
            return b"".join(pieces)
        return _decoded(self._library, response, pieces)


def _decoded(library: Any, response: Any, pieces: list[bytes]) -> bytes:
    """Decompress the body piece by piece, so that the size limit applies while it is decompressed."""

    class Pieces(library.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            return iter(pieces)

    whole, size = [], 0
    for piece in library.Response(response.status_code, headers=response.headers, stream=Pieces()).iter_bytes():
        whole.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise ValueError(f"the body is over {MAX_BODY} bytes")
    return b"".join(whole)


def _part_with_surplus(response: Any) -> None:
    """Make httpcore close a connection that has brought more bytes than its answer."""
    h11 = _h11_of(response)
    if h11 is not None and (h11.trailing_data[0] or _tls_holds_more(response.extensions.get("network_stream"))):
        h11.send_failed()  # makes httpcore close the connection instead of keeping it


def _tls_holds_more(network: Any) -> bool:
    """Whether the TLS layer holds bytes that were not read yet. The socket does not look readable then."""
    stream = getattr(network, "_stream", None)
    tls = getattr(stream, "_ssl_object", None)
    # trio's attribute, or anyio's.
    incoming = getattr(stream, "_incoming", None) or getattr(stream, "_read_bio", None)
    return bool((tls is not None and tls.pending()) or (incoming is not None and incoming.pending))


def _h11_of(response: Any) -> Any:
    """h11's state of the connection; ``None`` if the transport is not httpcore's or uses HTTP/2."""
    try:
        return response.stream._stream._httpcore_stream._stream._connection._h11_state
    except AttributeError:
        return None


def _abandon(client: Any) -> None:
    """Close a client's sockets without its loop, and without trio, which would remove them from the parent's epoll."""
    pool = getattr(getattr(client, "_transport", None), "_pool", None)
    for connection in getattr(pool, "connections", ()):
        with suppress(Exception):
            sock = connection._connection._network_stream.get_extra_info("socket")
            os.close(getattr(sock, "_sock", sock).detach())


class _Stream:
    """`StreamResponse`, open from `__aenter__` to `__aexit__`."""

    def __init__(self, transport: HttpxTransport, request: Request) -> None:
        self._transport = transport
        self._request = request
        self._trace = _Trace(session=transport._settings.session, reports=transport._reports)
        self._response: Any = None
        self._chunks: AsyncGenerator[bytes, None] | None = None

    @property
    def status(self) -> int:
        return cast("int", self._response.status_code)

    @property
    def headers(self) -> Mapping[str, str]:
        return cast("Mapping[str, str]", self._response.headers)

    async def __aenter__(self) -> Self:
        try:
            self._response = await self._transport.open_stream(self._request, self._trace)
        except ConfigurationError:
            raise
        except Exception as error:
            raise _translate(error, self._trace.sent) from _printable(error)
        self._transport._open_streams.add(self)
        return self

    def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        self._chunks = self._read()
        return self._chunks

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            # A server or proxy may compress although it was asked not to. A body that is not compressed is not read with
            # `aiter_raw`, which releases the connection at the end, before `close`.
            compressed = "Content-Encoding" in self.headers
            pieces = self._response.aiter_bytes() if compressed else aiter(self._response.stream)
            try:
                async for piece in pieces:
                    yield piece
            finally:
                if hasattr(pieces, "aclose"):
                    await pieces.aclose()
        except Exception as error:
            raise _translate(error, sent=True) from error

    async def close(self) -> None:
        """Close the connection; a task that is reading from it gets an error."""
        self._transport._open_streams.discard(self)
        # A cancelled caller still releases its connection.
        await whole(self._close())

    async def _close(self) -> None:
        # If another task is reading, closing the connection ends that read.
        if self._chunks is not None and not getattr(self._chunks, "ag_running", False):
            with suppress(ExchangeError):
                await self._chunks.aclose()
        if self._response is not None:
            h11 = _h11_of(self._response)
            if h11 is not None and not self._response.is_closed:
                h11.send_failed()  # makes httpcore close the connection, whatever bytes follow the stream
            await _close(self._response)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
