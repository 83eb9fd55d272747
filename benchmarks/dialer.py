"""What the dialer reaches: dials a second, commands, restarts, and three virtual days in the sandbox.

``python -m benchmarks.dialer [--quick] [PART ...] [--ledger FOLDER]``, with the parts `uncapped`, `postgres`, `capped`, `control`, `restart`, `days`.

Rules:
1. The API is a process of its own: the sandbox where outcomes count, and a few lines that answer at once where only the dialer does.
2. The server counts: what it has seen in the busiest second of the wall clock, and when the last request came.
3. Every commit is synced to the disk of `--ledger`, a temporary folder by default. A disk that needs 5 ms for this makes 200 commits a
   second, and what is measured is the disk; the time of one commit is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.dialer import Campaign, Ledger, Retry, from_csv
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.sandbox import AdvanceStoppedError, Population, VirtualClock
from ajoxi_async.sandbox import Settings as SandboxSettings
from tests.dialer.postgres_server import INSTALL, PostgresServer, find_binaries

FROM = "+14155550100"
KEY = "AJX_TEST_" + "a" * 32
FIRST = 14045560000


def numbers(amount: int) -> Iterator[str]:
    """Ordinary numbers, each once."""
    return (f"+1{404 + each // 6_000_000}{4_000_000 + each % 6_000_000:07d}" for each in range(amount))


# A server that only answers


def serve(limit: int | None) -> None:
    """Answer calls at once, on a free port that is printed. On standard input, a line asks for what was seen."""
    import asyncio

    seen: Counter[str] = Counter()
    arrivals: list[float] = []
    started = time.time()

    class Answers(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.data = transport, b""

        def data_received(self, data: bytes) -> None:
            self.data += data
            while True:
                head, found, rest = self.data.partition(b"\r\n\r\n")
                if not found:
                    return
                lower = head.lower()
                at = lower.find(b"content-length:")
                size = (
                    int(lower[at + 15 : lower.find(b"\r\n", at) if b"\r\n" in lower[at:] else None]) if at >= 0 else 0
                )
                if len(rest) < size:
                    return
                self.data = rest[size:]
                self.answer(head, rest[:size])

        def answer(self, head: bytes, body: bytes) -> None:
            arrivals.append(time.monotonic())
            if head.startswith(b"POST"):
                given = json.loads(body)
                reference = given["metadata"]["client_reference"]
                seen[reference] += 1
                created = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time()))
                shown = {
                    "id": f"call_{len(arrivals)}",
                    "status": "queued",
                    "direction": "outbound",
                    "from": given["from"],
                    "to": given["to"],
                    "created_at": created,
                    "metadata": given["metadata"],
                }
                text, status = json.dumps(shown).encode(), b"201 Created"
            else:
                text, status = b'{"data":[],"next_cursor":null,"has_more":false}', b"200 OK"
            rate = b"" if limit is None else b"X-RateLimit-Limit: %d\r\n" % limit
            self.transport.write(
                b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
                % (status, rate, len(text), text)
            )

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Answers, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]} {KEY}", flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            told = {
                "calls": sum(seen.values()),
                "references": len(seen),
                "busiest": busiest(arrivals),
                "last": arrivals[-1] if arrivals else started,
            }
            print(json.dumps(told), flush=True)

    asyncio.run(run())


async def simulate() -> None:
    """The sandbox, with a cap of 100 requests a second. On standard input, a line asks for what was seen."""
    async with Sandbox(rate_limit=100) as sandbox:
        print(f"{sandbox.base_url} {sandbox.api_key}", flush=True)
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            moments = [ring.at.timestamp() for ring in sandbox.world().rings()]
            refused = len(sandbox.requests.find(status=429))
            print(json.dumps({"calls": len(moments), "busiest": busiest(moments), "refused": refused}), flush=True)


def busiest(moments: list[float]) -> int:
    """The most moments within any second."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


class Server:
    """The server's process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.dialer", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url, self.key = self.process.stdout.readline().split()

    def ask(self) -> dict[str, Any]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def server(*arguments: str) -> Iterator[Server]:
    running = Server(*arguments)
    try:
        yield running
    finally:
        running.end()


@asynccontextmanager
async def campaign(
    where: Path | str, url: str, key: str, amount: int, limiter: Any = None, **settings: Any
) -> AsyncIterator[Any]:
    """A campaign with contacts in a ledger of its own: in a new file of a folder, or at a URL."""
    async with (
        Ledger(where if isinstance(where, str) else where / f"{time.monotonic_ns()}.db") as ledger,
        AsyncAjoxi(key, base_url=url, limiter=limiter) as client,
    ):
        made = await Campaign.open(ledger, client, "bench", from_=FROM, **settings)
        await made.load({"phone": number, "zone": "America/New_York"} for number in numbers(amount))
        yield made


def commit_time(folder: Path) -> float:
    """Milliseconds of one commit on the disk of the ledger."""
    database = sqlite3.connect(folder / "commit.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE t (a)")
    began = time.perf_counter()
    for _ in range(100):
        database.execute("INSERT INTO t VALUES (1)")
    took = (time.perf_counter() - began) * 10
    database.close()
    return took


# Parts


async def postgres(_: Path, quick: bool) -> None:
    """Dials a second without a cap, with the ledger in a PostgreSQL that syncs each commit."""
    binaries = find_binaries()
    if binaries is None:
        print(f"postgres: needs {INSTALL}")
        return
    server = PostgresServer(binaries, on_disk=True, fsync="on")
    try:
        await uncapped(server.new_database(), quick)
    finally:
        server.remove()


async def uncapped(folder: Path | str, quick: bool) -> None:
    """Dials a second without a cap."""
    seconds, amount = (2, 10_000) if quick else (8, 60_000)
    with server("--serve", "0") as api:
        async with campaign(folder, api.url, api.key, amount, LocalLimiter(None)) as made:
            before = resource.getrusage(resource.RUSAGE_SELF)
            began, first = time.perf_counter(), None
            steps = made.run(every=0.25)
            async for progress in steps:
                if first is None and progress.attempts:
                    first = time.perf_counter(), progress.attempts
                if time.perf_counter() - began > seconds or progress.attempts >= amount - 100:
                    break
            rate = (progress.attempts - first[1]) / (time.perf_counter() - first[0])
            used = resource.getrusage(resource.RUSAGE_SELF)
            await steps.aclose()
        told = api.ask()
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"uncapped{', PostgreSQL' if isinstance(folder, str) else ''}: {rate:,.0f} dials/s; {cpu / max(1, progress.attempts) * 1e6:.0f} µs of CPU a dial; server: {told}"
    )


async def days(folder: Path, quick: bool) -> None:
    """Contacts over three virtual days with retries, in the sandbox, twice: the same seed gives the same report."""
    amount = 5_000 if quick else 100_000
    digests = [await three_days(folder / f"days{turn}.db", amount) for turn in range(2)]
    print(f"days: the same report: {digests[0] == digests[1]}")


async def three_days(path: Path, amount: int) -> str:
    """One campaign over three virtual days; returns the digest of its report."""
    clock, last = VirtualClock(), []
    people = SandboxSettings(population=Population(changes=True))
    sandbox = Sandbox(port=None, clock=clock, rate_limit=None, marks=0, settings=people)
    retry = {"busy": Retry(600, 3600), "no_answer": Retry("4h", "1d"), "voicemail": Retry("1d")}
    async with sandbox, Ledger(path) as ledger:
        client = AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), limiter=LocalLimiter(None))
        async with client, anyio.create_task_group() as group:
            made = await Campaign.open(
                ledger,
                client,
                "days",
                from_=FROM,
                retry=retry,
                attempts=3,
                per_number_24h=2,
                concurrency=1000,
                clock=clock,
            )
            await made.load({"phone": number, "zone": "America/New_York"} for number in numbers(amount))
            began, before = time.perf_counter(), time.process_time()

            async def drive() -> None:
                async for progress in made.run(every=0.2):
                    last.append(progress)
                sandbox.stop_advance()

            group.start_soon(drive)
            while not made.runs:  # noqa: ASYNC110
                await anyio.sleep(0.001)
            with suppress(AdvanceStoppedError):
                await sandbox.advance(3 * 86_400)
        took, cpu = time.perf_counter() - began, time.process_time() - before
        rows = await ledger.read(lambda db: db.execute(_REPORT))
        print(f"days: {amount:,} contacts, {last[-1].attempts:,} attempts in {took:.1f} s ({cpu:.1f} s of CPU)")
        print(f"  {last[-1].line()}")
        return hashlib.sha256(repr(rows).encode()).hexdigest()


_REPORT = (
    "SELECT c.number, c.state, c.tries, c.reason, a.n, a.state, a.from_, a.intent_at, a.call_id, a.created_at, a.ended_at,"
    " a.disposition, a.duration FROM contact c LEFT JOIN attempt a ON a.contact = c.id ORDER BY c.number, a.n"
)


async def capped(folder: Path, quick: bool) -> None:
    """Dials a second at a cap of 100, with webhooks and by sweeps only, on the sandbox."""
    seconds = 6 if quick else 30
    for hooked in (True, False):
        with server("--sandbox") as api:
            limiter = LocalLimiter(100)
            async with (
                campaign(folder, api.url, api.key, 100 * seconds + 2_000, limiter) as made,
                receiver(made, api, hooked),
            ):
                steps = made.run(every=0.1)
                async for progress in steps:
                    if progress.attempts:
                        break
                began, first = time.perf_counter(), progress.attempts
                async for progress in steps:  # noqa: B007 - the last one is read below
                    if time.perf_counter() - began > seconds:
                        break
                rate = (progress.attempts - first) / (time.perf_counter() - began)
                ended = progress.contacts["done"]
                await steps.aclose()
            told = api.ask()
        how = "with webhooks" if hooked else "by sweeps only"
        print(f"at the cap of 100, {how}: {rate:.1f} dials/s, {ended:,} ended; server: {told}")


@asynccontextmanager
async def receiver(made: Any, api: Any, hooked: bool) -> AsyncIterator[None]:
    """A receiver of the sandbox's webhooks that hands events to the campaign."""
    if not hooked:
        yield
        return
    from aiohttp import web

    from ajoxi_async import CallCompleted, WebhookRouter
    from ajoxi_async.webhooks.aiohttp import open_router, router_handler

    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        async with AsyncAjoxi(api.key, base_url=api.url, limiter=made._client.limiter) as client:
            webhook = await client.webhooks.create(url=url, events=["call.completed"])
        router = WebhookRouter(webhook.secret or "")
        router.on(CallCompleted)(made.event)
        app = web.Application()
        app.router.add_post("/hook", router_handler(router))
        app.cleanup_ctx.append(open_router(router))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        try:
            yield
        finally:
            await runner.cleanup()


async def control(folder: Path, quick: bool) -> None:
    """From a command to the last request that leaves: a pause of this process, and do-not-call of another owner's ledger."""
    pauses, forbids = [], []
    for _ in range(3 if quick else 10):
        with server("--serve", "100") as api:
            async with campaign(folder, api.url, api.key, 5_000, LocalLimiter(100)) as made:
                steps = made.run(every=0.02)
                async for progress in steps:
                    if progress.attempts > 60:
                        break
                async with Ledger(made._ledger.database._path) as ledger:
                    other = await Campaign.open(ledger, None, "bench")
                    began = time.monotonic()
                    await other.do_not_call("+14045550000")
                    forbids.append((time.monotonic() - began) * 1000)
                began = time.monotonic()
                await made.pause()
                await anyio.sleep(0.3)
                pauses.append(max(0.0, api.ask()["last"] - began) * 1000)
                await steps.aclose()
    print(
        f"pause to the last request: {max(pauses):.1f} ms at most; do-not-call of another ledger: {max(forbids):.1f} ms at most"
    )


async def restart(folder: Path, quick: bool) -> None:
    """From the opening of a ledger to the first request, with many contacts that wait."""
    amount = 100_000 if quick else 1_000_000
    with server("--serve", "0") as api:
        path = folder / "restart.db"
        file = folder / "contacts.csv"
        with file.open("w") as out:
            out.write("phone,zone\n")
            out.writelines(f"{number},America/New_York\n" for number in numbers(amount))
        limiter = LocalLimiter(None)
        async with Ledger(path) as ledger, AsyncAjoxi(api.key, base_url=api.url, limiter=limiter) as client:
            made = await Campaign.open(ledger, client, "bench", from_=FROM)
            began = time.perf_counter()
            await made.load(from_csv(file, phone="phone", zone="zone"))
            print(f"restart: {amount:,} contacts loaded in {time.perf_counter() - began:.1f} s")
            steps = made.run(every=0.05)
            async for progress in steps:
                if progress.attempts > 1000:
                    break
            await steps.aclose()
        before = api.ask()
        began = time.monotonic()
        async with Ledger(path) as ledger, AsyncAjoxi(api.key, base_url=api.url, limiter=limiter) as client:
            made = await Campaign.open(ledger, client, "bench")
            steps = made.run(every=0.01)
            async for _ in steps:
                if made._run.running.begun:
                    break
            took = time.monotonic() - began
            await steps.aclose()
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"restart: first dial after {took:.3f} s; {before['calls']} calls before; RSS {size:.0f} MB at most")


PARTS = {
    "uncapped": uncapped,
    "postgres": postgres,
    "capped": capped,
    "control": control,
    "restart": restart,
    "days": days,
}


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialer", description="Loopback only, a few minutes.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all unless given")
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that it works")
    parser.add_argument("--ledger", help="the folder of ledgers")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sandbox", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--uvloop", action="store_true")
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve or None)
        return
    if given.sandbox:
        anyio.run(simulate)
        return
    with tempfile.TemporaryDirectory(dir=given.ledger) as name:
        print(f"a commit takes {commit_time(Path(name)):.2f} ms on this disk; load {os.getloadavg()[0]:.1f}")
        for part in given.parts or PARTS:
            anyio.run(PARTS[part], Path(name), given.quick, backend_options={"use_uvloop": given.uvloop})


if __name__ == "__main__":
    main()
