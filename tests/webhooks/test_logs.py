"""What remembers events: in memory, in SQLite, in Redis."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis

from ajoxi_async import ConfigurationError
from ajoxi_async.webhooks.logs import EventLog, MemoryLog, RedisLog, SqliteLog

pytestmark = pytest.mark.anyio

KINDS = ["memory", "sqlite", "redis"]


@pytest.fixture(params=KINDS)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventLog]:
    """A log whose claims do not lapse while a test runs on a busy machine."""
    if request.param == "memory":
        yield MemoryLog()
    elif request.param == "sqlite":
        lite = SqliteLog(tmp_path / "events.db")
        yield lite
        lite.close()
    else:
        with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
            client.flushall()
            yield RedisLog(client)


@pytest.mark.parametrize("span", [0, -1, float("nan"), float("inf"), "5", None, True])
@pytest.mark.parametrize("setting", ["remember", "lease"])
@pytest.mark.parametrize("kind", KINDS)
def test_spans_that_cannot_be(kind: str, setting: str, span: Any, tmp_path: Path) -> None:
    """A claim that expires at once would let two workers handle an event, so a span that is none is refused by its name."""
    with pytest.raises(ConfigurationError, match=f"^{setting}: expected seconds"):
        if kind == "memory":
            MemoryLog(**{setting: span})
        elif kind == "sqlite":
            SqliteLog(tmp_path / "events.db", **{setting: span})
        else:
            RedisLog("redis://127.0.0.1:1/0", **{setting: span})


@pytest.mark.parametrize("path", ["\ud800.db", "x" * 5000])
def test_a_path_that_no_file_can_have(path: str) -> None:
    """What the file system cannot take as a name is refused as a path, not raised as an error of its own."""
    with pytest.raises(ConfigurationError, match="^path: expected the path of a file"):
        SqliteLog(path)


async def test_claimed_once(log: EventLog) -> None:
    """An event is new once; it is running until it is done, and done for good."""
    assert await log.claim("evt_1", "worker") == "new"
    assert await log.claim("evt_1", "worker") == "running"
    assert await log.claim("evt_2", "worker") == "new"
    await log.done("evt_1")
    assert await log.claim("evt_1", "worker") == "done"


async def test_released(log: EventLog) -> None:
    """An event that was given up is new again."""
    await log.claim("evt_1", "worker")
    await log.release("evt_1", "worker")
    assert await log.claim("evt_1", "worker") == "new"


async def test_a_claim_lapses(log: EventLog) -> None:
    """The claim of a worker that died lapses."""
    log._lease = 0.05  # type: ignore[attr-defined]
    await log.claim("evt_1", "worker")
    await anyio.sleep(0.08)
    assert await log.claim("evt_1", "worker") == "new"


async def test_many_claim_at_once(log: EventLog) -> None:
    """Of many that claim an event at the same time exactly one gets it."""
    claims: list[str] = []

    async def claim() -> None:
        claims.append(await log.claim("evt_1", "worker"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(claim)
    assert claims.count("new") == 1


async def test_memory_forgets_in_time() -> None:
    """What is done is remembered for three days, by a clock, and then forgotten."""
    now = 0.0
    log = MemoryLog(clock=lambda: now)
    await log.claim("evt_1", "worker")
    await log.done("evt_1")
    now = 2.9 * 86400
    assert await log.claim("evt_1", "worker") == "done"
    now = 3.1 * 86400
    assert await log.claim("evt_1", "worker") == "new"
    assert not log._done


async def test_sqlite_outlives_the_process(tmp_path: Path) -> None:
    """What one process has done another one knows, and both may have the file open."""
    path = tmp_path / "events.db"
    here = SqliteLog(path)
    assert await here.claim("evt_1", "worker") == "new"
    await here.done("evt_1")
    code = (
        "import anyio, sys; from ajoxi_async.webhooks.logs import SqliteLog; log = SqliteLog(sys.argv[1]);"
        "print(anyio.run(log.claim, 'evt_1', 'other'), anyio.run(log.claim, 'evt_2', 'other'))"
    )
    ran = await anyio.run_process([sys.executable, "-c", code, str(path)])
    assert ran.stdout.decode().split() == ["done", "new"]
    assert await here.claim("evt_2", "worker") == "running"
    here.close()


async def test_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named when it is missing."""
    modules: Any = sys.modules
    monkeypatch.setitem(modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"ajoxi-async\[redis\]"):
        RedisLog("redis://127.0.0.1:1")


def test_workers_that_begin_together(tmp_path: Path) -> None:
    """The workers of a server open the file at the same moment, and none of them fails."""
    together = threading.Barrier(4)

    def begin(path: Path) -> None:
        together.wait()
        SqliteLog(path).close()

    with ThreadPoolExecutor(4) as workers:
        for round_number in range(20):
            list(workers.map(begin, [tmp_path / f"{round_number}.db"] * 4))
