"""The API behind a hub, as tests let it speak."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio

from ajoxi_async.contract.wire import ExchangeError, Request
from tests.client.fakes import ScriptedStream
from tests.streaming.wire import EVENT_STREAM, Connections


class Speaking(ScriptedStream):
    """A connection that sends what the test says, when it says it."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(EVENT_STREAM)
        self.said = list(pieces)
        self._more = anyio.Event()

    def say(self, *pieces: bytes) -> None:
        """Send more."""
        self.said += pieces
        self._more.set()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        place = 0
        while True:
            while place < len(self.said):
                place += 1
                await anyio.lowlevel.checkpoint()
                yield self.said[place - 1]
            self._more = anyio.Event()
            await self._more.wait()


class Calls(Connections):
    """Connections by the id of their call, one after the other; the last one answers all further requests."""

    def __init__(self, **calls: ScriptedStream | list[ScriptedStream]) -> None:
        super().__init__()
        self.calls = {id: list(given) if isinstance(given, list) else [given] for id, given in calls.items()}

    def stream(self, request: Request) -> ScriptedStream:
        self.opened.append(request)
        script = self.calls[request.url.rpartition("/")[2].partition("?")[0]]
        self.used.append(script.pop(0) if len(script) > 1 else script[0])
        return self.used[-1]


class Strange(ScriptedStream):
    """A transport of the caller's own that raises what it should not."""

    async def __aenter__(self) -> ScriptedStream:
        raise KeyError("strange")


def lost(why: str = "reset") -> ScriptedStream:
    """A connection that cannot be made."""
    return ScriptedStream(ExchangeError(why, sent=False))
