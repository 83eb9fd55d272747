"""Commands and events of a campaign, carried out by a process that runs another campaign of the same ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from ajoxi_async.contract.calls import Call, CallStatus, Disposition
from ajoxi_async.contract.headers import CLIENT_REFERENCE
from ajoxi_async.contract.webhooks import CallCompleted
from ajoxi_async.dialer import Campaign, Doubt, Ledger, Retry

from .worlds import FROM, Where, fill, stage, wait_until

pytestmark = pytest.mark.anyio
NUMBER = 14045560000


async def _released(other: Campaign, doubt: Doubt) -> None:
    await other.release(doubt)


async def _busy(other: Campaign, doubt: Doubt) -> None:
    call = Call(
        id="call_late",
        to=doubt.number,
        from_=FROM,
        status=CallStatus.COMPLETED,
        disposition=Disposition.BUSY,
        metadata={CLIENT_REFERENCE: doubt.reference},
    )
    await other.event(CallCompleted(id="evt_late", type="call.completed", data=call))


@pytest.mark.parametrize("what", [_released, _busy])
async def test_a_command_follows_the_rules_of_its_own_campaign(
    where: Where, what: Callable[[Campaign, Doubt], Awaitable[None]]
) -> None:
    """A contact of a campaign with three attempts and retries waits again, though the process that carries it out runs one without."""
    async with stage(where) as here:
        settings = {"from_": FROM, "clock": here.sandbox.clock, "attempts": 3, "retry": {"busy": Retry("1h")}}
        winter = await Campaign.open(here.ledger, here.client, "winter", **settings)
        await fill(here.ledger, winter, [NUMBER])
        here.sandbox.faults.add(action="drop_before", match="calls.create")
        async for progress in winter.run(every=0.01, until_settled=0):
            pass
        assert progress.contacts["unknown"] == 1
        await here.campaign.pause()
        async with Ledger(here.where) as ledger, anyio.create_task_group() as group:
            other = await Campaign.open(ledger, None, "winter", clock=here.sandbox.clock)
            (doubt,) = await other.unknown()

            async def go() -> None:
                async for _ in here.campaign.run(every=0.01):
                    pass

            group.start_soon(go)
            await wait_until(lambda: here.campaign.runs)
            await what(other, doubt)
            with anyio.fail_after(20):
                while (await winter.progress()).contacts["unknown"]:
                    await anyio.sleep(0.005)
            group.cancel_scope.cancel()
        assert (await winter.progress()).contacts["waiting"] == 1


async def test_a_do_not_call_list_that_is_loaded_reaches_a_run_of_another_campaign(where: Where) -> None:
    """Numbers that are given to `load` are not called by a campaign that runs meanwhile, and its run ends when nobody else waits."""
    async with stage(where, [NUMBER, NUMBER + 1], rate=0.01) as here:
        winter = await Campaign.open(here.ledger, here.client, "winter", from_=FROM, clock=here.sandbox.clock)
        steps = here.campaign.run(every=0.005)
        async for _ in steps:
            if here.rings():
                break
        loaded = await winter.load(["+14045569999"], do_not_call=[f"+{NUMBER + 1}"])
        assert loaded.imported == 1
        with anyio.fail_after(20):
            async for last in steps:
                pass
        assert last.contacts["suppressed"] == last.contacts["done"] == 1
        assert here.rings() == [f"+{NUMBER}"]


async def test_a_do_not_call_by_a_campaign_that_runs_reaches_the_run_of_another_one(where: Where) -> None:
    """A number that is put on the list through a running campaign is not called by another run, which ends when nobody else waits."""
    async with stage(where, [NUMBER, NUMBER + 1], rate=0.01) as here:
        winter = await Campaign.open(here.ledger, here.client, "winter", from_=FROM, clock=here.sandbox.clock)
        await fill(here.ledger, winter, [NUMBER + 2])
        await winter.pause()

        async def wait_for_resume() -> None:
            async for _ in winter.run(every=0.01):
                pass

        async with anyio.create_task_group() as group:
            group.start_soon(wait_for_resume)
            await wait_until(lambda: winter.runs)
            steps = here.campaign.run(every=0.005)
            async for _ in steps:
                if here.rings():
                    break
            await winter.do_not_call(f"+{NUMBER + 1}")
            with anyio.fail_after(20):
                async for last in steps:
                    pass
            group.cancel_scope.cancel()
        assert last.contacts["suppressed"] == last.contacts["done"] == 1
        assert here.rings() == [f"+{NUMBER}"]
