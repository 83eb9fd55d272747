"""An API that keeps no metadata of calls: a call belongs to an attempt by its numbers and its time, if at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve

from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.dialer import Ledger, Retry
from ajoxi_async.dialer.rules.machine import AttemptState

from .scene import FROM, Scene, copy_ledger, magic, people, run, running, scene, until

pytestmark = pytest.mark.anyio


@define(eq=False)
class Forgetful:
    """A transport to an API without metadata, in requests and in answers."""

    inner: Any

    async def send(self, request: Request) -> Response:
        path, _, query = request.url.partition("?")
        kept = "&".join(part for part in query.split("&") if "metadata" not in part)
        response = await self.inner.send(evolve(request, url=f"{path}?{kept}" if kept else path))
        if request.method == "GET" and response.status == 200:
            told = json.loads(response.body)
            for call in told.get("data", [told]):
                call["metadata"] = {}
            response = evolve(response, body=json.dumps(told).encode())
        return response

    def stream(self, request: Request) -> Any:
        return self.inner.stream(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


def forget(here: Scene) -> None:
    """Let the API of a scene keep no metadata."""
    here.wire.inner = Forgetful(here.wire.inner)


async def test_one_call_that_can_be_the_one_is_adopted(tmp_path: Path) -> None:
    """A lost answer and one call of its numbers since then: it is that attempt's call."""
    number, other = people(2)
    async with scene(tmp_path) as here:
        forget(here)
        here.sandbox.faults.add(action="drop_after_commit", match="calls.create", when="nth", n=1)
        last = await run(await here.campaign([number, other], concurrency=1))
        assert last.contacts["done"] == 2
        assert here.rings(number) == here.rings(other) == 1


async def test_two_calls_that_can_be_the_one_are_both_none(tmp_path: Path) -> None:
    """With a call of somebody else from the same number, nobody can tell: the attempt stays in doubt, says why, and is not released."""
    number = people(1)[0]
    async with scene(tmp_path) as here:
        forget(here)

        campaign = await here.campaign([number], unknown="release", attempts=3)

        async def somebody_else(post: Any) -> None:
            here.wire.before = None
            await here.client.calls.create(to=number, from_=FROM)

        here.wire.before = somebody_else
        here.sandbox.faults.add(action="drop_after_commit", match="calls.create", when="nth", n=2)
        last = await run(campaign, until_settled=3 * 3600)
        assert last.contacts["unknown"] == 1
        (doubt,) = await campaign.unknown()
        assert doubt.reason == "2 calls without a reference may be its"
        assert here.rings(number) == 2  # One of them was none of ours.
        await campaign.done(doubt)
        assert (await run(campaign)).contacts["done"] == 1


async def test_a_call_is_no_second_attempts(tmp_path: Path) -> None:
    """A call that an attempt has is not taken for another one: a second attempt whose request was lost stays in doubt."""
    number = magic(102)
    async with scene(tmp_path) as here:
        forget(here)
        here.sandbox.faults.add(action="drop_before", match="calls.create", when="nth", n=2)
        campaign = await here.campaign([number], attempts=2, retry={"busy": Retry(20)})
        last = await run(campaign)
        assert last.contacts["unknown"] == 1
        states = await here.rows("SELECT state, call_id IS NULL FROM attempt ORDER BY n")
        assert states == [(AttemptState.ENDED, 0), (AttemptState.UNKNOWN, 1)]
        assert (await campaign.unknown())[0].looked >= 4


async def test_lost_calls_are_adopted_in_their_order(tmp_path: Path) -> None:
    """The calls that a restored ledger has lost of one number become its attempts, the oldest first."""
    number = magic(105)  # No answer the first time, then answered.
    async with scene(tmp_path) as here:
        forget(here)
        campaign = await here.campaign([number], attempts=4, retry={"no_answer": Retry(600)})
        copy_ledger(here.path, tmp_path / "backup.db")
        await run(campaign)
        async with Ledger(tmp_path / "backup.db") as backup:
            last = await run(await here.campaign(ledger=backup))
            rows = await here.rows("SELECT n, disposition FROM attempt ORDER BY n", ledger=backup)
            assert rows == [(1, "no_answer"), (2, "answered")]
        assert (last.contacts["done"], last.counts["adopted"]) == (1, 2)
        assert here.rings(number) == 2


@pytest.mark.parametrize("doubt", [False, True], ids=["both lost", "in doubt"])
async def test_one_call_and_two_campaigns(tmp_path: Path, doubt: bool) -> None:
    """A call that may be of either campaign of a ledger is taken by none: it is in doubt, or left to the doubt that there is."""
    number = people(1)[0]
    async with scene(tmp_path) as here:
        forget(here)
        autumn = await here.campaign([number], "autumn")
        winter = await here.campaign([number], "winter")
        if doubt:
            here.sandbox.faults.add(action="drop_after_commit", match="calls.create", when="nth", n=1)
            here.sandbox.faults.add(action="outage", match="calls.list", delay=0.5, seconds=60)
            await run(autumn, until_settled=10)
            here.sandbox.faults.clear()
            await here.clock.advance(60)
            # The number is in flight until its call is found.
            async with running(winter) as seen:
                await until(lambda: len(seen) > 3 and winter.runs)
            assert await here.rows("SELECT campaign, call_id IS NULL FROM attempt") == [(1, 1)]
            await run(autumn)
            await run(winter)
            assert here.rings(number) == 2
            assert await here.rows("SELECT campaign, state FROM attempt ORDER BY id") == [(1, 2), (2, 2)]
            return
        copy_ledger(here.path, tmp_path / "backup.db")
        await run(autumn)
        async with Ledger(tmp_path / "backup.db") as backup:
            again = await here.campaign((), "winter", ledger=backup)
            last = await run(again, until_settled=60)
            assert last.contacts["unknown"] == 1
            (one,) = await again.unknown()
            assert (one.reason, one.next_look) == ("a call without a reference may be another campaign's", None)
        assert here.rings(number) == 1
