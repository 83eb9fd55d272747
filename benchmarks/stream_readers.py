"""One reader of event streams as a process: ``python -m benchmarks.stream_readers NAME URL STREAMS RATE SECONDS``.

It opens the streams, lets them settle, and prints what it saw as JSON: how long each event had been under way, processor
time, and memory. Each reader is written as its users would write it, and reads the JSON of each event.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import orjson

from benchmarks.tools import pin

__all__ = ["PACKAGES", "READERS"]

Texts = AsyncIterator[str]
Opener = Callable[[AsyncExitStack, str, float], Callable[[int], Texts]]

TARGET = "/v1/transcripts/call_{}?rate={}"


def bare(stack: AsyncExitStack, url: str, rate: float) -> Callable[[int], Texts]:
    """aiohttp and the bytes it brings; what a spoken event looks like is known, and nothing else is looked at."""
    import aiohttp

    opened: list[aiohttp.ClientSession] = []

    async def texts(number: int) -> Texts:
        if not opened:
            opened.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
            stack.push_async_callback(opened[0].close)
        timeout = aiohttp.ClientTimeout(total=None)
        async with opened[0].get(url + TARGET.format(number, rate), timeout=timeout) as response:
            async for chunk in response.content.iter_any():
                for line in chunk.split(b"\n"):
                    if line.startswith(b"data: "):
                        yield orjson.loads(line[6:])["text"]

    return texts


def ours(stack: AsyncExitStack, url: str, rate: float) -> Callable[[int], Texts]:
    """`client.transcripts.stream`: typed segments, resumed and deduplicated."""
    from ajoxi_async import AsyncAjoxi, LocalLimiter

    client = AsyncAjoxi("AJX_TEST_0123456789", base_url=url, limiter=LocalLimiter(None))
    stack.push_async_callback(client.aclose)

    async def texts(number: int) -> Texts:
        async with client.transcripts.stream(f"call_{number}", extra_query={"rate": str(rate)}) as live:
            async for segment in live:
                yield segment.text

    return texts


def ours_raw(stack: AsyncExitStack, url: str, rate: float) -> Callable[[int], Texts]:
    """`client.events`: raw events."""
    from ajoxi_async import AsyncAjoxi, LocalLimiter

    client = AsyncAjoxi("AJX_TEST_0123456789", base_url=url, limiter=LocalLimiter(None))
    stack.push_async_callback(client.aclose)

    async def texts(number: int) -> Texts:
        async with client.events("GET", TARGET.format(number, rate)) as events:
            async for event in events:
                yield orjson.loads(event.data)["text"]

    return texts


def httpx_sse(stack: AsyncExitStack, url: str, rate: float) -> Callable[[int], Texts]:
    """httpx and httpx-sse."""
    import httpx
    import httpx_sse

    client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None))
    stack.push_async_callback(client.aclose)

    async def texts(number: int) -> Texts:
        async with httpx_sse.aconnect_sse(client, "GET", url + TARGET.format(number, rate)) as source:
            async for event in source.aiter_sse():
                if event.data:
                    yield orjson.loads(event.data)["text"]

    return texts


def openai(stack: AsyncExitStack, url: str, rate: float) -> Callable[[int], Texts]:
    """httpx and the decoder of the openai SDK."""
    import httpx
    from openai._streaming import SSEDecoder

    client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None))
    stack.push_async_callback(client.aclose)

    async def texts(number: int) -> Texts:
        async with client.stream("GET", url + TARGET.format(number, rate)) as response:
            async for event in SSEDecoder().aiter_bytes(response.aiter_bytes()):
                if event.data:
                    yield orjson.loads(event.data)["text"]

    return texts


def aiohttp_sse_client2(stack: AsyncExitStack, url: str, rate: float) -> Callable[[int], Texts]:
    """aiohttp and aiohttp-sse-client2."""
    import aiohttp
    from aiohttp_sse_client2.client import EventSource

    opened: list[aiohttp.ClientSession] = []

    async def texts(number: int) -> Texts:
        if not opened:
            opened.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
            stack.push_async_callback(opened[0].close)
        timeout = aiohttp.ClientTimeout(total=None)
        async with EventSource(url + TARGET.format(number, rate), session=opened[0], timeout=timeout) as source:
            async for event in source:
                yield orjson.loads(event.data)["text"]

    return texts


READERS: dict[str, Opener] = {
    "bare aiohttp": bare,
    "ajoxi_async": ours,
    "ajoxi_async events": ours_raw,
    "httpx-sse": httpx_sse,
    "openai decoder": openai,
    "aiohttp-sse-client2": aiohttp_sse_client2,
}
#: What a reader needs to be installed.
PACKAGES = {"httpx-sse": "httpx-sse", "openai decoder": "openai", "aiohttp-sse-client2": "aiohttp-sse-client2"}


def _resident() -> int:
    # What is free goes back to the system first, or what the start left behind would hide what a stream takes.
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def _run(name: str, url: str, streams: int, rate: float, seconds: float) -> dict[str, object]:
    late: list[int] = []
    counting = False

    async def read(texts: Texts) -> None:
        async for text in texts:
            if counting:
                late.append(time.monotonic_ns() - int(text.partition(" ")[0]))

    async with AsyncExitStack() as stack:
        texts = READERS[name](stack, url, rate)
        # What one stream imports and opens is not the price of a stream.
        first = asyncio.ensure_future(read(texts(-1)))
        await asyncio.sleep(0.5)
        empty = _resident()
        tasks = []
        for number in range(streams):
            tasks.append(asyncio.ensure_future(read(texts(number))))
            if number % 50 == 49:
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.0)
        full = _resident()
        counting = True
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        counting = False
        cpu, took = time.process_time() - cpu, time.monotonic() - began
        alive = sum(not task.done() for task in tasks)
        for task in (first, *tasks):
            task.cancel()
        await asyncio.gather(first, *tasks, return_exceptions=True)
    return {"late": late, "cpu": cpu, "took": took, "memory": full - empty, "alive": alive}


def main() -> None:
    """Run one reader and print what it saw."""
    name, url, streams, rate, seconds = sys.argv[1:]
    pin(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    print(json.dumps(asyncio.run(_run(name, url, int(streams), float(rate), float(seconds)))))


if __name__ == "__main__":
    main()
