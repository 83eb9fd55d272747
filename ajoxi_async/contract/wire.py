"""HTTP requests and responses as values, and the interface of a transport.

The client's transports use them, and so does the sandbox, over a socket or in memory. The classes are not frozen, because
creating frozen objects takes four times as long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import define, field

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.masking import mask

__all__ = ["ExchangeError", "Request", "Response", "StreamResponse", "Transport"]


class ExchangeError(AjoxiError):
    """An exchange ended without a complete response.

    Attributes:
        sent: False only if it is certain that no byte of the request was sent; else True.
        timeout: whether time ran out; otherwise the connection was lost.
    """

    def __init__(self, message: str, *, sent: bool, timeout: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timeout = timeout


@define(repr=False, eq=False)
class Request:
    """A request. Its body is serialised once for all attempts.

    Attributes:
        timeout: seconds for the whole exchange, for a stream only until its headers; ``None`` waits for ever.
        idle_timeout: of a stream: seconds without a byte after which the connection counts as lost.
        sent: set by the transport when an exchange was cancelled: whether any byte may have been sent.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    sent: bool = True

    def __repr__(self) -> str:
        return f"Request({self._shown()})"

    def __rich_repr__(self) -> Iterator[str]:
        # Without it, rich would print the fields themselves, the key in the headers included, in tracebacks too.
        yield self._shown()

    def _shown(self) -> str:
        return mask(f"{self.method} {self.url}")


@define(repr=False, eq=False)
class Response:
    """A whole response. ``headers`` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> Iterator[object]:
        yield from (self.status, f"{len(self.body)} bytes")


class StreamResponse(Protocol):
    """A response whose body is read piece by piece as it arrives."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Looked up without regard to case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces as they arrive. Iterate it once.

        Raises:
            ExchangeError: the connection broke before the end, stayed silent for the request's `idle_timeout`, or was
                closed by another task while this one waited.
        """
        ...


class Transport(Protocol):
    """Sends requests. A transport of your own implements these three methods."""

    async def send(self, request: Request, /) -> Response:
        """Exchange a request for a whole response; redirects are not followed.

        Raises:
            ExchangeError: there was no complete response; its `sent` says whether the request may have been received. When
            the task is cancelled, ``request.sent`` says so.
        """
        ...

    def stream(self, request: Request, /) -> AbstractAsyncContextManager[StreamResponse]:
        """Open a response whose body is read as it arrives. Leaving the block closes its connection, in whichever task."""
        ...

    async def aclose(self) -> None:
        """Close every connection. Idempotent."""
        ...
