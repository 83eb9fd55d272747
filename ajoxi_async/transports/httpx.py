"""The engine of a trio run, and of an injected ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` on either.

Rules:
1. One client for REST calls and one for live streams, as on asyncio.
2. httpcore reports ``send_request_headers.started`` just before the first byte: a request counts as sent from there. A
   second one within one exchange, by a transport or authentication that repeats requests, is refused. A transport that
   reports nothing counts as having sent what it was handed.
3. httpx has no timeout for a whole exchange; the surrounding cancel scope is.
4. Redirects are never followed, cookies never kept.
5. A client of the caller's own lends its transports, default headers and event hooks to a copy of it, which brings our
   rules; what else it is set to (redirects, auth, cookies, query parameters, timeouts) does not count. An exception of a
   response hook is logged: the answer has come, whatever the hook thinks of it.
6. A connection that brought more than the answer is not used again: what h11 holds would be taken for the next answer.
7. Closing ends what is under way, what still waits for a connection as well, which httpcore would send later.
"""

from __future__ import annotations

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


class _Trace:
    """What is known of an exchange: whether it was sent; its scope ends it.

    Attributes:
        reports: whether the transport says when it sends.
        handed: whether the transport was given the request.
        opening: a connection whose TLS handshake has not ended.
    """

    def __init__(self, *, reports: bool) -> None:
        self.reports: bool = reports
        self.handed: bool = False
        self.closed: bool = False
        self.opening: Any = None
        self.scope: anyio.CancelScope = anyio.CancelScope()
        self._sent = False

    @property
    def sent(self) -> bool:
        """Whether anything may have left."""
        return self._sent or (self.handed and not self.reports)

    def close(self) -> None:
        self.closed = True
        self.scope.cancel()

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.reports = True
        if event.endswith("connect_tcp.complete"):
            self.opening = info["return_value"]
        elif event.endswith("start_tls.complete"):
            self.opening = None
        # Of a proxy's tunnel the CONNECT is traced as well, and nothing of the request is in it.
        elif event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            if self._sent:
                raise RuntimeError("a second attempt within one exchange is refused")
            self._sent, self.opening = True, None

    async def settle(self) -> None:
        """Close what a cancelled handshake left open: httpcore does so for errors only."""
        opening, self.opening = self.opening, None
        if opening is not None:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await opening.aclose()


def _why(error: BaseException) -> str:
    """What an error says; that of a failed TLS handshake is said by its cause alone."""
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
    """The error as a cause, unless a traceback would show a secret of it, such as the password of a proxy."""
    return error if mask(str(error)) == str(error) else None


async def _note_handing(request: Any) -> None:
    request.extensions["trace"].handed = True


def _harmless(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def call(response: Any) -> None:
        try:
            await hook(response)
        except Exception as error:
            logger.warning("a response hook of the session failed: %s", mask(f"{type(error).__name__}: {error}"))

    return call


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
        # The library of the session: httpx2 is httpx in all that is used here, with classes of its own.
        self._library: Any = importlib.import_module(session_kind(settings.session) or "httpx")
        self._reports = settings.session is None or self._all_report(settings.session)
        self._rest: Any = None
        self._streams: Any = None
        self._keeper: AsyncGenerator[None] | None = None
        self._closed = False
        self._under_way: set[_Trace] = set()
        self._open_streams: set[_Stream] = set()

    def _all_report(self, session: Any) -> bool:
        # Only httpx's own is known to report; a mock, an application or another library's may or may not.
        transports = [getattr(session, "_transport", None), *getattr(session, "_mounts", {}).values()]
        return all(type(one) is self._library.AsyncHTTPTransport for one in transports if one is not None)

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
        if session_is_closed(session):
            raise ConfigurationError("session: it was closed; nothing was sent")
        client = copy.copy(session)
        client.headers = headers_of_session(session.headers)
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
        # A loop that is being shut down closes its asynchronous generators: the only moment at which an engine that
        # nobody closed can still close its connections.
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
        import asyncio

        if isinstance(self._loop, asyncio.AbstractEventLoop):
            self._closing = self._loop.create_task(self._close_clients())
        else:
            import trio

            # A run that is ending takes no new task. It closes its generators, and `_keep` with them.
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
            # There is nothing left for it to wait for. Left to the collector it would ask the loop to close it.
            with suppress(StopIteration, RuntimeError):
                keeper.aclose().send(None)

    def _build(self, client: Any, request: Request, trace: _Trace) -> Any:
        if self._settings.session is not None and session_is_closed(self._settings.session):
            request.sent = False
            raise ConfigurationError("session: it was closed; nothing was sent")
        return client.build_request(
            request.method,
            request.url,
            # As bytes, for a server may have set an event id that is not ASCII.
            headers=[(name.encode(), value.encode()) for name, value in request.headers.items()],
            content=request.body,
            timeout=self._library.Timeout(None, read=request.idle_timeout),
            extensions={"trace": trace},
        )

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        trace = _Trace(reports=self._reports)
        if request.timeout is not None:
            trace.scope.deadline = anyio.current_time() + request.timeout
        self._under_way.add(trace)
        try:
            if self._rest is None:
                self._rest = await self._open(self._settings.max_connections)
            with trace.scope:
                response = await self._rest.send(
                    self._build(self._rest, request, trace), stream=True, auth=None, follow_redirects=False
                )
                try:
                    body = await self._read(response)
                    _part_with_surplus(response)
                    return Response(response.status_code, response.headers, body)
                finally:
                    await response.aclose()
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
            if trace.opening is not None:
                await trace.settle()
        if trace.closed:
            raise ExchangeError("the client was closed", sent=trace.sent)
        raise _translate(TimeoutError(f"after {request.timeout} s"), trace.sent)

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
            with trace.scope:
                return await self._streams.send(
                    self._build(self._streams, request, trace), stream=True, auth=None, follow_redirects=False
                )
        finally:
            self._under_way.discard(trace)
            if trace.opening is not None:
                await trace.settle()
        if trace.closed:
            raise ExchangeError("the client was closed", sent=trace.sent)
        raise TimeoutError(f"after {request.timeout} s")

    async def _read(self, response: Any) -> bytes:
        if response.is_stream_consumed:  # by a response hook of the session
            return cast("bytes", response.content)
        pieces, size = [], 0
        # Not by `aiter_raw`, which gives the connection back at the end: `_part_with_surplus` comes first.
        async for piece in response.stream:
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY:
                raise ValueError(f"the body is over {MAX_BODY} bytes")
        if "Content-Encoding" not in response.headers:
            return b"".join(pieces)
        return _decoded(self._library, response, pieces)


def _decoded(library: Any, response: Any, pieces: list[bytes]) -> bytes:
    """The body without its content encoding, piece by piece, so that it is bounded as it unfolds."""

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
    """Have a connection closed that has brought more than its answer."""
    h11 = _h11_of(response)
    if h11 is not None and (h11.trailing_data[0] or _tls_holds_more(response.extensions.get("network_stream"))):
        h11.send_failed()  # then httpcore closes it instead of keeping it


def _tls_holds_more(network: Any) -> bool:
    """Whether TLS has read from the socket what nobody has read from TLS; the socket does not look readable then."""
    stream = getattr(network, "_stream", None)
    tls = getattr(stream, "_ssl_object", None)
    # The names are trio's and anyio's.
    incoming = getattr(stream, "_incoming", None) or getattr(stream, "_read_bio", None)
    return bool((tls is not None and tls.pending()) or (incoming is not None and incoming.pending))


def _h11_of(response: Any) -> Any:
    """The state of the connection; ``None`` where the transport is not httpcore's, or speaks HTTP/2."""
    try:
        return response.stream._stream._httpcore_stream._stream._connection._h11_state
    except AttributeError:
        return None


def _abandon(client: Any) -> None:
    """Close a client's sockets without its loop, and without trio, which would take them out of the parent's epoll."""
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
        self._trace = _Trace(reports=transport._reports)
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
            # A server or proxy may compress though it was asked not to. What is not compressed is not read by `aiter_raw`,
            # which gives the connection back at the end: `close` has to come first.
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
        """Close the connection; whoever reads from it in another task gets an error."""
        self._transport._open_streams.discard(self)
        # A cancelled caller must still give its connection back.
        with anyio.CancelScope(shield=True):
            # One that is read by another task ends when its connection is closed under it.
            if self._chunks is not None and not getattr(self._chunks, "ag_running", False):
                await self._chunks.aclose()
            if self._response is not None:
                h11 = _h11_of(self._response)
                if h11 is not None and not self._response.is_closed:
                    h11.send_failed()  # then httpcore closes the connection, whatever came behind the stream
                await self._response.aclose()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
