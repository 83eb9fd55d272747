"""What users report of ledgers that are behind the API, and of calls that show up late. Each test is one report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ajoxi_async.dialer import Campaign, Ledger, Retry
from ajoxi_async.dialer.dialing.running import rules_of
from ajoxi_async.dialer.rules.machine import Fact
from ajoxi_async.dialer.storage.statements import facts
from ajoxi_async.dialer.storage.statements.facts import Report
from ajoxi_async.sandbox import VirtualClock

from .scene import Scene, copy_ledger, magic, people, run, running, scene, some_looks, until
from .worlds import Where, stage

pytestmark = pytest.mark.anyio

RETRY = {"busy": Retry(600), "no_answer": Retry(600), "answered": Retry(600)}


async def attempts_of(here: Scene, number: str, ledger: Ledger | None = None) -> list[Any]:
    """The attempts of a number: place, how it ended, whether it is an incident."""
    sql = "SELECT n, disposition, incident FROM attempt WHERE number = ? ORDER BY n"
    return await here.rows(sql, int(number[1:]), ledger=ledger)


async def test_a_done_contact_is_dialled_again_after_a_restore(tmp_path: Path) -> None:
    """A backup from during the first call: the second call, which reached the person, is adopted, and nobody is dialled."""
    number = magic(105)  # No answer the first time, then answered.
    async with scene(tmp_path, clock="manual") as here:
        campaign = await here.campaign([number], attempts=3, retry={"no_answer": Retry(600)})
        async with running(campaign):
            await until(lambda: here.posts(number))
            copy_ledger(here.path, tmp_path / "backup.db")
            await here.clock.advance(60)
            await here.clock.advance(700)
            await until(lambda: len(here.posts(number)) == 2)
            await here.clock.advance(600)
        assert await here.states() == {number: "done"}
        async with Ledger(tmp_path / "backup.db") as backup:
            assert (await here.states(backup))[number] in {"dialing", "open"}
            async with running(await here.campaign(ledger=backup)) as seen:
                await until(lambda: seen and seen[-1].over)
                await here.clock.advance(3600)
            assert await attempts_of(here, number, backup) == [(1, "no_answer", 0), (2, "answered", 0)]
            assert await here.states(backup) == {number: "done"}
            assert (await here.audit(backup)).faults == []
        assert here.rings(number) == 2


async def test_two_lost_attempts_of_one_number(tmp_path: Path) -> None:
    """All the calls that a ledger has lost of one number are adopted, none as an incident, and the contact ends by the latest."""
    number = magic(108)  # Busy twice, then answered.
    async with scene(tmp_path) as here:
        campaign = await here.campaign([number, *people(3)], attempts=4, retry={"busy": Retry(600)})
        copy_ledger(here.path, tmp_path / "backup.db")
        await run(campaign)
        async with Ledger(tmp_path / "backup.db") as backup:
            last = await run(await here.campaign(ledger=backup))
            told = [(1, "busy", 0), (2, "busy", 0), (3, "answered", 0)]
            assert await attempts_of(here, number, backup) == told
            assert (await here.audit(backup)).faults == []
        assert (last.contacts["done"], last.counts["adopted"], last.counts.get("incident", 0)) == (4, 6, 0)
        assert here.rings(number) == 3


async def test_the_call_of_a_released_attempt_rings_during_the_next_one(tmp_path: Path) -> None:
    """Two calls of one number at a time halt no run: the contact gets no further attempt, and all others are called as ever."""
    number, others = magic(109), people(3)  # It is answered, and the call lasts for hours.
    async with scene(tmp_path, clock="manual") as here:
        here.sandbox.faults.add(action="commit_late", match="calls.create", when="nth", n=1, seconds=30)
        campaign = await here.campaign([number], attempts=4, retry=RETRY, concurrency=1)
        async with running(campaign) as seen:
            await until(lambda: here.posts(number))
            await until(lambda: seen and seen[-1].contacts["unknown"])
            await campaign.release(*await campaign.unknown())
            await until(lambda: len(here.posts(number)) == 2)
            await until(lambda: seen[-1].contacts["open"])
            call = dict(await here.rows("SELECT n, call_id FROM attempt"))[2]
            await here.clock.advance(31)
            late = [one async for one in here.client.calls.list() if one.id != call]
            await campaign._run.running.record_calls(late, 3)  # type: ignore[union-attr]
            assert campaign._run.running.halted is None  # type: ignore[union-attr]
        assert here.rings(number) == 2
        await here.campaign(others)
        async with running(await here.campaign(concurrency=9)) as seen:
            await until(lambda: all(map(here.posts, others)))
            for _ in range(6):
                await here.clock.advance(3600)
            await until(lambda: seen and seen[-1].over)
        assert len(here.posts(number)) == 2
        assert seen[-1].contacts["done"] == 1
        assert [len(here.posts(one)) for one in others] == [4, 4, 4]
        assert seen[-1].counts["incident"] == 1
        assert (await here.audit()).faults == []


async def test_a_lost_call_that_is_under_way_beside_a_doubt(tmp_path: Path) -> None:
    """A backup from before a release: the call that followed is an incident while it lasts, and the number is not called again."""
    number = magic(109)
    async with scene(tmp_path, clock="manual") as here:
        here.sandbox.faults.add(action="drop_before", match="calls.create", when="nth", n=1)
        campaign = await here.campaign([number], attempts=4, retry=RETRY)
        async with running(campaign) as seen:
            await until(lambda: seen and seen[-1].contacts["unknown"])
        copy_ledger(here.path, tmp_path / "backup.db")
        await campaign.release(*await campaign.unknown())
        async with running(campaign):
            await until(lambda: len(here.posts(number)) == 2)
        await here.clock.advance(60)
        async with Ledger(tmp_path / "backup.db") as backup:
            async with running(await here.campaign(ledger=backup), until_settled=60) as seen:
                await until(lambda: seen)
                for _ in range(6):
                    await here.clock.advance(3600)
                await until(lambda: seen[-1].over)
            assert seen[-1].counts["incident"] == 1
            assert await attempts_of(here, number, backup) == [(1, None, 0), (2, "answered", 1)]
            assert (await here.audit(backup)).faults == []
        assert len(here.posts(number)) == 2
        assert here.rings(number) == 1


async def test_an_incident_and_the_end_of_another_call_in_one_transaction(where: Where) -> None:
    """What a list says of two contacts at once is two matters: the one with the incident ends, the other waits for its retry."""
    async with stage(where, [14045560000, 14045560001], attempts=3, retry=RETRY) as here:

        def work(db: Any) -> list[Any]:
            ids = []
            for number, state in ((14045560000, 6), (14045560001, 1)):
                ((id,),) = db.execute(
                    "INSERT INTO attempt (campaign, contact, n, number, from_, state, sent, intent_at, incident, looked)"
                    " SELECT campaign, id, 1, number, 14155550100, ?, 1, 1000, 0, 0 FROM contact WHERE number = ?"
                    " RETURNING id",
                    (state, number),
                )
                ids.append(id)
            db.execute("UPDATE contact SET tries = 1, state = 2 WHERE number = 14045560001")
            db.execute("UPDATE contact SET tries = 1 WHERE number = 14045560000")
            ended = [Report(id, Fact.ENDED, f"call_{id}", 1000, 2000, "busy", 0, 2) for id in ids]
            return facts.record(db, here.campaign.row.id, ended, 3000, rules_of(here.campaign.settings), Counter())

        async with here.ledger.owning("autumn"):
            changed = await here.ledger.write(work)
        assert [(one.contact.word, one.incident) for one in changed] == [("done", True), ("waiting", False)]


async def test_an_incident_of_one_contact_ends_it_and_no_other(where: Where) -> None:
    """A call that shows up after its release ends its own contact; the retries of the others come as they are due."""
    clock = VirtualClock()
    numbers = [15005550162, 15005550102]  # Placed 90 seconds late; busy.
    async with stage(where, numbers, attempts=3, retry=RETRY, clock=clock) as here:
        await here.run_for(5)
        await here.campaign.pause()
        await here.campaign.release(*await here.campaign.unknown())
        await here.sandbox.advance(120)
        await here.campaign.resume()
        await here.run_for(3600)
        last = await here.campaign.progress()
        assert last.counts["incident"] == 1
        assert len(here.rings(numbers[0])) == 1
        assert len(here.rings(numbers[1])) == 3
        assert (last.contacts["done"], last.contacts["exhausted"]) == (1, 1)


async def test_a_pause_undone_by_what_a_dead_owner_did_not_carry_out(tmp_path: Path) -> None:
    """A command of somebody else that waits in the inbox of an owner who died comes before a later one, and not after it."""
    async with scene(tmp_path) as here, Ledger(here.path) as other:
        campaign = await here.campaign(people(3))
        await here.ledger.own("autumn")
        await (await here.campaign(ledger=other)).resume()  # Goes to the inbox; the owner dies before it looks.
        await here.ledger.disown("autumn")
        await campaign.pause("by hand")
        again = await here.campaign(ledger=other)
        async with running(again) as seen:
            await until(lambda: seen)
            await some_looks(again)
            assert seen[-1].state == "paused"
        assert not here.wire.posts


async def test_commands_are_dropped_in_a_copied_ledger(tmp_path: Path) -> None:
    """A ledger that was copied without its inbox carries out what is posted to it, although its inbox begins anew."""
    async with scene(tmp_path, clock="manual") as here, Ledger(here.path) as other:
        numbers = people(40)
        campaign = await here.campaign(numbers, concurrency=1)
        remote = await here.campaign(ledger=other)
        async with running(campaign):
            await until(lambda: here.wire.posts)
            for number in numbers[-3:]:
                await remote.do_not_call(number)
            await until(lambda: campaign._run.running.counts["suppressed"] == 3)  # type: ignore[union-attr]
        (tmp_path / "copy.db").write_bytes(here.path.read_bytes())
        wal = Path(f"{here.path}-wal")
        if wal.exists():
            (tmp_path / "copy.db-wal").write_bytes(wal.read_bytes())
        async with Ledger(tmp_path / "copy.db") as copied, Ledger(tmp_path / "copy.db") as beside:
            owner = await here.campaign(ledger=copied)
            async with running(owner) as seen:
                await until(lambda: seen)
                looks_on = await Campaign.open(beside, None, "autumn", clock=here.clock)
                await looks_on.pause("lunch")
                await until(lambda: seen[-1].state == "paused", within=5)
