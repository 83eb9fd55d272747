"""The engine where there is no asyncio (trio).

Rules:
1. One client for REST calls and one for live streams, as on asyncio.
2. httpcore reports ``send_request_headers.started`` just before the first byte: a request counts as sent from there.
3. httpx has no timeout for a whole exchange; the surrounding cancel scope is.
4. Redirects are never followed, cookies never kept.
5. Closing ends what is under way, what still waits for a connection as well, which httpcore would send later.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self, cast

import anyio
import httpx

from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.transports import TransportSettings

__all__ = ["HttpxTransport"]

MAX_BODY = 64 * 1024 * 1024


class _Trace:
    """Notes the moment a request starts to leave; its scope ends the exchange."""

    def __init__(self) -> None:
        self.sent: bool = False
        self.closed: bool = False
        self.scope: anyio.CancelScope = anyio.CancelScope()

    def close(self) -> None:
        self.closed = True
        self.scope.cancel()

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        # Of a proxy's tunnel the CONNECT is traced as well, and nothing of the request is in it.
        if event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self.sent = True


def _translate(error: Exception, sent: bool) -> ExchangeError:
    timeout = isinstance(error, (TimeoutError, httpx.TimeoutException))
    return ExchangeError(
        f"{'timed out' if timeout else type(error).__name__}: {error}".rstrip(": "), sent=sent, timeout=timeout
    )


_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError, ValueError)


class HttpxTransport:
    """`contract.wire.Transport` over httpx."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._rest: httpx.AsyncClient | None = settings.session
        self._streams: httpx.AsyncClient | None = settings.session
        self._under_way: set[_Trace] = set()

    def _open(self, limit: int | None) -> httpx.AsyncClient:
        settings = self._settings
        return httpx.AsyncClient(
            verify=settings.tls if settings.tls is not None else True,
            proxy=settings.proxy,
            trust_env=settings.trust_env,
            limits=httpx.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=15),
            timeout=None,  # noqa: S113 - each request brings its own
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def _build(self, client: httpx.AsyncClient, request: Request, trace: _Trace) -> httpx.Request:
        return client.build_request(
            request.method,
            request.url,
            # As bytes, for a server may have set an event id that is not ASCII.
            headers=[(name.encode(), value.encode()) for name, value in request.headers.items()],
            content=request.body,
            timeout=httpx.Timeout(None, read=request.idle_timeout),
            extensions={"trace": trace},
        )

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        if self._rest is None:
            self._rest = self._open(self._settings.max_connections)
        trace = _Trace()
        if request.timeout is not None:
            trace.scope.deadline = anyio.current_time() + request.timeout
        self._under_way.add(trace)
        try:
            with trace.scope:
                response = await self._rest.send(self._build(self._rest, request, trace), stream=True)
                try:
                    return Response(response.status_code, response.headers, await _read(response))
                finally:
                    await response.aclose()
        except _FAILURES as error:
            raise _translate(error, trace.sent) from error
        except BaseException:
            request.sent = trace.sent
            raise
        finally:
            self._under_way.discard(trace)
        if trace.closed:
            raise ExchangeError("the client was closed", sent=trace.sent)
        raise _translate(TimeoutError(f"after {request.timeout} s"), trace.sent)

    def stream(self, request: Request) -> _Stream:
        """See `Transport.stream`."""
        if self._streams is None:
            self._streams = self._open(None)
        trace = _Trace()
        return _Stream(self._streams, self._build(self._streams, request, trace), request.timeout, trace)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        if self._settings.session is not None:
            return
        for trace in tuple(self._under_way):
            trace.close()
        clients, self._rest, self._streams = (self._rest, self._streams), None, None
        for client in clients:
            if client is not None:
                await client.aclose()


async def _read(response: httpx.Response) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise httpx.DecodingError(f"the body is over {MAX_BODY} bytes")
    return b"".join(pieces)


class _Stream:
    """`StreamResponse`, open from `__aenter__` to `__aexit__`."""

    def __init__(self, client: httpx.AsyncClient, request: httpx.Request, timeout: float | None, trace: _Trace) -> None:
        self._client = client
        self._request = request
        self._timeout = timeout
        self._trace = trace
        self._response: httpx.Response | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None

    @property
    def status(self) -> int:
        return cast("httpx.Response", self._response).status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return cast("httpx.Response", self._response).headers

    async def __aenter__(self) -> Self:
        try:
            with anyio.fail_after(self._timeout):
                self._response = await self._client.send(self._request, stream=True)
        except _FAILURES as error:
            raise _translate(error, self._trace.sent) from error
        return self

    def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        self._chunks = self._read()
        return self._chunks

    async def _read(self) -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(cast("httpx.Response", self._response).aiter_raw()) as raw:  # type: ignore[type-var]
                async for chunk in raw:
                    yield chunk
        except _FAILURES as error:
            raise _translate(error, sent=True) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A cancelled caller must still give its connection back.
        with anyio.CancelScope(shield=True):
            # One that is read by another task ends when its connection is closed under it.
            if self._chunks is not None and not getattr(self._chunks, "ag_running", False):
                await self._chunks.aclose()
            if self._response is not None:
                await self._response.aclose()
