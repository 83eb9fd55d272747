"""Calls cancelled at any moment leave nothing behind: no task, no socket, no turn, no half-read connection."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, Hooks, OutcomeUnknownError
from ajoxi_async.limits.local import LocalLimiter

from . import kinds
from .clients import client_of
from .server import Exchange, FaultServer, answer, success

SEED = 20261123
#: Calls of the storms. ``AJOXI_STORM=10000 pytest tests/faults/test_cancellation.py`` makes them longer.
CALLS = int(os.environ.get("AJOXI_STORM", "2000"))
#: Far above what is sent, so that turns are waited for now and then and the storm is over soon.
LIMIT = 5_000


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            pass
    return found


def away(client: AsyncAjoxi) -> int:
    """How many turns were taken and not settled; what a limiter keeps is its own affair, so this is the one place."""
    return len(getattr(getattr(client.limiter, "_budget", None), "_away", ()))


def settled(client: AsyncAjoxi) -> bool:
    """Whether no call waits for a permit, and every permit that was taken has been settled."""
    return sum(getattr(client.limiter.snapshot(), "waiting", {}).values()) == 0 and away(client) == 0


async def until_settled(client: AsyncAjoxi) -> None:
    """A turn whose request may have arrived is held for a second or so, and for no longer."""
    with anyio.fail_after(5):
        while not settled(client) or getattr(client.limiter.snapshot(), "in_use", 0):
            await anyio.sleep(0.02)


def answering_late(dice: random.Random) -> Any:
    """Answers with the id that was asked for, after a moment, whole or in two pieces."""

    async def fault(exchange: Exchange) -> None:
        request = await exchange.read()
        exchange.commit()
        if dice.random() < 0.5:
            await anyio.sleep(dice.random() * 0.004)
        reply = success(request, {"X-RateLimit-Limit": LIMIT})
        cut = dice.randrange(len(reply)) if dice.random() < 0.3 else 0
        if cut:
            await exchange.send(reply[:cut])
            await anyio.sleep(0)
        await exchange.send(reply[cut:])

    return fault


async def one_call(client: AsyncAjoxi, number: int) -> str:
    """A GET or a POST whose answer says which request it is for."""
    if number % 3:
        return (await client.calls.retrieve(f"call_{number}")).id.removeprefix("call_")
    call = await client.calls.create(to="+14155551234", from_="+14155550100", metadata={"n": str(number)})
    return call.metadata["n"]


@pytest.mark.asyncio
async def test_storm_on_asyncio() -> None:
    """Many calls, most of them cancelled at a random moment: every cancel arrives, every answer is its request's."""
    dice = random.Random(SEED)
    gc.collect()  # what earlier tests left is not ours, and threads of theirs may still close some
    sockets_before, tasks_before = sockets(), asyncio.all_tasks()
    ends: Counter[str] = Counter()
    unknown: list[OutcomeUnknownError] = []
    async with FaultServer(then=answering_late(dice)) as server:
        client = client_of(
            server.url,
            limiter=LocalLimiter(LIMIT),
            max_connections=40,
            hooks=Hooks(on_outcome_unknown=unknown.append),
        )
        answered: set[str] = set()

        async def one(number: int) -> None:
            task = asyncio.ensure_future(one_call(client, number))
            cancelled = dice.random() < 0.8
            if cancelled:
                for _ in range(dice.choice((0, 1, 2, 3, 5, 8))):
                    await asyncio.sleep(0)
                if dice.random() < 0.7:
                    await asyncio.sleep(dice.random() * 0.03)
                cancelled = task.cancel()
            await asyncio.wait([task])
            if cancelled:
                assert task.cancelled(), "a cancel was swallowed"
                ends["cancelled"] += 1
            else:
                assert task.result() == str(number)
                ends["answered"] += 1
                answered.add(str(number))

        for start in range(0, CALLS, 100):
            await asyncio.gather(*(one(number) for number in range(start, start + 100)))
        assert ends.total() == CALLS
        assert min(ends.values()) > CALLS / 10, ends
        assert settled(client)

        (engine,) = client._pipeline.transport._engines.values()
        rest = engine._rest
        assert not rest.connector._acquired
        assert not any(rest.connector._waiters.values())
        again = range(CALLS, CALLS + 200)
        assert await asyncio.gather(*(one_call(client, number) for number in again)) == [
            str(number) for number in again
        ]
        answered.update(map(str, again))
        await until_settled(client)
        await client.aclose()
        # Of every call that was placed somebody knows: who asked for it, or who watches unknown outcomes.
        told = {error.idempotency_key for error in unknown}
        placed = [request for request in server.committed if request.method == "POST"]
        untold = [request for request in placed if request.headers["idempotency-key"] not in told]
        assert {request.json()["metadata"]["n"] for request in untold} <= answered
        assert len(told) == len(unknown) > CALLS / 100
        assert len({request.headers["idempotency-key"] for request in placed}) == len(placed)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks_before
    assert sockets() <= sockets_before


def test_storm_on_trio() -> None:
    """The same on trio, smaller."""
    import trio

    async def main() -> None:
        dice = random.Random(SEED)
        gc.collect()
        sockets_before = sockets()
        ends: Counter[str] = Counter()

        # By hand and not by a deadline, which the limiter would see coming.
        async def cancel(scope: trio.CancelScope, after: float) -> None:
            await trio.sleep(after)
            scope.cancel()

        async with FaultServer(then=answering_late(dice)) as server:
            client = client_of(server.url, limiter=LocalLimiter(LIMIT), max_connections=20)

            async def one(number: int) -> None:
                async with trio.open_nursery() as nursery:
                    if cancelled := dice.random() < 0.8:
                        nursery.start_soon(cancel, nursery.cancel_scope, dice.random() * 0.06)
                    result = await one_call(client, number)
                    assert result == str(number)
                    ends["answered"] += 1
                    nursery.cancel_scope.cancel()
                    return
                assert cancelled, "a cancel from nowhere"
                ends["cancelled"] += 1

            for start in range(0, CALLS // 4, 50):
                async with trio.open_nursery() as nursery:
                    for number in range(start, start + 50):
                        nursery.start_soon(one, number)
            assert ends.total() == CALLS // 4
            assert min(ends.values()) > CALLS / 40, ends
            assert settled(client)
            for number in range(40):
                assert await one_call(client, number) == str(number)
            await until_settled(client)
            await client.aclose()
        assert sockets() <= sockets_before

    trio.run(main)


@pytest.mark.anyio
async def test_storm_on_streams() -> None:
    """Live streams cancelled at any moment leave no turn and no connection behind."""
    dice = random.Random(SEED)
    # Without a limit in the headers there are no turns to lose.
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-RateLimit-Limit: 5000\r\nConnection: close\r\n\r\n"
    segment = b'{"sequence": 1, "revision": 1, "text": "Hello", "is_final": true}'
    events = (
        b"id: 1\nevent: transcript.segment\ndata: " + segment + b"\n\n"
        b'id: 2\nevent: transcript.completed\ndata: {"call_id": "call_1", "last_sequence": 1}\n\n'
    )

    async def speaking(exchange: Exchange) -> None:
        await exchange.read()
        await anyio.sleep(dice.random() * 0.01)
        await exchange.send(head)
        await anyio.sleep(dice.random() * 0.01)
        await exchange.send(events)
        await exchange.close()

    ends: Counter[str] = Counter()
    async with FaultServer(then=speaking) as server, client_of(server.url, limiter=LocalLimiter(LIMIT)) as client:

        async def one(after: float | None) -> None:
            async with anyio.create_task_group() as tasks:

                async def cancel(after: float) -> None:
                    await anyio.sleep(after)
                    tasks.cancel_scope.cancel()

                if after is not None:
                    tasks.start_soon(cancel, after)
                async with client.transcripts.stream("call_1") as live:
                    assert [segment.text async for segment in live] == ["Hello"]
                ends["completed"] += 1
                tasks.cancel_scope.cancel()
                return
            ends["cancelled"] += 1

        for _ in range(3):
            async with anyio.create_task_group() as tasks:
                for number in range(60):
                    tasks.start_soon(one, dice.random() * 0.03 if number % 3 else None)
        assert min(ends["completed"], ends["cancelled"]) > 10, ends
        assert settled(client)
        with anyio.fail_after(2):
            while server.open_connections:
                await anyio.sleep(0.001)


@pytest.mark.anyio
@pytest.mark.parametrize("part", ["unread", "before headers", "within the head", "within the body"])
async def test_a_post_cancelled_after_sending_is_reported(part: str) -> None:
    """However much of the answer had come, the hook is called for a POST that may have been carried out, and the cancellation is raised."""
    fault = {
        "unread": kinds.stall_unread,
        "before headers": kinds.stall_before_headers,
        "within the head": kinds.stall_mid_head,
        "within the body": kinds.stall_mid_body,
    }[part]
    told: list[OutcomeUnknownError] = []
    async with (
        FaultServer(fault) as server,
        client_of(server.url, hooks=Hooks(on_outcome_unknown=told.append)) as client,
    ):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one_call, client, 0)
                while not server.received:
                    await anyio.sleep(0.001)
                await anyio.sleep(0.01)
                scope.cancel()
        assert scope.cancelled_caught
        assert len(server.received) == 1
        assert [(error.route, error.to, error.attempts) for error in told] == [("calls.create", "+14155551234", 1)]
        # A half-read connection is not used again.
        assert await one_call(client, 1) == "1"
        assert server.connections == 2
        await until_settled(client)


@pytest.mark.anyio
async def test_a_cancel_before_sending_is_no_unknown_outcome() -> None:
    """A POST cancelled while it waits for a connection was not sent: its turn is given back and nothing is reported."""
    told: list[OutcomeUnknownError] = []
    async with (
        FaultServer(kinds.stall_before_headers) as server,
        client_of(server.url, max_connections=1, hooks=Hooks(on_outcome_unknown=told.append)) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(client.calls.retrieve, "call_1")
        while not server.received:
            await anyio.sleep(0.001)
        in_use = getattr(client.limiter.snapshot(), "in_use", 0)
        with anyio.move_on_after(0.02) as scope:
            await one_call(client, 0)
        assert scope.cancelled_caught
        assert not told
        assert getattr(client.limiter.snapshot(), "in_use", 0) == in_use
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_cancel_between_attempts_of_an_unknown_post_is_reported() -> None:
    """Under "always", a POST cancelled while it waits to be sent again may have been carried out the first time."""
    told: list[OutcomeUnknownError] = []
    slow = answer(502, b"<html>", {"Retry-After": 30})

    async def fault(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(slow)

    async with (
        FaultServer(fault) as server,
        client_of(server.url, "always", hooks=Hooks(on_outcome_unknown=told.append)) as client,
    ):
        with anyio.move_on_after(0.1) as scope:
            await one_call(client, 0)
        assert scope.cancelled_caught
        assert len(server.received) == 1
        assert [error.attempts for error in told] == [1]
