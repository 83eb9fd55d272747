"""Answers that come in pieces, and those that do not arrive as they should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import anyio
from attrs import field, frozen

__all__ = ["BrokenError", "EventStream", "slowly", "truncated"]

#: Pieces in which a slow body comes.
_PIECES = 10


@frozen
class EventStream:
    """An answer that is written as it happens."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes] = field(eq=False)
    status: int = 200


class BrokenError(Exception):
    """The connection ends here, in order or with a reset."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__("the connection is broken on purpose")
        self.reset = reset


async def truncated(body: bytes) -> AsyncIterator[bytes]:
    """Half of a body, then nothing."""
    yield body[: len(body) // 2]
    raise BrokenError


async def slowly(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    """A body that takes its time."""
    size = max(1, -(-len(body) // _PIECES))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    for piece in pieces:
        await anyio.sleep(seconds / len(pieces))
        yield piece
