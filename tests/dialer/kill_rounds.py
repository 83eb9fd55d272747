"""Kills campaigns and looks for phones that rang twice and people who are lost: `python tests/dialer/kill_rounds.py 10000 300`.

The first number is that of simulated deaths, one at each boundary in turn: before and after each statement, before and after each
commit, before and after each request. The second one is that of real processes, which are ended with SIGKILL at random moments, some
of them stopped with SIGSTOP before. Both run campaigns against sandboxes that outlive them and whose record of rings is the judge.

Processes dial at the cap of 100 calls a second, or as fast as they can with `--no-cap`. Without a cap many intents are committed
together, and those that are not on the wire when the process dies are in doubt.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from attrs import define, field

if __name__ == "__main__":  # It is run by its path.
    sys.path.insert(0, str(Path(__file__).parents[2]))

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.headers import CLIENT_REFERENCE
from ajoxi_async.dialer import Campaign, Ledger
from ajoxi_async.sandbox import Timing
from tests.dialer.dying import InlineLedger, Process
from tests.dialer.scene import FROM, fill, run, scene

#: Contacts of a world of simulated deaths, and of one of real ones.
CONTACTS, MANY = 60, 1_000
#: Numbers of the sandbox that always answer, from +14155550000 on.
ANSWERING = 10_000
#: Where ledgers of simulated deaths are: in memory, because nothing there is about the disk.
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


@define
class Result:
    """What the rounds have found."""

    rounds: int = 0
    contacts: int = 0
    rings: int = 0
    faults: list[str] = field(factory=list)
    #: How many attempts each kill has left in doubt at once, and how many all of them after a minute or more.
    at_once: Counter[int] = field(factory=Counter)
    after: int = 0

    def line(self, kind: str) -> str:
        """One line of text."""
        return (
            f"{self.rounds} {kind}: {self.contacts} contacts, {self.rings} rings, {len(self.faults)} faults; in doubt for each kill:"
            f" at once {dict(sorted(self.at_once.items()))}, after a minute {self.after / max(1, self.rounds):.3f}"
        )


# Simulated deaths


async def simulated(amount: int, seed: int = 0, places: Iterable[int] = (*range(1, 45, 4), *range(45, 200))) -> Result:
    """So many lives, each of which ends at a boundary; the n-th one at the n-th boundary after its start, and so on in a circle."""
    result = Result()
    boundaries = itertools.cycle(places)
    while result.rounds < amount:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            await _one_world(Path(folder), result, amount, boundaries, seed + result.rounds)
    return result


async def _one_world(folder: Path, result: Result, amount: int, boundaries: Any, seed: int) -> None:
    """Rounds on one ledger, until everybody has been called."""
    rng = random.Random(seed)
    numbers = [f"+1415555{2000 + n}" for n in range(CONTACTS)]
    async with scene(folder, clock="manual", seed=seed) as stage, anyio.create_task_group() as group:
        await stage.campaign(numbers)
        unknown = 0
        while result.rounds < amount:
            process = Process(stage, {}, stage.clock, threaded=False)
            process.life.ends_at = next(boundaries)
            group.start_soon(process.live)
            with anyio.move_on_after(5):
                while process.alive and not (process.seen and process.seen[-1].over):
                    await anyio.sleep(0.001)
                    if rng.random() < 0.2:
                        await stage.clock.advance(rng.choice([0.2, 1.0, 3.0]))
            over = not process.life.dead
            await process.kill()
            result.rounds += 1
            ((left,),) = await stage.rows("SELECT count(*) FROM attempt WHERE state IN (0, 5)")
            result.at_once[max(0, left - unknown)] += 1
            unknown = left
            if over:
                break
            if rng.random() < 0.1:  # The looks of a minute find what there is to be found.
                unknown = await _a_minute(stage, group)
        await run(await stage.campaign(clock=_Jumping(stage.clock, group)), within=60)
        audit = await stage.audit()
        result.faults += audit.faults
        # In doubt is who died between the intent and the wire: he is listed, and a person decides.
        if audit.states["done"] + audit.states["unknown"] != CONTACTS:
            result.faults.append(f"{dict(audit.states)} at the end")
        if len(stage.sandbox.world().rings()) != audit.states["done"]:
            result.faults.append(f"{len(stage.sandbox.world().rings())} rings, {dict(audit.states)}")
        result.after += audit.states["unknown"]
        result.contacts += CONTACTS
        result.rings += len(stage.sandbox.world().rings())
        group.cancel_scope.cancel()


async def _a_minute(stage: Any, group: Any) -> int:
    """Let a minute pass in which a campaign that is paused looks up what is in doubt; return what is in doubt then."""
    async with InlineLedger(stage.path) as ledger:
        campaign = await stage.campaign(ledger=ledger)
        await campaign.pause()
        process = Process(stage, {}, stage.clock, threaded=False)
    group.start_soon(process.live)
    with anyio.move_on_after(5):
        while process.alive and not process.seen:
            await anyio.sleep(0.001)
    for _ in range(7):
        await stage.clock.advance(10)
    await process.kill()
    async with InlineLedger(stage.path) as ledger:
        await (await stage.campaign(ledger=ledger)).resume()
    ((left,),) = await stage.rows("SELECT count(*) FROM attempt WHERE state IN (0, 5)")
    return int(left)


class _Jumping:
    """A clock of a sandbox that is moved by a task beside, so that a run comes to its end."""

    def __new__(cls, clock: Any, group: Any) -> Any:
        async def move() -> None:
            while True:
                await anyio.sleep(0.001)
                await clock.advance(5)

        group.start_soon(move)
        return clock


# Real processes


def real(amount: int, seed: int = 0, cap: int | None = 100) -> Result:
    """So many processes that are killed by the operating system at random moments.

    Args:
        amount: of processes.
        seed: of the moments.
        cap: calls that the sandbox allows a second; None for no cap.
    """
    rng, result = random.Random(seed), Result()
    context = multiprocessing.get_context("fork")
    while result.rounds < amount:
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = context.Pipe()
            sandbox = context.Process(target=_sandbox, args=(theirs, cap), daemon=True)
            sandbox.start()
            try:
                _real_world(folder, ours.recv(), result, amount, rng)
                ours.send("rings")
                rung = ours.recv()
            finally:
                sandbox.kill()
                sandbox.join()
            anyio.run(_judge, f"{folder}/ledger.db", rung, result)
    return result


def _real_world(folder: str, url: tuple[str, str], result: Result, amount: int, rng: random.Random) -> None:
    """Rounds on one ledger, until no number is left that always answers; the last process runs to the end."""
    context = multiprocessing.get_context("fork")
    ledger = f"{folder}/ledger.db"
    loaded = unknown = 0
    while result.rounds < amount and loaded < ANSWERING:
        contacts = f"{folder}/{loaded}"
        begun = context.Event()
        dialer = context.Process(target=_dialer, args=(ledger, url, loaded, contacts, begun), daemon=True)
        dialer.start()
        if rng.random() < 0.9:
            begun.wait(20)
        time.sleep(rng.uniform(0, 0.3))
        if rng.random() < 0.2:
            os.kill(dialer.pid or 0, signal.SIGSTOP)
            time.sleep(rng.uniform(0, 0.2))
            if rng.random() < 0.5:
                os.kill(dialer.pid or 0, signal.SIGCONT)
                time.sleep(0.05)
        os.kill(dialer.pid or 0, signal.SIGKILL)
        dialer.join()
        result.rounds += 1
        if result.rounds % 500 == 0:
            print(result.line("processes killed so far"), file=sys.stderr, flush=True)
        left, waiting = anyio.run(_left, ledger)
        result.at_once[max(0, left - unknown)] += 1
        unknown = left
        if os.path.exists(contacts) and waiting == 0:
            loaded += MANY
    dialer = context.Process(target=_dialer, args=(ledger, url, loaded, None, context.Event()))
    dialer.start()
    dialer.join()


def _sandbox(pipe: Any, cap: int | None) -> None:
    async def main() -> None:
        async with Sandbox(rate_limit=cap, timing=Timing(ring=0.05, talk=0.05)) as sandbox:
            pipe.send((sandbox.base_url, sandbox.api_key))
            while True:
                if await anyio.to_thread.run_sync(pipe.poll, 0.2) and pipe.recv() == "rings":
                    world = sandbox.world()
                    calls = [world.account.calls.get(ring.call_id) for ring in world.rings()]
                    pipe.send(Counter((call.to, call.metadata.get(CLIENT_REFERENCE)) for call in calls if call))

    anyio.run(main)


def _dialer(path: str, url: tuple[str, str], first: int, loaded: str | None, begun: Any) -> None:
    async def main() -> None:
        async with AsyncAjoxi(url[1], base_url=url[0]) as client, Ledger(path) as ledger:
            campaign = await Campaign.open(ledger, client, "autumn", from_=FROM)
            if loaded is not None and not os.path.exists(loaded):
                await fill(ledger, campaign, [f"+1{4155550000 + first + n}" for n in range(MANY)])
                Path(loaded).touch()
            async for _ in campaign.run(every=0.01, until_settled=20):
                begun.set()

    anyio.run(main)


async def _left(path: str) -> tuple[int, int]:
    with suppress(Exception):
        async with Ledger(path) as ledger:
            if await ledger.exists():
                rows = await ledger.read(
                    lambda db: db.execute(
                        "SELECT (SELECT count(*) FROM attempt WHERE state IN (0, 5)),"
                        " (SELECT count(*) FROM contact WHERE state = 0)"
                    )
                )
                return rows[0]
    return 0, 0


async def _judge(path: str, rung: Counter[Any], result: Result) -> None:
    async with Ledger(path) as ledger:
        states = await ledger.read(lambda db: db.execute("SELECT state, count(*) FROM contact GROUP BY state"))
        made = await ledger.read(lambda db: db.execute("SELECT number, n FROM attempt WHERE state <> 3"))
    attempts = Counter(f"+{number}" for number, _ in made)
    result.contacts += sum(amount for _, amount in states)
    result.rings += rung.total()
    result.faults += [f"a reference rang {amount} times" for amount in rung.values() if amount > 1]
    phones: Counter[str] = Counter()
    for (number, _), amount in rung.items():
        phones[number] += amount
    result.faults += [
        f"a phone rang {n} times for {attempts[number]} attempts"
        for number, n in phones.items()
        if n > attempts[number]
    ]
    # Done, or in doubt because the process died between the intent and the wire.
    result.faults += [f"{amount} contacts are in state {state}" for state, amount in states if state not in {3, 4}]
    result.after += sum(amount for state, amount in states if state == 3)


def main() -> None:
    """Rounds by hand."""
    parser = argparse.ArgumentParser(description="Kills campaigns and looks for phones that rang twice.")
    parser.add_argument("lives", type=int, nargs="?", default=1000, help="simulated deaths")
    parser.add_argument("processes", type=int, nargs="?", default=50, help="processes that are killed")
    parser.add_argument("--no-cap", action="store_true", help="dial as fast as can be, instead of 100 calls a second")
    given = parser.parse_args()
    began = time.time()
    faults: list[str] = []
    for kind, rounds in {
        "simulated deaths": lambda: anyio.run(simulated, given.lives, int(began)),
        "processes killed": lambda: real(given.processes, int(began), None if given.no_cap else 100),
    }.items():
        result = rounds()
        faults += result.faults
        if result.rounds:
            print(result.line(kind), *result.faults[:20], sep="\n")
    print(f"{time.time() - began:.0f} s")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
