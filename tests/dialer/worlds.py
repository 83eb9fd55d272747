"""A sandbox in memory with a clock that moves by itself, a client, a ledger and a campaign, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from attrs import define

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.dialer import Campaign, Ledger, Progress
from ajoxi_async.dialer.storage.database import Database
from ajoxi_async.dialer.storage.statements import contacts
from ajoxi_async.dialer.storage.statements.contacts import NewContact
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.sandbox import AutoClock

FROM = "+14155550100"
MAGIC = 15005550100

#: The path or URL of a ledger that may be made there; or a folder, for a ledger in SQLite.
Where: TypeAlias = str | Path


@define
class Stage:
    """What a test of a campaign uses."""

    where: str
    sandbox: Sandbox
    client: AsyncAjoxi
    ledger: Ledger
    campaign: Campaign

    async def fill(self, numbers: Sequence[int], zone: str = "America/New_York", **columns: Any) -> contacts.Loaded:
        """Add contacts to the ledger."""
        return await fill(self.ledger, self.campaign, numbers, zone, **columns)

    async def run(self, **options: Any) -> Progress:
        """Run the campaign to its end and return the last progress."""
        last = None
        async for progress in self.campaign.run(**{"every": 0.05, **options}):
            last = progress
        assert last is not None
        return last

    async def until(self, state: str, amount: int = 1, **options: Any) -> Progress:
        """Run the campaign until so many contacts are in a state, and leave it."""
        steps = self.campaign.run(**{"every": 0.002, **options})
        try:
            async for progress in steps:
                if progress.contacts[state] >= amount:
                    return progress
        finally:
            await steps.aclose()
        raise AssertionError(f"never were {amount} contacts {state}: {progress.contacts}")

    async def run_for(self, seconds: float) -> None:
        """Run the campaign for so long on a clock that is moved by hand, and leave it."""
        ended = False

        async def drive() -> None:
            nonlocal ended
            steps = self.campaign.run(every=0.05, until_settled=None)
            try:
                async for _ in steps:
                    pass
            finally:
                with anyio.CancelScope(shield=True):
                    await steps.aclose()
                ended = True

        async with anyio.create_task_group() as group:
            group.start_soon(drive)
            # Where nothing is left to dial, a run may be over before anybody has seen it.
            await wait_until(lambda: self.campaign.runs or ended)
            await self.sandbox.advance(seconds)
            group.cancel_scope.cancel()

    def rings(self, number: int | None = None) -> list[str]:
        """The numbers that rang, in order."""
        return [ring.number for ring in self.sandbox.world().rings(None if number is None else f"+{number}")]

    def another_client(self) -> AsyncAjoxi:
        """A client of the same key."""
        return AsyncAjoxi(self.sandbox.api_key, transport=self.sandbox.transport(), limiter=LocalLimiter(None))

    async def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """Read the ledger."""
        return await self.ledger.read(lambda db: db.execute(statement, parameters))


async def fill(
    ledger: Ledger, campaign: Campaign, numbers: Sequence[int], zone: str = "America/New_York", **columns: Any
) -> contacts.Loaded:
    """Add contacts to a campaign, one for each number."""

    def work(db: Database) -> contacts.Loaded:
        zones = contacts.zones_id(db, zone.split())
        source = contacts.source_id(db, campaign.row.id, "numbers", 0)
        rows = [NewContact(number, zones, line, **columns) for line, number in enumerate(numbers, 1)]
        return contacts.add(db, campaign.row.id, source, rows)

    async with ledger.owning(campaign.name):
        return await ledger.write(work)


async def wait_until(true: Callable[[], bool]) -> None:
    """Wait, in real time, until something is true."""
    with anyio.fail_after(20):
        while not true():
            await anyio.sleep(0.002)


@asynccontextmanager
async def stage(
    where: Where, numbers: Sequence[int] = (), *, zone: str = "America/New_York", clock: Any = None, **settings: Any
) -> AsyncIterator[Stage]:
    """A campaign with contacts, on a sandbox of its own. Settings that `Sandbox` knows go to it, the others to the campaign."""
    sandboxes = {name: settings.pop(name) for name in ("settings", "timing", "seed") if name in settings}
    sandbox = Sandbox(port=None, clock=clock or AutoClock(pause=0.0005), rate_limit=None, marks=0, **sandboxes)
    where = str(where / "ledger.db") if isinstance(where, Path) else where
    async with sandbox, Ledger(where) as ledger:
        client = AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), limiter=LocalLimiter(None))
        async with client:
            campaign = await Campaign.open(
                ledger, client, "autumn", **{"from_": FROM, "clock": sandbox.clock, **settings}
            )
            here = Stage(where, sandbox, client, ledger, campaign)
            if numbers:
                await here.fill(numbers, zone)
            yield here
