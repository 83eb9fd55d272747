"""Campaigns are kept, with how far they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.sandbox import Refusal

FROM = "+14155550100"
CONTACTS = [f"+150055501{n:02d}" for n in (0, 1, 2)]


@pytest.mark.anyio
async def test_a_campaign_is_kept_with_its_counts(tmp_path: Path) -> None:
    """Name, mode, counts by status and disposition, from queued to completed, and over a restart in between."""
    file = tmp_path / "worlds.db"
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        world = sandbox.world()
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            made = await client.calls.create_campaign(from_=FROM, name="spring", mode="power", contacts=CONTACTS)
            queued = world.campaign(made.id)
            assert (queued.name, queued.mode, queued.status, queued.calls) == ("spring", "power", "queued", 3)
            assert (queued.by_status, queued.by_disposition) == ({"queued": 3}, {})
            assert world.campaigns() == (queued,)
            before = world.snapshot()
            await world.clock.advance(0.15)
            assert world.campaign(made.id).status == "running"
            running = world.campaigns()
            assert [call.campaign_id async for call in client.calls.list(campaign_id=made.id)] == [made.id] * 3
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        world = sandbox.world()
        assert world.campaigns() == running
        await world.clock.advance(until_idle=True)
        (ended,) = world.campaigns()
        assert (ended.status, ended.by_status) == ("completed", {"completed": 3})
        assert sum(ended.by_disposition.values()) == 3
        world.restore(before)
        assert world.campaigns() == (queued,)
        world.reset()
        assert world.campaigns() == ()
        with pytest.raises(Refusal):
            world.campaign(made.id)
