"""`Campaign.dial` in a task that is cancelled, as a web handler is whose visitor goes away."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

import anyio
import pytest

from ajoxi_async.dialer.dialing.running import Running
from ajoxi_async.dialer.rules.machine import AttemptState
from ajoxi_async.dialer.storage.database import Database

from .worlds import Where, stage, wait_until

pytestmark = pytest.mark.anyio
NUMBERS = [14045560000, 14045560001]


@pytest.mark.parametrize(("anyio_backend", "by_asyncio"), [("asyncio", False), ("trio", False), ("asyncio", True)])
async def test_a_dial_that_is_cancelled_while_it_claims_leaves_nobody_behind(
    where: Where, monkeypatch: pytest.MonkeyPatch, by_asyncio: bool
) -> None:
    """A contact whose claim is written although its task was cancelled does not stay an intent that nobody carries out."""
    async with stage(where, NUMBERS, mode="preview") as here, anyio.create_task_group() as group:
        steps = here.campaign.run(every=0.005)
        await anext(steps)

        async def go() -> None:
            async for _ in steps:
                pass

        group.start_soon(go)
        await wait_until(lambda: here.campaign.runs)
        assert await here.campaign.dial(f"+{NUMBERS[0]}")
        free, held = threading.Event(), threading.Event()

        def hold(_: Database) -> None:
            held.set()
            assert free.wait(20)

        def cancel() -> None:
            if by_asyncio:
                task.cancel()  # Ignores the shields of anyio.
            else:
                scope.cancel()

        async def dial() -> None:
            nonlocal task
            task = asyncio.current_task() if by_asyncio else None
            # A task of a group that ends in this way would cancel the group.
            with scope, suppress(*[asyncio.CancelledError] * by_asyncio):
                await here.campaign.dial(f"+{NUMBERS[1]}")

        write, claims = Running.write, anyio.Event()

        async def noted(running: Running, work: Any) -> Any:
            if "dial_now" in work.__qualname__:
                claims.set()
            return await write(running, work)

        monkeypatch.setattr(Running, "write", noted)
        # While the ledger is busy, the claim waits for another task that writes it.
        scope = anyio.CancelScope()
        task: Any = None
        group.start_soon(here.ledger.write, hold)
        await wait_until(held.is_set)
        group.start_soon(dial)
        await claims.wait()
        cancel()
        await anyio.lowlevel.checkpoint()
        free.set()
        told = "SELECT state FROM attempt WHERE number = ?"
        with anyio.fail_after(20):
            while await here.sql(told, NUMBERS[1]) in ([], [(AttemptState.INTENT,)]):
                await anyio.sleep(0.005)
        ((state,),) = await here.sql(told, NUMBERS[1])
        assert state in {AttemptState.UNSENT, AttemptState.UNKNOWN}
        assert here.rings() == [f"+{NUMBERS[0]}"]
        group.cancel_scope.cancel()
        ended = True
    assert ended
