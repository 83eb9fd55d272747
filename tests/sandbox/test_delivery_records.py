"""What is kept of a delivery: body, state, rounds and attempts, found by filters, over HTTP and after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.sandbox import Answer, Refusal, World
from ajoxi_async.sandbox.state import delivery_log
from ajoxi_async.sandbox.state.deliveries import SCHEDULE

from .test_control import surface
from .test_journal import killed

TO, FROM = "+15005550100", "+14155550100"


class Endpoint:
    """A receiver in place of the network, which answers each path as it is told."""

    def __init__(self, **answers: int | None) -> None:
        self.answers: dict[str, int | None] = dict(answers)
        self.got: list[bytes] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        await anyio.lowlevel.checkpoint()
        self.got.append(body)
        status = self.answers[url.rpartition("/")[2]]
        return Answer(status, {"x": "y"}, b"said", None if status is not None else "no answer")


async def subscribed(sandbox: Sandbox, *names: str, events: tuple[str, ...] = ("message.received",)) -> dict[str, str]:
    """Webhooks by the last part of their URL."""
    async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        made = [await client.webhooks.create(url=f"http://127.0.0.1:9/{name}", events=list(events)) for name in names]
    return {name: webhook.id for name, webhook in zip(names, made, strict=True)}


def ids(world: World, **filters: Any) -> list[str]:
    """The deliveries that filters find."""
    return [one.id for one in world.find_deliveries(**filters)]


@pytest.mark.anyio
async def test_a_succeeded_delivery_keeps_its_body() -> None:
    """What was delivered is still there, with the bytes that were posted; webhooks of one event share them."""
    endpoint = Endpoint(a=200, b=200)
    async with Sandbox(port=None, clock="manual", post=endpoint.post) as sandbox:
        await subscribed(sandbox, "a", "b")
        sandbox.inbound_message(from_=TO, body="hi")
        await sandbox.clock.advance(0)
        first, second = sandbox.world().find_deliveries()
        assert (first.body is second.body, first.body) == (True, endpoint.got[0])
        assert (first.state, first.status, first.attempts, first.ended_at) == ("delivered", 200, 1, sandbox.clock.now())
        assert sandbox.world().pending() == ()
        assert sandbox.world().delivery(first.id).planned == ()


@pytest.mark.anyio
async def test_rounds() -> None:
    """A replay begins a round of its own; attempts of all rounds stay, and the ones to come are at the schedule's moments."""
    endpoint = Endpoint(a=500)
    async with Sandbox(port=None, clock="manual", post=endpoint.post) as sandbox:
        await subscribed(sandbox, "a")
        sandbox.inbound_message(from_=TO, body="hi")
        world, began = sandbox.world(), sandbox.clock.now()
        (delivery,) = world.pending()
        assert [moment.timestamp() - began for moment in world.delivery(delivery.id).planned] == list(SCHEDULE)
        await sandbox.clock.advance(40)
        report = world.delivery(delivery.id)
        assert [attempt.number for attempt in report.rounds[1]] == [1, 2, 3]
        assert [moment.timestamp() - began for moment in report.planned] == list(SCHEDULE[3:])
        await sandbox.clock.advance(until_idle=True)
        assert world.delivery(delivery.id).planned == ()
        world.replay(delivery.id)
        endpoint.answers["a"] = 204
        await sandbox.clock.advance(until_idle=True)
        report = world.delivery(delivery.id)
        assert {number: len(attempts) for number, attempts in report.rounds.items()} == {1: 11, 2: 1}
        assert (report.delivery.state, report.delivery.round, report.delivery.body) == ("delivered", 2, delivery.body)
        assert report.delivery.event_id == delivery.event_id
        with pytest.raises(Refusal, match="no delivery"):
            world.delivery("dlv_0")


@pytest.mark.anyio
async def test_filters() -> None:
    """By state, webhook, event, type and the last answer, alone and together, the newest first."""
    endpoint = Endpoint(fine=200, broken=503, silent=None, gone=410)
    async with Sandbox(port=None, clock="manual", post=endpoint.post) as sandbox:
        hooks = await subscribed(sandbox, "fine", "broken", "silent", events=("message.received", "call.started"))
        sandbox.inbound_message(from_=TO, body="one")
        await sandbox.clock.advance(1)
        sandbox.inbound_call(from_=TO)
        world = sandbox.world()
        assert len(ids(world, state="pending")) == 5
        await sandbox.clock.advance(1)
        everything = world.find_deliveries()
        assert [one.type for one in everything] == ["call.started"] * 3 + ["message.received"] * 3
        assert len(ids(world, state="failing")) == len(ids(world, state="pending")) == 4
        assert ids(world, state="delivered") == ids(world, webhook_id=hooks["fine"]) == ids(world, code=200)
        assert ids(world, code="5xx") == ids(world, code="503") == ids(world, webhook_id=hooks["broken"])
        assert ids(world, code="none") == ids(world, webhook_id=hooks["silent"])
        assert len(ids(world, type="call.*")) == 3
        event = everything[0].event_id
        assert ids(world, event_id=event) == ids(world, type="call.started")
        assert len(ids(world, event_id=event, code="none", state="failing", webhook_id=hooks["silent"])) == 1
        assert ids(world, event_id=event, code="2xx", state="failing") == []
        hooks |= await subscribed(sandbox, "gone")
        sandbox.inbound_message(from_=TO, body="two")
        sandbox.inbound_message(from_=TO, body="three")
        await sandbox.clock.advance(0)
        assert ids(world, state="dropped") == ids(world, webhook_id=hooks["gone"])
        await sandbox.clock.advance(until_idle=True)
        assert len(ids(world, state="dead")) == len(world.dead_letters()) == 8
        with pytest.raises(InvalidParameterError, match="state"):
            world.find_deliveries(state="done")


@pytest.mark.anyio
async def test_what_is_over_is_bounded() -> None:
    """A webhook keeps its last thousand deliveries that are over, and every pending or dead one; a deleted one keeps none."""
    endpoint = Endpoint(a=500, b=200)
    async with Sandbox(port=None, clock="manual", post=endpoint.post) as sandbox:
        hooks = await subscribed(sandbox, "a")
        for number in range(3):
            sandbox.inbound_message(from_=TO, body=str(number))
        await sandbox.clock.advance(until_idle=True)
        hooks |= await subscribed(sandbox, "b")
        endpoint.answers["a"] = 200
        for number in range(1_005):
            sandbox.inbound_message(from_=TO, body=str(number))
        await sandbox.clock.advance(until_idle=True)
        world = sandbox.world()
        for hook in hooks.values():
            assert len(ids(world, webhook_id=hook, state="delivered")) == 1_000
        assert len(world.dead_letters()) == 3
        assert world.replay() == 3
        await sandbox.clock.advance(until_idle=True)
        assert len(ids(world)) == 2_000
        assert [one.round for one in world.find_deliveries(webhook_id=hooks["a"])[-3:]] == [2, 2, 2]
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await client.webhooks.delete(hooks["a"])
        assert ids(world) == ids(world, webhook_id=hooks["b"])
        assert {attempt.webhook_id for attempt in world.deliveries()} == {hooks["b"]}


@pytest.mark.anyio
async def test_the_log_survives_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries, rounds and attempts are the same in a sandbox that was killed and one that was not; rings go on as well."""
    monkeypatch.setattr(delivery_log, "KEPT", 20)
    found: list[Any] = []
    for kill in (False, True):
        endpoint = Endpoint(a=500, b=200)
        options: dict[str, Any] = {
            "port": None,
            "clock": "manual",
            "post": endpoint.post,
            "db": tmp_path / f"{kill}.db",
        }
        sandbox = Sandbox(**options)
        async with sandbox:
            hooks = await subscribed(sandbox, "a", "b")
            for number in range(22):
                sandbox.inbound_message(from_=TO, body=str(number))
                if number == 1:
                    await sandbox.clock.advance(until_idle=True)
                    sandbox.world().replay(sandbox.dead_letters()[0].id)
            await sandbox.clock.advance(60)
            before = sandbox.world().find_deliveries()
            await sandbox.world().save()
            if kill:
                killed(sandbox)
        async with Sandbox(**options) as again:
            world = again.world()
            assert world.find_deliveries() == before
            shown = [world.delivery(one.id) for one in world.dead_letters()]
            assert len(world.deliveries(hooks["a"])) == len(world.deliveries(hooks["b"])) == 20
            endpoint.answers["a"] = 200
            again.inbound_message(from_=TO, body="after")
            await again.clock.advance(until_idle=True)
            # On trio, what one instant posts to two endpoints ends in any order.
            attempts = sorted((one.id, one.status, one.at, one.response_headers["x"]) for one in world.deliveries())
            found.append((shown, attempts, ids(world), [one.body for one in world.find_deliveries()]))
            await world.save()
            killed(again)
        async with Sandbox(**options) as last:
            assert len(last.world().find_deliveries(state="delivered")) == 40
    assert found[0] == found[1]


@pytest.mark.anyio
async def test_answers_that_no_file_takes(tmp_path: Path) -> None:
    """Whatever a receiver's answer is made of, the log has it as text, also after a restart."""

    async def post(url: str, headers: dict[str, str], body: bytes) -> Answer:
        return Answer(503, {"x-\ud800": 1}, bytes(range(256)), "broken \udcff")  # type: ignore[dict-item]

    options: dict[str, Any] = {"port": None, "clock": "manual", "post": post, "db": tmp_path / "x.db"}
    async with Sandbox(**options) as sandbox:
        await subscribed(sandbox, "a")
        sandbox.inbound_message(from_=TO, body="hi")
        await sandbox.clock.advance(0)
        log = sandbox.world().deliveries()
        await sandbox.world().save()
        killed(sandbox)
    async with Sandbox(**options) as sandbox:
        assert sandbox.world().deliveries() == log
        assert (log[0].error, log[0].response_headers, len(log[0].excerpt)) == ("broken ?", {"x-?": "1"}, 256)


@pytest.mark.asyncio
async def test_over_http() -> None:
    """Deliveries by position and filter, one with its rounds and body, and the log of attempts."""
    endpoint = Endpoint(a=500)
    async with surface(post=endpoint.post) as (sandbox, ask):
        (hook,) = (await subscribed(sandbox, "a")).values()
        for number in range(5):
            sandbox.inbound_message(from_=TO, body=str(number))
        await sandbox.clock.advance(until_idle=True)
        dead = sandbox.dead_letters()
        _, page = await ask("GET", f"deliveries?state=dead&webhook_id={hook}&type=message.*&code=5xx&at=1&limit=2")
        assert (page["at"], page["total"], [row["id"] for row in page["data"]]) == (1, 5, [dead[3].id, dead[2].id])
        assert "body" not in page["data"][0]
        assert (page["data"][0]["round"], page["data"][0]["status"]) == (1, 500)
        sandbox.world().replay(dead[0].id)
        _, later = await ask("GET", "deliveries?state=failing")
        assert ([row["id"] for row in later["data"]], later["total"]) == ([dead[0].id], 1)
        assert later["version"] != page["version"]
        await sandbox.clock.advance(6)
        _, one = await ask("GET", f"deliveries/{dead[0].id}")
        assert json.loads(one["body"])["id"] == one["event_id"]
        assert [(each["round"], len(each["attempts"])) for each in one["rounds"]] == [(1, 11), (2, 2)]
        assert len(one["planned"]) == 9
        _, log = await ask("GET", f"deliveries/attempts?delivery_id={dead[0].id}&at=10")
        assert [(row["round"], row["number"]) for row in log["data"]] == [(1, 11), (2, 1), (2, 2)]
        for path, param in (
            ("deliveries?state=done", "state"),
            ("deliveries?colour=1", "colour"),
            ("deliveries?at=-1", "at"),
        ):
            code, refused = await ask("GET", path)
            assert (code, refused["error"]["param"]) == (400, param)
        assert (await ask("GET", "deliveries/dlv_0"))[0] == 404
