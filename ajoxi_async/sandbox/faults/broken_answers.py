"""Answers whose body is sent in chunks, and the error that ends a connection on purpose."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import anyio
from attrs import field, frozen

__all__ = ["ConnectionBrokenError", "StreamedResponse", "slowly", "truncated"]

#: Number of pieces in which a slow body is sent.
_PIECES = 10


@frozen
class StreamedResponse:
    """An answer whose body is sent in chunks as they become available."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes] = field(eq=False)
    status: int = 200


class ConnectionBrokenError(Exception):
    """A fault ends the connection: it is closed, or with `reset` aborted (RST)."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("the connection is broken on purpose")
        self.reset = reset


async def truncated(body: bytes) -> AsyncIterator[bytes]:
    """Send half of a body, then end the connection."""
    yield body[: len(body) // 2]
    raise ConnectionBrokenError


async def slowly(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    """Send a body in pieces that are spread over some seconds."""
    size = max(1, -(-len(body) // _PIECES))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    for piece in pieces:
        await anyio.sleep(seconds / len(pieces))
        yield piece
