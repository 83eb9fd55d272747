"""The console's server side, client and server sharing the machine.

    python benchmarks/console.py                     # needs wrk: apt-get install wrk
    python benchmarks/console.py --before DIR        # and the same for another checkout, round by round
    python benchmarks/console.py --held 20000 --seconds 2

What a browser loads before it shows anything, as files and bytes; POST /v1/calls a second with 100,000 calls held: without a
console, with one that nobody has open, and with three open, each of which shows a list of calls, the overview and a call; how long
after a change a feed tells of it, and its bytes, at 500 calls a second. Bars: 25 files and 150 KB; 99 % of the rate with none open and 95 %
with three; 60 ms for half of the changes and 120 ms for 95 of a hundred; 60 KB a second.
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
import zlib
from pathlib import Path
from statistics import median, quantiles

HERE = Path(__file__).resolve().parent.parent
sys.path.append(str(HERE))

HELD, ROUNDS, OPEN, RATE = 100_000, 3, 3, 500
VIEWS = {"list": "calls?at=0&limit=60", "overview": "overview"}

POST = """
wrk.method = "POST"
wrk.body = '{"to":"+14155551234","from":"+14155550100","ai_receptionist":true}'
wrk.headers["Authorization"] = "Bearer %s"
wrk.headers["Content-Type"] = "application/json"
"""


def _serve(held: int, console: bool) -> None:
    from ajoxi_async import Sandbox

    async def main() -> None:
        async with Sandbox(rate_limit=None, **({"console": True} if console else {})) as sandbox:
            sandbox.seed_calls(held)
            shown = {"url": sandbox.base_url, "key": sandbox.api_key, "token": sandbox.control_token}
            print(json.dumps(shown), flush=True)
            await asyncio.to_thread(sys.stdin.readline)

    asyncio.run(main())


def _read(url: str, token: str, feeds: int) -> None:
    """Read feeds in a process of their own, as browsers do, until the standard input ends."""
    from aiohttp import ClientSession

    async def main() -> None:
        sent = {"Authorization": f"Bearer {token}"}
        async with ClientSession(headers=sent, auto_decompress=False) as session:

            async def follow() -> None:
                async with session.get(f"{url}/_ajoxi/console/feed") as response:
                    told = await _until_hello(response, zlib.decompressobj(wbits=31))
                    call = await (await session.get(f"{url}/_ajoxi/calls?limit=1")).read()
                    calls = re.findall(
                        r'"id":"(call_\w+)"',
                        zlib.decompress(call, 31).decode() if call[:1] == b"\x1f" else call.decode(),
                    )
                    await session.post(f"{url}/_ajoxi/console/feed/{told}", json={"views": VIEWS, "calls": calls})
                    async for _ in response.content.iter_any():
                        pass

            tasks = [asyncio.create_task(follow()) for _ in range(feeds)]
            await asyncio.sleep(1)
            print("reading", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            for task in tasks:
                task.cancel()

    asyncio.run(main())


async def _until_hello(response, unzip) -> str:
    text = ""
    async for chunk in response.content.iter_any():
        text += unzip.decompress(chunk).decode()
        if found := re.search(r'"feed":"(feed_\w+)"', text):
            return found[1]
    raise SystemExit("the feed ended")


class _Process:
    """A process of this file in another role."""

    def __init__(self, checkout: Path, *arguments: str) -> None:
        env = {**os.environ, "PYTHONPATH": str(checkout)}
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments], env=env, stdin=-1, stdout=-1, text=True
        )
        self.told = self._process.stdout.readline()

    def cpu(self) -> float:
        """Seconds of processor time that it has used, which other programs on the machine change less than the clock's."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)


def _measure(server: _Process, told: dict, seconds: int) -> tuple[float, float]:
    """Requests a second, and the server's processor time for each in microseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(POST % told["key"])
        script.flush()
        command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script.name, f"{told['url']}/v1/calls"]
        before = server.cpu()
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in shown:
        raise SystemExit(shown)
    requests = int(re.search(r"(\d+) requests in", shown)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", shown)[1])
    return rate, (server.cpu() - before) / requests * 1e6


def _throughput(held: int, seconds: int, before: Path | None) -> None:
    cases = {
        "no console": (HERE, False, 0),
        "console, none open": (HERE, True, 0),
        f"console, {OPEN} open": (HERE, True, OPEN),
    }
    if before is not None:
        cases = {"the checkout before": (before, False, 0), **cases}
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for number in range(ROUNDS):
        # The order changes from round to round, since the machine is not equally busy all the time.
        for name in list(cases)[number % len(cases) :] + list(cases)[: number % len(cases)]:
            checkout, console, feeds = cases[name]
            server = _Process(checkout, "--serve", str(held), *(["--console"] if console else []))
            told = json.loads(server.told)
            reader = _Process(HERE, "--read", told["url"], told["token"], str(feeds)) if feeds else None
            measured[name].append(_measure(server, told, seconds))
            if reader is not None:
                reader.close()
            server.close()
    first = next(iter(measured))
    print(f"POST /v1/calls, {held:,} calls held, medians of {ROUNDS} rounds of {seconds} s:")
    for name, rounds in measured.items():
        rate, cpu = (median(one[place] for one in rounds) for place in (0, 1))
        base = median(one[1] for one in measured[first])
        print(
            f"  {name:22} {rate:8,.0f} a second   {cpu:6.0f} us of processor time each   {base / cpu:7.1%} of '{first}'"
        )


async def _shell() -> None:
    from aiohttp import ClientSession

    from ajoxi_async import Sandbox
    from ajoxi_async.sandbox.console.static_files import read_all

    wire = 0
    async with Sandbox(console=True) as sandbox, ClientSession(auto_decompress=False) as session:
        loaded = [name for name in read_all() if not name.endswith((".png", ".svg"))]
        for name in loaded:
            async with session.get(
                f"{sandbox.base_url}/_ajoxi/console/static/{name}", headers={"Accept-Encoding": "gzip"}
            ) as answer:
                wire += len(await answer.read())
    print(
        f"all files of the console: {len(loaded)}, {wire / 1000:.1f} KB over the wire, {sum(len(read_all()[n].body) for n in loaded) / 1000:.1f} KB unfolded"
    )


async def _lag(held: int, seconds: int) -> None:
    from aiohttp import ClientSession

    server = _Process(HERE, "--serve", str(held), "--console")
    told = json.loads(server.told)
    lags: list[float] = []
    size = events = 0
    async with ClientSession(auto_decompress=False) as reading, ClientSession() as calling:
        bearer = {"Authorization": f"Bearer {told['token']}"}

        async def place() -> None:
            key = {"Authorization": f"Bearer {told['key']}"}
            body = {"to": "+14155551234", "from": "+14155550100"}
            began, sent = time.perf_counter(), 0
            tasks: set[asyncio.Task] = set()
            while (passed := time.perf_counter() - began) < seconds:
                while sent < passed * RATE:
                    sent += 1
                    stamped = {**body, "metadata": {"at": repr(time.time())}}
                    tasks.add(
                        task := asyncio.create_task(calling.post(f"{told['url']}/v1/calls", json=stamped, headers=key))
                    )
                    task.add_done_callback(tasks.discard)
                await asyncio.sleep(0.002)
            await asyncio.gather(*tasks, return_exceptions=True)

        async with reading.get(f"{told['url']}/_ajoxi/console/feed", headers=bearer) as response:
            unzip = zlib.decompressobj(wbits=31)
            feed = await _until_hello(response, unzip)
            await reading.post(
                f"{told['url']}/_ajoxi/console/feed/{feed}", json={"views": {"list": VIEWS["list"]}}, headers=bearer
            )
            placing, seen, text = asyncio.create_task(place()), set(), ""
            while not placing.done():
                chunk = await response.content.readany()
                now, size = time.time(), size + len(chunk)
                text += unzip.decompress(chunk).decode()
                *whole, text = text.split("\n\n")
                for one in whole:
                    events += "event: state" in one
                    for at in re.findall(r'"metadata":\{"at":"([\d.]+)"', one):
                        if at not in seen:
                            seen.add(at)
                            lags.append(now - float(at))
    server.close()
    tail = quantiles(lags, n=100)
    print(f"a change in the feed at {RATE} calls a second for {seconds} s: p50 {median(lags) * 1000:.0f} ms, p95 {tail[94] * 1000:.0f} ms, "
          f"{size / seconds / 1000:.1f} KB and {events / seconds:.1f} events a second")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held", type=int, default=HELD)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--console", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        _serve(options.serve, options.console)
        return
    if options.read:
        _read(options.read[0], options.read[1], int(options.read[2]))
        return
    asyncio.run(_shell())
    asyncio.run(_lag(options.held, options.seconds))
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    _throughput(options.held, options.seconds, options.before)


if __name__ == "__main__":
    main()
