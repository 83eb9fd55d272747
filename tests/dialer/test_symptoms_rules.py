"""What users of other dialers report: calls at the wrong time or to the wrong people, and rows that are lost. Each test is one report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ajoxi_async.contract.wire import Response
from ajoxi_async.dialer import Ledger, Retry, Windows
from ajoxi_async.dialer.rules.numbers import NumberRefused, parse_number
from ajoxi_async.dialer.rules.zones import zones_of
from ajoxi_async.protocol.errors import InvalidParameterError
from ajoxi_async.sandbox import Population, Settings

from .scene import EPOCH, FROM, Post, magic, people, run, running, scene, until

# The rules are the same on every event loop; `test_symptoms_twice` and the walks run on both.
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

ANSWERED, NO_ANSWER, BUSY, FAILED = magic(100), magic(101), magic(102), magic(103)


async def test_the_same_person_by_another_spelling(tmp_path: Path) -> None:
    """Spellings of one number are one contact, and rows in are imported, duplicates and refused rows."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign()
        rows = ["+14155550100", "+1 415 555 0100", "+1 (415) 555-0100", "+1-415-555-0100", "4.41E+11", "no number"]
        loaded = await campaign.load(rows)
        assert len(await stage.states()) == 1
        last = await campaign.progress()
        assert last.counts["loaded"] == len(rows) == last.total + last.counts["duplicate"] + last.counts["refused row"]
        kept = await stage.rows("SELECT line, kind, reason FROM rejected ORDER BY line")
        assert [line for line, _, _ in kept] == [2, 3, 4, 5, 6]
        assert all(reason for _, _, reason in kept)
        assert loaded is not None


async def test_a_number_without_country_is_taken_for_american() -> None:
    """Without a region a national spelling is refused, and so is what a spreadsheet makes of a number."""
    for text in ("(415) 555-0100", "4155550100", "4.41E+11", "0044 20 7946 0000", "441000000000.0", ""):
        with pytest.raises(NumberRefused) as caught:
            parse_number(text)
        assert caught.value.reason


async def test_suppressed_leads_were_dialled(tmp_path: Path) -> None:
    """Whoever is suppressed, for any reason, never reaches the transport."""
    async with scene(tmp_path) as stage:
        await stage.campaign([ANSWERED, BUSY], windows=Windows("9-17"))  # Without zones there is no lawful minute.
        campaign = await stage.campaign(name="winter")
        await campaign.do_not_call(NO_ANSWER)
        await run(await stage.campaign([NO_ANSWER], name="winter"))
        last = await run(await stage.campaign())
        assert last.contacts["suppressed"] == 2
        assert not stage.wire.posts
        assert (await stage.states())[NO_ANSWER] == "suppressed"


async def test_a_retry_budget_for_each_rule(tmp_path: Path) -> None:
    """Busy, no answer and voicemail use up one and the same number of attempts."""
    settings = Settings(population=Population(answered=0, voicemail=30, no_answer=40, busy=30, failed=0, changes=True))
    numbers = [f"+1212666{n:04d}" for n in range(12)]
    async with scene(tmp_path, settings=settings) as stage:
        retry = {name: Retry(60) for name in ("busy", "no_answer", "voicemail", "failed")}
        last = await run(await stage.campaign(numbers, attempts=3, retry=retry))
        assert {stage.rings(number) for number in numbers} == {3}
        assert last.contacts["exhausted"] == 12


async def test_a_retry_after_four_minutes_instead_of_five(tmp_path: Path) -> None:
    """No retry comes before it is due, to the millisecond."""
    async with scene(tmp_path) as stage:
        await run(
            await stage.campaign([BUSY, NO_ANSWER], attempts=3, retry={"busy": Retry(300), "no_answer": Retry(301.5)})
        )
        for number, delay in ((BUSY, 300), (NO_ANSWER, 301.5)):
            posts = stage.posts(number)
            ended = await stage.rows("SELECT ended_at FROM attempt WHERE number = ? ORDER BY n", int(number[1:]))
            assert len(posts) == 3
            for post, (end,) in zip(posts[1:], ended, strict=False):
                assert delay <= round(post.at - end / 1000, 3) < delay + 60


async def test_retries_show_another_caller_id(tmp_path: Path) -> None:
    """The number that an attempt is made from is in the ledger, and is the one that the call was placed from."""
    ours = [FROM, "+12125550100"]
    async with scene(tmp_path) as stage:
        for number in ours[1:]:
            offered = {one.phone_number for one in (await stage.client.numbers.search()).data}
            ours = [
                FROM,
                str((await stage.client.numbers.provision(phone_number=sorted(map(str, offered))[0])).phone_number),
            ]
        await run(
            await stage.campaign(
                [BUSY, NO_ANSWER], from_=ours, attempts=2, retry={"busy": Retry(60), "no_answer": Retry(60)}
            )
        )
        made = await stage.rows("SELECT call_id, from_ FROM attempt")
        calls = {call.id: call.from_ async for call in stage.client.calls.list()}
        assert len(made) == 4
        assert {id: f"+{number}" for id, number in made} == calls


async def test_do_not_call_between_the_claim_and_the_wire(tmp_path: Path) -> None:
    """A number that is put on the list after its claim is not called: not while its request waits for its turn either."""
    async with scene(tmp_path) as stage, Ledger(stage.path) as other:
        numbers = people(6)
        campaign = await stage.campaign(numbers, concurrency=2)
        remote = await stage.campaign(ledger=other)
        asked: list[str] = []

        async def opt_out(post: Post) -> None:
            if not asked:
                asked.extend(number for number in numbers if number != post.number)
                await remote.do_not_call(*asked)
                sent = [one.number for one in stage.wire.posts]
                asked[:] = [number for number in asked if number not in sent]

        stage.wire.before = opt_out
        last = await run(campaign)
        assert len(asked) >= 4
        assert not [number for number in asked if stage.posts(number)]
        assert last.contacts["suppressed"] == len(asked)


async def test_an_opt_out_looks_like_completed(tmp_path: Path) -> None:
    """Code of the user may put a number on the list when a call has ended, and no retry follows."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign(
            [BUSY, NO_ANSWER], attempts=3, retry={"busy": Retry(3600), "no_answer": Retry(3600)}
        )

        async def after(post: Post, response: Response) -> Response:
            if post.number == BUSY and len(stage.posts(BUSY)) == 1:
                await campaign.do_not_call(BUSY, reason="said so")
            return response

        stage.wire.after = after
        last = await run(campaign)
        assert (stage.rings(BUSY), stage.rings(NO_ANSWER)) == (1, 3)
        assert last.contacts["suppressed"] == 1


async def test_an_empty_campaign_is_stuck_for_ever(tmp_path: Path) -> None:
    """A campaign without contacts ends at once and says so."""
    async with scene(tmp_path) as stage:
        last = await run(await stage.campaign())
        assert (last.over, last.total) == (True, 0)


async def test_calls_outside_the_local_hours(tmp_path: Path) -> None:
    """Whatever the zone, a call begins so that its whole ring time is inside the local hours; an open end is no hour."""
    zones = ["America/New_York", "America/Phoenix", "Asia/Kolkata", "Pacific/Auckland", "Europe/London"]
    async with scene(tmp_path) as stage:
        for place, zone in enumerate(zones):
            await stage.campaign(people(3, 10 * place), zones=[zone], windows=Windows("9-17"), rate=0.001)
        await run(await stage.campaign())
        assert len(stage.wire.posts) == 15
        for post in stage.wire.posts:
            zone = ZoneInfo(zones[(int(post.number[-4:]) - 2000) // 10])
            for moment in (post.at, post.at + 29.999):
                assert 9 <= datetime.fromtimestamp(moment, zone).hour < 17


async def test_one_zone_for_area_codes_with_two() -> None:
    """Area codes on the border of zones have all of them, and numbers of no place have many."""
    assert {"America/New_York", "America/Chicago"} <= set(zones_of(18125560100, None))
    assert len(zones_of(18005560100, None)) > 10


async def test_all_done_outside_of_the_hours(tmp_path: Path) -> None:
    """Outside the hours the progress says until when it waits, and for which zone."""
    async with scene(tmp_path, clock="manual") as stage:
        campaign = await stage.campaign(people(4), zones=["America/Denver"], windows=Windows("8-9"))
        async with running(campaign) as seen:
            await until(lambda: seen and seen[-1].waiting)
            (waiting,) = seen[-1].waiting
            assert datetime.fromtimestamp(waiting.until, ZoneInfo("America/Denver")).hour == 8
            assert "America/Denver" in seen[-1].line()
        assert not stage.wire.posts


async def test_the_night_in_which_the_clocks_change(tmp_path: Path) -> None:
    """A campaign that runs over the night of the change calls at nine by the new time; the zone's name is kept and no offset."""
    async with scene(tmp_path, clock="manual") as stage:
        await stage.clock.advance(to=datetime(2026, 3, 7, 20, 0, tzinfo=UTC))
        campaign = await stage.campaign(people(60), zones=["America/New_York"], windows=Windows("9-16"), rate=0.002)
        async with running(campaign):
            await until(lambda: stage.wire.posts)
            await stage.clock.advance(2 * 86_400)
            zone = ZoneInfo("America/New_York")
            local = [datetime.fromtimestamp(post.at, zone) for post in stage.wire.posts]
            assert all(9 <= moment.hour < 16 for moment in local)
            first = {moment.date(): moment for moment in reversed(local)}
            assert first[datetime(2026, 3, 8).date()].strftime("%H:%M") == "09:00"
        assert await stage.rows("SELECT names FROM zones") == [("America/New_York",)]


async def test_what_is_in_hand_when_a_campaign_is_paused(tmp_path: Path) -> None:
    """A pause sends nothing new; calls that are away go on, and how they ended is taken."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign(people(10), concurrency=3)

        async def pause(post: Post, response: Response) -> Response:
            if len(stage.wire.posts) == 3:
                await campaign.pause("audit")
            return response

        stage.wire.after = pause
        async with running(campaign) as seen:
            await until(lambda: seen and seen[-1].contacts["done"] == 3)
            assert seen[-1].state == "paused"
        assert len(stage.wire.posts) == 3


async def test_accepted_and_rung_after_the_window(tmp_path: Path) -> None:
    """A contact has a time after which it is not dialled; it is expired then, which is an end that is counted."""
    async with scene(tmp_path) as stage:
        ends = datetime.fromtimestamp(EPOCH + 600, UTC)
        campaign = await stage.campaign([BUSY], attempts=5, retry={"busy": Retry(250)}, expires=ends)
        last = await run(campaign)
        assert stage.rings(BUSY) == 3
        assert last.contacts["expired"] == 1


async def test_a_campaign_grows_in_memory_with_its_contacts(tmp_path: Path) -> None:
    """A run keeps nothing for each contact: what it keeps is as large with twenty times as many."""
    sizes = []
    for amount in (200, 4000):
        folder = tmp_path / str(amount)
        folder.mkdir()
        async with scene(folder) as stage:
            campaign = await stage.campaign([f"+1{2125560000 + n}" for n in range(amount)], mode="preview")
            async with running(campaign) as seen:
                await until(lambda: seen and seen[-1].contacts["waiting"] == amount)
                kept = campaign._run
                assert kept is not None
                sizes.append(
                    sum(len(value) for value in (kept.running.claimed, kept.running.forbidden, kept.running.talking))
                )
    assert sizes == [0, 0]


async def test_references_of_other_campaigns_are_refused(tmp_path: Path) -> None:
    """A decision on somebody who is not in doubt is refused before anything is written."""
    async with scene(tmp_path) as stage:
        campaign = await stage.campaign([ANSWERED])
        with pytest.raises(InvalidParameterError):
            await campaign.release("winter.0000000000.1")
        assert await stage.rows("SELECT what FROM journal WHERE what = 'release'") == []
