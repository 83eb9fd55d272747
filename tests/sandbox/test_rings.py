"""The rings of a world: what judges a dialer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ajoxi_async import AsyncAjoxi, OutcomeUnknownError, Sandbox

TO, FROM = "+15005550100", "+14155550100"


@pytest.mark.anyio
async def test_a_phone_that_rang_is_known_whatever_the_client_was_told() -> None:
    """A call whose answer was lost rang; one that was refused or waits in a queue did not."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        world = sandbox.world()
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            sandbox.faults.add(match="calls.create", when="nth", n=1, action="drop_after_commit")
            with pytest.raises(OutcomeUnknownError):
                await client.calls.create(to=TO, from_=FROM)
            sandbox.faults.clear()
            sandbox.faults.add(match="calls.create", when="nth", n=1, action="drop_before")
            with pytest.raises(OutcomeUnknownError):
                await client.calls.create(to=TO, from_=FROM)
            (lost,) = (await client.calls.list()).data
            assert [(ring.number, ring.call_id, ring.at) for ring in world.rings(TO)] == [
                (TO, lost.id, lost.created_at)
            ]
            await client.calls.create_campaign(from_=FROM, name="c", mode="power", contacts=[TO, "+15005550101"])
            assert len(world.rings(TO)) == 1
            await sandbox.clock.advance(1)
            assert (len(world.rings(TO)), len(world.rings("+15005550101"))) == (2, 1)
            incoming = world.inbound_call(from_=TO)
            assert [ring.call_id for ring in world.rings(FROM)] == [incoming.id]
            assert len(world.rings()) == 4
            assert world.rings("+12125550199") == ()


@pytest.mark.anyio
async def test_rings_go_with_snapshots_and_resets() -> None:
    """A restored world remembers the rings of the snapshot, a new one none."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        world = sandbox.world()
        world.inbound_call(from_=TO)
        before = world.snapshot()
        world.inbound_call(from_=TO)
        world.seed_calls(3)
        assert len(world.rings(FROM)) == 2
        world.restore(before)
        assert len(world.rings(FROM)) == len(world.rings()) == 1
        world.reset()
        assert world.rings() == ()


@pytest.mark.anyio
async def test_rings_survive_a_restart(tmp_path: Path) -> None:
    """Rings are in the file, whole after a reset of the world as well."""
    file = tmp_path / "worlds.db"
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        world = sandbox.world()
        world.inbound_call(from_=TO)
        world.reset()
        for _ in range(3):
            world.inbound_call(from_=TO)
            await world.clock.advance(1.5)
        expected = world.rings()
    async with Sandbox(port=None, clock="manual", db=file) as sandbox:
        assert sandbox.world().rings() == expected
        sandbox.world().inbound_call(from_=TO)
        assert len(sandbox.world().rings(FROM)) == 4
