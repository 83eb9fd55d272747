"""Virtual time that jumps by itself."""

from __future__ import annotations

import anyio

from ajoxi_async.sandbox.time.virtual import EPOCH, VirtualClock

__all__ = ["AutoClock"]


class AutoClock(VirtualClock):
    """Time that jumps to the next instant by itself whenever nothing is under way.

    Args:
        start: see `VirtualClock`.
        pause: real seconds to wait before each jump, so that a client that has just got an answer can send its next request.
    """

    mode = "auto"

    def __init__(self, start: float = EPOCH, pause: float = 0.001) -> None:
        super().__init__(start)
        self._pause = pause

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """See `Clock`."""
        if self._next() is None:
            await woken.wait()
        await anyio.sleep(self._pause)
        async with self._moving:
            following = self._next()
            if following is not None and not any(participant.busy for participant in self._participants):
                self._now = max(self._now, following)
                await self._settle()
