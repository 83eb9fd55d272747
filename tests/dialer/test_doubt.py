"""Attempts of which it is not known whether their phone has rung."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import InvalidParameterError
from ajoxi_async.contract.wire import Response
from ajoxi_async.dialer import Campaign, Ledger, Retry
from ajoxi_async.sandbox import VirtualClock

from .scene import FROM, Post, people, run, scene
from .worlds import MAGIC, Where, stage

pytestmark = pytest.mark.anyio
NUMBERS = [14045560000 + each for each in range(12)]


@pytest.mark.parametrize("action", ["drop_after_commit", "status_after_commit", "truncate", "malformed"])
async def test_an_answer_that_is_lost_is_looked_up_and_adopted(where: Where, action: str) -> None:
    """A call whose answer is lost, cut off or a 5xx although it was placed rings once, and is found by its reference."""
    async with stage(where, NUMBERS) as here:
        here.sandbox.faults.add(action=action, match="calls.create", when="every", n=3)
        last = await here.run()
        assert last.contacts["done"] == len(NUMBERS)
        assert sorted(here.rings()) == sorted(f"+{number}" for number in NUMBERS)
        adopted = await here.sql("SELECT count(*) FROM attempt WHERE via = 2")
        assert adopted == [(4,)]


@pytest.mark.parametrize("how", ["no id", "another's id", "another's answer"])
async def test_an_answer_that_tells_of_another_call_hangs_the_run(tmp_path: Path, how: str) -> None:
    """An answer without an id, or that of another request, leaves its attempt in doubt until the list shows the call; nobody waits."""
    numbers = people(6)
    answers: list[dict[str, Any]] = []

    async def after(_: Post, response: Response) -> Response:
        answers.append(told := json.loads(response.body))
        if len(answers) in {3, 4}:
            wrong = {"no id": told | {"id": ""}, "another's id": told | {"id": answers[0]["id"]}}
            response.body = json.dumps(wrong.get(how, answers[0])).encode()
        return response

    async with scene(tmp_path) as here:
        here.wire.after = after
        last = await run(await here.campaign(numbers, concurrency=1))
        assert (await here.audit()).faults == []
        assert last.contacts["done"] == len(numbers) and not last.contacts["open"]
        assert [here.rings(number) for number in numbers] == [1] * len(numbers)
        assert await here.rows("SELECT count(*) FROM attempt WHERE via = 2") == [(2,)]


@pytest.mark.parametrize("when", ["before the run", "while it is looked up"])
async def test_a_call_with_a_copied_reference_is_another_one(tmp_path: Path, when: str) -> None:
    """Metadata that somebody has copied to a call of another number says nothing of the contact: it is called, and once."""
    (number,), stranger = people(1), people(1, first=50)[0]
    placed = anyio.Event()

    async def copy(reference: str) -> None:
        await here.client.calls.create(to=stranger, from_=FROM, metadata={"client_reference": reference})

    async def after(post: Post, response: Response) -> Response:
        if post.number == number and when == "while it is looked up" and not placed.is_set():
            placed.set()
            await copy(str(post.reference))
            raise ConnectionResetError
        return response

    async with scene(tmp_path) as here:
        here.wire.after = after
        campaign = await here.campaign([number])
        if when == "before the run":
            await copy(campaign.references.make(int(number), 1))
        assert (await run(campaign)).contacts["done"] == 1
        assert (here.rings(number), here.rings(stranger)) == (1, 1)
        ((call,),) = await here.rows("SELECT call_id FROM attempt")
        assert (await here.client.calls.retrieve(call)).to == number


async def test_a_call_that_is_placed_minutes_late_rings_once(where: Where) -> None:
    """A call that rings 90 seconds after its request failed is in doubt until then, is never placed again, and is adopted."""
    async with stage(where, [MAGIC + 62], retry={"failed": Retry(60)}, attempts=3) as here:
        last = await here.run()
        assert last.contacts["done"] == 1 and len(here.rings()) == 1
        assert last.attempts == 1 and len(here.sandbox.requests.find(route="calls.create")) == 1
        ((intent_at, created_at, via),) = await here.sql("SELECT intent_at, created_at, via FROM attempt")
        assert created_at - intent_at == 90_000 and via == 2


async def test_nothing_is_released_while_the_list_cannot_be_read(where: Where) -> None:
    """Doubt stays while the API's list is down, for hours; the call is adopted when the list is back."""
    async with stage(where, NUMBERS[:1], unknown="release", attempts=3) as here:
        here.sandbox.faults.add(action="drop_after_commit", match="calls.create")
        await here.until("unknown")
        outage = here.sandbox.faults.add(action="outage", match="calls.list", seconds=4 * 3600)
        last = await here.run(until_settled=None)
        assert outage.fired
        assert last.contacts["done"] == 1 and len(here.rings()) == 1


async def test_doubt_is_held_for_ever_unless_something_else_was_asked_for(where: Where) -> None:
    """An attempt whose call never shows up is looked for over a day, and its contact is not called again."""
    async with stage(where, NUMBERS[:2]) as here:
        here.sandbox.faults.add(action="drop_before", match="calls.create", when="nth", n=1)
        last = await here.run(until_settled=None)
        assert last.contacts["unknown"] == 1 and last.contacts["done"] == 1
        ((looked, next_look),) = await here.sql("SELECT looked, next_look FROM attempt WHERE state = 5")
        assert looked >= 28
        assert next_look is None
        assert here.sandbox.clock.now() > 86_400
        (doubt,) = await here.campaign.unknown()
        assert doubt.looked == looked and doubt.next_look is None


async def test_a_release_needs_a_witness(where: Where) -> None:
    """Without a later call of ours in the list nothing is released, however long it was looked for."""
    async with stage(where, NUMBERS[:1], unknown="release", attempts=2) as here:
        here.sandbox.faults.add(action="drop_before", match="calls.create")
        last = await here.run(until_settled=3 * 3600.0)
        assert last.contacts["unknown"] == 1 and not here.rings()


async def test_a_release_with_a_witness_frees_the_contact(where: Where) -> None:
    """A later call of ours in the list shows that the missing one was not placed; the contact gets its next attempt."""
    # The second contact is called again after 25 minutes: that call is the witness.
    retry, clock = {"busy": Retry(1500, 1500, 3600)}, VirtualClock()
    async with stage(where, NUMBERS[:1], unknown="release", attempts=3, retry=retry, clock=clock) as here:
        here.sandbox.faults.add(action="drop_before", match="calls.create", when="nth", n=1)
        await here.run_for(1)
        await here.fill([MAGIC + 8])
        await here.run_for(4 * 3600)
        last = await here.campaign.progress()
        assert last.contacts["done"] == 2
        states = await here.sql("SELECT n, state FROM attempt WHERE number = ? ORDER BY n", NUMBERS[0])
        assert states == [(1, 6), (2, 2)]
        assert len(here.rings(NUMBERS[0])) == 1
        assert await here.sql("SELECT count(*) FROM journal WHERE what = 'release'") == [(1,)]


async def test_a_person_releases_or_settles_doubt(where: Where) -> None:
    """`release` gives the contact its next attempt, `done` settles it, and a reference that is not in doubt is refused."""
    async with stage(where, NUMBERS[:2], attempts=2) as here:
        fault = here.sandbox.faults.add(action="drop_before", match="calls.create")
        await here.until("unknown", 2)
        here.sandbox.faults.remove(fault.id)
        first, second = await here.campaign.unknown()
        with pytest.raises(InvalidParameterError, match="doubts"):
            await here.campaign.release("autumn.0000000000.1")
        await here.campaign.release(first, reason="the carrier says so")
        await here.campaign.done(second.reference)
        last = await here.run()
        assert last.contacts["done"] == 2
        assert here.rings() == [first.number]


async def test_a_call_that_shows_up_after_its_release_is_an_incident(where: Where) -> None:
    """A released attempt whose call exists after all is counted as an incident, and its contact gets no further attempt."""
    clock = VirtualClock()
    async with stage(where, [MAGIC + 62], attempts=3, retry={"answered": Retry(60)}, clock=clock) as here:
        await here.run_for(5)
        await here.campaign.pause()
        await here.campaign.release(*await here.campaign.unknown())
        assert (await here.campaign.progress()).contacts["waiting"] == 1
        await here.sandbox.advance(120)
        assert len(here.rings()) == 1
        await here.campaign.resume()
        await here.run_for(120)
        last = await here.campaign.progress()
        assert last.counts["incident"] == 1
        assert last.contacts["done"] == 1 and len(here.rings()) == 1


async def test_a_ledger_that_was_rolled_back_adopts_before_it_dials(tmp_path: Path) -> None:
    """A copy of the ledger from before the run calls nobody again: their calls are in the API's list."""
    async with stage(tmp_path, NUMBERS) as here:
        await here.ledger.read(lambda db: db.execute("VACUUM INTO ?", (str(tmp_path / "old.db"),)))
        await here.run()
        assert len(here.rings()) == len(NUMBERS)
        async with Ledger(tmp_path / "old.db") as old, here.another_client() as client:
            again = await Campaign.open(old, client, "autumn", clock=here.sandbox.clock)
            async for last in again.run(every=0.05):
                pass
        assert last.contacts["done"] == len(NUMBERS) and last.counts["adopted"] == len(NUMBERS)
        assert len(here.rings()) == len(NUMBERS)


async def test_nothing_is_dialled_before_the_list_was_read(where: Where) -> None:
    """While the list is down at the beginning of a run, no call is placed; when it is back, the run goes on by itself."""
    async with stage(where, NUMBERS[:2]) as here:
        here.sandbox.faults.add(action="outage", match="calls.list", seconds=600)
        began = here.sandbox.clock.now()
        last = await here.run()
        assert last.contacts["done"] == 2
        first = min(ring.at.timestamp() for ring in here.sandbox.world().rings())
        assert first >= began + 600


async def test_what_a_killed_process_has_left_is_found_again(tmp_path: Path) -> None:
    """The files of a process that was killed in the middle of a run are opened by another one, which calls nobody twice."""
    async with stage(tmp_path, NUMBERS, concurrency=3) as here:
        steps = here.campaign.run(every=0.001)
        async for progress in steps:
            if len(here.rings()) >= 3:
                break
        # What is on the disk now is what a kill leaves.
        for file in ("ledger.db", "ledger.db-wal"):
            shutil.copy(tmp_path / file, tmp_path / file.replace("ledger", "left"))
        rung = len(here.rings())
        async with Ledger(tmp_path / "left.db") as left, here.another_client() as client:
            again = await Campaign.open(left, client, "autumn", clock=here.sandbox.clock)
            await steps.aclose()
            async for last in again.run(every=0.05):
                pass
        assert rung < len(NUMBERS)
        assert last.contacts["done"] == len(NUMBERS)
        assert sorted(here.rings()) == sorted(f"+{number}" for number in NUMBERS)


async def test_doubt_that_is_never_settled_holds_nobody_up(where: Where) -> None:
    """A call in doubt takes a place of `concurrency` for as long as a call can last, and no longer: the others are called then."""
    async with stage(where, NUMBERS[:2], concurrency=1) as here:
        here.sandbox.faults.add(action="drop_before", match="calls.create", when="times", n=1)
        began = here.sandbox.clock.now()
        with anyio.fail_after(60):
            last = await here.run()
        assert last.contacts["unknown"] == last.contacts["done"] == 1
        (ring,) = here.sandbox.world().rings()
        assert ring.at.timestamp() >= began + here.campaign.settings.max_call
