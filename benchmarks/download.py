"""A large recording over a connection that is cut again and again: is it the same, how fast, in how much memory.

Rules:
1. The server is a process of its own and makes the bytes as it goes; what is at a place of the file is known without it,
   so the hash that is expected is worked out and not fetched.
2. Each engine is a process of its own. Memory is the resident set, sampled while the file is fetched, less what it was
   after a small file had been fetched: the engine, its threads and the first file's buffers are not the download's.
3. Every connection ends after `CUT` bytes, and one answer is a 503. The client has its default retries.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random

from benchmarks.tools import table, versions

MIB = 1024 * 1024
SIZE, QUICK_SIZE = 1024 * MIB, 64 * MIB
CUT = 10 * 1000 * 1000
#: Not a divisor of anything, so that a byte out of place changes the hash.
BLOCK = Random(11).randbytes(1_000_003)
KEY = "AJX_TEST_0123456789"


def part(start: int, end: int) -> bytes:
    """The bytes of the file from one place to another, a MiB at most."""
    at = start % len(BLOCK)
    return (BLOCK[at:] + BLOCK)[: end - start]


def expected(size: int) -> str:
    """The hash of the file."""
    digest = hashlib.sha256()
    for at in range(0, size, MIB // 2):
        digest.update(part(at, min(size, at + MIB // 2)))
    return digest.hexdigest()


async def _serve(ready, size: int, cut: int) -> None:
    requests = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                small = "/small" in head
                whole, limit = (MIB, MIB) if small else (size, cut)
                requests += not small
                if requests == 20 and not small:
                    writer.write(b"HTTP/1.1 503 Later\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
                    await writer.drain()
                    continue
                asked = head.partition("\r\nrange: bytes=")[2].partition("-")[0]
                start = int(asked or 0)
                lines = [f"HTTP/1.1 {206 if asked else 200} OK", "Content-Type: audio/wav", 'ETag: "v1"']
                lines += [f"Content-Length: {whole - start}"]
                lines += [f"Content-Range: bytes {start}-{whole - 1}/{whole}"] if asked else []
                writer.write("\r\n".join([*lines, "", ""]).encode())
                end = min(whole, start + limit)
                for at in range(start, end, MIB // 2):
                    writer.write(part(at, min(end, at + MIB // 2)))
                    await writer.drain()
                if end < whole:
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def _server(ready, size: int, cut: int) -> None:
    asyncio.run(_serve(ready, size, cut))


def _resident() -> int:
    """Bytes in memory now; where the system does not say, the most there ever were."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Sampling:
    """The highest of the resident sets seen, in a thread."""

    def __enter__(self):
        self.most = self.first = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._over.wait(0.005):
            self.most = max(self.most, _resident())

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()


async def _fetch(port: int, folder: Path, way: str):
    from ajoxi_async import AsyncAjoxi, Recording

    async with AsyncAjoxi(KEY, base_url="http://127.0.0.1:9") as client:

        async def fetch(name: str) -> str:
            recording = Recording(id="rec_1", url=f"http://127.0.0.1:{port}/{name}")
            digest = hashlib.sha256()
            if way == "stream":
                async with client.recordings.stream(recording) as audio:
                    async for chunk in audio:
                        digest.update(chunk)
            else:
                await client.recordings.download_to(recording, folder / name)
            return digest.hexdigest()

        for _ in range(3):
            await fetch("small")
        with Sampling() as memory:
            began, busy = time.perf_counter(), time.process_time()
            digest = await fetch("large")
            took, busy = time.perf_counter() - began, time.process_time() - busy
    return digest, took, busy, memory.most - memory.first


def _client(answer, backend: str, port: int, way: str) -> None:
    import anyio

    with tempfile.TemporaryDirectory() as folder:
        digest, took, busy, grew = anyio.run(_fetch, port, Path(folder), way, backend=backend)
        if way != "stream":
            with (Path(folder) / "large").open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
    answer.send((digest, took, busy, grew))


def measure(backend: str, way: str, size: int, cut: int):
    """Fetch the file once."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_server, args=(there, size, cut), daemon=True)
    server.start()
    port = here.recv()
    client = context.Process(target=_client, args=(there, backend, port, way))
    client.start()
    try:
        while not here.poll(1):
            if not client.is_alive():
                raise SystemExit(f"the client on {backend} failed")
        return here.recv()
    finally:
        client.join()
        server.terminate()
        server.join()


def main(*, quick: bool = False) -> None:
    """Print a table."""
    size = QUICK_SIZE if quick else SIZE
    right = expected(size)
    rows = []
    for backend, engine in (("asyncio", "aiohttp"), ("trio", "httpx")):
        for way in ("download_to", "stream"):
            digest, took, busy, grew = measure(backend, way, size, CUT)
            rows.append(
                [
                    f"{backend} / {engine}, {way}",
                    "same" if digest == right else "DIFFERENT",
                    f"{size / MIB / took:,.0f}",
                    f"{busy:.1f}",
                    f"{grew / MIB:.1f}",
                ]
            )
    print(f"Downloads of {size // MIB:,} MiB, cut every {CUT // 1_000_000} MB, with one 503")
    print(table(["", "sha256", "MiB/s", "processor s", "memory up, MiB"], rows), end="\n\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.download")
    parser.add_argument("--quick", action="store_true", help="64 MiB")
    arguments = parser.parse_args()
    print(versions(), end="\n\n")
    main(quick=arguments.quick)
