"""Kills a sandbox with SIGKILL at random moments and looks for what is missing: `python tests/sandbox/kill_rounds.py 50`.

Calls, messages and campaigns that were acknowledged have to come to their end, each event as one event. What the log of
deliveries showed before a kill is there after it, and says of each delivery what its state says.
"""

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
CONTACTS = 3
CONTROL = {"Authorization": "Bearer token"}


class Rounds:
    """One file, one receiver, and what was acknowledged so far."""

    @property
    def acknowledged(self) -> bool:
        """Whether something of each kind was."""
        return bool(self.calls and self.messages and self.campaigns)

    def __init__(self, file: Path, rng: random.Random) -> None:
        self.file, self.rng = file, rng
        self.calls: dict[str, str] = {}
        self.messages: dict[str, str] = {}
        self.campaigns: list[str] = []
        #: Attempts that the log showed before the last kill.
        self.logged: set[str] = set()
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
            text, campaign = number % 3 == 0, number % 10 == 1
            body: dict[str, Any] = {"to": f"+1415555{2000 + number % 8000}", "from": FROM}
            if text:
                body["body"] = f"hi {number}"
            elif campaign:
                contacts = [f"+1415555{2000 + (number + n) % 8000}" for n in range(CONTACTS)]
                body = {"from": FROM, "campaign": {"name": f"c{number}", "mode": "power", "contacts": contacts}}
            path = "messages" if text else "calls"
            async with session.post(f"{url}/v1/{path}", json=body) as response:
                made = await response.json()
            if campaign and not text:
                self.campaigns.append(made["id"])
            else:
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
            await self._check_log(session, url)
            tasks = [asyncio.create_task(self.work(session, url)) for _ in range(8)]
            await asyncio.sleep(self.rng.uniform(0.0, 0.3))
            # On a busy machine the first round takes as long as it takes to have something to lose.
            while not self.acknowledged and not all(task.done() for task in tasks):
                await asyncio.sleep(0.01)
            self.logged = {attempt for attempt, _ in await self._log(session, url)}
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
                await self._check_log(session, url)
                await self._check_campaigns(session, url)
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

    async def _ask(self, session: ClientSession, url: str, path: str) -> Any:
        """The answer of the control surface."""
        async with session.get(f"{url}/_ajoxi/{path}", headers=CONTROL) as response:
            return await response.json()

    async def _log(self, session: ClientSession, url: str) -> list[tuple[str, dict[str, Any]]]:
        """The last attempts of the log, with what tells each from the others."""
        total = (await self._ask(session, url, "deliveries/attempts?limit=1"))["total"]
        last = await self._ask(session, url, f"deliveries/attempts?limit=200&at={max(0, total - 200)}")
        return [(f"{one['delivery_id']}/{one['round']}/{one['number']}", one) for one in last["data"]]

    async def _check_log(self, session: ClientSession, url: str) -> None:
        """What the log showed before the kill is in it, and its attempts and the states of deliveries agree."""
        log = dict(await self._log(session, url))
        lost = self.logged - log.keys()
        # As many as came since the restart may have taken the place of the oldest.
        if len(lost) > len(log.keys() - self.logged):
            self.faults.append(f"the log lost {sorted(lost)[:5]}")
        for state in ("delivered", "pending"):
            for one in (await self._ask(session, url, f"deliveries?state={state}&limit=200"))["data"]:
                attempt = log.get(f"{one['id']}/{one['round']}/{one['attempts']}")
                if attempt is not None and (attempt["status"] == 200) != (state == "delivered"):
                    self.faults.append(f"{one['id']} is {state}, its attempt says {attempt['status']}")

    async def _check_campaigns(self, session: ClientSession, url: str) -> None:
        """Each campaign is kept and has all its calls, which are looked for as others are."""
        counts = (await self._ask(session, url, "worlds"))["data"][0]["counts"]
        if counts["campaigns"] < len(self.campaigns):
            self.faults.append(f"{len(self.campaigns)} campaigns were acknowledged, {counts['campaigns']} are kept")
        for id in self.campaigns:
            async with session.get(f"{url}/v1/calls?campaign_id={id}") as response:
                found = (await response.json())["data"]
            if len(found) != CONTACTS:
                self.faults.append(f"{id} has {len(found)} calls")
            self.calls |= {call["id"]: call["created_at"] for call in found}

    def _missing(self) -> set[tuple[str, str]]:
        wanted = {(kind, id) for id in self.calls for kind in EVENTS[:3]}
        wanted |= {("message.delivered", id) for id in self.messages}
        return wanted - self.told.keys()

    async def _waiting(self, session: ClientSession, url: str) -> set[tuple[str, str]]:
        found = set()
        for path in ("deliveries/pending", "dead-letters"):
            bodies = [json.loads(delivery["body"]) for delivery in (await self._ask(session, url, path))["data"]]
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
        f"{times} kills: {len(done.calls)} calls, {len(done.messages)} messages and {len(done.campaigns)} campaigns acknowledged, {len(done.events)} events, "
        f"{sum(done.events.values())} deliveries, {len(done.faults)} faults"
    )
    print(*done.faults, sep="\n")
    sys.exit(bool(done.faults))
