"""One live transcript for a thousand consumers: is it whole for all of them, how late is it, how much memory do they take.

Rules:
1. The API is `stream_server`, a process of its own, which writes the moment into each event; delay is from its write to the hands of
   the consumer. What the hub adds is the distance from the delay of a single reader of ``transcripts.stream``.
2. A tenth of the consumers stall: they take one event, and nothing more until the measured time is over. Then they read on, and have to
   get every final. The delays are those of the others.
3. First the consumers are tasks of one process. Then they are connections of another process, as browsers are, to a server that sends
   event streams; its sockets have small buffers, so that a connection that stalls is felt by the server. Most of their delay is that of a
   thousand writes one after the other, so a server beside it does nothing but these, and drops what does not fit into a socket.
4. Memory is the resident set of the process that has the hub, at the end of the measured time, less what it was with one consumer.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import resource
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

from benchmarks import stream_server
from benchmarks.tools import pin, table, versions

__all__ = ["main"]

KEY = "AJX_TEST_0123456789"
RATE = 20.0
#: Servers of event streams; "by hand" sends the same bytes to all, without a hub.
SERVERS = ("aiohttp by hand", "aiohttp", "uvicorn")


def _resident() -> int:
    # What is free goes back to the system first.
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _client(url: str):
    from ajoxi_async import AsyncAjoxi

    return AsyncAjoxi(KEY, base_url=url, limiter=None)


def _delays(late: list[int]) -> dict[str, float]:
    cuts = quantiles(late, n=1000)
    return {"p50": cuts[499] / 1e6, "p99": cuts[989] / 1e6, "max": max(late) / 1e6}


async def _alone(url: str, seconds: float) -> dict[str, Any]:
    """A reader of one stream, without a hub."""
    late = []
    async with _client(url) as client, client.transcripts.stream("call_1", extra_query={"rate": str(RATE)}) as live:
        until = time.monotonic() + seconds
        async for segment in live:
            late.append(time.monotonic_ns() - int(segment.text.partition(" ")[0]))
            if time.monotonic() > until:
                return _delays(late)
    raise AssertionError


async def _tasks(url: str, consumers: int, seconds: float) -> dict[str, Any]:
    """Consumers that are tasks."""
    late: list[int] = []
    seen = [0] * consumers
    measured, go_on = True, asyncio.Event()
    last: int | None = None

    async def consume(number: int) -> None:
        stalls = number % 10 == 0
        async with hub.watch("call_1") as live:
            async for segment in live:
                if measured and not stalls:
                    late.append(time.monotonic_ns() - int(segment.text.partition(" ")[0]))
                assert segment.sequence == seen[number] + 1, "a final is missing"
                seen[number] = segment.sequence
                if stalls and measured:
                    await go_on.wait()
                if last is not None and segment.sequence >= last:
                    return

    async with _client(url) as client, client.transcripts.hub(extra_query={"rate": str(RATE)}) as hub:
        first = asyncio.create_task(consume(1))
        await asyncio.sleep(0.5)
        empty = _resident()
        cpu = time.process_time()
        tasks = [asyncio.create_task(consume(number)) for number in range(consumers) if number != 1]
        await asyncio.sleep(1.0)
        late.clear()
        await asyncio.sleep(seconds)
        measured = False
        cpu = time.process_time() - cpu
        full = _resident()
        last = max(seen) + 1
        go_on.set()
        await asyncio.wait_for(asyncio.gather(first, *tasks), 30)
        whole = sum(number >= last for number in seen)
    return {
        **_delays(late),
        "whole": whole,
        "memory": (full - empty) / (consumers - 1) / 1024,
        "cpu": cpu / (seconds + 1.0),
    }


async def _by_hand(client):
    from aiohttp import web

    from ajoxi_async.contract import codec
    from ajoxi_async.contract.frames import event_frame

    changed, frame = asyncio.Event(), b""

    async def follow() -> None:
        nonlocal changed, frame
        async with client.transcripts.stream("call_1", extra_query={"rate": str(RATE)}) as live:
            async for segment in live:
                frame = event_frame("segment", codec.encode(segment), str(segment.sequence))
                changed.set()
                changed = asyncio.Event()

    async def events(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await changed.wait()
            if request.transport is None:  # the browser is gone
                return response
            if request.transport.get_write_buffer_size() == 0:
                await response.write(frame)

    _kept.append(asyncio.create_task(follow()))
    return events


_kept: list[asyncio.Task[None]] = []


async def _serve(url: str, framework: str) -> None:
    """A server of event streams; each line of standard input is answered with memory and processor time."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    async with (
        _client(url) as client,
        client.transcripts.hub(send_timeout=None, extra_query={"rate": str(RATE)}) as hub,
    ):
        if framework.startswith("aiohttp"):
            from aiohttp import web

            from ajoxi_async.hub.aiohttp import sse_response

            async def events(request):
                return await sse_response(request, hub, "call_1")

            if framework == "aiohttp by hand":
                events = await _by_hand(client)
            app = web.Application()
            app.router.add_get("/", events)
            runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
            await runner.setup()
            await web.SockSite(runner, listener, backlog=4096).start()
        else:
            import uvicorn

            from ajoxi_async.hub.asgi import send_sse

            async def app(scope, receive, send):
                await send_sse(scope, receive, send, hub, "call_1")

            config = uvicorn.Config(app, lifespan="off", log_level="error", timeout_graceful_shutdown=1, backlog=4096)
            serving = asyncio.create_task(uvicorn.Server(config).serve([listener]))
            await asyncio.sleep(0.2)
            assert not serving.done()
        print(listener.getsockname()[1], flush=True)
        while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            print(json.dumps({"memory": _resident(), "cpu": time.process_time()}), flush=True)
        # The connections are the other process's to end.
        import os

        os._exit(0)


class _Browser(asyncio.Protocol):
    """Reads one event stream."""

    def __init__(self, late: list[int] | None) -> None:
        self.late = late
        self.seen = 0
        self.stalled = False
        self.gap = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b'data: {"sequence":'):
                segment = json.loads(line[6:])
                self.gap |= bool(self.seen) and segment["sequence"] != self.seen + 1
                self.seen = segment["sequence"]
                if self.late is not None:
                    self.late.append(now - int(segment["text"].partition(" ")[0]))
        if self.stalled:
            self.transport.pause_reading()


async def _browsers(port: int, consumers: int, seconds: float, ask, *, whole: bool = True) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    late: list[int] = []

    async def connect(number: int) -> _Browser:
        sock = socket.socket()
        sock.setblocking(False)
        if number % 10 == 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        stalls = number % 10 == 0
        _, browser = await loop.create_connection(lambda: _Browser(None if stalls else late), sock=sock)
        browser.stalled = stalls
        return browser

    browsers = [await connect(1)]
    await asyncio.sleep(1.0)
    empty = await ask()
    browsers += [await connect(number) for number in range(consumers) if number != 1]
    await asyncio.sleep(2.0)
    before = await ask()
    await asyncio.sleep(0.2)
    late.clear()
    began = time.monotonic()
    await asyncio.sleep(seconds)
    measured = late.copy()
    full, took = await ask(), time.monotonic() - began
    last = max(browser.seen for browser in browsers)
    # What is sent by hand is lost for those that stall.
    awaited = browsers if whole else [browser for browser in browsers if not browser.stalled]
    held_back = sum(browser.seen < last - RATE for browser in browsers)
    for browser in browsers:
        if browser.stalled:
            browser.stalled = False
            browser.transport.resume_reading()
    async with asyncio.timeout(60):
        while any(browser.seen < last for browser in awaited):  # noqa: ASYNC110 - they are another loop's protocols
            await asyncio.sleep(0.05)
    for browser in browsers:
        browser.transport.abort()
    return {
        **_delays(measured),
        "whole": sum(not browser.gap for browser in browsers),
        "held back": held_back,
        "memory": (full["memory"] - empty["memory"]) / (consumers - 1) / 1024,
        "cpu": (full["cpu"] - before["cpu"]) / took,
    }


def _part(*arguments: str) -> dict[str, Any]:
    with stream_server.running() as url:
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.transcript_hub", "--part", *arguments, url],
            stdout=subprocess.PIPE, text=True, timeout=300, check=True,
        )  # fmt: skip
        result: dict[str, Any] = json.loads(run.stdout)
        return result


def _sockets(framework: str, consumers: int, seconds: float) -> dict[str, Any]:
    with stream_server.running() as url:
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.transcript_hub", "--part", "serve", framework, "0", url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())

        async def ask() -> dict[str, Any]:
            server.stdin.write("\n")
            server.stdin.flush()
            line = await asyncio.get_running_loop().run_in_executor(None, server.stdout.readline)
            answer: dict[str, Any] = json.loads(line)
            return answer

        try:
            return asyncio.run(_browsers(port, consumers, seconds, ask, whole=framework in {"aiohttp", "uvicorn"}))
        finally:
            server.stdin.close()
            server.wait(10)


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    consumers, seconds, rounds = (200, 3.0, 1) if quick else (1000, 12.0, 3)
    alone = [_part("alone", "1", str(seconds / 2)) for _ in range(rounds)]
    base = median(one["p99"] for one in alone)
    rows = [["one reader, no hub", "1", f"{median(one['p50'] for one in alone):.2f}", f"{base:.2f}", "", "", "", ""]]
    results = {"tasks": [_part("tasks", str(consumers), str(seconds)) for _ in range(rounds)]}
    for framework in SERVERS:
        results[f"event streams, {framework}"] = [_sockets(framework, consumers, seconds) for _ in range(rounds)]
    for name, runs in results.items():
        p99 = median(run["p99"] for run in runs)
        rows.append(
            [
                name,
                f"{min(run['whole'] for run in runs)} of {consumers}",
                f"{median(run['p50'] for run in runs):.2f}",
                f"{p99:.2f}",
                f"{p99 - base:+.2f}",
                f"{max(run['max'] for run in runs):.1f}",
                f"{median(run['memory'] for run in runs):.1f}",
                f"{median(run['cpu'] for run in runs) * 100:.0f} %",
            ]
        )
    head = [f"{RATE:g} events a second", "whole", "p50 ms", "p99 ms", "p99 added", "max ms", "KB/consumer", "CPU"]
    print(table(head, rows))


def _run_part(name: str, what: str, seconds: float, url: str) -> None:
    pin(0)
    if name == "serve":
        asyncio.run(_serve(url, what))
        return
    consumers = int(what)
    part = _alone(url, seconds) if name == "alone" else _tasks(url, consumers, seconds)
    print(json.dumps(asyncio.run(part)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transcript_hub")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", nargs=4, metavar=("NAME", "WHAT", "SECONDS", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        _run_part(given.part[0], given.part[1], float(given.part[2]), given.part[3])
    else:
        print(versions(), end="\n\n")
        main(quick=given.quick)
