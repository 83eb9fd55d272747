"""A storage that serves one recording's file, cuts it, and changes its mind; a fault for `tests.faults.server.FaultServer`.

Rules:
1. Below ``/v1/`` it is the API and says where the recording is; everything else is the file.
2. The n-th request for the file is answered by the n-th step of `script`; without one, as the attributes say.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from ajoxi_async.contract import codec
from ajoxi_async.contract.recordings import Recording
from tests.faults.server import Exchange, FaultServer, Received, answer

__all__ = ["Storage", "audio", "opened", "refuse"]

Step = Callable[["Storage", Exchange, Received], Awaitable[None]]


def audio(size: int, seed: int = 1) -> bytes:
    """Bytes of which no part is like another."""
    return random.Random(seed).randbytes(size)


def refuse(status: int, headers: dict[str, Any] = {}, body: Any = b"<html>sorry</html>") -> Step:
    """A step that answers with an error."""

    async def step(storage: Storage, exchange: Exchange, request: Received) -> None:
        await exchange.send(answer(status, body, headers))

    return step


@define(eq=False)
class Storage:
    """What is served: `body` under `etag` and `modified`, in pieces of `cut` bytes if that is given."""

    body: bytes
    etag: str | None = '"v1"'
    modified: str | None = None
    takes_ranges: bool = True
    cut: int | None = None
    chunked: bool = False
    says_length: bool = True
    more: dict[str, str] = field(factory=dict)
    script: list[Step] = field(factory=list)
    #: What the API says of the recording.
    told: dict[str, Any] = field(factory=dict)
    url: str = ""
    requests: list[Received] = field(factory=list)
    asked: list[Received] = field(factory=list)

    def recording(self, **changes: Any) -> Recording:
        """The recording, as a list has shown it."""
        shown = {"id": "rec_1", "url": f"{self.url}/audio", "size": len(self.body), **self.told, **changes}
        return codec.decode(json.dumps(shown).encode(), Recording)

    @property
    def ranges(self) -> list[str | None]:
        """The ranges that were asked for."""
        return [request.headers.get("range") for request in self.requests]

    async def __call__(self, exchange: Exchange) -> None:
        request = await exchange.read()
        if request.path.startswith("/v1/"):
            self.asked.append(request)
            shown = {"id": "rec_1", "url": f"{self.url}/audio", "size": len(self.body), **self.told}
            await exchange.send(answer(200, shown))
            return
        self.requests.append(request)
        if self.script:
            await self.script.pop(0)(self, exchange, request)
        else:
            await self.serve(exchange, request)

    async def serve(
        self, exchange: Exchange, request: Received, *, cut: int | None = None, reset: bool = False
    ) -> None:
        """Serve the file, or the rest of it that is asked for."""
        start = 0
        asked, condition = request.headers.get("range"), request.headers.get("if-range")
        if asked and self.takes_ranges and (condition is None or condition in {self.etag, self.modified}):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.body):
                await exchange.send(answer(416, b"", {"Content-Range": f"bytes */{len(self.body)}"}))
                return
        body = self.body[start:]
        lines = [f"HTTP/1.1 {206 if start else 200} OK", "Content-Type: audio/wav"]
        lines += [f"{name}: {value}" for name, value in self.more.items()]
        lines += [f"ETag: {self.etag}"] if self.etag else []
        lines += [f"Last-Modified: {self.modified}"] if self.modified else []
        lines += [f"Content-Range: bytes {start}-{len(self.body) - 1}/{len(self.body)}"] if start else []
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.says_length:
            lines.append(f"Content-Length: {len(body)}")
        else:
            lines.append("Connection: close")
        await exchange.send("\r\n".join([*lines, "", ""]).encode())
        cut = cut if cut is not None else self.cut
        whole = cut is None or len(body) <= cut
        sent = body if cut is None else body[:cut]
        if self.chunked:
            for at in range(0, len(sent), 50_000):
                piece = sent[at : at + 50_000]
                await exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            if whole:
                await exchange.send(b"0\r\n\r\n")
        else:
            await exchange.send(sent)
        if not whole or not (self.chunked or self.says_length):
            await (exchange.reset() if reset else exchange.close())


@asynccontextmanager
async def opened(storage: Storage) -> AsyncIterator[FaultServer]:
    """The storage behind a socket."""
    async with FaultServer(then=storage) as server:
        storage.url = server.url
        yield server
