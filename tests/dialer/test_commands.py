"""Commands: pause, resume, stop and do-not-call, of this process and of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import ConfigurationError
from ajoxi_async.dialer import Campaign, Ledger, Retry
from ajoxi_async.dialer.dialing.running import Running
from ajoxi_async.dialer.rules.machine import CampaignState
from ajoxi_async.protocol.errors import LedgerOwnedError
from ajoxi_async.sandbox import VirtualClock

from .scene import some_looks
from .worlds import MAGIC, Stage, Where, stage, wait_until

pytestmark = pytest.mark.anyio
NUMBERS = [14045560000 + each for each in range(40)]


@asynccontextmanager
async def other_process(here: Stage) -> AsyncIterator[Campaign]:
    """The campaign as another process has it: with a ledger object of its own, which cannot have the lock."""
    async with Ledger(here.where) as ledger:
        yield await Campaign.open(ledger, None, "autumn", clock=here.sandbox.clock)


async def test_a_pause_of_another_process_stops_dialling_at_once(where: Where) -> None:
    """After `pause` of another process has returned, no request leaves; after its `resume` the run goes on to the end."""
    async with stage(where, NUMBERS, concurrency=4) as here:
        async with other_process(here) as other, anyio.create_task_group() as group:
            steps = here.campaign.run(every=0.002)
            async for _ in steps:
                if len(here.rings()) >= 5:
                    break
            await other.pause("lunch")
            sent = len(here.sandbox.requests.find(route="calls.create"))
            async for progress in steps:
                if progress.state == "paused" and not progress.contacts["open"]:
                    break
            assert progress.reason == "lunch"
            await some_looks(here.campaign)
            assert len(here.sandbox.requests.find(route="calls.create")) == sent < len(NUMBERS)
            await other.resume()
            async for last in steps:
                pass
            group.cancel_scope.cancel()
        assert last.contacts["done"] == len(NUMBERS)
        journal = await here.sql("SELECT what, detail FROM journal WHERE what IN ('pause', 'resume') ORDER BY id")
        assert journal == [("pause", json.dumps({"reason": "lunch"})), ("resume", "{}")]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio's tasks cannot be driven by hand
async def test_a_pause_of_this_process_closes_the_gate_before_it_writes(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first step of `pause` on not even a request that has its turn leaves, however long the ledger takes."""
    async with stage(where, NUMBERS, concurrency=8) as here:
        write, written = Running.write, anyio.Event()

        async def slow(running: Running, work: Any) -> Any:
            if work.__qualname__.startswith("Run.command"):
                await written.wait()
            return await write(running, work)

        monkeypatch.setattr(Running, "write", slow)
        steps = here.campaign.run(every=0.002)
        async for _ in steps:
            if here.rings():
                break
        async with anyio.create_task_group() as group:
            group.start_soon(here.campaign.pause)
            running = here.campaign._run.running
            await wait_until(lambda: running.state is CampaignState.PAUSED)
            begun = running.begun  # The requests that the gate has let through.
            await some_looks(here.campaign)
            assert running.begun == begun
            written.set()
        assert (await here.campaign.progress()).state == "paused"
        await steps.aclose()
        assert here.campaign._run is None


async def test_do_not_call_of_another_process_reaches_whoever_waits(where: Where) -> None:
    """A number that another process puts on the list is not called, in a run that is under way and in later ones."""
    clock = VirtualClock()
    async with stage(where, [MAGIC + 8, *NUMBERS[:2]], clock=clock, retry={"busy": Retry(600)}, attempts=3) as here:
        async with other_process(here) as other, anyio.create_task_group() as group:

            async def command() -> None:
                await wait_until(lambda: here.campaign.runs)
                await here.sandbox.advance(300)
                await other.do_not_call(f"+{MAGIC + 8}", reason="asked us to")
                await some_looks(here.campaign)
                await here.sandbox.advance(1200)

            group.start_soon(command)
            async for last in here.campaign.run(every=0.02):
                pass
        assert len(here.rings(MAGIC + 8)) == 1
        assert last.contacts["suppressed"] == 1 and last.contacts["done"] == 2
        assert await here.sql("SELECT number, source FROM dnc") == [(MAGIC + 8, "asked us to")]


async def test_do_not_call_before_the_first_run_needs_no_owner(where: Where) -> None:
    """Without an owner a command goes into the ledger at once; numbers that are loaded later are suppressed as well."""
    async with stage(where, NUMBERS[:3]) as here:
        async with other_process(here) as other:
            await other.do_not_call(f"+{NUMBERS[0]}", f"+{NUMBERS[3]}")
        await here.fill(NUMBERS[3:5])
        last = await here.run()
        assert last.contacts["suppressed"] == 2 and last.contacts["done"] == 3
        assert not here.rings(NUMBERS[0]) and not here.rings(NUMBERS[3])


async def test_a_stop_cancels_who_waits_and_settles_who_is_called(where: Where) -> None:
    """After a stop nobody is called any more; calls that are away end, all others are canceled, and the run ends."""
    async with stage(where, NUMBERS, concurrency=4) as here, other_process(here) as other:
        steps = here.campaign.run(every=0.002)
        async for _ in steps:
            if len(here.rings()) >= 4:
                break
        await other.stop()
        sent = len(here.sandbox.requests.find(route="calls.create"))
        async for last in steps:
            pass
        assert last.over and last.state == "stopped"
        assert len(here.sandbox.requests.find(route="calls.create")) == sent
        assert last.contacts["done"] + last.contacts["canceled"] == len(NUMBERS)
        await here.campaign.resume()
        assert (await here.campaign.progress()).state == "stopped"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_owner_sends_nothing(tmp_path: Path) -> None:
    """While a campaign runs, another process can neither run it nor load contacts into it."""
    async with stage(tmp_path, NUMBERS, concurrency=2) as here:
        steps = here.campaign.run(every=0.01)
        await anext(steps)
        async with Ledger(tmp_path / "ledger.db") as ledger, here.another_client() as client:
            second = await Campaign.open(ledger, client, "autumn", clock=here.sandbox.clock)
            with pytest.raises(LedgerOwnedError):
                await ledger.own("autumn", patience=0.0)
            with pytest.raises(LedgerOwnedError):
                async for _ in second.run(every=0.01):
                    pass
        with pytest.raises(ConfigurationError, match="runs in this process already"):
            async for _ in here.campaign.run():
                pass
        await steps.aclose()


async def test_events_of_webhooks_end_calls_in_any_order(where: Where) -> None:
    """Events that come twice, in the wrong order or from another process give the same ledger as a sweep."""
    clock = VirtualClock()
    async with stage(where, NUMBERS[:2], clock=clock) as here:
        await here.run_for(0.1)
        assert len(here.rings()) == 2
        await here.sandbox.advance(60)
        calls = [call async for call in here.client.calls.list()]
        async with other_process(here) as other:
            for call in calls:
                for status in ("completed", "answered", "completed", "ringing"):
                    await other.event(_event(call, status))
        progress = await here.campaign.progress()
        assert progress.contacts["done"] == 2 and progress.counts["disposition.answered"] == 2


def _event(call: object, status: str) -> object:
    from attrs import evolve

    from ajoxi_async import CallCompleted
    from ajoxi_async.contract.calls import CallStatus

    data = call if status == "completed" else evolve(call, status=CallStatus(status), ended_at=None, disposition=None)
    return CallCompleted(id=f"evt_{status}", type="call.completed", data=data)
