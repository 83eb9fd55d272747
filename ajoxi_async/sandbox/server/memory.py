"""A transport that calls the sandbox without a socket, on asyncio and trio."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel

from ajoxi_async.contract.headers import Headers
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError, StreamedResponse
from ajoxi_async.sandbox.server.app import App

__all__ = ["MemoryTransport"]


class MemoryTransport:
    """A `contract.wire.Transport` that calls the sandbox's `App` directly."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        await anyio.lowlevel.checkpoint()
        try:
            answer = await self._app.handle(request)
            if isinstance(answer, StreamedResponse):
                body = b"".join([chunk async for chunk in answer.chunks])
                return Response(answer.status, Headers(answer.headers), body)
        except ConnectionBrokenError as error:
            raise ExchangeError(str(error), sent=True) from None
        return Response(answer.status, Headers(answer.headers), answer.body)

    def stream(self, request: Request) -> _Stream:
        """See `Transport.stream`."""
        return _Stream(self._app, request)

    async def aclose(self) -> None:
        """See `Transport.aclose`. There is nothing to close."""


class _Stream:
    def __init__(self, app: App, request: Request) -> None:
        self._app = app
        self._request = request
        self.status: int = 0
        self.headers: Mapping[str, str] = {}
        self._chunks: AsyncIterator[bytes] = _pieces(b"")
        self._reading: anyio.CancelScope | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await anyio.lowlevel.checkpoint()
        try:
            answer = await self._app.handle(self._request)
        except ConnectionBrokenError as error:
            raise ExchangeError(str(error), sent=True) from None
        self.status, self.headers = answer.status, Headers(answer.headers)
        self._chunks = answer.chunks if isinstance(answer, StreamedResponse) else _pieces(answer.body)
        return self

    def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        within = self._request.idle_timeout
        deadline = math.inf if within is None else anyio.current_time() + within
        with anyio.CancelScope(deadline=deadline) as self._reading:
            try:
                return await anext(self._chunks)
            except ConnectionBrokenError as error:
                raise ExchangeError(str(error), sent=True) from None
            finally:
                self._reading = None
        if self._closed:
            raise ExchangeError("the connection was closed", sent=True)
        raise ExchangeError("no bytes came within the idle timeout", sent=True, timeout=True)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._reading is not None:
            self._reading.cancel()
            return
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
