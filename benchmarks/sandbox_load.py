"""The sandbox under load, client and server sharing the machine.

    python benchmarks/sandbox_load.py                     # needs wrk: apt-get install wrk
    python benchmarks/sandbox_load.py --before DIR        # and the same for another checkout, round by round
    python benchmarks/sandbox_load.py --held 100000 --seconds 3

POST /v1/calls a second and its 99th percentile with 100,000 calls held; the same rate with three subscribers of the change
feed and with none, round by round; every filter of GET /v1/calls, first, deep and
last page, among a million; the longest time for which the event loop was blocked meanwhile; memory for each call held;
seconds to seed them; readers of live transcripts at once. Bars: 4,000 a second, 25 ms; 95 % of the rate with three subscribers, and 99 % of
that of the checkout before with none; 10 ms; 15 ms; 900 bytes; 15 s; 1,000 readers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from urllib.parse import quote

HERE = Path(__file__).resolve().parent.parent
sys.path.append(str(HERE))

HELD, READERS, ROUNDS = 100_000, 1_000, 3
SUBSCRIBERS = 3

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


def _cursor(filters: dict, place: int) -> str:
    """The cursor of the page that begins after so many calls, counted from the oldest."""
    from ajoxi_async.contract.calls import CallList
    from ajoxi_async.contract.codec import parse_query
    from ajoxi_async.sandbox.server.handlers import _filters

    try:
        from ajoxi_async.sandbox.state.lists.cursors import encode_cursor
    except ImportError:
        # Of a checkout before this one.
        from ajoxi_async.sandbox.state.cursors import encode_cursor
    return encode_cursor(place, _filters(parse_query(list(filters.items()), CallList)))


async def _follow(sandbox) -> None:
    """Follow changes as a page does that shows calls: look at each of them that changed."""
    calls = sandbox.world().account.calls
    async with sandbox.changes() as changes:
        async for batch in changes:
            for changed in batch.changed.get("call", ())[-60:]:
                calls.get(changed)


def _serve(held: int, lists: bool, subscribers: int) -> None:
    from ajoxi_async import Sandbox
    from ajoxi_async.contract.codec import format_time

    async def main() -> None:
        blocked = 0.0

        async def watch() -> None:
            nonlocal blocked
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0)
                blocked = max(blocked, time.perf_counter() - began)
                await asyncio.sleep(0.0005)

        async with Sandbox(rate_limit=None) as sandbox:
            before, began = _memory(), time.perf_counter()
            sandbox.seed_calls(held)
            shown = {"seeding": time.perf_counter() - began, "bytes": (_memory() - before) / max(1, held)}
            calls = sandbox.world().account.calls
            if lists:
                middle = format_time(_middle(calls, held))
                oldest = format_time(_oldest(calls))
                filters = {
                    "no filter": {},
                    "status, none has it": {"status": "queued"},
                    "status, all have it": {"status": "completed"},
                    "direction, none has it": {"direction": "inbound"},
                    "campaign_id": {"campaign_id": "camp_1234567890"},
                    "metadata": {"metadata[ref]": "1"},
                    "created_before the middle": {"created_before": middle},
                    "created_after the middle": {"created_after": middle},
                    "created_before the first": {"created_before": oldest},
                    "status, direction and both dates": {
                        "status": "completed", "direction": "outbound", "created_after": oldest, "created_before": middle,
                    },
                }  # fmt: skip
                shown["lists"] = [
                    (f"{name}, {page} page", "&".join(f"{k}={quote(v)}" for k, v in {**given, **more}.items()))
                    for name, given in filters.items()
                    for page, place in (("first", None), ("deep", held // 2), ("last", min(50, held)))
                    for more in ({} if place is None else {"cursor": _cursor(given, place)},)
                ]
            print(json.dumps({"url": sandbox.base_url, "key": sandbox.api_key, **shown}), flush=True)
            task = asyncio.create_task(watch())
            following = [asyncio.create_task(_follow(sandbox)) for _ in range(subscribers)]
            while await asyncio.to_thread(sys.stdin.readline) == "blocked\n":
                print(json.dumps(blocked * 1000), flush=True)
                blocked = 0.0
            for each in (task, *following):
                each.cancel()

    asyncio.run(main())


def _middle(calls, held: int):
    return next(call for place, call in enumerate(calls.newest_first()) if place >= held // 2).created_at


def _oldest(calls):
    *_, last = calls.newest_first()
    return last.created_at


class _Sandbox:
    """A sandbox in a process of its own, of this checkout or another."""

    def __init__(self, checkout: Path, *, held: int = 0, lists: bool = False, subscribers: int = 0) -> None:
        command = [sys.executable, __file__, "--serve", str(held), *(["--lists"] if lists else [])]
        command += ["--subscribers", str(subscribers)]
        env = {**os.environ, "PYTHONPATH": str(checkout)}
        self._process = subprocess.Popen(command, env=env, stdin=-1, stdout=-1, text=True)
        self.told = json.loads(self._process.stdout.readline())
        self.url, self.key = self.told["url"], self.told["key"]

    def blocked(self) -> float:
        """Milliseconds for which the event loop was blocked at most since the last time."""
        self._process.stdin.write("blocked\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def busy(self) -> float:
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def _wrk(sandbox: _Sandbox, path: str, script: str, *, connections: int, seconds: float) -> tuple[float, float, int]:
    """Requests a second, the 99th percentile in ms, and answers that were no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script % sandbox.key)
        file.flush()
        options = ["-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", file.name]
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


def _measure(checkout: Path, held: int, seconds: float) -> dict[str, float]:
    """One round of everything but the readers."""
    found: dict[str, float] = {}
    sandbox = _Sandbox(checkout, held=HELD)
    busy = sandbox.busy()
    rate, slow, failed = _wrk(sandbox, "/v1/calls", POST, connections=32, seconds=seconds)
    assert not failed
    found["POST /v1/calls, processor time each, us"] = (sandbox.busy() - busy) / (rate * seconds) * 1e6
    found[f"POST /v1/calls, {HELD:,} held, a second"] = rate
    found[f"POST /v1/calls, {HELD:,} held, p99 ms"] = slow
    found["event loop blocked by it, ms"] = sandbox.blocked()
    sandbox.close()
    sandbox = _Sandbox(checkout, held=held, lists=True)
    found[f"seeding {held:,} calls, s"] = sandbox.told["seeding"]
    found["memory of a call held, bytes"] = sandbox.told["bytes"]
    sandbox.blocked()
    for name, query in sandbox.told["lists"]:
        _, slow, failed = _wrk(sandbox, f"/v1/calls?limit=50&{query}", GET, connections=1, seconds=max(1, seconds // 5))
        assert not failed, name
        found[f"{name}, p99 ms"] = slow
    found["event loop blocked by lists, ms"] = sandbox.blocked()
    sandbox.close()
    return found


_FEED = ["POST /v1/calls", "a second", "us of processor time each", "share of the rate", "by processor time"]


def _measure_feed(checkouts: dict[str, Path], seconds: float, rounds: int) -> list[list[str]]:
    """POST /v1/calls with and without subscribers of the change feed: rate, processor time, and the share of the rate."""
    ways = {f"{name}, no subscriber": (checkout, 0) for name, checkout in checkouts.items()}
    ways[f"now, {SUBSCRIBERS} subscribers"] = HERE, SUBSCRIBERS
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (checkout, subscribers) in ways.items():
            sandbox = _Sandbox(checkout, subscribers=subscribers)
            busy = sandbox.busy()
            rate, _, failed = _wrk(sandbox, "/v1/calls", POST, connections=32, seconds=seconds)
            assert not failed
            found[name].append((rate, (sandbox.busy() - busy) / (rate * seconds) * 1e6))
            sandbox.close()
    # Shares are medians over rounds, each with the first way in the same round: the machine's speed drifts between rounds.
    first = found[next(iter(ways))]
    rows = []
    for name, each in found.items():
        rate, cost = (median(values) for values in zip(*each, strict=True))
        share = median(rate / other for (rate, _), (other, _) in zip(each, first, strict=True))
        by_time = median(other / cost for (_, cost), (_, other) in zip(each, first, strict=True))
        rows.append([name, f"{rate:,.0f}", f"{cost:,.1f}", f"{share:.3f}", f"{by_time:.3f}"])
    return rows


def main(
    *,
    quick: bool = False,
    before: str | None = None,
    held: int = 1_000_000,
    seconds: float = 10.0,
    feed: bool = False,
    feed_rounds: int = 2 * ROUNDS,
) -> None:
    """Measure and print: medians of the rounds, and how many times the other checkout's value they are."""
    from benchmarks.tools import table

    if shutil.which("wrk") is None:
        print("wrk is needed: apt-get install wrk")
        return
    held, seconds, rounds = (min(held, HELD), min(seconds, 1.0), 1) if quick else (held, seconds, ROUNDS)
    checkouts = {"before": Path(before).resolve()} if before else {}
    checkouts["now"] = HERE
    if feed:
        print(table(_FEED, _measure_feed(checkouts, seconds, 1 if quick else feed_rounds)))
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    for _ in range(rounds):
        for name, checkout in checkouts.items():
            found[name].append(_measure(checkout, held, seconds))
    rows = []
    for line in found["now"][0]:
        values = {name: median(each[line] for each in rounds) for name, rounds in found.items()}
        ratio = f"{values['now'] / values['before']:.3f}" if before else ""
        rows.append([line, *(f"{value:,.2f}" for value in values.values()), ratio])
    print(table([f"the sandbox under load, {held:,} calls held for lists", *checkouts, "ratio"], rows))
    print("\n" + table(_FEED, _measure_feed(checkouts, seconds, 1 if quick else feed_rounds)))
    sandbox = _Sandbox(HERE)
    readers = 100 if quick else READERS
    completed, took = asyncio.run(_read(sandbox, readers))
    sandbox.close()
    print(f"\n{readers:,} readers of one transcript: {completed:,} completed in {took:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--before", metavar="DIR")
    parser.add_argument("--held", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--feed", action="store_true", help="the change feed alone")
    parser.add_argument("--rounds", type=int, default=2 * ROUNDS, help="of the change feed")
    parser.add_argument("--subscribers", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lists", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        _serve(options.serve, options.lists, options.subscribers)
    else:
        main(
            quick=options.quick,
            before=options.before,
            held=options.held,
            seconds=options.seconds,
            feed=options.feed,
            feed_rounds=options.rounds,
        )
