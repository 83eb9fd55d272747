"""A campaign from its loading to its end, on both databases."""

from __future__ import annotations

import pytest

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.dialer.campaign import Campaign
from ajoxi_async.dialer.database import Database
from ajoxi_async.dialer.ledger import Ledger
from ajoxi_async.dialer.statements import contacts
from ajoxi_async.sandbox import Timing

pytestmark = pytest.mark.anyio


async def add(ledger: Ledger, campaign: Campaign, numbers: range) -> None:
    def work(db: Database) -> None:
        zones = contacts.zones_id(db, ["America/New_York"])
        source = contacts.source_id(db, campaign._row.id, "test", 1)
        rows = [contacts.NewContact(number, zones, line) for line, number in enumerate(numbers, 1)]
        contacts.add(db, campaign._row.id, source, rows)

    async with ledger.owning(campaign.name):
        await ledger.write(work)


async def test_a_campaign(where: str) -> None:
    """Each contact rings once, and all are done."""
    async with (
        Sandbox(port=None, rate_limit=None, clock="auto", timing=Timing(ring=0.01, talk=0.05)) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
        Ledger(where) as ledger,
    ):
        campaign = await Campaign.open(ledger, client, "autumn", from_=["+14155550100"], clock=sandbox.clock)
        await add(ledger, campaign, range(14155552000, 14155552050))
        async for _ in campaign.run(until_settled=0.0):
            pass
        rings = sandbox.world().rings()
        assert len(rings) == 50
        assert len({ring.number for ring in rings}) == 50
        assert (await campaign.progress()).contacts["done"] == 50
