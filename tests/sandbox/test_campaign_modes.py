"""What rings when: the capacity of a world, its agents, and the modes of campaigns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.contract.calls import CampaignCreate, CampaignSpec
from ajoxi_async.sandbox import CampaignReport, Population, Refusal, Settings, Timing
from ajoxi_async.sandbox.outcomes.pacing import lines
from ajoxi_async.sandbox.state import campaigns
from ajoxi_async.sandbox.state.actions import run_due

FROM = "+14155550100"
#: Numbers of a population; of these, some are answered by people and some by machines.
CONTACTS = [f"+1212555{number:04d}" for number in range(60)]
ANSWERED = Settings(population=Population(answered=100, voicemail=0, no_answer=0, busy=0, failed=0))

Stage = tuple[Sandbox, AsyncAjoxi]


@asynccontextmanager
async def stage(**options: Any) -> AsyncIterator[Stage]:
    """A sandbox in memory with a manual clock, and a client."""
    async with Sandbox(port=None, clock="manual", rate_limit=None, **options) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            yield sandbox, client


async def start(client: AsyncAjoxi, mode: Any, contacts: list[str] = CONTACTS) -> str:
    """Start a campaign; return its id."""
    return (await client.calls.create_campaign(from_=FROM, name="autumn", mode=mode, contacts=contacts)).id


def ringing(sandbox: Sandbox) -> int:
    """How many outbound calls ring now."""
    return sandbox.world().account.calls.count(keys=[("status", "ringing"), ("direction", "outbound")])


async def moments(sandbox: Sandbox) -> AsyncIterator[CampaignReport]:
    """The first campaign at every tenth of a second until it is over."""
    while (report := sandbox.world().campaigns()[0]).status != "completed":
        yield report
        await sandbox.clock.advance(0.1)


# Capacity


@pytest.mark.anyio
async def test_calls_wait_for_capacity() -> None:
    """Beyond the capacity calls stay queued and ring in the order in which they came, as soon as others ring no more."""
    async with stage(settings=Settings(capacity=2)) as (sandbox, client):
        placed = [await client.calls.create(to="+15005550100", from_=FROM) for _ in range(5)]
        assert [call.status for call in placed] == ["ringing", "ringing", "queued", "queued", "queued"]
        sandbox.inbound_call(from_="+12125550199")
        assert ringing(sandbox) == 2
        seen = []
        for _ in range(3):
            await sandbox.clock.advance(0.4)
            seen.append([(await client.calls.retrieve(call.id)).status for call in placed])
        assert seen == [
            ["answered", "answered", "ringing", "ringing", "queued"],
            ["answered", "answered", "answered", "answered", "ringing"],
            ["answered", "answered", "answered", "answered", "answered"],
        ]
        rung = sandbox.world().rings("+15005550100")
        assert [ring.call_id for ring in rung] == [call.id for call in placed]
        first = rung[0].at
        assert [(ring.at - first).total_seconds() for ring in rung] == [0, 0, 0.4, 0.4, 0.8]


@pytest.mark.anyio
async def test_capacity_holds_at_every_instant(tmp_path: Path) -> None:
    """Campaigns and calls together never ring beyond it, over restarts too; without it all ring at once."""
    file = tmp_path / "worlds.db"
    async with stage(settings=Settings(capacity=3), db=file) as (sandbox, client):
        await start(client, "power")
        late = await client.calls.create(to="+15005550100", from_=FROM)
        for _ in range(10):
            await sandbox.clock.advance(0.05)
            assert ringing(sandbox) <= 3
        assert late.status == "ringing"
    async with stage(settings=Settings(capacity=3), db=file) as (sandbox, client):
        most = [ringing(sandbox)]
        async for _ in moments(sandbox):
            most.append(ringing(sandbox))
        assert max(most) == 3
        assert len(sandbox.world().rings()) == len(CONTACTS) + 1
        sandbox.world().configure(capacity=1)
        placed = [await client.calls.create(to="+15005550101", from_=FROM) for _ in range(4)]
        assert [call.status for call in placed] == ["ringing", "queued", "queued", "queued"]
        before = sandbox.snapshot()
        sandbox.world().configure(capacity=None)
        assert ringing(sandbox) == 4
        sandbox.restore(before)
        assert ringing(sandbox) == 1
        await sandbox.clock.advance(60)
        assert {(await client.calls.retrieve(call.id)).status for call in placed} == {"completed"}


# Modes


def test_lines_by_mode() -> None:
    """Power rings so many lines for each free agent, predictive as many as make one answer, preview none by itself."""
    told = Settings(lines_per_agent=3, answer_rate=0.3)
    assert [lines("power", free, told) for free in (0, 1, 4)] == [0, 3, 12]
    assert [lines("predictive", free, told) for free in (0, 1, 3)] == [0, 3, 10]
    assert lines("preview", 4, told) == 0


@pytest.mark.anyio
async def test_without_agents_campaigns_ring_at_their_pace() -> None:
    """A call each twentieth of a second in power and predictive mode, and nobody is abandoned."""
    histories = []
    for mode in ("power", "predictive"):
        async with stage() as (sandbox, client):
            began = sandbox.clock.now()
            id = await start(client, mode)
            assert sandbox.world().campaign(id).held == 0
            await sandbox.clock.advance(until_idle=True)
            assert sandbox.world().campaign(id).abandoned == 0
            histories.append([round(ring.at.timestamp() - began, 3) for ring in sandbox.world().rings()])
    assert histories[0] == histories[1] == [round((n + 1) / 20, 3) for n in range(len(CONTACTS))]


@pytest.mark.anyio
async def test_preview_waits_for_a_release(tmp_path: Path) -> None:
    """Nothing rings for a day; then one call, three, and the rest, in the order of the contacts, over a restart too."""
    file = tmp_path / "worlds.db"
    async with stage(db=file) as (sandbox, client):
        world = sandbox.world()
        id = await start(client, "preview")
        await sandbox.clock.advance(86_400)
        assert (world.rings(), world.campaign(id).status, world.campaign(id).held) == ((), "queued", 60)
        assert world.release(id, 1) == 1
        assert [ring.number for ring in world.rings()] == CONTACTS[:1]
        assert world.release(id, amount=3) == 3
    async with stage(db=file) as (sandbox, client):
        world = sandbox.world()
        await sandbox.clock.advance(1)
        assert [ring.number for ring in world.rings()] == CONTACTS[:4]
        assert (world.campaign(id).held, world.campaign(id).status) == (56, "running")
        assert (world.release(id), world.release(id)) == (56, 0)
        await sandbox.clock.advance(until_idle=True)
        assert [ring.number for ring in world.rings()] == CONTACTS
        assert (world.campaign(id).held, world.campaign(id).status) == (0, "completed")


@pytest.mark.anyio
async def test_what_cannot_be_released() -> None:
    """Another mode, an unknown campaign, and no number of calls are refused by name."""
    async with stage() as (sandbox, client):
        power, preview = await start(client, "power"), await start(client, "preview")
        for id, code in ((power, "invalid_state"), ("camp_0", "not_found")):
            with pytest.raises(Refusal) as caught:
                sandbox.world().release(id)
            assert caught.value.code == code
        for amount in (0, -1, 1.5, True):
            with pytest.raises(InvalidParameterError) as wrong:
                sandbox.world().release(preview, amount)  # type: ignore[arg-type]
            assert wrong.value.param == "amount"


@pytest.mark.anyio
async def test_power_keeps_its_lines() -> None:
    """With a line an agent, no more calls are open than there are agents, and nobody is abandoned."""
    async with stage(settings=Settings(agents=4)) as (sandbox, client):
        await start(client, "power")
        busiest = 0
        async for report in moments(sandbox):
            answered = [call async for call in client.calls.list(status="answered")]
            people = sum(call.id in sandbox.world().account.with_agent for call in answered)
            assert ringing(sandbox) + people <= 4
            busiest = max(busiest, ringing(sandbox) + people)
            assert report.abandoned == 0
        assert busiest == 4
        assert sandbox.world().campaigns()[0].by_disposition["answered"] > 30


@pytest.mark.anyio
async def test_more_lines_than_agents_abandon() -> None:
    """Two lines for one agent, both answered at once: one person is spoken to, the other hangs up after two seconds."""
    async with stage(settings=Settings(population=ANSWERED.population, agents=1, lines_per_agent=2)) as (
        sandbox,
        client,
    ):
        started = await client.calls.create_campaign(
            from_=FROM, name="autumn", mode="power", contacts=CONTACTS[:2], record=True
        )
        id = started.id
        fired = await sandbox.clock.advance(until_idle=True)
        first, second = [call async for call in client.calls.list(campaign_id=id)][::-1]
        assert (first.disposition, first.duration) == ("answered", 3)
        assert (second.disposition, second.duration) == ("answered", 2)
        report = sandbox.world().campaign(id)
        assert (report.abandoned, report.by_disposition) == (1, {"answered": 2})
        assert (await client.transcripts.retrieve(first.id)).segments
        silence = await client.transcripts.retrieve(second.id)
        assert (silence.status, silence.segments, silence.ai_summary) == ("completed", (), None)
        recording = await client.recordings.retrieve(str(second.recording_id))
        assert (recording.duration, recording.ai_summary, recording.sentiment) == (2, None, None)
        async with client.transcripts.stream(second.id) as live:
            assert [segment async for segment in live] == []
        assert [(one.what, one.id) for one in fired if one.what == "call.abandoned"] == [("call.abandoned", second.id)]


@pytest.mark.anyio
async def test_predictive_dials_by_its_answer_rate() -> None:
    """It dials ahead of its agents; a rate that is too low abandons people, and one that is right far fewer."""
    abandoned = {}
    for rate in (0.2, 1.0):
        async with stage(settings=Settings(agents=3, answer_rate=rate)) as (sandbox, client):
            await start(client, "predictive")
            most = 0
            async for report in moments(sandbox):
                most = max(most, ringing(sandbox))
                assert len(sandbox.world().account.with_agent) <= 3
            assert most == 3 / rate
            report = sandbox.world().campaigns()[0]
            abandoned[rate] = report.abandoned
            assert sum(report.by_disposition.values()) == len(CONTACTS)
    assert abandoned[0.2] > 10
    assert abandoned[1.0] == 0


@pytest.mark.anyio
async def test_campaigns_share_the_agents_of_a_world() -> None:
    """The older campaign dials first, and both end; more agents dial at once."""
    async with stage(settings=Settings(population=ANSWERED.population, agents=2)) as (sandbox, client):
        older, younger = await start(client, "power", CONTACTS[:6]), await start(client, "power", CONTACTS[6:12])
        await sandbox.clock.advance(0.1)
        assert (sandbox.world().campaign(older).held, sandbox.world().campaign(younger).held) == (4, 6)
        sandbox.world().configure(agents=5)
        assert ringing(sandbox) == 5
        await sandbox.clock.advance(until_idle=True)
        assert [report.status for report in sandbox.world().campaigns()] == ["completed", "completed"]
        assert [ring.number for ring in sandbox.world().rings()] == CONTACTS[:12]


@pytest.mark.anyio
async def test_agents_can_come_later() -> None:
    """No agents, no calls; without the setting, what is left rings at the pace."""
    async with stage(settings=Settings(agents=0)) as (sandbox, client):
        id = await start(client, "predictive")
        await sandbox.clock.advance(3600)
        assert sandbox.world().campaign(id).status == "queued"
        sandbox.world().configure(agents=None)
        await sandbox.clock.advance(until_idle=True)
        assert (sandbox.world().campaign(id).status, sandbox.world().campaign(id).abandoned) == ("completed", 0)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["power", "predictive"])
async def test_odd_steps_and_restarts_change_nothing(mode: str, tmp_path: Path) -> None:
    """One step, odd steps, a snapshot and a restart in the middle bring the same rings, ends and abandoned calls."""
    told = Settings(agents=3, lines_per_agent=2, answer_rate=0.5, capacity=4)
    timing = Timing(ring=1.7, talk=5.3)

    async def result(sandbox: Sandbox, client: AsyncAjoxi) -> Any:
        await sandbox.clock.advance(until_idle=True)
        ends = [(call.id, call.disposition, call.ended_at) async for call in client.calls.list()]
        return sandbox.world().rings(), sandbox.world().campaigns(), ends

    async with stage(settings=told, timing=timing) as (sandbox, client):
        await start(client, mode)
        expected = await result(sandbox, client)
    assert expected[1][0].abandoned > 0
    file = tmp_path / "worlds.db"
    async with stage(settings=told, timing=timing, db=file) as (sandbox, client):
        await start(client, mode)
        for step in (0.013, 1.69, 2.2, 0.7, 5.1):
            await sandbox.clock.advance(step)
        before = sandbox.snapshot()
        assert await result(sandbox, client) == expected
        sandbox.restore(before)
        await sandbox.clock.advance(1.1)
    async with stage(settings=told, timing=timing, db=file) as (sandbox, client):
        assert await result(sandbox, client) == expected


@pytest.mark.anyio
async def test_following_a_call_that_is_not_released() -> None:
    """Its live transcript waits for hours without holding time up, and goes on when the call is released and answered."""
    async with stage() as (sandbox, client):
        id = await start(client, "preview", ["+15005550100"])
        (call,) = (await client.calls.list(campaign_id=id)).data
        said: list[str] = []

        async def follow() -> None:
            async with client.transcripts.stream(call.id, interim=False) as live:
                said.extend([segment.text async for segment in live])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await sandbox.clock.advance(600)
            assert said == []
            sandbox.world().release(id)
            await sandbox.clock.advance(10)
        assert len(said) > 5


@given(
    seed=st.integers(0, 1_000),
    capacity=st.none() | st.integers(1, 6),
    agents=st.none() | st.integers(1, 5),
    rate=st.sampled_from([0.2, 0.5, 0.7, 1.0]),
    each=st.integers(1, 3),
    modes=st.lists(st.sampled_from(["power", "predictive"]), min_size=1, max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_limits_hold_at_every_instant(
    seed: int, capacity: int | None, agents: int | None, rate: float, each: int, modes: list[Any]
) -> None:
    """Whatever the settings: no more ring than may, no agent has two calls, every contact rings once and in order."""
    told = Settings(capacity=capacity, agents=agents, answer_rate=rate, lines_per_agent=each)
    sandbox = Sandbox(port=None, clock="manual", seed=seed, settings=told)
    account, now = sandbox.world().account, sandbox.clock.now()
    contacts = [CONTACTS[20 * number : 20 * number + 20] for number in range(len(modes))]
    for mode, mine in zip(modes, contacts, strict=True):
        spec = CampaignSpec(name="autumn", mode=mode, contacts=tuple(mine))
        campaigns.create(account, CampaignCreate(from_=FROM, campaign=spec), now)
    while (due := account.next_due) is not None:
        run_due(account, due)
        assert capacity is None or ringing(sandbox) <= capacity
        assert agents is None or len(account.with_agent) <= agents
    reports = sandbox.world().campaigns()
    assert [report.status for report in reports] == ["completed"] * len(modes)
    assert not (len(account.with_agent) or len(account.lines) or account.waiting or account.progress)
    rung = [ring.number for ring in sandbox.world().rings()]
    assert len(rung) == len(set(rung)) == 20 * len(modes)
    for mine in contacts:
        assert [number for number in rung if number in mine] == mine
    if agents is None or (each == 1 and set(modes) == {"power"}):
        assert [report.abandoned for report in reports] == [0] * len(modes)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"capacity": 0}, "capacity"), ({"capacity": True}, "capacity"), ({"agents": -1}, "agents"),
        ({"agents": 2.5}, "agents"), ({"lines_per_agent": 0}, "lines_per_agent"), ({"answer_rate": 0}, "answer_rate"),
        ({"answer_rate": 1.1}, "answer_rate"), ({"answer_rate": "0.5"}, "answer_rate"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_be(wrong: Any, param: str) -> None:
    """A setting out of its range is refused by name."""
    with pytest.raises(InvalidParameterError) as caught:
        Settings(**wrong)
    assert caught.value.param == param


@pytest.mark.asyncio
async def test_campaigns_over_http() -> None:
    """The control surface lists campaigns, shows one, and releases it."""
    async with Sandbox(clock="manual") as sandbox, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {sandbox.control_token}"}

        async def ask(method: str, path: str, **body: Any) -> tuple[int, Any]:
            url = f"{sandbox.base_url}/_ajoxi/{path}"
            async with session.request(method, url, headers=headers, json=body) as answer:
                return answer.status, await answer.json()

        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            id = await start(client, "preview", CONTACTS[:5])
        status, shown = await ask("GET", f"campaigns/{id}")
        assert (status, shown["held"], shown["abandoned"], shown["by_status"]) == (200, 5, 0, {"queued": 5})
        assert datetime.fromisoformat(shown["created_at"])
        assert await ask("GET", "campaigns") == (200, {"data": [shown]})
        assert await ask("POST", f"campaigns/{id}/release", amount=2) == (200, {"released": 2})
        assert await ask("POST", f"campaigns/{id}/release") == (200, {"released": 3})
        assert (await ask("POST", f"campaigns/{id}/release", amount="2"))[0] == 400
        assert (await ask("POST", "campaigns/camp_0/release"))[0] == 404
        assert (await ask("GET", "campaigns/camp_0"))[0] == 404
