"""One world per key: apart from each other, copied and made new in no time."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import Refusal, Timing

pytestmark = pytest.mark.anyio

TO, FROM = "+15005550100", "+14155550100"


def best(action: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    took = []
    for _ in range(20):
        began = time.perf_counter()
        action()
        took.append(time.perf_counter() - began)
    return min(took)


async def test_an_empty_world_is_copied_in_no_time() -> None:
    """Snapshot, restore and reset of an empty world take less than a millisecond each."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        snapshot = sandbox.snapshot()
        assert best(sandbox.snapshot) < 0.001
        assert best(lambda: sandbox.restore(snapshot)) < 0.001
        assert best(sandbox.reset) < 0.001


async def test_restore_goes_back() -> None:
    """Objects, timers, pending deliveries, opt-outs, secrets and ids are what they were, as often as one likes."""
    got: list[bytes] = []

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        got.append(headers["X-Ajoxi-Signature"].encode() + body)
        return 500

    async with Sandbox(port=None, clock="manual", post=post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            webhook = await client.webhooks.create(url="http://127.0.0.1:9/", events=["call.started", "call.completed"])
            call = await client.calls.create(to=TO, from_=FROM, record=True)
            await sandbox.clock.advance(1)
            snapshot, moment = sandbox.snapshot(), sandbox.clock.now()
            told = []
            for _ in range(3):
                got.clear()
                fired = await sandbox.clock.advance(30_000)
                sandbox.inbound_message(from_=TO, body="STOP")
                sandbox.world().rotate_secret(webhook.id)
                later = await client.numbers.search(limit=1)
                await client.numbers.provision(phone_number=str(later.data[0].phone_number))
                told.append(
                    (repr(fired), tuple(got), await client.calls.retrieve(call.id), await client.numbers.search())
                )
                sandbox.restore(snapshot)
                assert sandbox.clock.now() == moment
                assert (await client.calls.retrieve(call.id)).status == "answered"
                assert (await client.messages.list()).data == ()
                assert len((await client.numbers.search(status="active")).data) == 1
            assert told[0] == told[1] == told[2]
            await client.messages.send(to=TO, from_=FROM, body="not opted out")


async def test_a_delivery_under_way_belongs_to_its_world() -> None:
    """What is under way when a snapshot is taken is due again after it is restored; its own answer counts no more."""
    asked, go_on = anyio.Event(), anyio.Event()
    got = 0

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        nonlocal got
        got += 1
        if got == 1:
            asked.set()
            await go_on.wait()
        return 200

    async with Sandbox(port=None, clock="manual", post=post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
            sandbox.inbound_message(from_=TO, body="hi")
            await asked.wait()
            sandbox.restore(sandbox.snapshot())
            await sandbox.clock.advance(1)
            go_on.set()
            assert len(sandbox.world().deliveries()) == 1
            assert sandbox.world().pending() == ()
    assert got == 2


async def test_reset_makes_it_new() -> None:
    """After a reset the same commands give the same ids again, and nothing of before is left or delivered."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            first = await client.calls.create(to=TO, from_=FROM)
            await client.webhooks.create(url="http://127.0.0.1:9/", events=["call.completed"])
            sandbox.reset()
            assert (await client.calls.list()).data == ()
            assert (await client.webhooks.list()).data == ()
            assert await sandbox.clock.advance(60) == []
            assert (await client.calls.create(to=TO, from_=FROM)).id == first.id


async def test_worlds_are_apart() -> None:
    """A hundred workers with a key each share one server, and none sees another's calls or resets them."""
    async with Sandbox(port=None, clock="manual", timing=Timing(talk=60)) as sandbox:
        keys = [sandbox.mint_key() for _ in range(100)]

        async def work(number: int) -> None:
            world = sandbox.world(keys[number])
            async with AsyncAjoxi(keys[number], transport=sandbox.transport()) as client:
                for _ in range(number % 5):
                    await client.calls.create(to=TO, from_=FROM)
                await world.clock.advance(number)
                assert len((await client.calls.list()).data) == number % 5
                if number % 2:
                    world.reset()
                    assert (await client.calls.list()).data == ()

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(work, number)


async def test_quota_is_made_new() -> None:
    """A reset gives the whole rate limit back."""
    async with Sandbox(port=None, rate_limit=2) as sandbox:
        request = Request("GET", "/v1/calls", {"Authorization": f"Bearer {sandbox.api_key}"})
        statuses = [(await sandbox.transport().send(request)).status for _ in range(3)]
        sandbox.reset()
        assert [*statuses, (await sandbox.transport().send(request)).status] == [200, 200, 429, 200]


async def test_inbound_to_a_strange_number() -> None:
    """Nobody can call or text a number that is not the account's."""
    async with Sandbox(port=None) as sandbox:
        with pytest.raises(Refusal, match="to is not"):
            sandbox.inbound_call(from_=TO, to="+12125550000")
        with pytest.raises(Refusal, match="to is not"):
            sandbox.inbound_message(from_=TO, to="+12125550000", body="hi")


async def test_a_sandbox_that_is_not_running() -> None:
    """Before and after its block a sandbox can be prepared and looked at; nothing is delivered then, or lost."""
    got: list[bytes] = []

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        got.append(body)
        return 200

    sandbox = Sandbox(port=None, clock="manual", post=post)
    request = Request(
        "POST", "/v1/webhooks", {"Authorization": f"Bearer {sandbox.api_key}"},
        b'{"url": "http://127.0.0.1:9/", "events": ["message.received"]}',
    )  # fmt: skip
    assert (await sandbox.transport().send(request)).status == 201
    sandbox.inbound_message(from_=TO, body="before")
    assert got == []
    for _ in range(2):
        async with sandbox:
            await sandbox.clock.advance(1)
        sandbox.inbound_message(from_=TO, body="after")
    assert len(got) == 2
    assert len(sandbox.world().pending()) == 1
