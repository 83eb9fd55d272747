"""Event streams side by side: decoding, the price of an event and its delay under load, memory of an open stream.

Every reader of `stream_readers.py` runs as a process of its own against one server on the other core. Delay is from the
write of the server to the text in the reader's hands; what a reader adds is its distance from bare aiohttp, which looks at
nothing but the bytes it knows. Readers whose package is missing are skipped.
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import gc
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import quantiles
from types import SimpleNamespace
from typing import Any, cast

from benchmarks import stream_server
from benchmarks.stream_readers import PACKAGES, READERS
from benchmarks.tools import average, installed, pin, rotated, table, versions

__all__ = ["main"]

LOADS = ((100, 10.0), (500, 5.0))
EVENTS = 20_000
CHUNK = 16_384

Decode = Callable[[list[bytes]], int]


def _own(chunks: list[bytes]) -> int:
    from ajoxi_async.protocol.sse import SSEDecoder

    decoder = SSEDecoder()
    return sum(len(decoder.feed(chunk)) for chunk in chunks)


def _own_converted(chunks: list[bytes]) -> int:
    from httpx_sse import ServerSentEvent

    from ajoxi_async.protocol.sse import SSEDecoder

    decoder = SSEDecoder()
    return sum(len([ServerSentEvent(*frame) for frame in decoder.feed(chunk)]) for chunk in chunks)


def _httpx_sse(chunks: list[bytes]) -> int:
    from httpx_sse._decoders import SSEDecoder, SSELineDecoder

    lines, decoder, events = SSELineDecoder(), SSEDecoder(), 0
    text = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        for line in lines.decode(text.decode(chunk)):
            events += decoder.decode(line) is not None
    return events


def _openai(chunks: list[bytes]) -> int:
    from openai._streaming import SSEDecoder

    return sum(1 for _ in SSEDecoder().iter_bytes(iter(chunks)))


def _aiohttp_sse_client2(chunks: list[bytes]) -> int:
    from aiohttp_sse_client2.client import EventSource

    async def lines() -> AsyncIterator[bytes]:
        rest = b""
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line + b"\n"

    async def read() -> int:
        source = EventSource("http://localhost/", session=cast("Any", object()))
        source._response = SimpleNamespace(status=200, content=lines(), close=lambda: None)
        source._ready_state = 1
        # No further than that: at its end it would wait and connect again.
        for _ in range(EVENTS):
            await anext(source)
        return EVENTS

    return asyncio.run(read())


DECODERS: dict[str, Decode] = {
    "ajoxi_async": _own,
    "ajoxi_async, as ServerSentEvent": _own_converted,
    "httpx-sse": _httpx_sse,
    "openai decoder": _openai,
    "aiohttp-sse-client2": _aiohttp_sse_client2,
}


def _present(name: str) -> bool:
    package = PACKAGES.get(name)
    return package is None or installed(package) is not None


def decoding(rounds: int) -> str:
    """Events a second from bytes to event objects."""
    blob = b"".join(stream_server.frame(n, 123456789012345) for n in range(EVENTS))
    chunks = [blob[at : at + CHUNK] for at in range(0, len(blob), CHUNK)]
    names = [name for name in DECODERS if _present(name)]
    took: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in rotated(names, turn):
            gc.collect()
            began = time.perf_counter()
            events = DECODERS[name](chunks)
            took[name].append((time.perf_counter() - began) / max(events, 1))
            assert events == EVENTS, f"{name} found {events} events of {EVENTS}"
    base = took.get("httpx-sse", took["ajoxi_async"])
    rows = [
        [
            name,
            f"{average([1 / t for t in took[name]]):,.0f}",
            f"{average(took[name]) * 1e6:.2f}",
            f"{average([b / t for b, t in zip(base, took[name], strict=True)]):.2f}",
        ]
        for name in names
    ]
    return table(["decoded, 16 KB at a time", "events/s", "µs/event", "of httpx-sse"], rows)


def _read(name: str, url: str, streams: int, rate: float, seconds: float) -> dict[str, Any] | None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.stream_readers", name, url, str(streams), str(rate), str(seconds)],
        capture_output=True, text=True, timeout=60 + seconds * 4, check=False,
    )  # fmt: skip
    if run.returncode:
        print(f"{name} failed: {run.stderr.strip().splitlines()[-1:]}")
        return None
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def _percentiles(late: list[int]) -> tuple[float, float]:
    cuts = quantiles(late, n=100)
    return cuts[49] / 1e6, cuts[98] / 1e6


def load(streams: int, rate: float, seconds: float, rounds: int) -> tuple[str, dict[str, list[int]]]:
    """Delay and processor time per event; the delays of all rounds for the plot."""
    names = [name for name in READERS if _present(name)]
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in rotated(names, turn):
            with stream_server.running() as url:
                result = _read(name, url, streams, rate, seconds)
            if result is not None and result["late"]:
                seen[name].append(result)
    rows = []
    bare = seen["bare aiohttp"]
    for name, results in seen.items():
        if not results:
            continue
        p50, p99 = (average([_percentiles(r["late"])[i] for r in results]) for i in (0, 1))
        base99 = average([_percentiles(r["late"])[1] for r in bare]) if bare else float("nan")
        rows.append(
            [
                name,
                f"{average([len(r['late']) / r['took'] for r in results]):,.0f}",
                f"{average([r['cpu'] / len(r['late']) for r in results]) * 1e6:.0f}",
                f"{p50:.2f}",
                f"{p99:.2f}",
                f"{p99 - base99:+.2f}",
                f"{min(r['alive'] for r in results)}",
            ]
        )
    head = [f"{streams} streams x {rate:g}/s", "events/s", "CPU µs/event", "p50 ms", "p99 ms", "p99 over bare", "alive"]
    return table(head, rows), {
        name: [n for r in results for n in r["late"]] for name, results in seen.items() if results
    }


def memory(streams: int) -> str:
    """Resident memory of the reader for each open stream."""
    rows = []
    for name in READERS:
        if _present(name):
            with stream_server.running() as url:
                result = _read(name, url, streams, 0.2, 1.0)
            if result is not None:
                rows.append([name, f"{result['memory'] / streams / 1024:.1f}", f"{result['alive']}"])
    return table([f"{streams} open streams", "KB/stream", "alive"], rows)


def plot(delays: dict[str, dict[str, list[int]]], to: Path) -> None:
    """The delays of every reader as curves: which share of the events had arrived after how long."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(delays), figsize=(6.2 * len(delays), 4.2), sharey=True, squeeze=False)
    for axis, (title, readers) in zip(axes[0], delays.items(), strict=True):
        for name, late in readers.items():
            ordered = sorted(late)
            step = max(1, len(ordered) // 2000)
            shares = [1 - i / len(ordered) for i in range(0, len(ordered), step)]
            width = 2.2 if name.startswith("ajoxi") else 1.2
            axis.plot([n / 1e6 for n in ordered[::step]], shares, label=name, linewidth=width)
        axis.set_title(title)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("ms from the server's write to the reader's hands")
        axis.grid(visible=True, which="both", alpha=0.2)
    axes[0][0].set_ylabel("share of events still under way")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(to, dpi=110)
    plt.close(figure)


def main(*, quick: bool = False) -> None:
    """Measure and print; the plot goes beside this file."""
    pin(0)
    print(decoding(2 if quick else 9), end="\n\n")
    delays = {}
    for streams, rate in LOADS[:1] if quick else LOADS:
        shown, late = load(streams, rate, 1.5 if quick else 6, 1 if quick else 3)
        print(shown, end="\n\n")
        delays[f"{streams} streams x {rate:g} events a second"] = late
    print(memory(100 if quick else 1000), end="\n\n")
    if quick or find_spec("matplotlib") is None:
        print("No plot: it takes a full round and matplotlib.")
    else:
        plot(delays, Path(__file__).with_name("streaming.png"))
        print("The plot is benchmarks/streaming.png.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming")
    parser.add_argument("--quick", action="store_true")
    print(versions(), end="\n\n")
    main(quick=parser.parse_args().quick)
