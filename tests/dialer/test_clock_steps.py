"""Clocks that are set, machines that are rolled back with their memory, and machines that sleep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from ajoxi_async.contract.wire import Response
from ajoxi_async.dialer import Campaign, Ledger, Retry, Windows
from ajoxi_async.dialer import clock as clocks
from ajoxi_async.dialer.dialing import control, dispatch
from ajoxi_async.dialer.dialing.answers import NotNowError
from ajoxi_async.dialer.dialing.dispatch import Dispatcher
from ajoxi_async.dialer.dialing.steps import ClockStep, ClockWatch

from .scene import EPOCH, FROM, Post, Scene, copy_ledger, magic, people, run, running, scene, until
from .walks import SteppedClock

pytestmark = pytest.mark.anyio
HOUR = 3600.0


class _Clock:
    """A clock that shows what it is told."""

    def __init__(self) -> None:
        self.wall, self.boot = 1000.0, 10.0

    def now(self) -> float:
        return self.wall


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, ClockWatch]]:
    clock = _Clock()
    monkeypatch.setattr(clocks, "clock_offset", lambda: clock.wall - clock.boot)
    yield clock, ClockWatch(clock)  # type: ignore[arg-type]


def test_clocks_that_go_on_together_are_no_step(watched: tuple[Any, ClockWatch]) -> None:
    """A machine that sleeps, on whose boot clock the time goes on, and corrections of a few seconds are no step."""
    clock, watch = watched
    for wall, boot in ((8 * HOUR, 8 * HOUR), (10.0, 5.0), (0.0, 5.0), (0.0, 9.0)):
        clock.wall, clock.boot = clock.wall + wall, clock.boot + boot
        assert watch.step() is None
        watch.answered(clock.wall + 5, clock.wall - 2)
        assert watch.step() is None


@pytest.mark.parametrize(("wall", "found"), [(10.1, ClockStep.AHEAD), (-10.1, ClockStep.BACK)])
def test_a_clock_that_is_set_is_a_step(watched: tuple[Any, ClockWatch], wall: float, found: ClockStep) -> None:
    """More than ten seconds against the boot clock are a step, until the clocks are relied on again."""
    clock, watch = watched
    clock.wall += wall
    assert watch.step() is found
    assert watch.step() is found
    watch.rely(watch.offset())
    assert watch.step() is None


def test_a_step_during_a_sweep_is_a_step(watched: tuple[Any, ClockWatch]) -> None:
    """Only the clocks as they were before a sweep are made up for by it."""
    clock, watch = watched
    offset = watch.offset()
    clock.wall += 60
    watch.rely(offset)
    assert watch.step() is ClockStep.AHEAD


def test_an_answer_from_later_than_now_is_a_step(watched: tuple[Any, ClockWatch]) -> None:
    """The API's clock may differ by any amount, but a call that is later by that clock than it can be shows that time was missed."""
    clock, watch = watched
    watch.answered(clock.wall + 500, clock.wall - 30)  # 500 to 530 seconds ahead: the answer took half a minute.
    clock.wall, clock.boot = clock.wall + 1, clock.boot + 1
    watch.answered(clock.wall + 539, clock.wall)
    assert watch.step() is None
    watch.answered(clock.wall + 530, clock.wall)
    watch.answered(clock.wall + 540.1, clock.wall)
    assert watch.step() is ClockStep.AHEAD
    watch.rely(watch.offset())
    watch.answered(clock.wall + 9999, clock.wall)
    assert watch.step() is None


async def test_a_machine_that_was_rolled_back_and_whose_clock_was_not(tmp_path: Path) -> None:
    """The first answer from an API that is an hour ahead stops the run until the calls of this hour are adopted."""
    numbers = people(12)
    async with scene(tmp_path, clock="manual") as here:
        campaign = await here.campaign(numbers, rate=1.0)
        ahead: list[timedelta] = []

        async def an_hour_ahead(post: Post, response: Response) -> Response:
            call = json.loads(response.body)
            for shift in ahead:
                call["created_at"] = (datetime.fromisoformat(call["created_at"]) + shift).isoformat()
            return evolve(response, body=json.dumps(call).encode())

        here.wire.after = an_hour_ahead
        async with running(campaign, until_settled=10) as seen:
            await until(lambda: len(here.wire.posts) == 1)
            await here.clock.advance(1)
            await until(lambda: len(here.wire.posts) == 2)
            for number in numbers[4:]:  # What the machine did in the hour that it has forgotten.
                reference = campaign.references.make(int(number[1:]), 1)
                await here.client.calls.create(to=number, from_=FROM, metadata={"client_reference": reference})
            sent = len(here.wire.posts)
            ahead.append(timedelta(hours=1))
            await here.clock.advance(1)
            await until(lambda: len(here.wire.posts) == sent + 1)
            await until(lambda: campaign._run.running.counts["adopted"])  # type: ignore[union-attr]
            for _ in range(8):
                await here.clock.advance(5)
            await here.clock.advance(600)
            await until(lambda: seen and seen[-1].over)
        assert seen[-1].counts["adopted"] == len(numbers) - 4
        assert [here.rings(number) for number in numbers] == [1] * len(numbers)


async def test_what_was_before_the_wire_when_time_was_missed_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intent that is older than the missed time may have been sent in it: its call is not placed, whatever the sweep finds."""
    async with scene(tmp_path, clock="manual") as here:
        campaign = await here.campaign(people(2))
        offset = clocks.clock_offset

        check = Dispatcher.check

        def rolled_back(dispatcher: Dispatcher, *claimed: Any) -> None:
            check(dispatcher, *claimed)
            # The other one was claimed together with this one, and comes to the gate after it.
            monkeypatch.setattr(clocks, "clock_offset", lambda: offset() + HOUR)

        monkeypatch.setattr(Dispatcher, "check", rolled_back)
        async with running(campaign, until_settled=10) as seen:
            await until(lambda: seen and seen[-1].contacts["unknown"] == 1)
            await here.clock.advance(600)
            await until(lambda: seen[-1].over)
        assert len(here.wire.posts) == 1
        assert sorted((await here.states()).values()) == ["done", "unknown"]
        assert (await here.audit()).faults == []


async def set_back(here: Scene, *, restart: bool, **settings: Any) -> list[float]:
    """Call a busy number by a clock that is five hours ahead, set the clock right, and return when it was called, from the begin."""
    number = magic(102)
    clock = SteppedClock(here.clock)
    clock.offset = 5 * HOUR
    options = {"attempts": 3, "retry": {"busy": Retry(600)}, "clock": clock, **settings}
    campaign = await here.campaign([number], **options)
    async with running(campaign) as seen:
        await until(lambda: here.posts(number))
        await here.clock.advance(60)
        await until(lambda: seen and seen[-1].contacts["waiting"])
        if not restart:
            await set_right(here, clock, campaign)
            await _hours(here)
            await until(lambda: seen[-1].over)
    if restart:
        clock.offset = 0.0
        async with running(await here.campaign(**options)) as seen:
            await until(lambda: seen)
            await _hours(here)
            await until(lambda: seen[-1].over)
    assert (await here.audit()).faults == []
    return [post.at - EPOCH for post in here.posts(number)]


async def set_right(here: Scene, clock: SteppedClock, campaign: Campaign) -> None:
    """Set a clock right, and wait until the run has noticed and swept, before time goes on."""
    swept = len(here.sandbox.requests.find(route="calls.list"))
    clock.offset = 0.0
    await until(lambda: len(here.sandbox.requests.find(route="calls.list")) > swept and campaign.runs)


async def _hours(here: Scene) -> None:
    for _ in range(40):
        await here.clock.advance(60)
    for _ in range(30):
        await here.clock.advance(HOUR)


@pytest.mark.parametrize("restart", [False, True], ids=["in the run", "between two runs"])
async def test_a_retry_that_waits_for_hours_after_the_clock_was_set_back(tmp_path: Path, restart: bool) -> None:
    """What is due is due by the end of the call and not by the clock that was ahead; times of attempts keep their order."""
    async with scene(tmp_path, clock="manual") as here:
        first, second, third = await set_back(here, restart=restart)
        assert first == 0
        assert 600 <= second < 602
        assert 1200 <= third < 1204
        moments = [row[0] / 1000 - EPOCH for row in await here.rows("SELECT intent_at FROM attempt ORDER BY n")]
        assert moments == sorted(moments)
        assert moments == pytest.approx([first, second, third], abs=1)
        assert await here.rows("SELECT count(*) FROM journal WHERE what = 'clock'") == [(1,)]


@pytest.mark.parametrize("restart", [False, True], ids=["in the run", "between two runs"])
async def test_a_cap_that_blocks_for_hours_longer_after_the_clock_was_set_back(tmp_path: Path, restart: bool) -> None:
    """A cap counts from when the calls were made: the number is free again after 24 hours, and not after 29, and never before."""
    async with scene(tmp_path, clock="manual") as here:
        first, second, third = await set_back(here, restart=restart, per_number_24h=2)
        assert 24 * HOUR <= third - first < 25 * HOUR
        assert second < 800


async def test_windows_are_read_by_the_corrected_clock(tmp_path: Path) -> None:
    """A clock that was five hours ahead opens the window too early; once it is right, nobody is called before it opens."""
    numbers = people(5)
    async with scene(tmp_path, clock="manual") as here:  # Midnight UTC.
        clock = SteppedClock(here.clock)
        clock.offset = 5 * HOUR
        campaign = await here.campaign(numbers, zones=["UTC"], windows=Windows("5-9"), rate=0.01, clock=clock)
        async with running(campaign) as seen:
            await until(lambda: here.wire.posts)
            await set_right(here, clock, campaign)
            for _ in range(8):
                await here.clock.advance(HOUR)
            await until(lambda: seen[-1].over)
        first, *others = [post.at - EPOCH for post in here.wire.posts]
        assert first == 0
        assert [5 * HOUR <= at < 9 * HOUR for at in others] == [True] * 4


async def test_a_rate_that_waits_for_hours_after_the_clock_was_set_back(tmp_path: Path) -> None:
    """Nor does the pace wait for the time to come again: the calls go on as evenly as before."""
    async with scene(tmp_path, clock="manual") as here:
        clock = SteppedClock(here.clock)
        clock.offset = 5 * HOUR
        campaign = await here.campaign(people(5), rate=0.01, clock=clock)
        async with running(campaign) as seen:
            await until(lambda: here.wire.posts)
            await set_right(here, clock, campaign)
            for _ in range(20):
                await here.clock.advance(60)
            await until(lambda: seen and seen[-1].over)
        assert max(post.at - EPOCH for post in here.wire.posts) < 600


async def test_the_list_is_swept_although_the_mark_is_later_than_now(tmp_path: Path) -> None:
    """A ledger that was restored, and whose mark is of a clock that was a day ahead, adopts the calls that it has lost."""
    numbers = people(4)
    async with scene(tmp_path) as here:
        clock = SteppedClock(here.clock)
        clock.offset = 24 * HOUR
        await run(await here.campaign(numbers[:1], clock=clock))
        await here.campaign(numbers[1:], clock=clock)
        copy_ledger(here.path, tmp_path / "backup.db")
        clock.offset = 0.0
        await run(await here.campaign(clock=clock))
        await here.clock.advance(3 * HOUR)
        async with Ledger(tmp_path / "backup.db") as backup:
            last = await run(await here.campaign(ledger=backup, clock=clock))
        assert last.counts["adopted"] == 3
        assert len(here.wire.posts) == 4


async def test_a_machine_that_slept_while_its_wall_clock_stood_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A boot clock that is an hour further than the wall clock: the list is swept before the next call, and nobody is called twice."""
    numbers = people(8)
    async with scene(tmp_path) as here:
        campaign = await here.campaign(numbers, concurrency=2)
        offset = clocks.clock_offset
        swept: list[int] = []

        async def sleeps(post: Post) -> None:
            if len(here.wire.posts) == 3:
                monkeypatch.setattr(clocks, "clock_offset", lambda: offset() - HOUR)
            lists = len(here.sandbox.requests.find(route="calls.list"))
            swept.append(lists)

        here.wire.before = sleeps
        last = await run(campaign)
        assert last.contacts["done"] == len(numbers) == len(here.wire.posts)
        assert swept[4] > swept[2]  # The fourth may have passed the gate together with the third.
        assert (await here.audit()).faults == []


async def test_a_machine_that_slept_hears_of_commands_before_it_dials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where commands give no signal, nothing is sent after a sleep before the inbox was read: a pause of meanwhile holds."""
    slept = {"gate": 0.0, "inbox": 0.0}
    monkeypatch.setattr(dispatch, "boot_time", lambda: clocks.boot_time() + slept["gate"])
    monkeypatch.setattr(control, "boot_time", lambda: clocks.boot_time() + slept["inbox"])
    async with scene(tmp_path, clock="manual") as here, Ledger(here.path) as other:
        campaign = await here.campaign(people(20))
        remote = await here.campaign(ledger=other)
        monkeypatch.setattr(here.ledger.database, "alarm", lambda: None)

        async def sleeps(post: Post) -> None:
            if not slept["gate"]:
                slept["gate"] = HOUR
                await remote.pause("meanwhile")
                # Only now, for an inbox that was read before the pause was in it would count as read after the sleep.
                slept["inbox"] = HOUR

        here.wire.before = sleeps
        async with running(campaign) as seen:
            await until(lambda: seen and seen[-1].state == "paused")
            assert len(here.wire.posts) == 1


@pytest.mark.parametrize("why", ["window", "expires"])
async def test_a_turn_that_comes_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """Between the claim and the gate hours may pass: the gate looks at the window and at the contact's time again."""
    async with scene(tmp_path, clock="manual") as here:
        clock, check = SteppedClock(here.clock), Dispatcher.check
        windows = Windows("0-9") if why == "window" else Windows.always()
        campaign = await here.campaign(people(1), zones=["UTC"], windows=windows, clock=clock)
        if why == "expires":
            async with here.ledger.owning("autumn"):
                expires = int((EPOCH + HOUR) * 1000)
                await here.ledger.write(lambda db: db.execute("UPDATE contact SET expires = ?", (expires,)))
        refused: list[str] = []

        def late(dispatcher: Dispatcher, *claimed: Any) -> None:
            clock.offset = 10 * HOUR
            try:
                check(dispatcher, *claimed)
            except NotNowError as error:
                refused.append(error.message)
                raise

        monkeypatch.setattr(Dispatcher, "check", late)
        async with running(campaign):
            await until(lambda: refused)
        assert refused[0] == {"window": "its window is closed", "expires": "its time is over"}[why]
        assert not here.wire.posts
        assert (await here.audit()).faults == []
