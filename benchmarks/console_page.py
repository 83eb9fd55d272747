"""The console's page in a browser: how soon it shows rows, how late it shows changes, how smoothly it scrolls.

    python benchmarks/console_page.py                      # needs playwright, and chromium: apt-get install chromium
    python benchmarks/console_page.py --held 100000 --seconds 60

A world of 100,000 calls, in a process of its own. Bars, for two cores that do nothing else: first rows within 300 ms of a cold
cache and 150 KB, in a window that is open already; 500 changes a second: from the change to the page in 60 ms (median) and
120 ms (95th percentile), no task over 50 ms; the whole list scrolled in 10 s at 55 frames a second with at most 2,500 nodes;
row 52,340 within 100 ms; a filter within 150 ms. Sandbox, browser and this program share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent.parent
sys.path.append(str(HERE))

#: New calls a second. Each rings, is answered and ends: three changes.
CALLS_A_SECOND = 167
#: Seconds after which a new window of the browser is at rest.
WINDOW_STARTS = 1.0

FIRST_ROW = """() => {
  const found = () => document.querySelector('.list-body .list-row a')?.textContent;
  const look = new MutationObserver(() => {
    if (!found()) return;
    look.disconnect();
    requestAnimationFrame(() => { window.firstRow = performance.now(); console.debug('first row'); });
  });
  look.observe(document, { childList: true, subtree: true, characterData: true });
}"""

WATCH = """() => {
  window.seen = {}; window.longest = 0; window.long = 0;
  const look = () => {
    const now = performance.timeOrigin + performance.now();
    for (const link of document.querySelectorAll('.list-body .list-row a')) window.seen[link.textContent] ??= now;
  };
  look();
  new MutationObserver(look).observe(document.querySelector('.list-body'), { childList: true, subtree: true, characterData: true });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) { window.long += 1; window.longest = Math.max(window.longest, entry.duration); }
  }).observe({ type: 'longtask' });
}"""

SCROLL = """(seconds) => new Promise((done) => {
  const list = document.querySelector('.list');
  const end = list.scrollHeight - list.clientHeight;
  const began = performance.now();
  const frames = []; let before = began; let nodes = 0; let empty = new Map(); let blank = 0;
  const step = (now) => {
    frames.push(now - before); before = now;
    list.scrollTop = end * Math.min(1, (now - began) / (seconds * 1000));
    const rows = [...document.querySelectorAll('.list-body .list-row')];
    const still = rows.filter((row) => row.classList.contains('loading')).map((row) => row.getAttribute('aria-rowindex'));
    empty = new Map(still.map((index) => [index, empty.get(index) ?? now]));
    for (const since of empty.values()) blank = Math.max(blank, now - since);
    nodes = Math.max(nodes, document.getElementsByTagName('*').length);
    if (now - began < seconds * 1000) requestAnimationFrame(step);
    else done({ frames: frames.slice(1), nodes, blank, rows: rows.length });
  };
  requestAnimationFrame(step);
})"""

JUMP = """(index) => new Promise((done) => {
  const began = performance.now();
  document.querySelector('.list').scrollTop = index * 36;
  const look = () => {
    const row = document.querySelector(`.list-row[aria-rowindex="${index + 6}"]`);
    if (row && !row.classList.contains('loading')) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})"""

FILTER = """() => new Promise((done) => {
  const first = () => document.querySelector('.list-body .list-row:not(.loading) a')?.textContent;
  const before = first();
  const field = document.querySelector('[data-filter]');
  field.value = 'disposition:no_answer direction:outbound';
  const began = performance.now();
  field.form.requestSubmit();
  const look = () => {
    if (document.querySelector('.chip') && first() && first() !== before) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})"""


async def serve(held: int) -> None:
    """The sandbox: prints its address, and places calls when it is told how many seconds to."""
    from ajoxi_async import AsyncAjoxi, Sandbox
    from ajoxi_async.limits.local import LocalLimiter
    from ajoxi_async.sandbox import Timing

    timing = Timing(ring=1.0, talk=2.0)
    async with Sandbox(port=0, clock="live", timing=timing, console=True, rate_limit=None) as sandbox:
        sandbox.seed_calls(held)
        print(json.dumps([sandbox.base_url, sandbox.control_token]), flush=True)
        loop = asyncio.get_running_loop()
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), limiter=LocalLimiter(None)) as client:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                print(json.dumps(await place(client, float(line))), flush=True)


async def place(client, seconds: float) -> dict[str, float]:
    """Place calls; the wall time at which each was placed, by its number as the page shows it."""
    began, placed = time.time(), {}
    for n in range(int(seconds * CALLS_A_SECOND)):
        wait = began + n / CALLS_A_SECOND - time.time()
        await asyncio.sleep(max(0, wait))
        placed[f"+1 415 555 {n % 10_000:04d}"] = time.time() * 1000
        await client.calls.create(to=f"+1415555{n % 10_000:04d}", from_="+14155550100")
    return placed


class Server:
    """The process of the sandbox."""

    def __init__(self, held: int) -> None:
        command = [sys.executable, __file__, "--serve", "--held", str(held)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )
        self.url, self.token = json.loads(self._process.stdout.readline())

    async def place(self, seconds: float) -> dict[str, float]:
        """Place calls for so long."""
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return json.loads(await asyncio.get_running_loop().run_in_executor(None, self._process.stdout.readline))

    def stop(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.wait(10)


async def signed_in(browser, server: Server):
    """A new context, with an empty cache, and one page of it."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    answer = await context.request.post(
        f"{server.url}/_ajoxi/console/session", data={"token": server.token}, headers={"X-Ajoxi-Console": "1"}
    )
    assert answer.status == 201, await answer.text()
    return context, await context.new_page()


async def cold(browser, server: Server) -> tuple[float, float, float, int]:
    """First paint and first rows in ms, bytes over the wire, files."""
    context, page = await signed_in(browser, server)
    # A context has a window of its own, whose start uses more processor time than the page.
    await asyncio.sleep(WINDOW_STARTS)
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    received = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    await page.add_init_script(f"({FIRST_ROW})()")
    # The page tells by itself, since a question to it would be one more script that it runs meanwhile.
    async with page.expect_console_message(lambda message: message.text == "first row"):
        await page.goto(f"{server.url}/_ajoxi/console/main/calls", wait_until="commit")
    files = len(received)
    rows = await page.evaluate("() => window.firstRow")
    paint = await page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    result = paint, rows, sum(received[:files]), files
    await context.close()
    return result


def quantile(values: list[float], share: float) -> float:
    """A quantile of a list."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def under_load(page, session, server: Server, seconds: float) -> None:
    """Print how late changes reach the page, and what it costs."""
    await page.evaluate(WATCH)
    sent = {"bytes": 0}
    session.on(
        "Network.dataReceived", lambda event: sent.__setitem__("bytes", sent["bytes"] + event["encodedDataLength"])
    )
    placed = await server.place(seconds)
    await asyncio.sleep(1)
    seen = await page.evaluate("() => window.seen")
    late = [seen[number] - moment for number, moment in placed.items() if number in seen]
    long, longest = await page.evaluate("() => [window.long, window.longest]")
    print(f"{3 * CALLS_A_SECOND} changes a second for {seconds:g} s, from the change to the page: median {median(late):.0f} ms,"
          f" 95 % {quantile(late, 0.95):.0f} ms, worst {max(late):.0f} ms ({len(late)} of {len(placed)} new calls seen)")  # fmt: skip
    print(f"  tasks over 50 ms: {long}, the longest {longest:.0f} ms")


async def measure(held: int, seconds: float) -> None:
    """Run everything and print it."""
    from playwright.async_api import async_playwright

    server = Server(held)
    path = os.environ.get("AJOXI_BROWSER") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {held:,} calls")
        runs = [await cold(browser, server) for _ in range(5)]
        paint, rows = (median(run[n] for run in runs) for n in (0, 1))
        print(f"cold cache, five times: first paint {paint:.0f} ms, first rows {rows:.0f} ms (best {min(r[1] for r in runs):.0f}),"
              f" {runs[0][2] / 1024:.0f} KB in {runs[0][3]} files")  # fmt: skip
        context, page = await signed_in(browser, server)
        await page.goto(f"{server.url}/_ajoxi/console/main/calls")
        await page.wait_for_selector(".list-body .list-row a")
        session = await context.new_cdp_session(page)
        await session.send("Performance.enable")
        await asyncio.sleep(1)
        scrolled = await page.evaluate(SCROLL, 10)
        frames = scrolled["frames"]
        print(f"scroll of the whole list in 10 s: {1000 * len(frames) / sum(frames):.0f} frames a second, 95 % of frames within"
              f" {quantile(frames, 0.95):.0f} ms, worst {max(frames):.0f} ms; no row empty for longer than {scrolled['blank']:.0f} ms;"
              f" {scrolled['nodes']} nodes, {scrolled['rows']} rows")  # fmt: skip
        jumps = [await page.evaluate(JUMP, index) for index in (52_340, 9_120, 77_777)]
        print(f"jump to a row far away: {', '.join(f'{jump:.0f}' for jump in jumps)} ms")
        await page.keyboard.press("l")
        await asyncio.sleep(0.5)
        print(f"filter: first rows after {await page.evaluate(FILTER):.0f} ms")
        await page.keyboard.press("x")
        await asyncio.sleep(0.5)
        await under_load(page, session, server, seconds)
        await session.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in (await session.send("Performance.getMetrics"))["metrics"]}
        print(f"  afterwards: {metrics['Nodes']:.0f} nodes, heap {metrics['JSHeapUsedSize'] / 1e6:.1f} MB;"
              f" load {os.getloadavg()[0]:.1f}")  # fmt: skip
        await browser.close()
    server.stop()


def main() -> None:
    """Measure, or be the sandbox that is measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    asyncio.run(serve(given.held) if given.serve else measure(given.held, given.seconds))


if __name__ == "__main__":
    main()
