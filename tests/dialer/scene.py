"""A campaign against an embedded sandbox in virtual time, and the judge of what it did.

The judge is the sandbox: its own record of rings, and the requests that reached its transport. What the dialer believes is
compared with that.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from attrs import define, field

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.headers import CLIENT_REFERENCE
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.dialer.campaign import Campaign
from ajoxi_async.dialer.reporting.progress import Progress
from ajoxi_async.dialer.rules.machine import AttemptState, ContactState
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.dialer.storage.statements import contacts, counts
from ajoxi_async.protocol.retry import RetryPolicy
from ajoxi_async.sandbox import AutoClock

FROM = "+14155550100"
#: The first moment of the sandbox's clock, 2026-01-01T00:00:00Z.
EPOCH = 1_767_225_600.0


def magic(outcome: int) -> str:
    """The magic number of an outcome: ``magic(102)`` is busy."""
    return f"+15005550{outcome}"


def people(amount: int, first: int = 0) -> list[str]:
    """Numbers that are always answered."""
    return [f"+1415555{2000 + first + n}" for n in range(amount)]


class Post(NamedTuple):
    """A request for a call that was handed to the transport."""

    at: float
    number: str
    reference: str | None


@define(eq=False)
class Wire:
    """The transport of the client. It notes each POST of a call when it leaves, and may be told what to do before and after."""

    inner: Any
    clock: Any
    posts: list[Post] = field(factory=list)
    before: Callable[[Post], Awaitable[None]] | None = None
    after: Callable[[Post, Response], Awaitable[Response]] | None = None

    async def send(self, request: Request) -> Response:
        if request.method != "POST" or not request.url.endswith("/v1/calls"):
            return await self.inner.send(request)
        body = json.loads(request.body or b"{}")
        post = Post(self.clock.now(), body.get("to", ""), (body.get("metadata") or {}).get(CLIENT_REFERENCE))
        self.posts.append(post)
        if self.before is not None:
            await self.before(post)
        response = await self.inner.send(request)
        return response if self.after is None else await self.after(post, response)

    def stream(self, request: Request) -> Any:
        return self.inner.stream(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


class Audit(NamedTuple):
    """What is wrong with a campaign, in words, and how its contacts stand."""

    faults: list[str]
    states: Counter[str]


@define(eq=False)
class Scene:
    """A sandbox, a client of it, and a ledger."""

    sandbox: Sandbox
    client: AsyncAjoxi
    ledger: Ledger
    wire: Wire
    path: Path

    @property
    def clock(self) -> Any:
        return self.sandbox.clock

    def rings(self, number: str) -> int:
        """How often a phone rang."""
        return len(self.sandbox.world().rings(number))

    def posts(self, number: str) -> list[Post]:
        """The requests for calls to a number."""
        return [post for post in self.wire.posts if post.number == number]

    async def campaign(
        self,
        numbers: Iterable[str] = (),
        name: str = "autumn",
        *,
        ledger: Ledger | None = None,
        zones: Iterable[str] = (),
        **settings: Any,
    ) -> Campaign:
        """Open a campaign, and load contacts that are not in it yet."""
        ledger = ledger or self.ledger
        campaign = await Campaign.open(ledger, self.client, name, **{"from_": FROM, "clock": self.clock, **settings})
        listed = list(numbers)
        if listed:
            await fill(ledger, campaign, listed, tuple(sorted(zones)))
        return campaign

    async def rows(self, sql: str, *parameters: Any, ledger: Ledger | None = None) -> list[Any]:
        """What the ledger says."""
        return await (ledger or self.ledger).read(lambda db: db.execute(sql, parameters))

    async def states(self, ledger: Ledger | None = None) -> dict[str, str]:
        """The state of each contact, by its number."""
        found = await self.rows("SELECT number, state FROM contact", ledger=ledger)
        return {f"+{number}": ContactState(state).word for number, state in found}

    async def audit(self, ledger: Ledger | None = None) -> Audit:
        """Compare a ledger with what the sandbox knows."""
        world = self.sandbox.world()
        references: Counter[str] = Counter()
        rung: Counter[str] = Counter()
        for ring in world.rings():
            call = world.account.calls.get(ring.call_id)
            assert call is not None
            rung[ring.number] += 1
            references[str(call.metadata.get(CLIENT_REFERENCE) or ring.call_id)] += 1
        return await (ledger or self.ledger).read(lambda db: _audit(db, references, rung))


def _audit(db: Any, references: Counter[str], rung: Counter[str]) -> Audit:
    faults = [f"{reference} rang {amount} times" for reference, amount in references.items() if amount > 1]
    states: Counter[str] = Counter()
    for campaign, name in db.execute("SELECT id, name FROM campaign"):
        found = {
            ContactState(state).word: amount
            for state, amount in db.execute(
                "SELECT state, count(*) FROM contact WHERE campaign = ? GROUP BY state", (campaign,)
            )
        }
        told = counts.read(db, campaign)
        faults += [
            f"{name}: {found.get(state.word, 0)} contacts are {state.word}, the count says {told.get(state.word, 0)}"
            for state in ContactState
            if found.get(state.word, 0) != told.get(state.word, 0)
        ]
        ((attempts,),) = db.execute("SELECT count(*) FROM attempt WHERE campaign = ? AND state <> 3", (campaign,))
        if attempts != told.get("attempts", 0):
            faults.append(f"{name}: {attempts} attempts, the count says {told.get('attempts', 0)}")
        states.update(found)
    made = Counter(
        {
            f"+{number}": n
            for number, n in db.execute("SELECT number, count(*) FROM attempt WHERE state <> 3 GROUP BY number")
        }
    )
    faults += [f"a phone rang {n} times for {made[number]} attempts" for number, n in rung.items() if n > made[number]]
    faults += _mismatches(db)
    return Audit(faults, states)


def _mismatches(db: Any) -> list[str]:
    """Contacts whose state does not fit to their last attempt."""
    fits = {
        AttemptState.INTENT: {ContactState.DIALING},
        AttemptState.OPEN: {ContactState.OPEN},
        AttemptState.UNKNOWN: {ContactState.UNKNOWN},
    }
    rows = db.execute(
        "SELECT c.state, c.tries, a.state, (SELECT count(*) FROM attempt b WHERE b.contact = c.id AND b.state <> 3)"
        " FROM contact c LEFT JOIN attempt a ON a.contact = c.id AND a.n = c.tries"
    )
    faults = []
    for state, tries, attempt, made in rows:
        in_flight = None if attempt is None else fits.get(AttemptState(attempt))
        if in_flight is not None and ContactState(state) not in in_flight:
            faults.append(f"a contact is {ContactState(state).word}, its attempt {AttemptState(attempt).word}")
        if in_flight is None and ContactState(state) in {ContactState.DIALING, ContactState.OPEN, ContactState.UNKNOWN}:
            faults.append(f"a contact is {ContactState(state).word} without an attempt in flight")
        if tries != made:
            faults.append(f"a contact has {tries} tries and {made} attempts")
    return faults


@asynccontextmanager
async def scene(folder: Path, **options: Any) -> AsyncIterator[Scene]:
    """Open a sandbox whose time jumps whenever nothing is under way, a client and an empty ledger."""
    options = {"port": None, "clock": AutoClock(pause=0.0005), "rate_limit": None, "marks": 0, **options}
    path = folder / "ledger.db"
    async with Sandbox(**options) as sandbox:
        wire = Wire(sandbox.transport(), sandbox.clock)
        # Without retries of the client's, which wait by real time.
        retry = RetryPolicy(max_retries=0)
        async with AsyncAjoxi(sandbox.api_key, transport=wire, retry=retry) as client, Ledger(path) as ledger:
            yield Scene(sandbox, client, ledger, wire, path)


async def fill(ledger: Ledger, campaign: Campaign, numbers: list[str], zones: tuple[str, ...] = ()) -> None:
    """Put contacts into a campaign."""

    def work(db: Any) -> None:
        id = campaign.row.id
        found = contacts.zones_id(db, zones)
        source = contacts.source_id(db, id, "a list", 0)
        rows = [contacts.NewContact(int(number[1:]), found, line) for line, number in enumerate(numbers, 1)]
        contacts.add(db, id, source, rows)

    async with ledger.owning(campaign.name):
        await ledger.write(work)


async def run(campaign: Campaign, within: float = 50.0, **options: Any) -> Progress:
    """Run a campaign to its end; return the last progress."""
    last = None
    with anyio.fail_after(within):
        async for last in campaign.run(**{"every": 0.05, **options}):
            pass
    assert last is not None
    assert last.over
    return last


async def until(condition: Callable[[], Any], within: float = 40.0) -> None:
    """Wait until something holds, by real time."""
    with anyio.fail_after(within):
        while not condition():
            await anyio.sleep(0.001)


async def some_looks(campaign: Campaign, amount: int = 3) -> None:
    """Wait until a run has looked for commands some times more, or is over: whatever it does by itself, it has done meanwhile."""
    if campaign._run is None:
        return
    control = campaign._run._control
    goal = control._looks + amount
    await until(lambda: control._looks >= goal or campaign._run is None)


@asynccontextmanager
async def running(campaign: Campaign, **options: Any) -> AsyncIterator[list[Progress]]:
    """A block in which a campaign runs beside; it is left as a user leaves it, by ending the loop."""
    seen: list[Progress] = []
    stop = anyio.Event()

    async def go() -> None:
        steps = campaign.run(**{"every": 0.02, **options})
        try:
            async for progress in steps:
                seen.append(progress)
                if stop.is_set():
                    break
        finally:
            await steps.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(go)
        try:
            yield seen
        finally:
            stop.set()


def copy_ledger(path: Path, to: Path) -> None:
    """Copy the files of a ledger, as a backup would."""
    for suffix in ("", "-wal", "-shm", "-inbox"):
        source, target = Path(f"{path}{suffix}"), Path(f"{to}{suffix}")
        with suppress(FileNotFoundError):
            os.unlink(target)
        if source.exists() and suffix != "-shm":
            target.write_bytes(source.read_bytes())
