"""Kills a sandbox with SIGKILL at random moments and looks for what is missing: `python tests/sandbox/kill_rounds.py 50`."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, web

FROM = "+14155550100"
EVENTS = ["call.started", "call.answered", "call.completed", "message.delivered"]


class Rounds:
    """One file, one receiver, and what was acknowledged so far."""

    def __init__(self, file: Path, rng: random.Random) -> None:
        self.file, self.rng = file, rng
        self.calls: dict[str, str] = {}
        self.messages: dict[str, str] = {}
        self.events: Counter[str] = Counter()
        self.told: dict[tuple[str, str], str] = {}
        self.faults: list[str] = []
        self.key = ""

    async def receive(self, request: web.BaseRequest) -> web.Response:
        """Take a delivery; every fifth is refused, so that retries are pending when the kill comes."""
        try:
            event = json.loads(await request.read())
        except ConnectionError:  # the sandbox was killed while it posted
            return web.Response(status=400)
        self.events[event["id"]] += 1
        if self.rng.random() < 0.2:
            return web.Response(status=503)
        seen = self.told.setdefault((event["type"], event["data"]["id"]), event["id"])
        if seen != event["id"]:
            self.faults.append(f"{event['type']} of {event['data']['id']} came as {seen} and as {event['id']}")
        return web.Response(status=200)

    async def start(self) -> tuple[asyncio.subprocess.Process, str]:
        """Run a sandbox on the file, sixty times as fast as the world."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ajoxi_async", "sandbox", "--db", str(self.file), "--port", "0", "--rate-limit", "0",
            "--speed", "60", "--strict-keys", "--control-token", "token", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        first = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()
        self.key = first[5].rstrip(";")
        return process, first[3].rstrip(",")

    async def work(self, session: ClientSession, url: str) -> None:
        """Place calls and messages until the connection breaks; note what was acknowledged."""
        number = self.rng.randrange(10**6)
        while True:
            number += 1
            text = number % 3 == 0
            body: dict[str, Any] = {"to": f"+1415555{2000 + number % 8000}", "from": FROM}
            if text:
                body["body"] = f"hi {number}"
            path = "messages" if text else "calls"
            async with session.post(f"{url}/v1/{path}", json=body) as response:
                made = await response.json()
            (self.messages if text else self.calls)[made["id"]] = made["created_at"]

    async def round(self, hook: str) -> None:
        """Start, work, kill."""
        process, url = await self.start()
        async with ClientSession(headers={"Authorization": f"Bearer {self.key}"}) as session:
            async with session.get(f"{url}/v1/webhooks") as response:
                subscribed = (await response.json())["data"]
            if not subscribed:
                async with session.post(f"{url}/v1/webhooks", json={"url": hook, "events": EVENTS}) as response:
                    assert response.status == 201
            tasks = [asyncio.create_task(self.work(session, url)) for _ in range(8)]
            await asyncio.sleep(self.rng.uniform(0.0, 0.3))
            process.kill()
            await process.wait()
            for failure in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(failure, (ClientError, OSError)):
                    self.faults.append(f"worker: {failure!r}")

    async def check(self) -> None:
        """Start once more, and look for the end of everything that was acknowledged."""
        process, url = await self.start()
        try:
            async with ClientSession(headers={"Authorization": f"Bearer {self.key}"}) as session:
                deadline = time.monotonic() + 5
                while self._missing() and time.monotonic() < deadline:
                    await asyncio.sleep(0.05)
                # What the receiver refused several times is not lost while it waits for its next attempt.
                waiting = await self._waiting(session, url)
                self.faults.extend(f"no {kind} of {id}" for kind, id in sorted(self._missing() - waiting)[:5])
                for id, created_at in list(self.calls.items()):
                    async with session.get(f"{url}/v1/calls/{id}") as response:
                        call = await response.json()
                    if (call.get("status"), call.get("created_at")) != ("completed", created_at):
                        self.faults.append(f"{id}: {call}")
                listed: set[str] = set()
                cursor = ""
                while True:
                    async with session.get(f"{url}/v1/messages?limit=200{cursor}") as response:
                        page = await response.json()
                    listed |= {message["id"] for message in page["data"] if message["status"] == "delivered"}
                    if not page["has_more"]:
                        break
                    cursor = f"&cursor={page['next_cursor']}"
                self.faults.extend(f"{id} is lost" for id in sorted(self.messages.keys() - listed)[:5])
        finally:
            process.terminate()
            await process.wait()

    def _missing(self) -> set[tuple[str, str]]:
        wanted = {(kind, id) for id in self.calls for kind in EVENTS[:3]}
        wanted |= {("message.delivered", id) for id in self.messages}
        return wanted - self.told.keys()

    async def _waiting(self, session: ClientSession, url: str) -> set[tuple[str, str]]:
        found = set()
        for path in ("deliveries/pending", "dead-letters"):
            async with session.get(f"{url}/_ajoxi/{path}", headers={"Authorization": "Bearer token"}) as response:
                bodies = [json.loads(delivery["body"]) for delivery in (await response.json())["data"]]
            found |= {(body["type"], body["data"]["id"]) for body in bodies}
        return found


async def run(file: Path, amount: int, seed: int) -> Rounds:
    """So many kills on one file; what is wrong is in `faults`."""
    rounds = Rounds(file, random.Random(seed))
    runner = web.ServerRunner(web.Server(rounds.receive))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        for _ in range(amount):
            await rounds.round(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
        await rounds.check()
    finally:
        await runner.cleanup()
    return rounds


if __name__ == "__main__":
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        done = asyncio.run(run(Path(folder) / "sandbox.db", times, int(time.time())))
    print(
        f"{times} kills: {len(done.calls)} calls and {len(done.messages)} messages acknowledged, {len(done.events)} events, "
        f"{sum(done.events.values())} deliveries, {len(done.faults)} faults"
    )
    print(*done.faults, sep="\n")
    sys.exit(bool(done.faults))
