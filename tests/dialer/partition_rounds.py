"""Kills one of two workers of a campaign, or cuts it off from PostgreSQL: `python -m tests.dialer.partition_rounds 100`.

The workers are processes with a line of their own to PostgreSQL, and both reach the sandbox. In each round the owner is killed with
SIGKILL, stopped for a while with SIGSTOP, or cut off from the database, and the other one has to take over and dial. The sandbox's
own record of rings is the judge: no attempt rings twice, no contact rings without an attempt in the ledger, and none is lost.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.headers import CLIENT_REFERENCE
from ajoxi_async.dialer import Campaign, Ledger
from ajoxi_async.dialer.rules.machine import AttemptState
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.sandbox import Timing

from .cut_proxy import CutProxy
from .partition_worker import CAMPAIGN, FROM, LEASE, SKEW, Job, work
from .postgres_server import INSTALL, PostgresServer, find_binaries
from .worlds import fill

#: Calls a second, and contacts for each round, so that some are left at the end of it.
RATE, CONTACTS = 40.0, 40
#: Seconds within which another worker has to dial.
PATIENCE = 90.0
#: Rounds on one ledger.
BATCH = 10

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.dialer.partition_worker"])


class Worker:
    """A process, and its line to the database."""

    def __init__(self, postgres: PostgresServer, database: str, sandbox: Sandbox) -> None:
        self.line = CutProxy(postgres.port)
        self._job = Job(postgres.url(database, self.line.port), sandbox.base_url, sandbox.api_key, RATE)
        self._process: Any = None
        self.start()

    def start(self) -> None:
        """Start the process."""
        self._process = _context.Process(target=work, args=(self._job,), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return int(self._process.pid)

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._process.kill()
        self._process.join()

    def close(self) -> None:
        """End the process and the line."""
        self.kill()
        self.line.close()


class Rounds:
    """Rounds on one ledger; what is wrong is in `faults`."""

    def __init__(self, postgres: PostgresServer, sandbox: Sandbox, rng: random.Random) -> None:
        self.postgres, self.sandbox, self.rng = postgres, sandbox, rng
        self.faults: list[str] = []
        self.events: Counter[str] = Counter()
        self.doubts = self.rings = 0
        self._url = postgres.new_database()

    async def _load(self, amount: int) -> None:
        async with Ledger(self._url) as ledger:
            campaign = await Campaign.open(ledger, None, CAMPAIGN, from_=[FROM], rate=RATE, attempts=1)
            await fill(ledger, campaign, [14155552000 + number for number in range(amount)])

    def _owner(self, workers: list[Worker]) -> Worker | None:
        with self.postgres.admin(self._url) as connection:
            found = connection.execute("SELECT holder, released FROM ajoxi_dialer.owner").fetchone()
        if found is None or found[1]:
            return None
        return next((one for one in workers if f"process {one.pid} " in found[0]), None)

    async def _until(self, what: str, condition: Callable[[], bool]) -> bool:
        """Wait for something, for as long as phones ring meanwhile, and some seconds more."""
        rung, end = self._rung(), time.monotonic() + PATIENCE
        while not await asyncio.to_thread(condition):
            if self._rung() > rung:
                rung, end = self._rung(), time.monotonic() + PATIENCE
            if time.monotonic() > end:
                self.faults.append(f"{what} did not come within {PATIENCE:g} s")
                return False
            await asyncio.sleep(0.05)
        return True

    def _rung(self) -> int:
        return len(self.sandbox.world().rings())

    async def _round(self, workers: list[Worker]) -> bool:
        owner: Worker | None = None

        def dials() -> bool:
            nonlocal owner, rung
            found = self._owner(workers)
            if found is not owner:
                owner, rung = found, self._rung()
            return owner is not None and self._rung() > rung + 2

        rung = self._rung()
        if not await self._until("a worker that dials", dials):
            return False
        assert owner is not None
        await asyncio.sleep(self.rng.uniform(0.0, 0.3))
        event = self.rng.choice(["kill", "kill", "cut", "cut", "stop"])
        self.events[event] += 1
        lost = owner
        if event == "kill":
            lost.kill()
            lost.start()
            return True
        if event == "stop":
            os.kill(lost.pid, signal.SIGSTOP)
        else:
            lost.line.cut()
        went_over = await self._until("another owner", lambda: self._owner(workers) not in {None, lost})
        if event == "stop":
            await asyncio.sleep(self.rng.uniform(0.0, LEASE))
            os.kill(lost.pid, signal.SIGCONT)
        else:
            await asyncio.sleep(self.rng.uniform(0.0, LEASE))
            lost.line.mend()
        return went_over

    async def run(self, amount: int) -> None:
        """So many rounds, then to the end of the campaign, and the judgement."""
        contacts = amount * CONTACTS
        await self._load(contacts)
        before = len(self.sandbox.world().rings())
        name = self._url.rpartition("/")[2]
        workers = [Worker(self.postgres, name, self.sandbox) for _ in range(2)]
        try:
            for _ in range(amount):
                if not await self._round(workers):
                    break
            if not await self._until("the end", lambda: self._left() == 0):
                for one in workers:
                    os.kill(one.pid, signal.SIGUSR1)
                await asyncio.sleep(1)
        finally:
            for one in workers:
                await asyncio.to_thread(one.close)
        await self._judge(contacts, before)

    def _left(self) -> int:
        with self.postgres.admin(self._url) as connection:
            (left,) = connection.execute(
                "SELECT count(*) FROM ajoxi_dialer.contact WHERE state IN (0, 1, 2)"
            ).fetchone() or (0,)
        return int(left)

    async def _judge(self, contacts: int, before: int) -> None:
        rings = self.sandbox.world().rings()[before:]
        self.rings += len(rings)
        async with AsyncAjoxi(
            self.sandbox.api_key, base_url=self.sandbox.base_url, limiter=LocalLimiter(None)
        ) as client:
            references = {call.id: call.metadata[CLIENT_REFERENCE] async for call in client.calls.list(limit=200)}
        rung = Counter(references[ring.call_id] for ring in rings)
        self.faults.extend(f"{reference} rang {times} times" for reference, times in rung.items() if times > 1)
        with self.postgres.admin(self._url) as connection:
            attempts = Counter(
                {
                    f"+{number}": times
                    for number, times in connection.execute(
                        "SELECT number, count(*) FROM ajoxi_dialer.attempt WHERE state <> %s GROUP BY number",
                        [AttemptState.UNSENT],
                    )
                }
            )
            states = dict(
                connection.execute("SELECT state, count(*) FROM ajoxi_dialer.contact GROUP BY state").fetchall()
            )
            counted = dict(connection.execute("SELECT what, n FROM ajoxi_dialer.count").fetchall())
        self.faults.extend(
            f"{number} rang {times} times in {attempts[number]} attempts"
            for number, times in Counter(ring.number for ring in rings).items()
            if times > attempts[number]
        )
        if sum(states.values()) != contacts or states.get(0, 0) or states.get(1, 0):
            self.faults.append(f"{contacts} contacts were loaded, and they are {states}")
        words = ("waiting", "dialing", "open", "unknown", "done")
        if [counted.get(word, 0) for word in words] != [states.get(state, 0) for state in range(5)]:
            self.faults.append(f"the counts are {counted}, the contacts {states}")
        self.doubts += states.get(3, 0)


async def rounds_of(amount: int, seed: int, postgres: PostgresServer) -> Rounds:
    """So many rounds on one ledger."""
    postgres_owner_skew(SKEW)
    async with Sandbox(rate_limit=None, seed=seed, timing=Timing(ring=0.02, talk=0.05)) as sandbox:
        rounds = Rounds(postgres, sandbox, random.Random(seed))
        await rounds.run(amount)
    return rounds


def postgres_owner_skew(seconds: float) -> None:
    """The same skew as in the workers."""
    from ajoxi_async.dialer.storage import postgres_owner

    postgres_owner.SKEW = seconds


def main() -> None:
    """Rounds by hand."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # so that the processes and the server are ended, also in the background
        signal.signal(number, signal.default_int_handler)
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    binaries = find_binaries()
    if binaries is None:
        sys.exit(f"needs {INSTALL}")
    postgres = PostgresServer(binaries)
    seed, done, events, faults = int(time.time()), 0, Counter[str](), 0
    rings = doubts = 0
    try:
        while done < times:
            amount = min(BATCH, times - done)
            rounds = asyncio.run(rounds_of(amount, seed + done, postgres))
            done += amount
            events += rounds.events
            rings, doubts, faults = rings + rounds.rings, doubts + rounds.doubts, faults + len(rounds.faults)
            print(f"{done} rounds: {dict(events)}, {rings} rings, {doubts} in doubt, {faults} faults", flush=True)
            print(*rounds.faults, sep="\n", flush=True)
    finally:
        postgres.remove()
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
