"""Answers that do not arrive as they should: bodies and streams made from whole ones."""

from __future__ import annotations

from collections.abc import AsyncIterator

__all__ = ["cut_stream"]


async def cut_stream(chunks: AsyncIterator[bytes], events: int) -> AsyncIterator[bytes]:
    """An event stream that ends, without its last word, after some events."""
    try:
        async for chunk in chunks:
            frames = chunk.split(b"\n\n")
            for place, frame in enumerate(frames):
                events -= b"data:" in frame
                if events <= 0 and b"data:" in frame:
                    yield b"".join(kept + b"\n\n" for kept in frames[: place + 1])
                    return
            yield chunk
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]
