"""What happens between opening a campaign and running it: other processes change it, and the caller speaks of agents."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from ajoxi_async.dialer import Campaign, Ledger, LedgerError, Stop, Windows

from .worlds import Where, stage

pytestmark = pytest.mark.anyio
NUMBERS = [14045560000 + each for each in range(3)]


async def test_a_run_has_the_settings_of_the_ledger(where: Where) -> None:
    """Hours that another process has changed after the campaign was opened here hold for `load` and for the run."""
    async with stage(where, NUMBERS) as here:
        async with Ledger(here.where) as ledger:
            await Campaign.open(ledger, None, "autumn", windows=Windows(""), clock=here.sandbox.clock)
        loaded = await here.campaign.load(["+14045569999"])
        assert (loaded.imported, loaded.refused) == (0, 1)
        last = await here.run()
        assert last.contacts["suppressed"] == len(NUMBERS)
        assert here.rings() == []


async def test_agents_may_be_told_before_the_run(where: Where) -> None:
    """Agents who are free when the run begins are dialled for, and abandoned calls that were told before it are counted."""
    async with stage(where, NUMBERS, mode="power", lines=1) as here:
        here.campaign.agents(len(NUMBERS))
        here.campaign.on_abandoned(2)
        with anyio.fail_after(20):
            last = await here.run()
        assert last.contacts["done"] == len(NUMBERS)
        assert last.counts["abandoned"] == 2
        assert here.campaign._agents == 0


async def test_a_price_of_next_to_nothing(where: Where) -> None:
    """The smallest price of a call allows as many calls as there are."""
    async with stage(where, NUMBERS, stop=Stop(spend=1e15, per_call=sys.float_info.min / 2**52)) as here:
        assert (await here.run()).contacts["done"] == len(NUMBERS)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_ledger_that_is_gone_is_not_owned_any_more(tmp_path: Path) -> None:
    """A run whose file was taken away ends with the reason, and another process may own the file that is put back."""
    async with stage(tmp_path, NUMBERS, rate=0.001) as here:
        path = tmp_path / "ledger.db"
        with pytest.raises(LedgerError, match="No such file"):
            async for progress in here.campaign.run(every=0.005, until_settled=0):
                if progress.contacts["done"] and path.exists():
                    path.rename(tmp_path / "away.db")
        assert not here.ledger.database._lock.held
        (tmp_path / "away.db").rename(path)
        async with Ledger(path) as other, other.owning("autumn", patience=0.0):
            pass
        async with here.ledger.owning("autumn", patience=0.0):
            assert (
                len(await here.ledger.write(lambda db: db.execute("UPDATE campaign SET mark = mark RETURNING id"))) == 1
            )


@pytest.mark.parametrize("what", ["run", "load", "pause"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_campaign_whose_ledger_was_removed_before(tmp_path: Path, what: str) -> None:
    """An empty ledger in the place of one that was removed has no such campaign: nothing is loaded into it or commanded in it."""
    async with stage(tmp_path) as here:
        for path in tmp_path.glob("ledger.db*"):
            path.unlink()
        with pytest.raises(LedgerError, match="is not in the ledger any more"):
            if what == "run":
                await here.run()
            else:
                await (here.campaign.pause() if what == "pause" else here.campaign.load(["+14045560000"]))
        assert not await here.sql("SELECT 1 FROM contact")
