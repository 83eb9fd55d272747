"""One HTTP exchange as values: what a transport sends and what it brings back.

Both ends use them: the client's transports, and the sandbox behind a socket or in memory. They are not frozen, since that
would make making them four times as slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import define, field

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.masking import mask

__all__ = ["ExchangeError", "Request", "Response", "StreamResponse", "Transport"]


class ExchangeError(AjoxiError):
    """A transport brought no whole response.

    Attributes:
        sent: False only where it is certain that not one byte of the request left; else True.
        timeout: whether time ran out, as opposed to the connection breaking.
    """

    def __init__(self, message: str, *, sent: bool, timeout: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timeout = timeout


@define(repr=False, eq=False)
class Request:
    """A request, its body serialised once for all attempts.

    Attributes:
        timeout: seconds for the whole exchange, for a stream only until its headers; ``None`` waits for ever.
        idle_timeout: of a stream: seconds without a byte after which its peer counts as dead.
        sent: set by the transport when an exchange was cancelled: whether anything may have left.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes | None = None
    timeout: float | None = None
    idle_timeout: float | None = None
    sent: bool = True

    def __repr__(self) -> str:
        return mask(f"Request({self.method} {self.url})")


@define(repr=False, eq=False)
class Response:
    """A whole response. ``headers`` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


class StreamResponse(Protocol):
    """A response whose body is read as it comes."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Looked up without regard to case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, in pieces as they arrive; to be iterated once.

        Raises:
            ExchangeError: the connection broke before the end, stayed silent for the request's `idle_timeout`, or was
                closed by another task while this one waited.
        """
        ...


class Transport(Protocol):
    """The only thing that does I/O. Implement these three to bring your own."""

    async def send(self, request: Request, /) -> Response:
        """Exchange a request for a whole response; redirects are not followed.

        Raises:
            ExchangeError: no whole response came; it says whether the request may have been received. When the task is
            cancelled, ``request.sent`` says it.
        """
        ...

    def stream(self, request: Request, /) -> AbstractAsyncContextManager[StreamResponse]:
        """Open a response and read it as it comes; leaving the block closes its connection, from whichever task."""
        ...

    async def aclose(self) -> None:
        """Give every connection back. Idempotent."""
        ...
