"""`AudioStream`: the audio of a recording, piece by piece as it arrives."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.pipeline.download.source import AudioSource

__all__ = ["AudioStream"]


class AudioStream:
    """The audio of a recording, piece by piece and in order, over several connections if necessary.

    Made by ``client.recordings.stream``; use it in ``async with``. The iteration ends when all of the audio has arrived,
    and raises otherwise. A cancelled read loses no bytes.
    """

    def __init__(self, source: AudioSource) -> None:
        self._source = source
        self._entered = False

    @property
    def size(self) -> int | None:
        """Bytes of the whole audio; ``None`` while unknown."""
        return self._source.total

    @property
    def content_type(self) -> str | None:
        """The type of the audio, ``audio/wav`` for instance."""
        return self._source.content_type

    @property
    def position(self) -> int:
        """Bytes delivered so far."""
        return self._source.position

    async def __aenter__(self) -> Self:
        self._entered = True
        try:
            await self._source.open()
        except BaseException:
            await self._source.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection. Any task may call it; a task that is reading gets a `DownloadError`. Idempotent."""
        await self._source.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._entered:
            raise InvalidParameterError("stream", "use it in async with, which closes its connection")
        piece = await self._source.read()
        if not piece:
            raise StopAsyncIteration
        return piece
