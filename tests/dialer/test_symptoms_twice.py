"""What users of other dialers report: people who were called twice, and people who were lost. Each test is one report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async.contract.wire import ExchangeError, Response
from ajoxi_async.dialer.rules.retries import Retry
from ajoxi_async.dialer.storage.ledger import Ledger
from ajoxi_async.protocol.errors import ConfigurationError, LedgerError, LedgerOwnedError

from .scene import EPOCH, Post, magic, people, run, running, scene, some_looks, until

pytestmark = pytest.mark.anyio

ANSWERED, NO_ANSWER, BUSY = magic(100), magic(101), magic(102)


async def test_overlapping_runs_call_one_customer_fifty_times(tmp_path: Path) -> None:
    """A second run of a campaign sends nothing: not in this process, not with another ledger object on the same file."""
    async with scene(tmp_path, clock="manual") as stage, Ledger(stage.path) as other:
        first = await stage.campaign([magic(109)])
        second = await stage.campaign(ledger=other)
        third = await stage.campaign()
        async with running(first):
            await until(lambda: stage.wire.posts)
            with pytest.raises(ConfigurationError):
                await run(first)
            with pytest.raises(LedgerOwnedError):
                await run(second)
            with pytest.raises((ConfigurationError, LedgerOwnedError)):
                await run(third)
        async with running(second) as seen:
            await until(lambda: seen)
        assert len(stage.wire.posts) == stage.rings(magic(109)) == 1


async def test_placed_but_the_database_could_not_note_it(tmp_path: Path) -> None:
    """If the ledger cannot be written after the answer 201, the attempt is in doubt and adopted later; nobody is called again."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign([ANSWERED])
        broken: list[str] = []
        execute = stage.ledger.database.execute

        def fails(sql: str, parameters: Any = ()) -> Any:
            if broken and not sql.startswith("SELECT"):
                raise LedgerError("the ledger cannot be used: database or disk is full")
            return execute(sql, parameters)

        async def fill_the_disk(post: Post, response: Response) -> Response:
            broken.append("full")
            return response

        stage.wire.after = fill_the_disk
        stage.ledger.database.execute = fails  # type: ignore[method-assign]
        with pytest.raises(LedgerError):
            await run(campaign)
        broken.clear()
        stage.wire.after = None
        assert await stage.states() == {ANSWERED: "dialing"}
        await run(campaign)
        assert await stage.states() == {ANSWERED: "done"}
        assert len(stage.posts(ANSWERED)) == stage.rings(ANSWERED) == 1


async def test_leads_stuck_in_processing(tmp_path: Path) -> None:
    """No contact is dialing without an owner who lives: what a dead one left is in doubt at once, and looked up."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign([ANSWERED, BUSY])
        # The intents of a process that died before it sent anything.
        await stage.ledger.own("autumn")
        await stage.ledger.write(
            lambda db: [
                db.execute(
                    "INSERT INTO attempt (campaign, contact, n, number, from_, state, sent, intent_at, incident, looked)"
                    " SELECT campaign, id, 1, number, 14155550100, 0, 1, ?, 0, 0 FROM contact",
                    (int(EPOCH * 1000),),
                ),
                db.execute("UPDATE contact SET state = 1, tries = 1"),
                db.execute("UPDATE count SET n = 0 WHERE what = 'waiting'"),
                db.execute("INSERT INTO count VALUES (?, 'dialing', 2), (?, 'attempts', 2)", (1, 1)),
            ]
        )
        await stage.ledger.disown("autumn")
        async with running(campaign) as seen:
            await until(lambda: seen and seen[-1].contacts["unknown"] == 2)
            assert seen[-1].contacts["dialing"] == 0
        assert not stage.wire.posts
        doubts = await campaign.unknown()
        assert [doubt.number for doubt in doubts] == [ANSWERED, BUSY]
        assert (await stage.audit()).faults == []


async def test_the_post_timed_out_and_the_phone_rang_later(tmp_path: Path) -> None:
    """A call that is placed two minutes after its answer was lost rings once, and is adopted when it is seen."""
    async with scene(tmp_path) as stage:
        stage.sandbox.faults.add(action="commit_late", match="calls.create", when="nth", seconds=120)
        campaign = await stage.campaign([ANSWERED], attempts=3, retry={"no_answer": Retry(60)})
        last = await run(campaign)
        assert last.contacts["done"] == 1
        assert len(stage.posts(ANSWERED)) == stage.rings(ANSWERED) == 1
        assert await stage.rows("SELECT via, incident FROM attempt") == [(2, 0)]
        assert (await stage.audit()).faults == []


async def test_a_call_in_progress_for_days(tmp_path: Path) -> None:
    """A call that never ends counts no more after the longest time a call can last; it is reported and not dialled again."""
    async with scene(tmp_path) as stage:
        endless = magic(109)
        campaign = await stage.campaign(
            [endless, ANSWERED], concurrency=1, max_call=3600, attempts=3, retry={"answered": Retry(60)}
        )
        last = await run(campaign)
        assert 3600 < stage.posts(ANSWERED)[0].at - EPOCH < 3600 + 900 + 60
        assert stage.rings(endless) == 1
        assert (last.contacts["open"], last.contacts["exhausted"]) == (1, 1)
        # The next run does not wait for it for ever either.
        async with Ledger(stage.path) as ledger:
            last = await run(await stage.campaign(ledger=ledger))
        assert last.contacts["exhausted"] == 1
        assert (await stage.audit()).faults == []


async def test_no_cancel_in_flight(tmp_path: Path) -> None:
    """After `pause` has returned no request leaves, and the contacts that were away already are counted as such."""
    async with scene(tmp_path, clock="real") as stage:
        campaign = await stage.campaign(people(400), clock=None)
        async with running(campaign) as seen:
            await until(lambda: len(stage.wire.posts) > 20)
            await campaign.pause("lunch")
            sent = len(stage.wire.posts)
            await some_looks(campaign)
            assert len(stage.wire.posts) == sent
            away = await campaign.progress()
            assert away.contacts["waiting"] == 400 - sent
            assert (away.state, away.reason) == ("paused", "lunch")
            await campaign.resume()
            await until(lambda: len(stage.wire.posts) > sent)
            await until(lambda: seen[-1].state == "active")


async def test_pause_of_another_process(tmp_path: Path) -> None:
    """A pause from another ledger object has effect when it returns, as one of the process that runs."""
    async with scene(tmp_path, clock="real") as stage, Ledger(stage.path) as other:
        campaign = await stage.campaign(people(400), clock=None)
        for remote in (await stage.campaign(ledger=other, clock=None), await stage.campaign(clock=None)):
            async with running(campaign):
                await until(lambda: len(stage.wire.posts) > 20)
                await remote.pause()
                sent = len(stage.wire.posts)
                await some_looks(campaign)
                assert len(stage.wire.posts) == sent
                await remote.resume()
                await until(lambda: len(stage.wire.posts) > sent)
            stage.wire.posts.clear()


async def test_the_poll_window_ended_too_early(tmp_path: Path) -> None:
    """How a call ended is taken six hours later, though no webhook said so."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign([magic(109)], max_call="8h")
        stage.sandbox.faults.add(action="outage", match="calls.list", seconds=6 * 3600, delay=1)
        stage.sandbox.faults.add(action="outage", match="calls.retrieve", seconds=6 * 3600, delay=1)
        last = await run(campaign)
        assert stage.clock.now() - EPOCH > 6 * 3600
        assert last.contacts["done"] == 1
        assert len(stage.wire.posts) == 1


async def test_an_outcome_that_comes_after_the_longest_call(tmp_path: Path) -> None:
    """A call that counts no more because it lasted too long is still looked up now and then, and its end is taken."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign([magic(109)], max_call=3600)
        assert (await run(campaign)).contacts["open"] == 1
        await stage.clock.advance(6 * 3600)
        last = await run(campaign)
        assert last.contacts["done"] == 1
        assert stage.rings(magic(109)) == 1


async def test_a_replay_looks_like_a_new_call(tmp_path: Path) -> None:
    """A call that was adopted says so: it was seen in a list, and no answer had told of it."""
    async with scene(tmp_path) as stage:
        stage.sandbox.faults.add(action="drop_after_commit", match="calls.create", when="nth", n=1)
        campaign = await stage.campaign([ANSWERED, magic(104)], concurrency=1)
        await run(campaign)
        assert await stage.rows("SELECT via FROM attempt ORDER BY contact") == [(2,), (1,)]


async def test_a_rerun_dials_everybody_again(tmp_path: Path) -> None:
    """Running a finished campaign again, and loading the same people again, makes no call."""
    async with scene(tmp_path) as stage:
        numbers = people(10)
        await run(await stage.campaign(numbers))
        sent = len(stage.wire.posts)
        await run(await stage.campaign(numbers[::-1]))
        assert sent == len(stage.wire.posts) == 10
        assert (await stage.audit()).faults == []


async def test_positional_ids_moved_history_to_another_person(tmp_path: Path) -> None:
    """References belong to the number: the same people in another order have the same ones."""
    found = []
    numbers = people(8)
    for turn, order in enumerate((numbers, numbers[::-1])):
        folder = tmp_path / str(turn)
        folder.mkdir()
        async with scene(folder) as stage:
            await run(await stage.campaign([*order, order[0]]))
            found.append({post.number: post.reference for post in stage.wire.posts})
            assert len(stage.wire.posts) == len(numbers)
    assert found[0] == found[1]


FAULTS = [
    ("status", {"status": 503}),
    ("status", {"status": 500}),
    ("status", {"status": 502, "retry_after": 1}),
    ("status_after_commit", {"status": 503}),
    ("status_after_commit", {"status": 504}),
    ("drop_before", {}),
    ("drop_after_commit", {}),
    ("reset", {}),
    ("truncate", {}),
    ("malformed", {}),
    ("commit_late", {"seconds": 20}),
    ("rate_limit_storm", {"seconds": 0.01, "retry_after": 0}),
    ("status", {"status": 429, "retry_after": 0}),
    ("status", {"status": 409, "code": "idempotency_state_unknown"}),
    ("status", {"status": 408}),
    ("status", {"status": 425}),
    ("status", {"status": 499}),
]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("action", "more"), FAULTS, ids=[f"{action}{more.get('status', '')}" for action, more in FAULTS]
)
async def test_multiple_call_placing_during_retries(tmp_path: Path, action: Any, more: dict[str, Any]) -> None:
    """On every fault a reference is sent once, unless the earlier request was proven unsent by a 429."""
    async with scene(tmp_path) as stage:
        stage.sandbox.faults.add(action=action, match="calls.create", when="times", n=2, **more)
        numbers = people(4)
        last = await run(await stage.campaign(numbers, attempts=2, retry={"failed": Retry(60)}))
        again = action == "rate_limit_storm" or more.get("status") == 429
        for number in numbers:
            assert stage.rings(number) <= 1
            if not again:
                assert len(stage.posts(number)) == 1
        placed = action in {"status_after_commit", "drop_after_commit", "truncate", "malformed", "commit_late"}
        assert last.contacts["done"] == (4 if placed or again else 2)
        assert last.contacts["unknown"] == 4 - last.contacts["done"]
        assert (await stage.audit()).faults == []


async def test_failed_is_no_proof_that_no_call_was_placed(tmp_path: Path) -> None:
    """While the list of calls is down nothing is dialled at the beginning, and nothing that is in doubt is released."""
    async with scene(tmp_path) as stage:
        stage.sandbox.faults.add(action="drop_before", match="calls.create", when="nth", n=1)
        stage.sandbox.faults.add(action="outage", match="calls.list", delay=0.5, seconds=7200)
        campaign = await stage.campaign([ANSWERED], unknown="release", attempts=2)
        last = await run(campaign, until_settled=6000)
        assert last.contacts["unknown"] == 1
        sent = len(stage.wire.posts)
        assert sent == 1
        async with running(campaign, until_settled=60) as seen:
            await until(lambda: seen and seen[-1].reason)
            assert "cannot be read" in str(seen[-1].reason)
        assert len(stage.wire.posts) == sent


async def test_retry_after_a_lost_lock_rings_several_times(tmp_path: Path) -> None:
    """A client that retries on its own is overruled: the dialer sends a request again only if it was proven unsent."""
    async with scene(tmp_path) as stage:

        async def broken(post: Post, response: Response) -> Response:
            raise ExchangeError("the connection broke", sent=True)

        stage.wire.after = broken
        await run(await stage.campaign([ANSWERED]))
        assert len(stage.posts(ANSWERED)) == stage.rings(ANSWERED) == 1


async def test_a_callback_dials_several_times(tmp_path: Path) -> None:
    """A contact that is released by hand is dialled once each time, however often it is asked for."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign([ANSWERED, BUSY], mode="preview")
        results: list[bool] = []

        async def dial() -> None:
            results.append(await campaign.dial(ANSWERED))

        async with running(campaign) as seen:
            await until(lambda: seen and seen[-1].contacts["waiting"] == 2 and campaign.runs)
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(dial)
        assert sorted(results) == [False] * 4 + [True]
        assert len(stage.posts(ANSWERED)) == stage.rings(ANSWERED) == 1
        assert not stage.posts(BUSY)


async def test_a_retry_beyond_the_visibility_timeout_runs_twice(tmp_path: Path) -> None:
    """A retry that is due in 26 hours survives restarts of the process and is dialled once."""
    async with scene(tmp_path, clock="manual") as stage:
        await stage.campaign([BUSY], attempts=2, retry={"busy": Retry("26h")})
        for hours in (1, 24):
            async with Ledger(stage.path) as ledger, running(await stage.campaign(ledger=ledger)) as seen:
                await until(lambda: stage.posts(BUSY))
                await stage.clock.advance(60)
                await until(lambda: seen and seen[-1].waiting)
            await stage.clock.advance(hours * 3600)
            assert len(stage.posts(BUSY)) == 1
        async with Ledger(stage.path) as ledger, running(await stage.campaign(ledger=ledger)) as seen:
            await until(lambda: seen and seen[-1].waiting)
            await stage.clock.advance(3600)
            await until(lambda: seen[-1].contacts["exhausted"])
        first, second = stage.posts(BUSY)
        (ended,) = await stage.rows("SELECT ended_at FROM attempt WHERE n = 1")
        assert second.at >= ended[0] / 1000 + 26 * 3600
        assert second.at < ended[0] / 1000 + 26 * 3600 + 60
        assert (await stage.audit()).states == {"exhausted": 1}


async def test_one_person_in_two_campaigns(tmp_path: Path) -> None:
    """The least gap between two attempts for a number holds across the campaigns of a ledger."""
    async with scene(tmp_path) as stage:
        await run(await stage.campaign([ANSWERED], "autumn"))
        await run(await stage.campaign([ANSWERED], "winter", min_gap="8h"))
        first, second = stage.posts(ANSWERED)
        assert second.at - first.at >= 8 * 3600
        assert first.reference != second.reference
