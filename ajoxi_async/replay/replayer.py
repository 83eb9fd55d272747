"""A transport that answers from a recording.

Rules:
1. Each recorded exchange answers one request: the first that was not used yet and was asked for in the same way
   (`replay.cassette`, rule 3). So requests may come in another order than they were recorded in, and equal ones get their
   answers in the recorded order.
2. Lost connections come again as they were, so that retries and unknown outcomes do as well.
3. Streams come with their timing, divided by `speed`. Answers come at once.
4. A request that was not recorded is an error and is not sent, on this transport or any other.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.lowlevel

from ajoxi_async.contract.encoding.exact_values import seconds
from ajoxi_async.contract.headers import Headers
from ajoxi_async.contract.wire import ExchangeError, Request, Response, StreamResponse
from ajoxi_async.protocol.errors import ConfigurationError, ReplayError
from ajoxi_async.replay.cassette import Exchange, asked, checked_path, load, restored, sought

__all__ = ["Replayer"]


class Replayer:
    """Answers requests from a file that a `Recorder` has written.

    Args:
        path: of the file. It is read here.
        speed: how many times faster than recorded streams are; ``math.inf`` for no pauses.

    Raises:
        ConfigurationError: the file cannot be read or is damaged, or `speed` is not above 0.
    """

    def __init__(self, path: str | os.PathLike[str], *, speed: float = 1.0) -> None:
        factor = seconds(speed)
        if factor is None or factor <= 0:
            raise ConfigurationError(f"speed: expected a number above 0, got {speed!r:.40}")
        self._path, self._speed = checked_path(path), factor
        self._clock: Callable[[], float] = anyio.current_time
        self._sleep: Callable[[float], Awaitable[None]] = anyio.sleep
        self._exchanges = load(self._path)

    @property
    def unused(self) -> tuple[str, ...]:
        """The recorded requests that were not asked for so far, such as ``GET https://api.ajoxi.com/v1/calls``."""
        return tuple(f"{one.request.get('method')} {one.request.get('url')}" for one in self._exchanges)

    def _take(self, request: Request) -> Exchange:
        wanted = asked(request)
        key = sought(wanted)
        for index, exchange in enumerate(self._exchanges):
            if sought(exchange.request) == key:
                return self._exchanges.pop(index)
        # So that nobody takes a POST for one that may have been carried out.
        request.sent = False
        raise ReplayError(self._why(wanted))

    def _why(self, wanted: Mapping[str, Any]) -> str:
        what = f"{wanted['method']} {wanted['url']}"
        alike = [one for one in self._exchanges if sought(one.request)[:2] == sought(wanted)[:2]]
        if alike:
            differs = "body" if alike[0].request.get("body") != wanted["body"] else "headers"
            return (
                f"{what} was recorded with another {differs} in {self._path}: asked with {wanted[differs]!r:.300}, "
                f"recorded with {alike[0].request.get(differs)!r:.300}"
            )
        left = "; ".join(self.unused[:5]) or "nothing"
        return f"{what} was not recorded in {self._path}, or was asked for more often; not asked for yet: {left}"

    async def send(self, request: Request) -> Response:
        """See `Transport.send`.

        Raises:
            ReplayError: the request was not recorded.
        """
        await anyio.lowlevel.checkpoint()
        outcome = self._take(request).outcome
        if "error" in outcome:
            raise _error(outcome)
        if "pieces" in outcome:
            body = b"".join(restored(piece) for _, piece in outcome["pieces"])
        else:
            body = restored(outcome.get("body", ""))
        return Response(int(outcome["status"]), Headers(outcome.get("headers") or {}), body)

    def stream(self, request: Request) -> AbstractAsyncContextManager[StreamResponse]:
        """See `Transport.stream`."""
        return _Replayed(self, request, self._speed)

    async def aclose(self) -> None:
        """Nothing is open."""


def _error(outcome: Mapping[str, Any]) -> ExchangeError:
    return ExchangeError(str(outcome["error"]), sent=bool(outcome.get("sent")), timeout=bool(outcome.get("timeout")))


class _Replayed:
    """A stream from the recording."""

    def __init__(self, replayer: Replayer, request: Request, speed: float) -> None:
        self._replayer, self._request, self._speed = replayer, request, speed
        self.status: int = 0
        self.headers: Mapping[str, str] = {}
        self._pieces: list[Any] = []
        self._ended: Any = "complete"
        self._ended_at = 0.0
        self._opened_at = 0.0
        self._waiting: anyio.CancelScope | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await anyio.lowlevel.checkpoint()
        outcome = self._replayer._take(self._request).outcome
        if "error" in outcome:
            raise _error(outcome)
        self.status, self.headers = int(outcome["status"]), Headers(outcome.get("headers") or {})
        self._pieces = list(outcome.get("pieces") or [[0.0, outcome.get("body", "")]])
        self._ended = outcome.get("ended", "complete")
        self._ended_at = float(outcome.get("ended_at") or 0.0)
        self._opened_at = self._replayer._clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._waiting is not None:
            self._waiting.cancel()

    def chunks(self) -> AsyncIterator[bytes]:
        """See `StreamResponse.chunks`."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with anyio.CancelScope() as self._waiting:
            try:
                return await self._next()
            finally:
                self._waiting = None
        raise ExchangeError("the connection was closed", sent=True)

    async def _next(self) -> bytes:
        if self._closed:
            raise ExchangeError("the connection was closed", sent=True)
        if self._pieces:
            at, piece = self._pieces[0]
            await self._until(float(at))
            # Removed after the wait, so that a reader that is cancelled while it waits loses nothing.
            del self._pieces[0]
            return restored(piece)
        await self._until(self._ended_at)
        if isinstance(self._ended, dict):
            raise _error(self._ended)
        if self._ended == "complete":
            raise StopAsyncIteration
        raise ReplayError("the recording of this stream ends here, because its reader had closed it")

    async def _until(self, at: float) -> None:
        left = 0.0 if math.isinf(self._speed) else self._opened_at + at / self._speed - self._replayer._clock()
        if left > 0:
            await self._replayer._sleep(left)
        else:
            await anyio.lowlevel.checkpoint()
