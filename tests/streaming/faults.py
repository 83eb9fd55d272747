"""A sandbox behind a proxy that breaks connections, in a thread of its own, so that a client of either backend can meet it.

A plan says what becomes of each event stream, connection after connection; everything else passes.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from ajoxi_async import Sandbox, Segment
from ajoxi_async.sandbox import RealClock, Timing
from ajoxi_async.sandbox.conversation import script
from ajoxi_async.sandbox.conversation.live_log import log_of
from ajoxi_async.sandbox.state import calls

Kind = Literal["pass", "fin", "rst", "stall", "refuse"]


@dataclass(frozen=True)
class Fault:
    """What becomes of one connection: how it ends, after how many bytes of the response, and in which portions they come."""

    kind: Kind = "pass"
    after: int = 0
    portion: int = 65536


@dataclass
class Broken:
    """The address of the proxy, and what stands behind it."""

    sandbox: Sandbox
    plan: Callable[[int], Fault] = lambda _: Fault()
    base_url: str = ""
    connections: int = 0
    open: int = 0
    cut_all: Callable[[], object] = lambda: None
    stalled_at: list[float] = field(default_factory=list)

    def finished_call(self, talk: float, *, number: int = 0) -> str:
        """The id of a call that is over."""
        account = self.sandbox.world().account
        calls.seed(account, 3 * (number + 1), self.sandbox.clock.now() - 2 * talk)
        return next(call.id for call in account.calls.newest_first() if call.answered_at is not None)

    def told(self, call_id: str, talk: float) -> list[Segment]:
        """Every final of a call in the order of the stream."""
        return [u.segment for u in script.updates(call_id, talk, ai=False) if u.segment.is_final]

    def length(self, call_id: str) -> int:
        """Bytes of the events of a call."""
        account = self.sandbox.world().account
        call = account.calls.get(call_id)
        assert call is not None
        log = log_of(call, calls.plan_of(account, call).talk)
        assert log is not None
        return sum(map(len, log.frames))


def at_random(seed: int, *, mean: int) -> Callable[[int], Fault]:
    """A plan that breaks connections in every way, after `mean` bytes on average, and stalls now and then."""
    rng = random.Random(seed)

    def plan(_: int) -> Fault:
        kind: Kind = rng.choices(("fin", "rst", "refuse", "stall"), (50, 40, 8, 2))[0]
        portion = rng.choices((1, 7, 1000, 65536), (1, 2, 10, 87))[0]
        after = int(rng.expovariate(1 / mean))
        return Fault(kind, min(after, 4000) if portion < 10 else after, portion)

    return plan


async def _forward(
    broken: Broken, upstream_port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    broken.open += 1
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        body = await reader.readexactly(int(length[1])) if length else b""
        fault = Fault()
        if b"text/event-stream" in head:
            fault = broken.plan(broken.connections)
            broken.connections += 1
        if fault.kind == "refuse":
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", upstream_port)
        try:
            # One request a connection upstream, so that its end is the end of the response.
            up_writer.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
            await _answer(broken, fault, up_reader, writer, reader)
        finally:
            up_writer.close()
    except (OSError, EOFError, asyncio.LimitOverrunError):
        pass
    finally:
        broken.open -= 1
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _answer(
    broken: Broken,
    fault: Fault,
    source: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    reader: asyncio.StreamReader,
) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sent = 0
    while piece := await source.read(65536):
        if fault.kind != "pass":
            piece = piece[: fault.after - sent]
        for at in range(0, len(piece), fault.portion):
            writer.write(piece[at : at + fault.portion])
            await writer.drain()
            if fault.portion < 10:
                await asyncio.sleep(0)
        sent += len(piece)
        if fault.kind != "pass" and sent >= fault.after:
            break
    if fault.kind == "rst":
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    elif fault.kind == "stall":
        broken.stalled_at.append(asyncio.get_running_loop().time())
        await reader.read()


@contextmanager
def broken_sandbox(*, timing: Timing | None = None, speed: float = 1.0, rate: int | None = None) -> Iterator[Broken]:
    """Run a sandbox and its proxy in a thread."""
    ready: threading.Event = threading.Event()
    held: list[Broken] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        done = asyncio.Event()
        async with Sandbox(timing=timing, clock=RealClock(speed=speed), rate_limit=rate) as sandbox:
            broken = Broken(sandbox)
            port = int(sandbox.base_url.rpartition(":")[2])
            tasks: set[asyncio.Task[None]] = set()

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                with suppress(asyncio.CancelledError):
                    await _forward(broken, port, reader, writer)

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            broken.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            loop = asyncio.get_running_loop()
            # Cancelled, each closes its connection.
            broken.cut_all = lambda: loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
            stop.append(lambda: loop.call_soon_threadsafe(done.set))
            held.append(broken)
            ready.set()
            await done.wait()
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise TimeoutError("the server of broken streams did not start")
    try:
        yield held[0]
    finally:
        stop[0]()
        thread.join(10)
