"""One campaign on several machines: one dials, the others stand by, whatever becomes of the database and the lines to it."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.dialer import Campaign, Ledger, Progress
from ajoxi_async.dialer.clock import boot_time
from ajoxi_async.dialer.dialing.control import Control
from ajoxi_async.dialer.storage import postgres_owner
from ajoxi_async.dialer.storage.postgres import PostgresDatabase
from ajoxi_async.dialer.storage.statements import commands
from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.limits.redis import RedisLimiter
from ajoxi_async.sandbox import AutoClock
from tests.limits.redis_server import Server as RedisServer
from tests.limits.redis_server import find_redis

from .cut_proxy import CutProxy
from .partition_rounds import rounds_of
from .postgres_server import PostgresServer
from .worlds import FROM, fill, wait_until

pytestmark = pytest.mark.anyio
NUMBERS = [14045560000 + each for each in range(40)]
LEASE = 1.0
#: Of the processes that are killed and cut off; `AJOXI_PARTITION_ROUNDS=20` for more.
ROUNDS = int(os.environ.get("AJOXI_PARTITION_ROUNDS", "1"))
#: What happens in the database is the same on trio; the first two tests run on both.
ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture(autouse=True)
def _short_skew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_owner, "SKEW", 0.1)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(port=None, clock=AutoClock(pause=0.0005), rate_limit=None, marks=0) as sandbox:
        yield sandbox


@asynccontextmanager
async def machine(
    sandbox: Sandbox, url: str, limiter: object = None, name: str = "autumn", lease: float = LEASE
) -> AsyncIterator[Campaign]:
    """The campaign as a machine has it, with a ledger object and a client of its own."""
    # Two seconds is libpq's least.
    database = PostgresDatabase(f"{url}?connect_timeout=2", lease=lease, request_timeout=0.3)
    client = AsyncAjoxi(sandbox.api_key, transport=sandbox.transport(), limiter=limiter or LocalLimiter(None))
    async with Ledger(database) as ledger, client:
        yield await Campaign.open(ledger, client, name, from_=FROM, concurrency=2, clock=sandbox.clock)


async def new_campaign(sandbox: Sandbox, postgres: PostgresServer, name: str = "autumn", url: str | None = None) -> str:
    """Make a campaign with contacts, and give the URL of its ledger."""
    url = url or postgres.new_database()
    async with machine(sandbox, url, name=name) as campaign:
        await fill(campaign._ledger, campaign, NUMBERS)
    return url


async def follow(campaign: Campaign, seen: list[Progress]) -> None:
    async for progress in campaign.run(every=0.02):
        seen.append(progress)


def rang(sandbox: Sandbox) -> int:
    return len(sandbox.world().rings())


def each_rang_once(sandbox: Sandbox) -> bool:
    return Counter(ring.number for ring in sandbox.world().rings()) == Counter(f"+{number}" for number in NUMBERS)


def nobody_is_called_twice_or_lost(sandbox: Sandbox, last: Progress) -> bool:
    """Who was not called is in doubt: an intent may have become durable although its owner was cut off before it heard of it."""
    rung = Counter(ring.number for ring in sandbox.world().rings())
    settled = last.contacts["done"] + last.contacts["unknown"] == len(NUMBERS)
    return settled and set(rung.values()) == {1} and len(NUMBERS) - len(rung) == last.contacts["unknown"]


async def test_a_standby_sends_nothing_until_the_owner_is_gone(sandbox: Sandbox, postgres: PostgresServer) -> None:
    """The second owner sends nothing and says that it stands by; when the first one leaves, it goes on to the end."""
    url = await new_campaign(sandbox, postgres)
    first_seen: list[Progress] = []
    second_seen: list[Progress] = []
    async with machine(sandbox, url) as first, machine(sandbox, url) as second, anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as running:
            running.start_soon(follow, first, first_seen)
            await wait_until(lambda: rang(sandbox) > 3)
            tasks.start_soon(follow, second, second_seen)
            await wait_until(lambda: bool(second_seen))
            assert "standing by" in (second_seen[0].reason or "")
            assert second._ledger.database.owned("autumn") is False
            running.cancel_scope.cancel()
        left = rang(sandbox)
        await wait_until(lambda: bool(second_seen) and second_seen[-1].over)
    assert left < len(NUMBERS)
    assert each_rang_once(sandbox)
    assert second_seen[-1].contacts["done"] == len(NUMBERS)


async def test_the_database_cut_off_from_one_of_two(sandbox: Sandbox, postgres: PostgresServer, line: CutProxy) -> None:
    """An owner that reaches the API and not the database stops; the other one goes on; nobody is called twice or forgotten."""
    url = await new_campaign(sandbox, postgres)
    cut_seen: list[Progress] = []
    seen: list[Progress] = []
    async with (
        machine(sandbox, url.replace(str(postgres.port), str(line.port))) as cut,
        machine(sandbox, url) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(follow, cut, cut_seen)
        await wait_until(lambda: rang(sandbox) > 3)
        tasks.start_soon(follow, other, seen)
        await wait_until(lambda: bool(seen))
        line.cut()
        await wait_until(lambda: other._ledger.database.owned("autumn"))
        assert not cut._ledger.database.owned("autumn")
        await wait_until(lambda: seen[-1].over)
        await wait_until(lambda: "standing by" in (cut_seen[-1].reason or ""))
        line.mend()
        await wait_until(lambda: cut_seen[-1].over)
    assert nobody_is_called_twice_or_lost(sandbox, seen[-1])


@ASYNCIO
@pytest.mark.parametrize("how", ["sessions ended", "server crashed"])
async def test_the_database_restarts_in_mid_run(sandbox: Sandbox, postgres: PostgresServer, how: str) -> None:
    """A run goes on by itself when the database is back, and calls nobody twice."""
    url = await new_campaign(sandbox, postgres)
    seen: list[Progress] = []
    async with machine(sandbox, url) as campaign, anyio.create_task_group() as tasks:
        tasks.start_soon(follow, campaign, seen)
        await wait_until(lambda: rang(sandbox) > 3)
        if how == "sessions ended":
            assert await anyio.to_thread.run_sync(postgres.end_sessions, url) == 2
        else:
            await anyio.to_thread.run_sync(postgres.stop)
            await wait_until(lambda: "cannot be reached" in (seen[-1].reason or ""))
            await anyio.to_thread.run_sync(postgres.start)
        await wait_until(lambda: seen[-1].over)
    assert nobody_is_called_twice_or_lost(sandbox, seen[-1])


@contextmanager
def _failover(postgres: PostgresServer, url: str) -> Iterator[Callable[[], None]]:
    """A copy of the tables as they are now, and a function that puts it in their place, as an asynchronous replica would be."""
    with postgres.admin(url) as admin:
        tables = [
            name for (name,) in admin.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'ajoxi_dialer'")
        ]
        admin.execute("CREATE SCHEMA replica")
        for name in tables:
            admin.execute(f"CREATE TABLE replica.{name} AS TABLE ajoxi_dialer.{name}")

        def promote() -> None:
            postgres.end_sessions(url)
            with postgres.admin(url) as admin, admin.transaction():
                for name in tables:
                    admin.execute(f"TRUNCATE ajoxi_dialer.{name}")
                    admin.execute(f"INSERT INTO ajoxi_dialer.{name} SELECT * FROM replica.{name}")

        yield promote


@ASYNCIO
async def test_a_failover_to_a_replica_that_is_behind(sandbox: Sandbox, postgres: PostgresServer) -> None:
    """Calls that the promoted replica does not know are adopted from the API's list before anybody is dialled."""
    url = await new_campaign(sandbox, postgres)
    seen: list[Progress] = []
    async with machine(sandbox, url) as campaign, anyio.create_task_group() as tasks:
        tasks.start_soon(follow, campaign, seen)
        await wait_until(lambda: rang(sandbox) > 3)
        with _failover(postgres, url) as promote:
            await wait_until(lambda: rang(sandbox) > 15)
            await anyio.to_thread.run_sync(promote)
        await wait_until(lambda: seen[-1].over)
    assert each_rang_once(sandbox)
    assert seen[-1].contacts["done"] == len(NUMBERS)
    assert seen[-1].counts["adopted"] > 0


@ASYNCIO
async def test_a_command_reaches_the_owner_on_another_machine(sandbox: Sandbox, postgres: PostgresServer) -> None:
    """After `pause` and `do_not_call` of another machine have returned, no request leaves that they forbid."""
    url = await new_campaign(sandbox, postgres)
    seen: list[Progress] = []
    async with machine(sandbox, url) as owner, machine(sandbox, url) as other, anyio.create_task_group() as tasks:
        tasks.start_soon(follow, owner, seen)
        await wait_until(lambda: rang(sandbox) > 3)
        await other.pause("lunch")
        sent = len(sandbox.requests.find(route="calls.create"))
        await anyio.sleep(0.1)
        assert len(sandbox.requests.find(route="calls.create")) == sent < len(NUMBERS)
        await other.do_not_call(f"+{NUMBERS[-1]}")
        await other.resume()
        await wait_until(lambda: seen[-1].over)
    assert seen[-1].contacts["suppressed"] == 1
    assert not sandbox.world().rings(f"+{NUMBERS[-1]}")


@ASYNCIO
async def test_a_pause_that_the_owner_of_another_campaign_has_carried_out(
    sandbox: Sandbox, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pause` does not return before the owner of its own campaign has heard of it, whoever has carried it out."""
    url = await new_campaign(sandbox, postgres)
    await new_campaign(sandbox, postgres, "winter", url)
    look, hears, deaf, paused = Control.look, anyio.Event(), anyio.Event(), anyio.Event()

    async def looked(control: Control) -> None:
        if deaf.is_set() and control.running.name == "autumn":
            await hears.wait()
        await look(control)

    async def pause(campaign: Campaign) -> None:
        await campaign.pause()
        paused.set()

    monkeypatch.setattr(Control, "look", looked)
    async with (
        machine(sandbox, url, lease=20.0) as autumn,
        machine(sandbox, url, lease=20.0, name="winter") as winter,
        machine(sandbox, url, lease=20.0) as other,
        anyio.create_task_group() as tasks,
    ):
        for campaign in (autumn, winter):
            tasks.start_soon(follow, campaign, [])
        await wait_until(lambda: autumn.runs and winter.runs)
        deaf.set()
        tasks.start_soon(pause, other)
        with anyio.fail_after(20):
            while not await other._ledger.read(commands.applied):
                await anyio.sleep(0.002)
        await other.progress()  # Time for another look at what was carried out.
        await other.progress()
        assert (await other.progress()).state == "paused" and not paused.is_set()
        hears.set()
        await wait_until(paused.is_set)
        tasks.cancel_scope.cancel()


@ASYNCIO
async def test_do_not_call_reaches_the_owners_of_other_campaigns(sandbox: Sandbox, postgres: PostgresServer) -> None:
    """A number that one campaign's owner is told not to call is not called by the other machine, which owns another campaign."""
    url = await new_campaign(sandbox, postgres)
    await new_campaign(sandbox, postgres, "winter", url)
    seen: list[Progress] = []
    async with (
        machine(sandbox, url) as autumn,
        machine(sandbox, url, name="winter") as winter,
        anyio.create_task_group() as tasks,
    ):
        await winter.pause()
        tasks.start_soon(follow, winter, seen)
        await wait_until(lambda: bool(seen))
        await autumn.do_not_call(f"+{NUMBERS[-1]}")
        await wait_until(lambda: seen[-1].contacts["suppressed"] == 1)
        tasks.cancel_scope.cancel()


@ASYNCIO
async def test_two_machines_keep_to_one_cap(
    postgres: PostgresServer, tmp_path: Path, missing: Callable[[str], None]
) -> None:
    """Owners of two campaigns with one key share its rate limit by `RedisLimiter`: the API refuses none of their requests."""
    binary = find_redis()
    if binary is None:
        missing("redis-server or valkey-server: apt-get install redis-server")
        return
    redis = RedisServer(binary, tmp_path)
    seen: list[list[Progress]] = [[], []]
    try:
        async with Sandbox(port=None, clock=AutoClock(pause=0.0005), rate_limit=50, marks=0) as sandbox:
            limiters = [RedisLimiter(redis.url, key=sandbox.api_key, limit=50) for _ in range(2)]
            url = await new_campaign(sandbox, postgres)
            await new_campaign(sandbox, postgres, "winter", url)
            async with (
                machine(sandbox, url, limiters[0]) as autumn,
                machine(sandbox, url, limiters[1], "winter") as winter,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(follow, autumn, seen[0])
                tasks.start_soon(follow, winter, seen[1])
            statuses = Counter(one.status for one in sandbox.requests.find())
    finally:
        redis.kill()
    assert [one[-1].contacts["done"] for one in seen] == [len(NUMBERS)] * 2
    assert statuses[201] == 2 * len(NUMBERS)
    assert statuses[429] == 0


@ASYNCIO
async def test_a_standby_waits_for_what_a_crashed_owner_has_sent(sandbox: Sandbox, postgres: PostgresServer) -> None:
    """After a crash of the owner the next one says what it waits for, and dials nobody until the wait is over."""
    url = await new_campaign(sandbox, postgres)
    crashed = PostgresDatabase(url, lease=LEASE, request_timeout=1.5)
    await anyio.to_thread.run_sync(crashed.own, "autumn")
    seen: list[Progress] = []
    try:
        async with machine(sandbox, url) as campaign, anyio.create_task_group() as tasks:
            await anyio.to_thread.run_sync(postgres.end_sessions, url)
            tasks.start_soon(follow, campaign, seen)
            await wait_until(lambda: bool(seen) and "owner before" in (seen[-1].reason or ""))
            over_at = boot_time() + campaign._ledger.database.quiet_in("autumn")
            assert over_at > boot_time()
            while not rang(sandbox):
                assert boot_time() < over_at + 20
                await anyio.sleep(0.002)
            assert boot_time() >= over_at
            await wait_until(lambda: seen[-1].over)
    finally:
        await anyio.to_thread.run_sync(crashed.close)
    assert each_rang_once(sandbox)


@ASYNCIO
@pytest.mark.timeout(120 * ROUNDS)  # processes are started, and wait for each other
async def test_rounds_of_kills_and_cuts(postgres: PostgresServer) -> None:
    """A short `partition_rounds`: workers are killed, stopped or cut off, and nobody is called twice or lost."""
    rounds = await rounds_of(ROUNDS, random.Random(7).randrange(10**6), postgres)
    assert not rounds.faults
    assert sum(rounds.events.values()) == ROUNDS
