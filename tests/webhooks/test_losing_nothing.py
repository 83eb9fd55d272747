"""What must not lose an event, nor run it beside itself: stores that fail, claims that lapse, ends that come early."""

from __future__ import annotations

import os
import sys
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
