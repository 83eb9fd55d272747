"""The period in which abandoned calls are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from ajoxi_async.dialer import Campaign, Ledger
from ajoxi_async.dialer.rules.pacing import PERIOD

from .scene import Scene, people, running, scene, until

pytestmark = pytest.mark.anyio
DAY = 86_400.0


def seen_by(campaign: Campaign) -> Any:
    """What the pacing of a run sees."""
    assert campaign._run is not None
    return campaign._run.running.seen()


async def dial(here: Scene, campaign: Campaign, amount: int) -> None:
    """Let so many more people answer, one after the other."""
    goal = len(here.wire.posts) + amount
    while len(here.wire.posts) < goal:
        before = len(here.wire.posts)
        campaign.agents(1)
        await until(lambda before=before: len(here.wire.posts) > before)
        campaign.agents(0)
        await here.clock.advance(900)


async def test_counts_of_the_period_before_are_over(tmp_path: Path) -> None:
    """After 30 days from the making of the campaign answers and abandoned calls count anew, in the run and after a restart."""
    async with scene(tmp_path, clock="manual") as here:
        settings = {"mode": "predictive"}
        campaign = await here.campaign(people(12), **settings)
        began = here.clock.now()
        async with running(campaign):
            await until(lambda: campaign.runs)
            await dial(here, campaign, 3)
            campaign.on_abandoned(2)
            assert (seen_by(campaign).answered, seen_by(campaign).abandoned) == (3, 2)
            assert seen_by(campaign).left == pytest.approx(began + PERIOD - here.clock.now())
        async with Ledger(here.path) as ledger:
            again = await here.campaign(ledger=ledger, **settings)
            async with running(again):
                await until(lambda: again.runs)
                assert (seen_by(again).answered, seen_by(again).abandoned) == (3, 2)
                assert seen_by(again).left == pytest.approx(began + PERIOD - here.clock.now())
                await here.clock.advance(began + PERIOD - here.clock.now() - 1)
                again.agents(0)
                assert (seen_by(again).answered, seen_by(again).left) == (3, pytest.approx(1))
                await here.clock.advance(2)
                await dial(here, again, 1)
                again.on_abandoned()
                assert (seen_by(again).answered, seen_by(again).abandoned) == (1, 1)
                assert seen_by(again).left == pytest.approx(began + 2 * PERIOD - here.clock.now())
                assert seen_by(again).completed == 4
        async with Ledger(here.path) as ledger:
            third = await here.campaign(ledger=ledger, **settings)
            async with running(third) as seen:
                await until(lambda: third.runs and seen)
                assert (seen_by(third).answered, seen_by(third).abandoned) == (1, 1)
                assert seen[-1].counts["abandoned"] == 3  # The campaign's own count goes on.


async def test_a_period_in_which_nothing_ran(tmp_path: Path) -> None:
    """Periods follow each other while nobody looks: two months later the third one has been under way for some days."""
    async with scene(tmp_path, clock="manual") as here:
        campaign = await here.campaign(people(4), mode="predictive")
        began = here.clock.now()
        async with running(campaign):
            await until(lambda: campaign.runs)
            await dial(here, campaign, 1)
        await here.clock.advance(2 * PERIOD + 5 * DAY)
        async with running(campaign):
            await until(lambda: campaign.runs)
            await dial(here, campaign, 1)
            assert seen_by(campaign).answered == 1
            assert seen_by(campaign).left == pytest.approx(began + 3 * PERIOD - here.clock.now())


async def test_nothing_is_dialled_ahead_at_the_end_of_a_period(tmp_path: Path) -> None:
    """The budget of the period that ends covers no call that may be answered in the next one."""
    async with scene(tmp_path, clock="manual") as here:
        campaign = await here.campaign(people(3), mode="predictive", ring_timeout=600)
        began = here.clock.now()
        async with running(campaign):
            await until(lambda: campaign.runs)
            run = campaign._run
            assert run is not None
            run.running.counts.update({"disposition.answered": 1000, "disposition.no_answer": 2000})
            campaign.agents(0)
            run.running.talking |= {-1}
            for left, ahead in ((1000.0, True), (661.0, True), (660.0, False), (1.0, False)):
                now = began + PERIOD - left
                seen = run.running.seen()
                room = run.running.pacing.room(now, evolve(seen, agents=3, left=left, talking=0, ringing=0))
                assert (room > 3) is ahead
