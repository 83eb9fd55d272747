"""What code of the caller's, such as a transport or a token provider, does to a campaign when it fails in ways of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

from ajoxi_async.dialer.rules.machine import AttemptState

from .scene import Post, people, run, scene


async def cancelled(_: Post) -> None:
    future: asyncio.Future[None] = asyncio.Future()
    future.cancel()
    await future


@pytest.mark.asyncio
async def test_a_cancellation_that_is_not_the_runs_own(tmp_path: Path) -> None:
    """A transport that awaits a cancelled task ends the run with an error, and the run does not hang without its tasks."""
    async with scene(tmp_path) as here:
        campaign = await here.campaign(people(5))
        here.wire.before = cancelled
        with anyio.fail_after(20), pytest.raises(RuntimeError, match="cancelled"):
            await run(campaign)
        here.wire.before = None
        found = await here.rows("SELECT state FROM attempt")
        assert {AttemptState(state) for (state,) in found} <= {AttemptState.UNKNOWN, AttemptState.UNSENT}
        assert (await run(campaign, until_settled=0)).over
        assert not (await here.audit()).faults
