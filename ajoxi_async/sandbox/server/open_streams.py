"""Ends the stream of an answer when its world ends, so that a deleted key cannot go on reading."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio

from ajoxi_async.sandbox.world import World

__all__ = ["ChunksOfWorld"]


class ChunksOfWorld:
    """Passes chunks on until there are no more, or the world has ended.

    Args:
        chunks: the chunks of the stream.
        world: the world that the stream belongs to.
    """

    def __init__(self, chunks: AsyncGenerator[bytes], world: World) -> None:
        self._chunks, self._world = chunks, world
        self._waiting: anyio.CancelScope | None = None
        world.streams.add(self)

    def __aiter__(self) -> ChunksOfWorld:
        return self

    async def __anext__(self) -> bytes:
        with anyio.CancelScope() as self._waiting:
            try:
                if not self._world.ended:
                    return await anext(self._chunks)
            except BaseException:
                self._world.streams.discard(self)
                raise
            finally:
                self._waiting = None
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the stream, read to its end or not."""
        self._world.streams.discard(self)
        await self._chunks.aclose()

    def end(self) -> None:
        """See `OpenStream`."""
        if self._waiting is not None:
            self._waiting.cancel()
