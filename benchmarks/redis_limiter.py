"""Several processes on one key through Redis: what a server sees, while Redis is well, slow, killed and restarted.

    python -m benchmarks.redis_limiter                 # 30 s each: well, 10 ms of latency, killed for 5 s; and a plot
    python -m benchmarks.redis_limiter --quick         # 8 s each
    python -m benchmarks.redis_limiter --only killed

A redis-server of its own is started from the local binary on a free port of loopback. The server records when each
request arrives and counts by an exact sliding log of 100 a second. Eight processes run 40 bulk calls at once each; every
200 ms one of them makes an interactive call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing as mp
import os
import shutil
import socket
import subprocess
import tempfile
import time
from bisect import bisect_right
from collections import Counter, deque
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.tools import average, table

LIMIT = 100
PROCESSES, WAITERS = 8, 40
KEY = "AJX_TEST_benchmark"
PLOT = Path(__file__).with_suffix(".png")
BODY = b'{"id":"call_8f2a1b3c","status":"completed"}'


class _Server(asyncio.Protocol):
    """Answers every request at once and notes when it came, and who sent it."""

    log: ClassVar[deque[float]] = deque()
    arrivals: ClassVar[list[tuple[float, str, bool]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        worker = data.split(b"X-Worker: ", 1)[1].split(b"\r\n", 1)[0].decode()
        log = self.log
        while log and log[0] <= now - 1:
            log.popleft()
        admitted = len(log) < LIMIT
        if admitted:
            log.append(now)
        self.arrivals.append((now, worker, admitted))
        head = "200 OK" if admitted else "429 Too Many Requests\r\nRetry-After: 1"
        answer = (
            f"HTTP/1.1 {head}\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n"
            f"X-RateLimit-Limit: {LIMIT}\r\nX-RateLimit-Remaining: {LIMIT - len(log)}\r\n"
            f"X-RateLimit-Reset: {math.ceil(time.time() + 1)}\r\n\r\n"
        )
        self.transport.write(answer.encode() + BODY)


def _serve(pipe: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Server, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.recv)
        pipe.send(_Server.arrivals)
        server.close()

    asyncio.run(main())


def _work(number: int, port: int, redis_port: int, latency: float, pipe: Any) -> None:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from ajoxi_async import AsyncAjoxi
    from ajoxi_async.limits.redis import RedisLimiter

    if latency:
        _slow_down(redis.Connection, latency)
    connection = redis.Redis(
        port=redis_port, socket_timeout=0.25, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0)
    )
    limiter = RedisLimiter(connection, key=KEY)
    waits: list[float] = []
    failures: Counter[str] = Counter()
    until = 0.0

    async def bulk(client: AsyncAjoxi) -> None:
        while time.monotonic() < until:
            try:
                await client.calls.retrieve("call_8f2a1b3c", lane="bulk")
            except Exception as error:
                failures[f"{type(error).__name__}: {error}"[:200]] += 1

    async def interactive(client: AsyncAjoxi) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(0.2 * PROCESSES)
            began = time.monotonic()
            turn = await limiter.acquire("interactive")
            waits.append(time.monotonic() - began)
            limiter.lost(turn)
            # A turn is used: the server is to see it.
            await client._pipeline.transport.send(  # type: ignore[call-arg]
                client._pipeline.request(_route(), {}, id="call_8f2a1b3c")
            )

    async def main() -> None:
        headers = {"X-Worker": str(number)}
        async with AsyncAjoxi(
            KEY, base_url=f"http://127.0.0.1:{port}", limiter=limiter, default_headers=headers
        ) as client:
            await client._pipeline.transport.send(client._pipeline.request(_route(), {}, id="call_warm_up"))
            nonlocal until
            pipe.send("ready")
            until = await asyncio.to_thread(pipe.recv)
            await asyncio.gather(interactive(client), *(bulk(client) for _ in range(WAITERS)))

    asyncio.run(main())
    pipe.send((waits, dict(failures), limiter._asked, limiter._granted, limiter._forfeited))


def _slow_down(connection: Any, latency: float) -> None:
    """Half of the latency on the way there, half on the way back; Redis is asked from a thread."""
    send, read = connection.send_packed_command, connection.read_response

    def slow_send(self: Any, *args: Any, **kwargs: Any) -> Any:
        time.sleep(latency / 2)
        return send(self, *args, **kwargs)

    def slow_read(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = read(self, *args, **kwargs)
        time.sleep(latency / 2)
        return answer

    connection.send_packed_command, connection.read_response = slow_send, slow_read


def _route() -> Any:
    from ajoxi_async.contract.routes import CALLS_RETRIEVE

    return CALLS_RETRIEVE


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start_redis(port: int, folder: str) -> subprocess.Popen[bytes]:
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        raise SystemExit("redis-server or valkey-server is needed: apt-get install redis-server")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return process
    raise SystemExit("redis-server did not start")


def _most(arrivals: list[float]) -> int:
    return max(bisect_right(arrivals, at + 1 - 1e-9) - index for index, at in enumerate(arrivals))


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else math.nan


def _plot(runs: dict[str, list[float]]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    figure = Figure(figsize=(9, 2.4 * len(runs)), layout="constrained")
    for axes, (name, times) in zip(figure.subplots(len(runs), 1, squeeze=False)[:, 0], runs.items(), strict=True):
        first = times[0]
        moments = [number / 20 for number in range(int((times[-1] - first) * 20))]
        counts = [bisect_right(times, first + at) - bisect_right(times, first + at - 1) for at in moments]
        axes.plot(moments, counts, linewidth=1)
        axes.axhline(LIMIT, color="black", linewidth=0.8)
        axes.set_ylim(0, LIMIT * 1.2)
        axes.set_title(f"Redis {name}: arrivals in the last second", fontsize=9)
    figure.savefig(PLOT, dpi=110)
    print(f"plot: {PLOT.name}")


def measure(name: str, seconds: float, *, latency: float = 0.0, kill_for: float = 0.0) -> tuple[list[str], list[float]]:
    """Run one scenario; returns its row, and when requests arrived."""
    context = mp.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        redis_port = _free_port()
        redis = _start_redis(redis_port, folder)
        ours, theirs = context.Pipe()
        server = context.Process(target=_serve, args=(theirs,))
        server.start()
        port = ours.recv()
        pipes, workers = [], []
        for number in range(PROCESSES):
            mine, its = context.Pipe()
            worker = context.Process(target=_work, args=(number, port, redis_port, latency, its))
            worker.start()
            pipes.append(mine)
            workers.append(worker)
        for pipe in pipes:
            pipe.recv()
        until = time.monotonic() + 1 + seconds  # a second to find each other
        for pipe in pipes:
            pipe.send(until)
        killed_at = restarted_at = 0.0
        if kill_for:
            time.sleep(1 + (seconds - kill_for) / 2)
            redis.kill()
            redis.wait()
            killed_at = time.monotonic()
            time.sleep(kill_for)
            redis = _start_redis(redis_port, folder)
            restarted_at = time.monotonic()
        results = [pipe.recv() for pipe in pipes]
        for worker in workers:
            worker.join()
        ours.send("stop")
        arrivals = ours.recv()
        server.join()
        redis.kill()
        redis.wait()
    begin = until - seconds + 1
    times = [at for at, _, _ in arrivals if at > until - seconds - 1]  # without the processes' own beginnings
    counted = [at for at in times if begin <= at < until]
    counts = Counter(worker for at, worker, _ in arrivals if begin <= at < until)
    shares = [counts[str(number)] for number in range(PROCESSES)]
    jain = sum(shares) ** 2 / (PROCESSES * sum(share * share for share in shares))
    refused = sum(not admitted for _, _, admitted in arrivals)
    waits = [wait for waits, *_ in results for wait in waits]
    asked = sum(result[2] for result in results)
    granted = sum(result[3] for result in results)
    forfeited = sum(result[4] for result in results)
    failures: Counter[str] = Counter()
    for result in results:
        failures.update(result[1])
    meanwhile = ""
    if kill_for:
        gone = [at for at in times if killed_at <= at < restarted_at]
        meanwhile = f"{len(gone) / kill_for:.0f}"
    row = [
        name,
        str(_most(times)),
        f"{len(counted) / (seconds - 1):.1f}",
        str(refused),
        f"{jain:.3f}",
        f"{average(waits) * 1000:.0f}",
        f"{_percentile(waits, 0.99) * 1000:.0f}",
        f"{asked / granted:.2f}",
        f"{100 * forfeited / granted:.1f} %",
        meanwhile,
        json.dumps(failures) if failures else "none",
    ]
    return row, times


SCENARIOS: dict[str, dict[str, float]] = {"well": {}, "slow": {"latency": 0.010}, "killed": {"kill_for": 5.0}}


def main(*, quick: bool = False, only: str | None = None) -> None:
    """Measure and print."""
    seconds = 8.0 if quick else 30.0
    head = [
        f"{PROCESSES} processes x {WAITERS}, {seconds:g} s",
        "most in 1 s",
        "a second",
        "429",
        "Jain",
        "interactive p50 ms",
        "p99 ms",
        "asked a call",
        "late",
        "a second without Redis",
        "errors",
    ]
    runs = {name: measure(name, seconds, **settings) for name, settings in SCENARIOS.items() if only in {None, name}}
    print(table(head, [row for row, _ in runs.values()]))
    _plot({name: sorted(times) for name, (_, times) in runs.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=SCENARIOS)
    given = parser.parse_args()
    os.chdir(Path(__file__).parent.parent)
    main(quick=given.quick, only=given.only)
