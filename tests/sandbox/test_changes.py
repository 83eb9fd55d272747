"""Changes of a world, for any number of subscribers: what they are told, what they hold, and that nothing else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import ClientSession
from hypothesis import given, settings
from hypothesis import strategies as st

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import Changes, ChangeSubscription, Timing
from ajoxi_async.sandbox.feed.changes import KINDS, MOST, ChangeFeed

from .test_control import surface
from .wires import Watch, played

TO, FROM = "+15005550100", "+14155550100"


# The core


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["mark", "mark", "mark", "take", "come", "go", "replace"]), st.integers(0, 9)))
)
def test_each_subscriber_is_told_all_that_changed_since_its_batch(steps: list[tuple[str, int]]) -> None:
    """Whatever others take and whoever comes and goes, a batch is what changed since the subscriber's last one, each once."""
    feed = ChangeFeed(lambda: None)
    kinds = [frozenset(KINDS), frozenset({"call"}), frozenset({"call", "number"})]
    subscribers: list[tuple[Any, list[tuple[str, str]], list[bool]]] = []
    for step, number in steps:
        if step == "mark":
            mark = ("call", "message", "number")[number % 3], str(number)
            feed.mark(*mark)
            for held, expected, _ in subscribers:
                if mark[0] in held.kinds and mark not in expected:
                    expected.append(mark)
        elif step == "come":
            subscribers.append((feed.subscribe(kinds[number % 3], lambda: None), [], []))
        elif step == "replace":
            feed.replaced()
            for _, expected, stale in subscribers:
                expected.clear()
                stale.append(True)
        elif subscribers:
            held, expected, stale = subscribers[number % len(subscribers)]
            if step == "go":
                feed.unsubscribe(held)
                del subscribers[number % len(subscribers)]
                continue
            batch = feed.take(held)
            found = [(kind, id) for kind, ids in batch.changed.items() for id in ids]
            assert sorted(found) == ([] if stale else sorted(expected))
            assert batch.stale == (held.kinds if stale else frozenset())
            expected.clear()
            stale.clear()
    assert feed.watched == bool(subscribers)


def test_a_stalled_subscriber_holds_a_bounded_amount() -> None:
    """Over 2,000 objects of a kind its batch calls the kind stale; others, and those who take in time, are told the ids."""
    feed = ChangeFeed(lambda: None)
    stalled, reading = feed.subscribe(frozenset(KINDS), lambda: None), feed.subscribe(frozenset({"call"}), lambda: None)
    told: list[str] = []
    for number in range(20 * MOST):
        feed.mark("call", f"call_{number}")
        feed.mark("number", f"num_{number % 10}")
        if number % 500 == 0:
            told.extend(feed.take(reading).changed["call"])
        assert len(stalled) <= 2 * MOST
    told.extend(feed.take(reading).changed["call"])
    assert told == [f"call_{number}" for number in range(20 * MOST)]
    batch = feed.take(stalled)
    assert (batch.stale, batch.changed["number"]) == (frozenset({"call"}), tuple(f"num_{n}" for n in range(10)))
    assert not feed.take(stalled)
    feed.mark("call", "call_1")
    assert feed.take(stalled).changed == {"call": ("call_1",)}


def test_a_subscriber_is_told_once_until_it_looks() -> None:
    """It is called when the first thing changes, not for each; after it looked, the next change calls it again."""
    feed, calls = ChangeFeed(lambda: None), [0, 0]

    def wake(number: int) -> None:
        calls[number] += 1

    first = feed.subscribe(frozenset({"call"}), lambda: wake(0))
    second = feed.subscribe(frozenset({"message"}), lambda: wake(1))
    for _ in range(3):
        feed.mark("call", "call_1")
    assert calls[0] == 1
    assert not feed.has(second)
    feed.mark("message", "msg_1")
    assert calls[1] == 2
    assert feed.has(first)
    assert feed.has(second)


def test_nobody_is_told_of_the_journals_own_rows() -> None:
    """Timers and counters are rows of the journal and no changes; without subscribers nothing at all is held."""
    feed = ChangeFeed(lambda: None)
    feed.mark("call", "call_1")
    held = feed.subscribe(frozenset(KINDS), lambda: None)
    for kind in ("timer", "minted", "secret", "attempt", "world"):
        feed.mark(kind, "x")
    assert not feed.take(held)
    assert feed.seq == 0


# Of a world


async def next_of(changes: ChangeSubscription) -> dict[str, tuple[str, ...]]:
    """The next batch, without the clock."""
    with anyio.fail_after(5):
        batch = await anext(changes)
    return {kind: ids for kind, ids in batch.changed.items() if kind != "clock"}


@pytest.mark.anyio
async def test_what_is_told() -> None:
    """Calls, messages, recordings, numbers, webhooks, deliveries, campaigns, faults, keys, requests and time, each by its id."""

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        return 500

    async with Sandbox(port=None, clock="manual", post=post) as sandbox, sandbox.changes(every=0) as changes:
        world = sandbox.world()
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            webhook = await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
            assert (await next_of(changes))["webhook"] == (webhook.id,)
            call = await client.calls.create(to=TO, from_=FROM, record=True)
            batch = changes.take().changed
            assert (batch["call"], batch["ring"]) == ((call.id,), ("0",))
            assert batch["request"] == tuple(one.id for one in sandbox.requests.find(route="calls.create"))
            found = await client.numbers.search(limit=1)
            number = await client.numbers.provision(phone_number=str(found.data[0].phone_number))
            assert changes.take().changed["number"] == (number.id,)
            await sandbox.clock.advance(until_event="recording.ready")
            batch = changes.take().changed
            recordings = (await client.recordings.list()).data
            assert (batch["call"], batch["recording"]) == ((call.id,), (recordings[0].id,))
            assert (batch["snapshot"], batch["clock"]) == ((world.marks()[0].id,), ("clock",))
            started = await client.calls.create_campaign(name="c", mode="power", contacts=[TO], from_=FROM)
            assert changes.take().changed["campaign"] == (started.id,)
            await sandbox.clock.advance(until_event="call.completed")
            assert changes.take().changed["campaign"] == (started.id,)
        message = sandbox.inbound_message(from_=TO, body="STOP")
        (delivery,) = world.pending()
        batch = changes.take().changed
        assert (batch["message"], batch["delivery"], batch["opted_out"]) == ((message.id,), (delivery.id,), (TO,))
        await sandbox.clock.advance(0)
        assert changes.take().changed["delivery"] == (delivery.id,)
        fault = sandbox.faults.add(action="latency", match="calls.list", seconds=0)
        assert changes.take().changed == {"fault": (fault.id,)}
        key = sandbox.mint_key()
        assert changes.take().changed == {"key": (sandbox.keys()[1].id,)}
        sandbox.delete_key(key)
        assert len(changes.take().changed["key"]) == 1
        await sandbox.clock.advance(until_idle=True)
        changes.take()
        world.replay()
        assert changes.take().changed["delivery"] == (delivery.id,)
        await sandbox.clock.advance(60)
        assert "clock" in changes.take().changed
        sandbox.faults.clear()
        assert changes.take().changed == {"fault": (fault.id,)}


@pytest.mark.anyio
async def test_time_alone() -> None:
    """An advance in which nothing is due tells of the clock."""
    async with Sandbox(port=None, clock="manual") as sandbox, sandbox.changes({"clock"}, every=0) as changes:
        await sandbox.clock.advance(60)
        assert (await anext(changes)).changed == {"clock": ("clock",)}


@pytest.mark.anyio
async def test_reset_and_restore_make_everything_stale() -> None:
    """Another epoch, every kind stale and no ids of before; then the new account is followed and the old one is not."""
    async with Sandbox(port=None, clock="manual") as sandbox, sandbox.changes(every=0) as changes:
        snapshot = sandbox.snapshot()
        sandbox.inbound_call(from_=TO)
        old = sandbox.world().account
        for again in (lambda: sandbox.restore(snapshot), sandbox.reset):
            before = changes.take().epoch
            again()
            batch = changes.take()
            assert (batch.epoch, batch.stale) == (before + 1, frozenset(KINDS))
            assert batch.changed.keys() <= {"clock"}
        old.mark_changed("call", "call_old")
        call = sandbox.inbound_call(from_=TO)
        assert changes.take().changed["call"] == (call.id,)


@pytest.mark.anyio
@pytest.mark.parametrize("clock", ["real", "speed=100", "manual", "auto", "live"])
async def test_on_every_clock(clock: str) -> None:
    """A call is told of until it is over, whatever moves time, and each batch shows it as it then is."""
    timing = Timing(ring=0.01, talk=0.02)
    async with Sandbox(port=None, clock=clock, timing=timing) as sandbox, sandbox.changes({"call"}, every=0) as changes:
        call = sandbox.inbound_call(from_=TO)
        if clock == "manual":
            await sandbox.clock.advance(until_idle=True)
        with anyio.fail_after(5):
            async for batch in changes:
                assert batch.changed == {"call": (call.id,)}
                shown = sandbox.world().account.calls.get(call.id)
                assert shown is not None
                if shown.status == "completed":
                    break


@pytest.mark.anyio
async def test_batches_keep_their_distance() -> None:
    """The first change comes at once; what changes soon after comes together, `every` seconds later."""
    async with Sandbox(port=None, clock="manual") as sandbox, sandbox.changes({"call"}, every=0.2) as changes:
        first = sandbox.inbound_call(from_=TO)
        began = anyio.current_time()
        assert (await anext(changes)).changed["call"] == (first.id,)
        assert anyio.current_time() - began < 0.15
        more = [sandbox.inbound_call(from_=TO).id for _ in range(3)]
        assert (await anext(changes)).changed["call"] == tuple(more)
        assert anyio.current_time() - began >= 0.19


@pytest.mark.anyio
async def test_a_subscription_ends() -> None:
    """With the sandbox, with the world of a deleted key, and when another task leaves its block; not before."""
    ended: list[str] = []

    async def follow(name: str, changes: ChangeSubscription) -> None:
        async for _ in changes:
            pass
        ended.append(name)

    async def until(*names: str) -> None:
        with anyio.fail_after(5):
            while set(ended) != set(names):
                await anyio.sleep(0.001)

    async with anyio.create_task_group() as tasks:
        async with Sandbox(port=None, clock="manual") as sandbox:
            key = sandbox.mint_key()
            own, others, left = sandbox.changes(every=0), sandbox.world(key).changes(every=0), sandbox.changes(every=0)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(own)
                await stack.enter_async_context(others)
                async with left:
                    for name, changes in (("own", own), ("others", others), ("left", left)):
                        tasks.start_soon(follow, name, changes)
                    await anyio.sleep(0.01)
                    assert ended == []
                await until("left")
                sandbox.delete_key(key)
                await until("left", "others")
                stack.pop_all()
        await until("left", "others", "own")


@pytest.mark.anyio
async def test_a_cancelled_reader_loses_nothing() -> None:
    """What was waited for in vain is told to the next reader of the same subscription."""
    async with Sandbox(port=None, clock="manual") as sandbox, sandbox.changes({"call"}, every=0) as changes:
        for _ in range(20):
            with anyio.move_on_after(0):
                await anext(changes)
            call = sandbox.inbound_call(from_=TO)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anext(changes)
            assert (await anext(changes)).changed["call"] == (call.id,)


@pytest.mark.anyio
async def test_what_cannot_be() -> None:
    """A kind that does not exist, no seconds, and a subscription that was not entered are refused by name."""
    async with Sandbox(port=None) as sandbox:
        for wrong in ({"calls"}, set(), "calls"):
            with pytest.raises(InvalidParameterError, match="kinds"):
                sandbox.changes(wrong)
        for every in (-1, float("inf"), float("nan"), "1", True):
            with pytest.raises(InvalidParameterError, match="every"):
                sandbox.changes(every=every)  # type: ignore[arg-type]
        with pytest.raises(InvalidParameterError, match="entered"):
            sandbox.changes().take()


@pytest.mark.anyio
async def test_nothing_is_left_behind() -> None:
    """Once the last subscriber left, no hook is set any more, in the world, its faults and the log of requests."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        account = sandbox.world().account
        async with sandbox.changes(), sandbox.changes():
            assert account.on_changed is not None
        assert (account.on_changed, account.calls.changed, sandbox.faults.changed) == (None, None, None)
        assert (sandbox.requests.changed, sandbox._worlds.watched) == (None, {})


@pytest.mark.anyio
async def test_every_world_is_told_of_requests_and_keys() -> None:
    """Whoever follows any world is told of the requests and keys of all, however many worlds are followed."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        other = sandbox.mint_key()
        sent = {"Authorization": f"Bearer {other}"}
        async with sandbox.changes({"request", "key"}) as own:
            for many in (False, True, False):
                async with AsyncExitStack() as stack:
                    also = await stack.enter_async_context(sandbox.world(other).changes()) if many else None
                    await sandbox.transport().send(Request("GET", "http://x/v1/calls", sent))
                    sandbox.mint_key()
                    expected = {
                        "request": (next(reversed(list(sandbox.requests))).id,),
                        "key": (sandbox.keys()[-1].id,),
                    }
                    assert own.take().changed == expected
                    assert also is None or expected.items() <= also.take().changed.items()


# Over HTTP


@pytest.mark.asyncio
async def test_the_feed_over_http() -> None:
    """Everything is stale at first, then each change is an event with the world's time; it ends with the key, and 401 is no feed."""
    async with Sandbox(clock="manual") as sandbox, ClientSession() as session:
        url, token = f"{sandbox.base_url}/_ajoxi/feed", {"Authorization": f"Bearer {sandbox.control_token}"}
        world = sandbox.world(sandbox.mint_key())
        async with session.get(f"{url}?kinds=call,clock", headers={**token, "X-Ajoxi-Key": world.id}) as response:
            assert response.headers["Content-Type"] == "text/event-stream"

            async def event() -> dict[str, Any]:
                async with asyncio.timeout(5):
                    while not (line := await response.content.readline()).startswith(b"data: "):
                        assert line
                return json.loads(line.removeprefix(b"data: "))  # type: ignore[no-any-return]

            assert (await event())["stale"] == ["call", "clock"]
            call = world.inbound_call(from_=TO)
            batch = await event()
            assert (batch["changed"]["call"], batch["stale"]) == ([call.id], [])
            await world.clock.advance(until_idle=True)
            while (batch := await event())["clock"]["now"] < "2026-01-01T00:00:03.400Z":
                pass
            assert batch["clock"]["mode"] == "manual"
            world.reset()
            assert (await event())["epoch"] == 1
            sandbox.delete_key(world.id)
            async with asyncio.timeout(5):
                assert b"data" not in await response.content.read()
        for sent, status in (({}, 401), (token, 400)):
            async with session.get(f"{url}?kinds=colour", headers=sent) as refused:
                assert refused.status == status
        while sandbox._worlds.watched:
            await asyncio.sleep(0.001)


@pytest.mark.asyncio
async def test_snapshots_are_told_of() -> None:
    """A snapshot that is made or deleted over HTTP is a change of its world."""
    async with surface() as (sandbox, ask), sandbox.changes({"snapshot"}, every=0) as changes:
        _, made = await ask("POST", "snapshots")
        assert changes.take().changed == {"snapshot": (made["id"],)}
        await ask("DELETE", f"snapshots/{made['id']}")
        assert changes.take().changed == {"snapshot": (made["id"],)}


# Nothing else notices


def followed(subscribers: int, stalled: bool) -> Watch:
    """So many subscribers; with `stalled`, the first one takes nothing."""
    told: list[Changes] = []

    async def follow(changes: ChangeSubscription) -> None:
        async for batch in changes:
            told.append(batch)

    @asynccontextmanager
    async def watch(sandbox: Sandbox) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack, anyio.create_task_group() as followers:
            for number in range(subscribers):
                changes = await stack.enter_async_context(sandbox.changes(every=0 if number % 2 else 0.001))
                if number or not stalled:
                    followers.start_soon(follow, changes)
            yield
            followers.cancel_scope.cancel()
        assert bool(told) == (subscribers > stalled)

    return watch


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_the_same_with_any_number_of_subscribers(seed: int) -> None:
    """The same seed and commands give the same bytes on every wire with 0, 1 and 5 subscribers, one of which takes nothing."""
    alone = anyio.run(played, seed, followed(0, False))
    assert sum(map(len, alone.values())) > 20
    assert anyio.run(played, seed, followed(1, False)) == alone
    assert anyio.run(played, seed, followed(5, True)) == alone
