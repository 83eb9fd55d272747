"""A loopback server of event streams, in a process of its own: ``GET /<anything>?rate=R`` sends R segments a second.

Rules:
1. One clock for all streams, in steps of a millisecond, so that their events are spread evenly over each second.
2. Each event carries the instant it was written, on the machine's monotonic clock, which the reader shares.
3. It ends with its parent: when its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, cast
from urllib.parse import parse_qs

from benchmarks.tools import pin

__all__ = ["frame", "running"]

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def frame(sequence: int, stamp: int) -> bytes:
    """One segment as it is written, about 260 bytes; its text begins with the stamp."""
    data = {
        "sequence": sequence,
        "revision": 1,
        "channel": 0,
        "speaker": "customer",
        "text": f"{stamp} I need to move my appointment from Tuesday to Thursday at ten.",
        "start": 1.25,
        "end": 3.5,
        "confidence": 0.96,
        "is_final": True,
        "sentiment": 0.1,
    }
    return b"event: transcript.segment\nid: %d\ndata: %b\n\n" % (sequence, json.dumps(data).encode())


class _Stream(asyncio.Protocol):
    all: ClassVar[list[_Stream]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._head = b""
        self._sent = 0
        self.rate = 0.0
        self.due = 0.0

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head:
            target = self._head.split(b" ", 2)[1].decode()
            self.rate = float(parse_qs(target.partition("?")[2])["rate"][0])
            self._transport.write(HEAD)
            self._chunk(b"retry: 1000\n\n: heartbeat\n\n")
            # The n-th stream begins at its own part of the period.
            self.due = time.monotonic() + (1 + len(self.all) * 0.618 % 1) / self.rate if self.rate else float("inf")
            self.all.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self in self.all:
            self.all.remove(self)

    def _chunk(self, data: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def tell(self) -> None:
        self._sent += 1
        self._chunk(frame(self._sent, time.monotonic_ns()))
        self.due += 1 / self.rate


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Stream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    over = loop.run_in_executor(None, sys.stdin.read)
    while not over.done():
        now = time.monotonic()
        for stream in _Stream.all:
            if stream.due <= now:
                stream.tell()
        await asyncio.sleep(0.001)
    server.close()


@contextmanager
def running() -> Iterator[str]:
    """The server's URL, while it runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.stream_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    pin(1)
    asyncio.run(_serve())
