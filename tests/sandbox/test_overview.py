"""The summaries of the control surface: counts, overview, conversations, events, vocabulary, searches by number, redelivery."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, get_args

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import AsyncAjoxi, NotFoundError, Sandbox
from ajoxi_async.sandbox import Fault, Faults, Refusal, Settings
from ajoxi_async.sandbox.faults.faults import Action
from ajoxi_async.sandbox.faults.meanings import MEANINGS, PRESETS
from ajoxi_async.sandbox.state.lists.positions import BLOCK, EMPTY, add, extend, remove, size_of

from .test_control import FROM, TO, surface

ASK_NOTHING = "http://127.0.0.1:9/"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3 * BLOCK), unique=True), st.data())
def test_the_size_of_a_set_of_positions(positions: list[int], data: st.DataObject) -> None:
    """A set says how many positions it has, small or large, whatever was added and removed."""
    held = EMPTY
    for position in positions:
        held = add(held, position)
    gone = data.draw(st.lists(st.sampled_from(positions), unique=True)) if positions else []
    for position in gone:
        held = remove(held, position)
    assert size_of(held) == len(positions) - len(gone)
    assert size_of(extend(EMPTY, range(5_000))) == 5_000


@pytest.mark.asyncio
async def test_counts_are_exact() -> None:
    """Each count is the number of objects in this state, also after some have moved on and others were removed."""
    outcomes = ("100", "101", "102", "103", "104", "106")
    async with surface() as (sandbox, ask):
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            await client.webhooks.create(url=ASK_NOTHING, events=["call.completed"])
            for number in outcomes:
                await client.calls.create(to=f"+15005550{number}", from_=FROM)
            await sandbox.clock.advance(until_idle=True)
            for _ in range(3):
                await client.calls.create(to=TO, from_=FROM)
            await sandbox.clock.advance(3.4)
            found = await client.numbers.search(area_code="415")
            taken = await client.numbers.provision(phone_number=str(found.data[0].phone_number))
            await client.calls.create(to=TO, from_=FROM)
            await client.numbers.release(taken.id)
        sandbox.inbound_message(from_=TO, body="hi")
        sandbox.faults.add(action="latency")
        _, counts = await ask("GET", "counts")
        calls = list(sandbox.world().account.calls.newest_first())
        statuses, ends = Counter(one.status for one in calls), Counter(one.disposition for one in calls)
        assert counts["calls"] == len(calls) == 10
        assert counts["calls_by_status"] == {
            name: statuses[name] for name in ("queued", "ringing", "answered", "completed")
        }
        assert {name: n for name, n in counts["calls_by_disposition"].items() if n} == {
            str(name): n for name, n in ends.items() if name is not None
        }
        assert counts["deliveries_by_state"] == {"pending": 3, "failing": 3, "delivered": 0, "dead": 6, "dropped": 0}
        assert (counts["messages"], counts["numbers"], counts["faults"], counts["keys"]) == (1, 1, 1, 1)
        assert counts["requests"] == len(sandbox.requests)


@pytest.mark.asyncio
async def test_overview() -> None:
    """It has live calls, failed requests and dead letters, newest first, what is due next, and the requests of the last minute."""
    async with surface(settings=Settings(capacity=2)) as (sandbox, ask):
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            await client.webhooks.create(url=ASK_NOTHING, events=["call.completed"])
            for _ in range(6):
                dead = await client.calls.create(to=TO, from_=FROM)
                await sandbox.clock.advance(until_idle=True)
            first = await client.calls.create(to=TO, from_=FROM)
            await sandbox.clock.advance(1)
            second = await client.calls.create(to=TO, from_=FROM)
            waiting = [await client.calls.create(to=TO, from_=FROM) for _ in range(2)]
            for number in range(6):
                with pytest.raises(Exception, match="no call"):
                    await client.calls.retrieve(f"call_{number}")
        _, shown = await ask("GET", "overview")
        live = [call["id"] for call in shown["live_calls"]]
        assert live == [waiting[0].id, second.id, first.id]
        assert [one["url"] for one in shown["failures"]] == [f"/v1/calls/call_{n}" for n in (5, 4, 3, 2, 1)]
        assert len(shown["dead_letters"]) == 5
        assert dead.id in str(sandbox.world().delivery(shown["dead_letters"][0]["id"]).delivery.body)
        assert all(one["body"] is None for one in shown["dead_letters"])
        assert shown["due"] == (await ask("GET", "timers?limit=5"))[1]["data"]
        assert (shown["counts"], shown["clock"]) == ((await ask("GET", "counts"))[1], (await ask("GET", "clock"))[1])
        assert sum(shown["requests_by_second"]["counts"]) == len(sandbox.requests)
        assert len(shown["requests_by_second"]["counts"]) == 60


@pytest.mark.asyncio
async def test_requests_by_second() -> None:
    """Each second of the last minute has the number of requests that came in it, in whatever order they were answered."""
    async with surface() as (sandbox, ask):
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            for _ in range(5):
                await client.calls.list(limit=1)
        now = time.time()
        for entry, before in zip(sandbox.requests, (3600, 7, 30, 7, 2), strict=True):
            entry.received = now - before
        _, shown = await ask("GET", "overview")
        counts = shown["requests_by_second"]["counts"]
        seconds = [place for place, count in enumerate(counts) for _ in range(count)]
        assert len(counts) == 60
        assert [one - seconds[0] for one in seconds] == [0, 23, 23, 28]


@pytest.mark.asyncio
async def test_conversations() -> None:
    """A thread has both numbers, the count and the last message in its present state; the newest comes first, and a reset empties the list."""
    other = "+12125550123"
    async with surface() as (sandbox, ask):
        assert (await ask("GET", "conversations"))[1]["data"] == []
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            sent = await client.messages.send(to=TO, from_=FROM, body="hello")
            sandbox.inbound_message(from_=other, body="hi")
            sandbox.inbound_message(from_=other, body="STOP")
            _, shown = await ask("GET", "conversations")
            assert [(one["other_number"], one["messages"], one["inbound"], one["opted_out"]) for one in shown["data"]] == [
                (other, 2, 2, True), (TO, 1, 0, False),
            ]  # fmt: skip
            assert shown["data"][1]["last"]["status"] == "queued"
            await sandbox.clock.advance(until_idle=True)
            answer = sandbox.inbound_message(from_=TO, body="yes")
            _, shown = await ask("GET", "conversations?limit=1")
            assert (shown["total"], shown["data"][0]["id"], shown["data"][0]["last"]["id"]) == (
                2,
                sent.conversation_id,
                answer.id,
            )
            assert (await ask("GET", "conversations?number=2125550"))[1]["data"][0]["other_number"] == other
            assert (await ask("GET", "conversations?number=%2B1999"))[1]["total"] == 0
            _, one = await ask("GET", f"conversations/{sent.conversation_id}")
            assert (one["own_number"], one["messages"], one["inbound"]) == (FROM, 2, 1)
            assert (await ask("GET", "conversations/latest"))[1] == one
            assert (await ask("GET", "conversations/conv_0"))[0] == 404
            before = sandbox.snapshot()
            sandbox.inbound_message(from_=other, body="START")
            sandbox.restore(before)
            assert (await ask("GET", "conversations"))[1]["data"][0]["id"] == sent.conversation_id
            sandbox.reset()
            assert (await ask("GET", "conversations"))[1]["total"] == 0


@pytest.mark.asyncio
async def test_many_messages() -> None:
    """A thousand messages that came between two looks are counted once each, in the order in which they came."""
    async with surface() as (sandbox, ask):
        for number in range(1_200):
            sandbox.inbound_message(from_=f"+1212555{number % 7:04d}", body=str(number))
        _, shown = await ask("GET", "conversations")
        assert [one["last"]["body"] for one in shown["data"]] == [str(number) for number in range(1_199, 1_192, -1)]
        assert sum(one["messages"] for one in shown["data"]) == 1_200


@pytest.mark.asyncio
async def test_a_part_of_a_number() -> None:
    """A search finds each row in which one of the two numbers has these digits, with the right total and rows, beside other filters."""
    async with surface(rate_limit=None) as (sandbox, ask):
        world = sandbox.world()
        for number in range(60):
            world.inbound_call(from_=f"+1212555{number:04d}")
            world.inbound_message(from_=f"+1212555{number:04d}", body=f"5550{number}")
        for kind in ("calls", "messages"):
            for digits, total in (
                ("212555003", 10),
                ("%2B1212555", 60),
                ("14155550100", 60),
                ("99999", 0),
                ("0059", 1),
            ):
                _, shown = await ask("GET", f"{kind}?number={digits}&at=2&limit=3")
                everything = [
                    row for row in (await ask("GET", f"{kind}?limit=200"))[1]["data"]
                    if digits.removeprefix("%2B") in row["from"] or digits.removeprefix("%2B") in row["to"]
                ]  # fmt: skip
                assert (shown["total"], shown["data"]) == (total, everything[2:5])
        assert (await ask("GET", "calls?number=1212555&status=completed"))[1]["total"] == 0
        assert (await ask("GET", "calls?number=1212555&status=ringing"))[1]["total"] == 60


@pytest.mark.asyncio
async def test_events() -> None:
    """What fired is kept by a sandbox with a console, newest first, on every clock; a rewind takes back what it undoes."""
    async with surface(console=True) as (sandbox, ask):
        call = sandbox.inbound_call(from_=TO)
        await sandbox.clock.advance(1)
        await sandbox.clock.advance(until_idle=True)
        _, shown = await ask("GET", "events?type=call.*")
        assert [(one["what"], one["id"]) for one in shown["data"]] == [
            (f"call.{what}", call.id) for what in ("completed", "answered", "started")
        ]
        assert (await ask("GET", f"events?id={call.id}&at=1&limit=1"))[1]["data"] == shown["data"][1:2]
        sandbox.rewind(sandbox.marks()[-1])
        _, after = await ask("GET", "events")
        assert [one["what"] for one in after["data"]] == ["call.answered", "call.started"]
        sandbox.reset()
        assert (await ask("GET", "events"))[1]["total"] == 0
    async with surface(console=True, clock="real") as (sandbox, ask):
        sandbox.inbound_call(from_=TO)
        assert (await ask("GET", "events"))[1]["data"][0]["what"] == "call.started"
    async with surface() as (_, ask):
        assert (await ask("GET", "events"))[0] == 404


@pytest.mark.asyncio
async def test_the_vocabulary_is_the_codes_own() -> None:
    """Every action has a meaning, uses only fields that `Faults.add` takes, and every preset can be added and strikes something."""
    assert set(MEANINGS) == set(get_args(Action))
    faults = Faults()
    for action, meaning in MEANINGS.items():
        example: dict[str, Any] = {"status": 500, "code": "x", "retry_after": 1, "seconds": 1, "delay": 1, "events": 1}
        assert isinstance(faults.add(action=action, **{name: example[name] for name in meaning.fields}), Fault)
    for preset in PRESETS:
        added = faults.add(**preset.fault)
        assert {name: getattr(added, name) for name in preset.fault} == preset.fault
    async with surface() as (_, ask):
        _, shown = await ask("GET", "vocabulary")
        for preset in shown["fault_presets"]:
            assert (await ask("POST", "faults", preset["fault"]))[0] == 201
        assert {"number": "+15005550102", "meaning": "busy"} in shown["magic_numbers"]
        assert "calls.create" in next(one for one in shown["fault_actions"] if one["action"] == "status")["matches"]


# Redelivery


async def failing(sandbox: Sandbox, answers: list[int]) -> str:
    """The id of a delivery whose first attempt was answered with the first of these statuses."""
    sandbox.inbound_message(from_=TO, body="hi")
    await sandbox.clock.advance(0)
    return sandbox.world().find_deliveries()[0].id


@pytest.mark.anyio
async def test_retry_resend_and_discard() -> None:
    """A pending delivery is tried at once and keeps its schedule; a finished one begins a new round; a dead letter can be removed."""
    answers, posted = [500, 500, 204, 500], 0

    async def post(*_: object) -> int:
        nonlocal posted
        posted += 1
        return answers[min(posted, len(answers)) - 1]

    async with Sandbox(port=None, clock="manual", post=post) as sandbox:
        world = sandbox.world()
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await client.webhooks.create(url=ASK_NOTHING, events=["message.received"])
        id = await failing(sandbox, answers)
        await sandbox.clock.advance(2)
        world.retry(id)
        assert [one.kind for one in world.due()].count("deliver") <= 1
        await sandbox.clock.advance(0)
        assert (posted, world.delivery(id).delivery.attempts) == (2, 2)
        with pytest.raises(Refusal, match="retry"):
            world.resend(id)
        await sandbox.clock.advance(32)
        assert posted == 2
        await sandbox.clock.advance(1)
        assert (posted, world.delivery(id).delivery.state) == (3, "delivered")
        for command in (world.retry, world.discard):
            with pytest.raises(Refusal):
                command(id)
        world.resend(id)
        await sandbox.clock.advance(until_idle=True)
        report = world.delivery(id)
        assert (report.delivery.state, report.delivery.round, len(report.rounds[1]), len(report.rounds[2])) == (
            "dead",
            2,
            3,
            11,
        )
        world.resend(id)
        assert world.delivery(id).delivery.round == 3
        await sandbox.clock.advance(until_idle=True)
        world.discard(id)
        assert world.find_deliveries() == ()
        for command in (world.retry, world.resend, world.discard):
            with pytest.raises(Refusal, match="no delivery"):
                command(id)


@pytest.mark.anyio
async def test_a_delivery_of_a_disabled_webhook_is_not_sent_again() -> None:
    """After a 410 neither retry nor resend posts anything; a delivery that was resent is kept with the finished ones once."""
    answers = [204, 410]

    async def post(*_: object) -> int:
        return answers.pop(0)

    async with Sandbox(port=None, clock="manual", post=post) as sandbox:
        world = sandbox.world()
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            webhook = await client.webhooks.create(url=ASK_NOTHING, events=["message.received"])
        id = await failing(sandbox, answers)
        world.resend(id)
        assert list(world.account.delivery_log._over[webhook.id]) == []
        await sandbox.clock.advance(0)
        assert world.delivery(id).delivery.state == "dropped"
        assert list(world.account.delivery_log._over[webhook.id]) == [id]
        with pytest.raises(Refusal, match="disabled"):
            world.resend(id)


@pytest.mark.asyncio
async def test_redelivery_over_http() -> None:
    """The routes do what the methods do."""
    async with surface() as (sandbox, ask):
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            await client.webhooks.create(url=ASK_NOTHING, events=["message.received"])
        id = await failing(sandbox, [])
        assert await ask("POST", f"deliveries/{id}/retry") == (200, {})
        assert (await ask("POST", f"deliveries/{id}/resend"))[0] == 422
        assert (await ask("DELETE", f"dead-letters/{id}"))[0] == 422
        await sandbox.clock.advance(until_idle=True)
        assert (await ask("GET", "deliveries/latest?state=dead"))[1]["id"] == id
        assert await ask("POST", f"deliveries/{id}/resend") == (200, {})
        await sandbox.clock.advance(until_idle=True)
        assert await ask("DELETE", f"dead-letters/{id}") == (200, {})
        for method, path in (
            ("POST", f"deliveries/{id}/retry"),
            ("POST", f"deliveries/{id}/resend"),
            ("DELETE", f"dead-letters/{id}"),
        ):
            assert (await ask(method, path))[0] == 404


@pytest.mark.asyncio
async def test_what_it_is_about() -> None:
    """Deliveries and requests are found by the id of an object in them; a secret is found by nothing."""
    async with surface() as (sandbox, ask):
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            webhook = await client.webhooks.create(url=ASK_NOTHING, events=["call.started"])
            calls = [await client.calls.create(to=TO, from_=FROM) for _ in range(2)]
            await client.calls.retrieve(calls[0].id)
        for path, total in (("deliveries", 1), ("requests", 2)):
            _, shown = await ask("GET", f"{path}?about={calls[0].id}")
            assert shown["total"] == total
        assert (await ask("GET", f"requests/latest?about={calls[1].id}"))[1]["route"] == "calls.create"
        assert (await ask("GET", f"requests?about={webhook.secret}"))[1]["total"] == 0
        assert (await ask("GET", f"requests?about={webhook.id}"))[1]["total"] == 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.sampled_from(["event", "retry", "resend", "discard", "advance", "replay", "gone", "forget", "back", "copy"]),
        max_size=25,
    )
)
def test_deliveries_are_counted_as_they_change(steps: list[str]) -> None:
    """Whatever happens to deliveries, the counts are those of a look at each of them, also in a copy and after a rewind."""

    async def play() -> None:
        answer, number = 500, 0

        async def post(*_: object) -> int:
            return answer

        async with Sandbox(port=None, clock="manual", post=post) as sandbox:
            world = sandbox.world()
            snapshot = world.snapshot()
            async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
                webhook = await client.webhooks.create(url=ASK_NOTHING, events=["message.received"])
                for step in steps:
                    number += 1
                    ids = [one.id for one in world.find_deliveries()]
                    try:
                        match step:
                            case "event":
                                world.inbound_message(from_=TO, body="hi")
                                await world.advance(0)
                            case "retry" | "resend" | "discard" if ids:
                                getattr(world, step)(ids[number % len(ids)])
                            case "advance":
                                await world.advance((5, 90_000)[number % 2])
                            case "replay":
                                world.replay()
                            case "gone":
                                answer = (410, 204)[number % 2]
                            case "forget":
                                await client.webhooks.delete(webhook.id)
                                webhook = await client.webhooks.create(url=ASK_NOTHING, events=["message.received"])
                            case "back":
                                world.restore(snapshot)
                                webhook = await client.webhooks.create(url=ASK_NOTHING, events=["message.received"])
                            case "copy":
                                snapshot = world.snapshot()
                    except (Refusal, NotFoundError):
                        pass
                    await world.advance(0)
                    for account in (world.account, snapshot.account):
                        looked = Counter(one.state for one in account.deliveries.values())
                        looked["failing"] = sum(one.failing for one in account.deliveries.values())
                        assert +account.delivery_log.states == +looked

    anyio.run(play)
