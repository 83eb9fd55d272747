"""What must not lose an event, nor run it beside itself: stores that fail, claims that lapse, ends that come early."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from ajoxi_async import CallCompleted, ConfigurationError, Event
from ajoxi_async.contract import signing
from ajoxi_async.webhooks.logs import Claim, MemoryLog, RedisLog, SqliteLog
from ajoxi_async.webhooks.router import Receipt, WebhookRouter

pytestmark = pytest.mark.anyio

SECRET = "whsec_0123456789"


def delivery(id: str = "evt_00000001") -> bytes:
    """The body of a delivery."""
    return msgspec.json.encode({"id": id, "type": "call.completed", "data": {"id": "call_8f2a1b3c"}})


async def send(router: WebhookRouter, id: str = "evt_00000001") -> Receipt:
    """Deliver an event with its signature."""
    body = delivery(id)
    return await router.receive(body, signing.sign(body, [SECRET]))


class Broken(MemoryLog):
    """A store that fails at one of its steps for as long as it is told to."""

    fails = ""

    async def claim(self, id: str, owner: str) -> Claim:
        if self.fails == "claim":
            raise OSError("store is away")
        return await super().claim(id, owner)

    async def done(self, id: str) -> None:
        if self.fails == "done":
            raise OSError("store is away")
        await super().done(id)

    async def release(self, id: str, owner: str) -> None:
        if self.fails == "release":
            raise OSError("store is away")
        await super().release(id, owner)


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize(("step", "status"), [("claim", 503), ("done", 204), ("release", 500)])
async def test_a_store_that_fails(step: str, status: int, opened: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An event that cannot be claimed comes again; one that ran is acknowledged; the router goes on in every case."""
    log = Broken()
    router = WebhookRouter(SECRET, log=log)
    ran: list[str] = []

    @router.fallback
    async def handler(event: Event) -> None:
        ran.append(event.id)
        if log.fails == "release":
            raise RuntimeError

    log.fails = step
    if opened:
        async with router:
            assert (await send(router)).status == status
            log.fails = ""
            assert (await send(router, "evt_2")).status == 204
    else:
        assert (await send(router)).status == status
        log.fails = ""
        assert (await send(router, "evt_2")).status == 204
    assert ran == (["evt_2"] if step == "claim" else ["evt_00000001", "evt_2"])
    assert "store is away" in caplog.text


async def test_background_work_is_confirmed_when_it_is_done() -> None:
    """While it runs the event is running and not done, so that a worker that dies with the answer unsent loses nothing."""
    log, go, ended = MemoryLog(), anyio.Event(), anyio.Event()
    router = WebhookRouter(SECRET, log=log)

    async def later(event: Event) -> None:
        await go.wait()
        ended.set()

    router.on(CallCompleted, background=True)(later)
    async with router:
        assert (await send(router)).status == 204
        assert await log.claim("evt_00000001", "another") == "running"
        assert (await send(router)).status == 503
        go.set()
    assert ended.is_set()
    assert await log.claim("evt_00000001", "another") == "done"


async def test_background_work_that_fails_may_come_again() -> None:
    """A background handler's failure gives the claim up: an event that is delivered or replayed again is handled."""
    router, ran = WebhookRouter(SECRET), 0

    @router.on(CallCompleted, background=True)
    async def later(event: Event) -> None:
        nonlocal ran
        ran += 1
        if ran == 1:
            raise RuntimeError

    async with router:
        assert (await send(router)).status == 204
    async with router:
        assert (await send(router)).status == 204
    assert ran == 2


async def test_an_end_between_a_handler_and_its_background_work() -> None:
    """A router that is being closed while a handler runs still does what follows from the acknowledgement."""
    router, begun, go, ran = WebhookRouter(SECRET), anyio.Event(), anyio.Event(), []
    receipts: list[Receipt] = []

    @router.on(CallCompleted)
    async def first(event: Event) -> None:
        begun.set()
        await go.wait()

    @router.on(CallCompleted, background=True)
    async def later(event: Event) -> None:
        ran.append(event.id)

    async def take() -> None:
        receipts.append(await send(router))

    async def release_soon() -> None:
        await anyio.wait_all_tasks_blocked()
        go.set()

    async with anyio.create_task_group() as tasks:
        async with router:
            tasks.start_soon(take)
            await begun.wait()
            tasks.start_soon(release_soon)
    assert [receipt.status for receipt in receipts] == [204]
    assert ran == ["evt_00000001"]


async def test_what_was_acknowledged_outlives_a_cancelled_server() -> None:
    """Cancelling whoever holds the router open does not cut off work whose delivery was acknowledged."""
    router, begun, ran = WebhookRouter(SECRET), anyio.Event(), []

    @router.on(CallCompleted, background=True)
    async def later(event: Event) -> None:
        begun.set()
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        ran.append(event.id)

    with anyio.CancelScope() as server:
        async with router:
            assert (await send(router)).status == 204
            server.cancel()
            await anyio.sleep_forever()
    assert ran == ["evt_00000001"]


class Fatal(BaseException):
    """What libraries end a thread or a test with, such as a timeout of gevent."""


async def await_what_was_cancelled() -> None:
    """What a handler does that shares a task with others, on asyncio."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def cancel_oneself() -> None:
    """End the task of the handler, and no other."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def be_fatal() -> None:
    """Raise what is no Exception."""
    raise Fatal


def awaiting(function: Callable[[], Awaitable[None]]) -> Callable[[Event], Awaitable[None]]:
    """A handler that calls a function."""

    async def handler(event: Event) -> None:
        await function()

    return handler


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("end", [await_what_was_cancelled, cancel_oneself, be_fatal])
async def test_a_handler_that_ends_like_a_cancelled_task_ends_no_other(
    end: Callable[[], Awaitable[None]], background: bool
) -> None:
    """Whatever leaves a handler, the event is released at once, and the router handles on what it handles beside it."""
    router, begun, go, ran = WebhookRouter(SECRET), anyio.Event(), anyio.Event(), list[str]()
    told: list[int] = []

    @router.on(CallCompleted, background=background)
    async def handler(event: Event) -> None:
        if event.id == "evt_bad" and "evt_bad" not in ran:
            ran.append(event.id)
            await end()
        if event.id == "evt_slow":
            begun.set()
            await go.wait()
        ran.append(event.id)

    async def take_slowly() -> None:
        told.append((await send(router, "evt_slow")).status)

    async with router, anyio.create_task_group() as tasks:
        tasks.start_soon(take_slowly)
        await begun.wait()
        try:
            told.append((await send(router, "evt_bad")).status)
        except Fatal:
            told.append(0)
        await anyio.wait_all_tasks_blocked()
        assert (await send(router, "evt_bad")).status == 204
        go.set()
    assert sorted(ran) == ["evt_bad", "evt_bad", "evt_slow"]
    assert set(told) <= ({204} if background else {0, 204, 500, 503})
    assert ran.count("evt_slow") == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_handler_that_awaits_what_was_cancelled_is_answered_500() -> None:
    """Nobody has cancelled the delivery, so the handler has failed, also where the router is not open."""
    router, ran = WebhookRouter(SECRET), []
    router.fallback(awaiting(await_what_was_cancelled))

    @router.fallback
    async def second(event: Event) -> None:
        ran.append(event.id)

    assert (await send(router)).status == 500
    assert ran == ["evt_00000001"]
    async with router:
        assert (await send(router)).status == 500


async def test_a_delivery_while_the_router_is_being_opened() -> None:
    """An event that comes before the tasks of the router are there is handled like that of a router that is not open."""
    router, ran = WebhookRouter(SECRET), list[str]()
    receipts: list[Receipt] = []

    @router.fallback
    async def handler(event: Event) -> None:
        ran.append(event.id)

    async def take() -> None:
        receipts.append(await send(router))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        tasks.start_soon(take)
        async with router:
            await anyio.wait_all_tasks_blocked()
    assert ran == ["evt_00000001"]
    assert {receipt.status for receipt in receipts} <= {204, 503}


class Slow(MemoryLog):
    """A store that has made a claim before it can say so."""

    def __init__(self) -> None:
        super().__init__()
        self.claimed = anyio.Event()

    async def claim(self, id: str, owner: str) -> Claim:
        claim = await super().claim(id, owner)
        if not self.claimed.is_set():
            self.claimed.set()
            await anyio.sleep_forever()
        return claim


async def test_a_delivery_that_is_cancelled_while_it_is_claimed() -> None:
    """The claim may have been made: it is released, or nobody would handle the event for the length of a lease."""
    log, ran = Slow(), list[str]()
    router = WebhookRouter(SECRET, log=log)

    @router.fallback
    async def handler(event: Event) -> None:
        ran.append(event.id)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, router)
        await log.claimed.wait()
        tasks.cancel_scope.cancel()
    assert (await send(router)).status == 204
    assert ran == ["evt_00000001"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_claim_that_waits_for_the_file(tmp_path: Path) -> None:
    """`task.cancel()` of asyncio leaves the thread to itself, which must not claim afterwards for a task that has gone."""
    log = SqliteLog(tmp_path / "events.db")
    with log._place().lock:
        task = asyncio.create_task(log.claim("evt_1", "gone"))
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    try:
        assert await log.claim("evt_1", "next") == "new"
    finally:
        log.close()


@pytest.mark.parametrize(("fails", "status"), [(False, 204), (True, 500)])
async def test_a_log_that_is_slow_after_the_handlers_ran(fails: bool, status: int) -> None:
    """The answer is what became of the event. A 503 would have it handled again if the log does not note it in the end."""
    go = anyio.Event()

    class Slow(MemoryLog):
        async def done(self, id: str) -> None:
            await go.wait()

        async def release(self, id: str, owner: str) -> None:
            await go.wait()

    router = WebhookRouter(SECRET, log=Slow(), answer_within=0.5)

    @router.fallback
    async def handler(event: Event) -> None:
        if fails:
            raise RuntimeError

    async with router:
        receipt = await send(router)
        go.set()
    assert receipt.status == status


@pytest.mark.parametrize("nonsense", [None, True, "NEW", 1, ["new"]])
async def test_a_log_that_returns_nonsense(nonsense: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It has not said that the event is new: nothing is handled, the sender keeps the event, and the reason is logged."""

    class Strange(MemoryLog):
        async def claim(self, id: str, owner: str) -> Claim:
            return nonsense  # type: ignore[no-any-return]

    router, ran = WebhookRouter(SECRET, log=Strange()), list[str]()

    @router.fallback
    async def handler(event: Event) -> None:
        ran.append(event.id)

    assert (await send(router)).status == 503
    assert not ran
    assert "the log's claim returned" in caplog.text


@pytest.fixture(params=["memory", "sqlite", "redis"])
def leased(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A log, and what lets the claims that are held lapse."""
    if request.param == "redis":
        import redis

        client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
        request.addfinalizer(client.close)
        client.flushall()
        return RedisLog(client), client.flushall
    now = [1000.0]
    kind: Any = MemoryLog if request.param == "memory" else lambda **more: SqliteLog(tmp_path / "events.db", **more)
    log = kind(clock=lambda: now[0], lease=10)
    if request.param == "sqlite":
        request.addfinalizer(log.close)
    return log, lambda: now.__setitem__(0, now[0] + 11)


async def test_a_late_worker_gives_up_nothing_but_its_own_claim(leased: Any) -> None:
    """A worker whose claim lapsed releases neither the claim of the one that took over nor what that one has done."""
    log, lapse = leased
    assert await log.claim("evt_1", "late") == "new"
    lapse()
    assert await log.claim("evt_1", "second") == "new"
    await log.release("evt_1", "late")
    assert await log.claim("evt_1", "third") == "running"
    await log.done("evt_1")
    await log.release("evt_1", "late")
    await log.release("evt_1", "second")
    assert await log.claim("evt_1", "third") == "done"


async def test_a_redis_client_that_is_asynchronous() -> None:
    """It would make every claim look new without asking anybody: it is refused where it is given."""
    import redis.asyncio

    with pytest.raises(ConfigurationError, match=r"redis: expected .*redis\.Redis"):
        RedisLog(redis.asyncio.Redis())


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
async def test_sqlite_is_not_shared_over_a_fork(tmp_path: Path) -> None:
    """A connection of SQLite must not be carried into a forked worker: each process opens its own."""
    log = SqliteLog(tmp_path / "events.db")
    await log.claim("evt_1", "parent")
    before = log._connection()
    real = os.getpid
    try:
        os.getpid = lambda: -1  # what a forked child would see
        after = log._connection()
        assert after is not before
        assert after is log._connection()
        assert await log.claim("evt_1", "child") == "running"
    finally:
        os.getpid = real
        log.close()
        before.close()
        after.close()
