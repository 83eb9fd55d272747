"""The sandbox under load, client and server sharing the machine.

    python -m benchmarks.sandbox_load            # needs wrk: apt-get install wrk

POST /v1/calls a second; the 99th percentile of a list of 50 among 100,000 calls; memory for each call held; readers of live
transcripts at once. Bars: 4,000 a second, 10 ms, 4 KB, 1,000 readers.
"""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.tools import table

HELD, READERS = 100_000, 1_000

POST = """
wrk.method = "POST"
wrk.body = '{"to":"+14155551234","from":"+14155550100","ai_receptionist":true}'
wrk.headers["Authorization"] = "Bearer %s"
wrk.headers["Content-Type"] = "application/json"
"""
GET = """
wrk.headers["Authorization"] = "Bearer %s"
"""


def _memory() -> int:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _serve(pipe: Any, clock: str, held: int) -> None:
    from ajoxi_async import Sandbox

    async def main() -> None:
        async with Sandbox(rate_limit=None, clock=clock) as sandbox:
            before = _memory()
            sandbox.seed_calls(held)
            pipe.send((sandbox.base_url, sandbox.api_key, (_memory() - before) / max(1, held)))
            await asyncio.to_thread(pipe.recv)

    asyncio.run(main())


class _Sandbox:
    """A sandbox in a process of its own."""

    def __init__(self, *, clock: str = "real", held: int = 0) -> None:
        context = mp.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, clock, held))
        self._process.start()
        self.url, self.key, self.bytes_each = self._pipe.recv()

    def close(self) -> None:
        self._pipe.send("stop")
        self._process.join()


def _wrk(sandbox: _Sandbox, path: str, script: str, *, connections: int, seconds: float) -> tuple[float, float, int]:
    """Requests a second, the 99th percentile in ms, and answers that were no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script % sandbox.key)
        file.flush()
        options = ["-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", file.name]
        command = [shutil.which("wrk") or "wrk", *options, sandbox.url + path]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", shown)[0])
    value, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", shown)[0]
    failed = re.findall(r"Non-2xx or 3xx responses: (\d+)", shown)
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], int(failed[0]) if failed else 0


async def _read(sandbox: _Sandbox, readers: int) -> tuple[int, float]:
    """How many live transcripts completed, and the seconds it took."""
    from ajoxi_async import AsyncAjoxi, LocalLimiter

    loop = asyncio.get_running_loop()
    async with AsyncAjoxi(sandbox.key, base_url=sandbox.url, limiter=LocalLimiter(None)) as client:
        call = await client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=True)
        began = loop.time()

        async def follow() -> bool:
            async with client.transcripts.stream(call.id, interim=False) as live:
                return (await live.until_done()).status == "completed"

        done = await asyncio.gather(*(follow() for _ in range(readers)), return_exceptions=True)
    return sum(one is True for one in done), loop.time() - began


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    if shutil.which("wrk") is None:
        print("wrk is needed: apt-get install wrk")
        return
    seconds = 2.0 if quick else 10.0
    sandbox = _Sandbox()
    rate, slow, failed = _wrk(sandbox, "/v1/calls", POST, connections=32, seconds=seconds)
    sandbox.close()
    rows = [["POST /v1/calls, 32 connections", f"{rate:,.0f} a second", f"p99 {slow:.1f} ms", f"{failed} failed"]]
    sandbox = _Sandbox(held=HELD)
    rate, slow, failed = _wrk(sandbox, "/v1/calls?limit=50", GET, connections=4, seconds=seconds)
    rows += [
        [
            f"GET /v1/calls, {HELD:,} held, 4 connections",
            f"{rate:,.0f} a second",
            f"p99 {slow:.1f} ms",
            f"{failed} failed",
        ],
        ["memory of a call held", f"{sandbox.bytes_each:,.0f} bytes", "", ""],
    ]
    sandbox.close()
    sandbox = _Sandbox()
    readers = 100 if quick else READERS
    completed, took = asyncio.run(_read(sandbox, readers))
    sandbox.close()
    rows.append([f"{readers:,} readers of one transcript", f"{completed:,} completed", f"in {took:.1f} s", ""])
    print(table(["the sandbox under load", "", "", ""], rows))


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
