"""A campaign from its first dial to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.dialer import Campaign, CampaignHaltedError, Retry, Stop
from ajoxi_async.dialer.dialing.answers import NotNowError
from ajoxi_async.dialer.dialing.dispatch import Dispatcher
from ajoxi_async.dialer.dialing.running import Running
from ajoxi_async.dialer.rules import intents
from ajoxi_async.dialer.rules.machine import Fact
from ajoxi_async.dialer.storage.statements.claims import Claimed
from ajoxi_async.dialer.storage.statements.facts import Changed, Report
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.protocol.rate import Lane, Permit
from ajoxi_async.sandbox import Population
from ajoxi_async.sandbox import Settings as SandboxSettings

from .worlds import FROM, MAGIC, Where, stage, wait_until

pytestmark = pytest.mark.anyio
NUMBERS = [14045560000 + each for each in range(30)]
HOUR = 3600.0


async def test_every_contact_is_called_once_and_ends(where: Where) -> None:
    """A campaign without retries places one call for each contact, learns how each ended by its sweep, and ends by itself."""
    async with stage(where, NUMBERS, concurrency=10) as here:
        last = await here.run()
        assert last.over
        assert last.contacts["done"] == last.total == len(NUMBERS)
        assert sorted(here.rings()) == sorted(f"+{number}" for number in NUMBERS)
        ended = sum(amount for what, amount in last.counts.items() if what.startswith("disposition."))
        assert ended == last.attempts == len(NUMBERS)


async def test_an_empty_campaign_ends_at_once(where: Where) -> None:
    """A campaign without contacts ends and says so."""
    async with stage(where) as here:
        last = await here.run()
        assert last.over and last.total == 0 and "0/0" in last.line()


async def test_retries_come_when_they_are_due_and_not_before(where: Where) -> None:
    """A number that is busy twice is called again after 10 minutes and then after an hour, never earlier, and is answered."""
    retry = {"busy": Retry(600, 3600)}
    async with stage(where, [MAGIC + 8], retry=retry, attempts=3) as here:
        last = await here.run()
        moments = [ring.at.timestamp() for ring in here.sandbox.world().rings()]
        gaps = [after - before for before, after in zip(moments, moments[1:], strict=False)]
        assert [600 <= gaps[0] < 603, 3600 <= gaps[1] < 3603] == [True, True], gaps
        assert last.contacts["done"] == 1
        assert last.counts["disposition.busy"] == 2 and last.counts["disposition.answered"] == 1


async def test_one_cap_of_attempts_for_all_dispositions(where: Where) -> None:
    """A contact gets no more attempts than `attempts`, whatever they ended with, and is exhausted then."""
    retry = {"busy": Retry(60), "no_answer": Retry(60), "voicemail": Retry(60), "failed": Retry(60)}
    people = Population(answered=0, voicemail=30, no_answer=30, busy=40, failed=0, changes=True)
    settings = SandboxSettings(population=people)
    async with stage(where, NUMBERS[:10], retry=retry, attempts=2, settings=settings) as here:
        last = await here.run()
        assert last.contacts["exhausted"] == 10
        assert all(len(here.rings(number)) == 2 for number in NUMBERS[:10])


async def test_concurrency_counts_every_call_that_may_ring(where: Where) -> None:
    """At no moment are more calls away than `concurrency`."""
    async with stage(where, NUMBERS, concurrency=4) as here:
        await here.run()
        calls = [call async for call in here.client.calls.list(limit=200)]
        starts = sorted(call.created_at for call in calls if call.created_at)
        for moment in starts:
            away = [one for one in calls if one.created_at and one.ended_at and one.created_at <= moment < one.ended_at]
            assert len(away) <= 4


class _Burst(LocalLimiter):
    """Gives ten permits to calls at once, and then none for as long as `held`."""

    def __init__(self) -> None:
        super().__init__(None)
        self.turns, self.held = 10, anyio.Event()

    def try_acquire(self, lane: Lane = "default") -> Permit | None:
        return super().try_acquire(lane) if lane != "bulk" else None

    async def acquire(self, lane: Lane = "default", *, deadline: float | None = None) -> Permit:
        if lane == "bulk":
            self.turns -= 1
            if self.turns < 0:
                await self.held.wait()
        return await super().acquire(lane, deadline=deadline)


async def test_few_intents_are_written_ahead_of_the_limiter(where: Where) -> None:
    """After a burst of turns at once, at most eight intents wait for the next turn: each would be in doubt if the process died."""
    async with stage(where, NUMBERS) as here:
        limiter = _Burst()
        async with AsyncAjoxi(here.sandbox.api_key, transport=here.sandbox.transport(), limiter=limiter) as client:
            campaign = await Campaign.open(here.ledger, client, "autumn", from_=FROM, clock=here.sandbox.clock)

            async def run() -> None:
                async for _ in campaign.run(every=0.01):
                    pass

            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await wait_until(lambda: len(here.rings()) == 10)
                await anyio.sleep(0.1)  # In which more would be written.
                running = campaign._run.running  # type: ignore[union-attr]
                assert 1 <= len(running.claimed) <= 8
                limiter.held.set()
        assert len(here.rings()) == len(NUMBERS)


async def test_a_refused_number_is_no_second_time_called(where: Where) -> None:
    """A destination that the API refuses ends its contact as refused, with the API's reason."""
    async with stage(where, [MAGIC + 30, MAGIC + 32]) as here:
        last = await here.run()
        assert last.contacts["refused"] == 2
        reasons = {reason for (reason,) in await here.sql("SELECT reason FROM contact")}
        assert reasons == {"unreachable_destination", "permission_denied"}


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("engine", ["dialer", "api"])
async def test_an_account_that_is_blocked_refuses_nobody(where: Where, status: int, engine: Any) -> None:
    """An answer that is about the key or the account ends the run; the contacts are as they were, and the next run calls them."""
    async with stage(where, NUMBERS[:3], engine=engine) as here:
        fault = here.sandbox.faults.add(action="status", match="calls.create*", status=status, code="account_blocked")
        with pytest.raises(CampaignHaltedError, match=f"{status} account_blocked"):
            await here.run()
        assert await here.sql("SELECT count(*) FROM contact WHERE state = 0") == [(3,)]
        here.sandbox.faults.remove(fault.id)
        last = await here.run()
        assert last.contacts["done"] == len(here.rings()) == 3


async def test_the_reference_travels_with_the_call(where: Where) -> None:
    """Each call has the reference of its attempt in its metadata, which does not show the number."""
    async with stage(where, NUMBERS[:1]) as here:
        await here.run()
        (call,) = [call async for call in here.client.calls.list()]
        reference = call.metadata["client_reference"]
        assert here.campaign.references.read(reference) == (NUMBERS[0], 1)
        assert str(NUMBERS[0]) not in reference


async def test_a_second_run_calls_nobody(where: Where) -> None:
    """Running a campaign again, or loading its file again, calls nobody a second time."""
    async with stage(where, NUMBERS[:5]) as here:
        await here.run()
        assert (await here.fill(NUMBERS[:5])).duplicates == [0, 1, 2, 3, 4]
        last = await here.run()
        assert last.over and len(here.rings()) == 5


async def test_a_clock_that_jumps_closes_the_gate_until_the_list_was_swept(
    where: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that was rolled back, memory and all, adopts from the API's list before it dials again."""
    from ajoxi_async.dialer import clock

    async with stage(where, NUMBERS, concurrency=6) as here:
        steps = here.campaign.run(every=0.002)
        async for _ in steps:
            if here.rings():
                break
        lists = len(here.sandbox.requests.find(route="calls.list"))
        offset = clock.clock_offset
        monkeypatch.setattr(clock, "clock_offset", lambda: offset() + 3600)
        here.sandbox.faults.add(action="outage", match="calls.list", seconds=60)
        sent = len(here.sandbox.requests.find(route="calls.create"))
        async for progress in steps:
            if progress.reason and "list of calls" in progress.reason:
                assert len(here.sandbox.requests.find(route="calls.create")) <= sent + 1
        # Whether what was before the wire was sent in the time that was lost, nobody knows.
        assert progress.contacts["unknown"] <= 5
        assert progress.contacts["done"] == len(here.rings()) == len(NUMBERS) - progress.contacts["unknown"]
        assert len(here.sandbox.requests.find(route="calls.list", status=200)) > lists


async def test_preview_dials_whom_it_is_told_to(where: Where) -> None:
    """In mode preview nobody is called until `dial` says so, and `dial` says whether a request was sent."""
    async with stage(where, NUMBERS[:3], mode="preview") as here:
        steps = here.campaign.run(every=0.01)
        await anext(steps)
        while not here.campaign.runs:
            await anext(steps)
        assert not here.rings()
        assert await here.campaign.dial(f"+{NUMBERS[1]}")
        assert not await here.campaign.dial(f"+{NUMBERS[1]}")
        assert not await here.campaign.dial("+14045559999")
        assert here.rings() == [f"+{NUMBERS[1]}"]
        await here.campaign.stop()
        async for last in steps:
            pass
        assert last.contacts["done"] == 1 and last.contacts["canceled"] == 2


async def test_a_limit_stops_the_campaign_and_resume_lets_it_go_on(where: Where) -> None:
    """At the limit no further call is placed, the run ends with the reason in progress and journal, and the rest still waits."""
    async with stage(where, NUMBERS, stop=Stop(spend=5), concurrency=2) as here:
        last = await here.run()
        assert last.over and last.contacts["waiting"] == len(NUMBERS) - 5 and len(here.rings()) == 5
        assert last.reason == "5 is spent, and another call would exceed 5"
        assert await here.sql("SELECT detail FROM journal WHERE what = 'limit'") == [(last.reason,)]
        assert (await here.run()).attempts == 5


async def test_power_dials_for_free_agents_only(where: Where) -> None:
    """In mode power as many calls ring as lines for the free agents, and none without an agent."""
    async with stage(where, NUMBERS[:6], mode="power", lines=2) as here:
        steps = here.campaign.run(every=0.01)
        for _ in range(5):
            await anext(steps)
        assert not here.rings()
        here.campaign.agents(1)
        here.campaign.on_abandoned()
        async for last in steps:
            if last.contacts["done"] >= 2 and not here.campaign._run.running.seen().away:
                here.campaign.agents(1)
        assert last.contacts["done"] == 6 and last.counts["abandoned"] == 1
        calls = [call async for call in here.client.calls.list(limit=200)]
        for call in calls:
            ringing = [one for one in calls if one.created_at <= call.created_at < (one.answered_at or one.ended_at)]
            assert len(ringing) <= 2


async def test_a_null_character_in_an_answer_ends_no_run(where: Where) -> None:
    """An error code of the API that no database of PostgreSQL takes is kept with an escape, and the campaign goes on."""

    class Refuses:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def send(self, request: Request) -> Response:
            if request.method == "POST" and str(NUMBERS[0]).encode() in (request.body or b""):
                body = b'{"error": {"code": "not\\u0000valid", "message": "no", "param": "to"}}'
                return Response(422, {"Content-Type": "application/json"}, body)
            return await self.inner.send(request)

        def stream(self, request: Request) -> Any:
            return self.inner.stream(request)

        async def aclose(self) -> None:
            await self.inner.aclose()

    async with stage(where, NUMBERS[:2]) as here:
        transport = Refuses(here.sandbox.transport())
        async with AsyncAjoxi(here.sandbox.api_key, transport=transport, limiter=LocalLimiter(None)) as client:
            campaign = await Campaign.open(here.ledger, client, "autumn", from_=FROM, clock=here.sandbox.clock)
            async for last in campaign.run(every=0.01):
                pass
        rows = await here.ledger.read(
            lambda db: db.execute("SELECT reason FROM contact WHERE state = 5 OR reason IS NOT NULL")
        )
    assert last.contacts["refused"] == last.contacts["done"] == 1
    assert ("not\\x00valid",) in rows


async def test_an_attempt_is_claimed_again_before_its_task_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that the gate kept back may be claimed again in the same commit: its calls are still counted, and the run ends."""
    check, record, kept_back = Dispatcher.check, Running.record, []

    def checked(dispatcher: Dispatcher, *claimed: Claimed) -> None:
        if not kept_back:
            kept_back.append(claimed[0].id)
            raise NotNowError("not now")
        check(dispatcher, *claimed)

    async def recorded(running: Running, reports: Sequence[Report]) -> list[Changed]:
        changed = await record(running, reports)
        if reports[0].fact is Fact.UNSENT:
            told = "SELECT 1 FROM attempt WHERE id = ? AND sent = 2"
            while not await running.ledger.read(lambda db: db.execute(told, kept_back)):
                await anyio.sleep(0.001)
        return changed

    monkeypatch.setattr(intents, "FIRST", 0)  # several intents at once from the beginning
    monkeypatch.setattr(Dispatcher, "check", checked)
    monkeypatch.setattr(Running, "record", recorded)
    async with stage(tmp_path, NUMBERS[:3]) as here:
        with anyio.fail_after(30):
            async for progress in here.campaign.run(every=0.01):
                pass
        assert kept_back and progress.contacts["done"] == 3
        assert sorted(here.rings()) == [f"+{number}" for number in NUMBERS[:3]]
