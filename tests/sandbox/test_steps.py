"""Commands in steps: others have their turn while ten thousand calls are placed, and nobody sees a part of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ajoxi_async import Sandbox
from ajoxi_async.contract import codec
from ajoxi_async.contract.calls import CampaignCreate
from ajoxi_async.contract.wire import Request, Response
from ajoxi_async.sandbox.faults.broken_answers import StreamedResponse
from ajoxi_async.sandbox.server.control.surface import Control
from ajoxi_async.sandbox.state import campaigns
from ajoxi_async.sandbox.state.steps import Steps, Unfinished

FROM = "+14155550100"
AMOUNT = 1_000
CAMPAIGN = {
    "from": FROM,
    "record": True,
    "campaign": {"name": "x", "mode": "power", "contacts": [f"+1212555{number:04d}" for number in range(AMOUNT)]},
}

pytestmark = pytest.mark.anyio


async def ask(sandbox: Sandbox, method: str, path: str, body: Any = None) -> Any:
    answer = await send(sandbox, method, path, body)
    assert isinstance(answer, Response)
    return json.loads(answer.body)


async def send(sandbox: Sandbox, method: str, path: str, body: Any = None) -> Response | StreamedResponse:
    sent = {"Authorization": f"Bearer {sandbox.api_key}", "Host": "localhost"}
    return await sandbox.transport().send(
        Request(method, path, sent, json.dumps(body).encode() if body is not None else None)
    )


async def placing(sandbox: Sandbox, turns: int = 3) -> None:
    """Wait until the campaign of another task is being placed."""
    while not sandbox.world().unfinished:
        await anyio.lowlevel.checkpoint()
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    assert sandbox.world().unfinished


async def test_others_have_their_turn() -> None:
    """The event loop turns once for every fifty calls of a campaign, and other worlds are answered meanwhile."""
    async with Sandbox(port=None, clock="manual") as sandbox, anyio.create_task_group() as group:
        turns = answered = 0
        group.start_soon(ask, sandbox, "POST", "/v1/calls", CAMPAIGN)
        await placing(sandbox, 0)
        other = sandbox.world(sandbox.mint_key())
        while sandbox.world().unfinished:
            turns += 1
            await anyio.lowlevel.checkpoint()
            answered += len(other.account.calls) == 0
        assert turns >= AMOUNT / 50 - 2
        assert answered == turns
        assert len(sandbox.world().account.calls) == AMOUNT


async def test_requests_see_none_or_all() -> None:
    """Requests that come while a campaign is placed are answered after it, as if they had come later."""
    async with Sandbox(port=None, clock="manual", rate_limit=None) as sandbox:
        control = Control(sandbox._worlds, sandbox.api_key, sandbox.control_token)  # noqa: SLF001
        answers: list[str] = []

        async def place() -> None:
            answers.append((await ask(sandbox, "POST", "/v1/calls", CAMPAIGN))["status"])

        async def single() -> None:
            await placing(sandbox)
            placed = await ask(sandbox, "POST", "/v1/calls", {"from": FROM, "to": "+14155551234"})
            answers.append(placed["status"])

        async def listed() -> None:
            await placing(sandbox)
            page = await ask(sandbox, "GET", "/v1/calls?status=queued&limit=200")
            answers.append(f"{len(page['data'])} listed")

        async def snapshot() -> None:
            await placing(sandbox)
            sent = {"authorization": f"Bearer {sandbox.control_token}", "host": "localhost"}
            answer = await control.handle(Request("POST", "/_ajoxi/snapshots", sent, None), "127.0.0.1")
            answers.append(str(answer.status))
            await control.handle(Request("POST", "/_ajoxi/snapshots/snap_1/restore", sent, None), "127.0.0.1")
            assert len(sandbox.world().account.calls) >= AMOUNT

        async with anyio.create_task_group() as group:
            for task in (place, listed, single, snapshot):
                group.start_soon(task)
        assert answers[0] == "queued"
        assert sorted(answers[1:]) == ["200 listed", "201", "ringing"]


async def test_whoever_cannot_wait_sees_it_whole() -> None:
    """A test's own look at the account, its snapshot and its inbound call come after the whole campaign."""
    async with Sandbox(port=None, clock="manual") as sandbox, anyio.create_task_group() as group:
        group.start_soon(ask, sandbox, "POST", "/v1/calls", CAMPAIGN)
        await placing(sandbox)
        kept = sandbox.snapshot()
        assert not sandbox.world().unfinished
        assert len(kept.account.calls) == AMOUNT
        assert [campaign.calls for campaign in sandbox.world().campaigns()] == [AMOUNT]
        assert sandbox.inbound_call(from_="+14155551234").id not in [
            call.id for call in kept.account.calls.newest_first()
        ]


async def happens(*, at_once: bool) -> str:
    """What a campaign and thirty seconds give, at the same time or one after the other."""
    happened: list[Any] = []
    async with Sandbox(port=None, clock="manual", rate_limit=None) as sandbox:

        async def place() -> None:
            happened.insert(0, await ask(sandbox, "POST", "/v1/calls", CAMPAIGN))

        async def advance() -> None:
            happened.extend(await sandbox.clock.advance(seconds=30))

        async with anyio.create_task_group() as group:
            group.start_soon(place)
            await placing(sandbox)
            if not at_once:
                await sandbox.world().whole()
            group.start_soon(advance)
        happened.append(await ask(sandbox, "GET", "/v1/calls?limit=200"))
    return repr(happened)


async def test_time_waits() -> None:
    """Time that is advanced while a campaign is placed waits for it: the same happens as one after the other."""
    together = await happens(at_once=True)
    assert together == await happens(at_once=False)
    assert together.count("call.started") > 500


async def test_a_client_that_goes_away() -> None:
    """A campaign whose client is cancelled meanwhile is placed to the last call."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, sandbox, "POST", "/v1/calls", CAMPAIGN)
            await placing(sandbox)
            group.cancel_scope.cancel()
        assert len(sandbox.world().account.calls) == AMOUNT
        assert len(await sandbox.clock.advance(until_idle=True)) > AMOUNT


async def test_the_file_holds_none_or_all(tmp_path: Path) -> None:
    """What is written to the file while a campaign is placed, for another world, holds no part of it."""
    async with Sandbox(port=None, clock="manual", db=tmp_path / "a.db") as sandbox, anyio.create_task_group() as group:
        group.start_soon(ask, sandbox, "POST", "/v1/calls", CAMPAIGN)
        await placing(sandbox)
        await sandbox.world(sandbox.mint_key()).save()
        assert not sandbox.world().unfinished
    async with Sandbox(port=None, clock="manual", db=tmp_path / "a.db") as sandbox:
        assert len(sandbox.world().account.calls) == AMOUNT
        assert [campaign.calls for campaign in sandbox.world().campaigns()] == [AMOUNT]


async def test_a_refused_command() -> None:
    """A campaign that is refused for its last contact changes nothing, and holds up nobody."""
    contacts = [*CAMPAIGN["campaign"]["contacts"], "+99912345678"]  # type: ignore[index]
    async with Sandbox(port=None, clock="manual") as sandbox:
        body = CAMPAIGN | {"campaign": {"name": "x", "mode": "power", "contacts": contacts}}
        refused = await ask(sandbox, "POST", "/v1/calls", body)
        assert refused["error"]["code"] == "unreachable_destination"
        assert not sandbox.world().unfinished
        assert (await ask(sandbox, "GET", "/v1/calls"))["data"] == []
        assert sandbox.world().account.minter.minted.get("call", 0) == 0


async def test_at_once_or_in_steps() -> None:
    """A campaign that is created at once has the calls and ids of one that is created in steps."""
    params = codec.parse_params(CAMPAIGN, CampaignCreate)
    one, other = (Sandbox(port=None, clock="manual").world().account for _ in range(2))
    in_steps = Unfinished(campaigns.create_in_steps(other, params, 0.0))
    in_steps.finish()
    assert campaigns.create(one, params, 0.0) == in_steps.result()
    assert list(one.calls.newest_first()) == list(other.calls.newest_first())
    assert len(one.calls) == AMOUNT


async def test_a_look_from_within_a_step() -> None:
    """What a step calls, somebody who is told of changes for instance, may look at the account; the command goes on."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        world, seen = sandbox.world(), []
        world.account.calls.changed = lambda _: seen.append(len(world.account.calls))
        assert (await ask(sandbox, "POST", "/v1/calls", CAMPAIGN))["calls_queued"] == AMOUNT
        assert seen == list(range(1, AMOUNT + 1))
        assert not world.unfinished


async def test_what_a_command_raises() -> None:
    """What a command raises is raised where it was asked for, and not for whoever had it finished."""

    def steps() -> Steps[int]:
        yield
        raise ValueError("of the command")

    command = Unfinished(steps())
    command.finish()
    assert command.over
    with pytest.raises(ValueError, match="of the command"):
        command.result()
