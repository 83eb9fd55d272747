"""What remembers events: in memory, in SQLite, in Redis."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis

from ajoxi_async import ConfigurationError
from ajoxi_async.webhooks.logs import EventLog, MemoryLog, RedisLog, SqliteLog

pytestmark = pytest.mark.anyio

KINDS = ["memory", "sqlite", "redis"]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]) -> Iterator[str]:
    """A redis-server of the tests' own."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        missing("redis-server or valkey-server: apt-get install redis-server")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = str(tmp_path_factory.mktemp("redis"))
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        with redis.Redis(port=port) as client:
            for _ in range(200):
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.02)
                else:
                    break
        yield f"redis://127.0.0.1:{port}"
        process.kill()


@pytest.fixture(params=KINDS)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    """A log with a short lease."""
    if request.param == "memory":
        yield MemoryLog(lease=0.05)
    elif request.param == "sqlite":
        lite = SqliteLog(tmp_path / "events.db", lease=0.05)
        yield lite
        lite.close()
    else:
        with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
            client.flushall()
            yield RedisLog(client, lease=0.05)


async def test_claimed_once(log: EventLog) -> None:
    """An event is new once; it is running until it is done, and done for good."""
    assert await log.claim("evt_1") == "new"
    assert await log.claim("evt_1") == "running"
    assert await log.claim("evt_2") == "new"
    await log.done("evt_1")
    assert await log.claim("evt_1") == "done"


async def test_released(log: EventLog) -> None:
    """An event that was given up is new again."""
    await log.claim("evt_1")
    await log.release("evt_1")
    assert await log.claim("evt_1") == "new"


async def test_a_claim_lapses(log: EventLog) -> None:
    """The claim of a worker that died lapses."""
    await log.claim("evt_1")
    await anyio.sleep(0.08)
    assert await log.claim("evt_1") == "new"


async def test_many_claim_at_once(log: EventLog) -> None:
    """Of many that claim an event at the same time exactly one gets it."""
    claims: list[str] = []

    async def claim() -> None:
        claims.append(await log.claim("evt_1"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(claim)
    assert claims.count("new") == 1


async def test_memory_forgets_in_time() -> None:
    """What is done is remembered for three days, by a clock, and then forgotten."""
    now = 0.0
    log = MemoryLog(clock=lambda: now)
    await log.claim("evt_1")
    await log.done("evt_1")
    now = 2.9 * 86400
    assert await log.claim("evt_1") == "done"
    now = 3.1 * 86400
    assert await log.claim("evt_1") == "new"
    assert not log._done


async def test_sqlite_outlives_the_process(tmp_path: Path) -> None:
    """What one process has done another one knows, and both may have the file open."""
    path = tmp_path / "events.db"
    here = SqliteLog(path)
    assert await here.claim("evt_1") == "new"
    await here.done("evt_1")
    code = (
        "import anyio, sys; from ajoxi_async.webhooks.logs import SqliteLog; log = SqliteLog(sys.argv[1]);"
        "print(anyio.run(log.claim, 'evt_1'), anyio.run(log.claim, 'evt_2'))"
    )
    ran = await anyio.run_process([sys.executable, "-c", code, str(path)])
    assert ran.stdout.decode().split() == ["done", "new"]
    assert await here.claim("evt_2") == "running"
    here.close()


async def test_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named when it is missing."""
    modules: Any = sys.modules
    monkeypatch.setitem(modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"ajoxi-async\[redis\]"):
        RedisLog("redis://127.0.0.1:1")
