"""A transport that writes down what passes through it. See `replay.cassette` for what is recorded."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

import anyio.to_thread

from ajoxi_async.contract.wire import ExchangeError, Request, Response, StreamResponse, Transport
from ajoxi_async.replay.cassette import Exchange, asked, checked_path, is_text, kept, kept_headers, save
from ajoxi_async.transports import EngineTransport, TransportSettings

__all__ = ["Recorder"]


class Recorder:
    """Passes requests to another transport, and records them and their answers in a file.

    Args:
        path: of the file, which is written by `save` and when the client is closed; an older one is replaced.
        transport: that does the work, by default the client's own over the network.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: there can be no file at `path`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        transport: Transport | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = checked_path(path)
        self._inner: Transport = transport or EngineTransport(TransportSettings())
        self._clock = clock
        self._exchanges: list[Exchange] = []

    @property
    def recorded(self) -> int:
        """How many exchanges were recorded so far."""
        return sum(bool(exchange.outcome) for exchange in self._exchanges)

    def _begin(self, request: Request) -> Exchange:
        exchange = Exchange(asked(request))
        self._exchanges.append(exchange)
        return exchange

    async def send(self, request: Request) -> Response:
        """See `Transport.send`. An exchange that is cancelled is not recorded."""
        exchange = self._begin(request)
        try:
            response = await self._inner.send(request)
        except ExchangeError as error:
            exchange.outcome = _lost(error)
            raise
        exchange.outcome = {
            "status": response.status,
            "headers": kept_headers(response.headers),
            "body": kept(response.body, text=is_text(response.headers)),
        }
        return response

    def stream(self, request: Request) -> AbstractAsyncContextManager[StreamResponse]:
        """See `Transport.stream`."""
        return _Recorded(self._inner.stream(request), self._begin(request), self._clock)

    async def aclose(self) -> None:
        """Close the other transport and write the file."""
        await self._inner.aclose()
        await anyio.to_thread.run_sync(self.save)

    def save(self) -> None:
        """Write the file with what was recorded so far.

        Raises:
            ConfigurationError: it cannot be written.
        """
        save(self._path, self._exchanges)


def _lost(error: ExchangeError) -> dict[str, object]:
    return {"error": error.message, "sent": error.sent, "timeout": error.timeout}


class _Recorded:
    """A stream whose pieces are written down as they are read."""

    def __init__(
        self,
        connection: AbstractAsyncContextManager[StreamResponse],
        exchange: Exchange,
        clock: Callable[[], float],
    ) -> None:
        self._connection, self._exchange, self._clock = connection, exchange, clock
        self._stream: StreamResponse | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._opened_at = 0.0
        self._pieces: list[list[object]] = []
        self._rest = b""
        self._is_text = True

    @property
    def status(self) -> int:
        """See `StreamResponse`."""
        assert self._stream is not None
        return self._stream.status

    @property
    def headers(self) -> Mapping[str, str]:
        """See `StreamResponse`."""
        assert self._stream is not None
        return self._stream.headers

    async def __aenter__(self) -> Self:
        try:
            self._stream = await self._connection.__aenter__()
        except ExchangeError as error:
            self._exchange.outcome = _lost(error)
            raise
        self._opened_at = self._clock()
        self._is_text = is_text(self.headers)
        self._exchange.outcome = {
            "status": self.status,
            "headers": kept_headers(self.headers),
            "pieces": self._pieces,
            "ended": "closed by the client",
        }
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keep(b"", whole=True)
        await self._connection.__aexit__(kind, error, trace)

    def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        assert self._stream is not None
        self._chunks = self._stream.chunks()
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        assert self._chunks is not None
        try:
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._end("complete")
            raise
        except ExchangeError as error:
            self._end(_lost(error))
            raise
        self._keep(chunk, whole=not self._is_text)
        return chunk

    def _keep(self, chunk: bytes, *, whole: bool) -> None:
        body = self._rest + chunk
        end = len(body) if whole else body.rfind(b"\n") + 1
        self._rest = body[end:]
        if end:
            self._pieces.append([self._seconds(), kept(body[:end], text=self._is_text)])

    def _seconds(self) -> float:
        return round(self._clock() - self._opened_at, 3)

    def _end(self, how: object) -> None:
        self._keep(b"", whole=True)
        self._exchange.outcome["ended"] = how
        self._exchange.outcome["ended_at"] = self._seconds()
