"""One budget for several workers, against a real redis-server."""

from __future__ import annotations

import logging
import signal
import threading
import time
from bisect import bisect_right
from typing import Any

import anyio
import anyio.to_thread
import pytest
import redis

from ajoxi_async import APITimeoutError, ConfigurationError, InvalidParameterError
from ajoxi_async.limits.redis import RedisLimiter
from ajoxi_async.protocol.rate import Lane

from .redis_server import KEY, Server

pytestmark = pytest.mark.anyio


def most_in_a_second(moments: list[float]) -> int:
    """The fullest sliding second."""
    moments = sorted(moments)
    return max(bisect_right(moments, at + 1 - 1e-9) - index for index, at in enumerate(moments))


async def saturate(limiters: list[RedisLimiter], seconds: float, lane: Lane = "bulk") -> list[tuple[float, int]]:
    """Let ten tasks of each limiter take turns; returns when, and whose."""
    taken: list[tuple[float, int]] = []
    end = time.monotonic() + seconds

    async def work(number: int) -> None:
        while time.monotonic() < end:
            turn = await limiters[number].acquire(lane)
            taken.append((turn.taken_at, number))

    async with anyio.create_task_group() as tasks:
        for number in range(len(limiters)):
            for _ in range(10):
                tasks.start_soon(work, number)
        await anyio.sleep(seconds + 0.5)
        tasks.cancel_scope.cancel()
    return taken


async def test_workers_share_the_limit(server: Server) -> None:
    """Several workers together stay under the limit and near it, fairly, with about one question a turn."""
    limiters = [RedisLimiter(server.url, key=KEY) for _ in range(4)]
    taken = await saturate(limiters, 2.0)
    assert most_in_a_second([at for at, _ in taken]) <= 100
    # Where the machine is so busy that Redis seems to be gone, each worker keeps to its own part for a while.
    assert len([at for at, _ in taken if at < taken[0][0] + 2.0]) > 100
    shares = [sum(whose == number for _, whose in taken) for number in range(4)]
    assert sum(shares) ** 2 / (4 * sum(share**2 for share in shares)) > 0.95
    assert sum(limiter._asked for limiter in limiters) <= 2 * len(taken)


async def test_times_handed_out_together_are_an_interval_apart(server: Server) -> None:
    """However many a worker takes at once, no two of its requests go out together."""
    limiter = RedisLimiter(server.url, key=KEY)
    taken: list[float] = []

    async def take() -> None:
        taken.append((await limiter.acquire("interactive")).taken_at)

    async with anyio.create_task_group() as tasks:
        for _ in range(15):
            tasks.start_soon(take)
    assert sorted(taken)[-1] - sorted(taken)[0] > 14 * 0.0101 - 0.008


async def test_an_interactive_call_passes_the_bulk(server: Server) -> None:
    """Behind a saturated bulk lane of another worker an interactive call waits a fraction of a second."""
    bulk, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    waits: list[float] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(saturate, [bulk], 1.5)
        await anyio.sleep(0.3)
        for _ in range(8):
            began = time.monotonic()
            await other.acquire("interactive")
            waits.append(time.monotonic() - began)
            await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    assert sorted(waits)[4] < 0.15


async def test_no_lane_is_starved(server: Server) -> None:
    """While the default lane is saturated, bulk gets its part all the same."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    done: list[float] = []

    async def bulk() -> None:
        for _ in range(5):
            done.append((await other.acquire("bulk")).taken_at)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(saturate, [limiter], 2.0, "default")
        with anyio.fail_after(4):
            await bulk()
        tasks.cancel_scope.cancel()
    assert len(done) == 5


async def test_a_cancelled_wait_is_given_back(server: Server) -> None:
    """The send times of cancelled calls go to the next waiters of the process, without a request to Redis."""
    limiter = RedisLimiter(server.url, key=KEY)
    await limiter.acquire()
    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(limiter.acquire, "interactive")
        while limiter._asked < 2:
            await anyio.sleep(0.001)
        await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    assert not any(limiter.snapshot().waiting.values())
    spare, asked = sorted(limiter._spare), limiter._asked
    assert spare, "they were cancelled before their times"
    now = time.monotonic()
    turn = await limiter.acquire("bulk")
    assert turn.taken_at - min(at for at in spare if at > now) < 0.008
    assert limiter._asked == asked


async def test_what_nobody_here_wants_goes_back_to_redis(server: Server) -> None:
    """A send time that was given back is handed out again, to another worker."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    await limiter.acquire()
    await other.acquire()
    given = limiter._ask({"interactive": 12, "default": 0, "bulk": 0})
    ahead = given.times[8]
    limiter._spare = [ahead]
    limiter._ask({"interactive": 0, "default": 0, "bulk": 0})
    turn = await other.acquire("interactive")
    assert turn.taken_at == pytest.approx(ahead, abs=0.012)


async def test_a_429_pauses_all(server: Server) -> None:
    """A 429's pause stops every worker until it is over, and the 429s of requests in flight together make one pause."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    turns = [await limiter.acquire() for _ in range(2)]
    for turn in turns:
        limiter.observe(turn, "calls.list", 429, {}, 0.6)
    paused_at = time.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(limiter.acquire)
        await anyio.sleep(0.1)
        await other.acquire("interactive")
    assert time.monotonic() - paused_at > 0.5
    assert limiter.snapshot().refused == 2


async def test_the_servers_limit_is_shared(server: Server) -> None:
    """A limit that one worker is told applies to all workers."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    limiter.observe(await limiter.acquire(), "calls.list", 200, {"X-RateLimit-Limit": "20"}, None)
    await limiter.acquire()
    await other.acquire()
    assert other.snapshot().limit == 20


async def test_no_cap(server: Server) -> None:
    """A success without the headers means that there is no cap: nothing is asked any more until they are back."""
    limiter = RedisLimiter(server.url, key=KEY)
    limiter.observe(await limiter.acquire(), "calls.list", 200, {}, None)
    turn = limiter.try_acquire()
    assert turn is not None
    limiter.observe(turn, "calls.list", 200, {"X-RateLimit-Limit": "100"}, None)
    assert limiter.try_acquire() is None


async def test_a_deadline_is_kept(server: Server) -> None:
    """A deadline that the queue cannot meet is refused, and takes no time from others."""
    limiter = RedisLimiter(server.url, key=KEY, limit=2)
    await limiter.acquire()
    with pytest.raises(APITimeoutError, match="nothing was sent"):
        await limiter.acquire("interactive", deadline=time.monotonic() + 0.1)
    assert not any(limiter.snapshot().waiting.values())


async def test_the_script_is_loaded_again(server: Server) -> None:
    """SCRIPT FLUSH, as after a restart, is not noticed."""
    limiter = RedisLimiter(server.url, key=KEY)
    await limiter.acquire()
    with redis.Redis(port=server.port) as client:
        client.script_flush()
    await limiter.acquire()
    assert limiter._gone_since is None


async def test_redis_killed_and_restarted_empty(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Meanwhile each worker keeps to its part: at most the limit, not nothing; it is logged once, and ends by itself."""
    limiters = [RedisLimiter(server.url, key=KEY) for _ in range(3)]
    taken: list[tuple[float, int]] = []

    async def work() -> None:
        taken.extend(await saturate(limiters, 6.0))

    with caplog.at_level(logging.WARNING, logger="ajoxi_async"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await anyio.sleep(1.0)
            server.kill()
            killed_at = time.monotonic()
            await anyio.sleep(1.5)
            restarted_at = time.monotonic()
            await anyio.to_thread.run_sync(server.start)
    moments = sorted(at for at, _ in taken)
    assert most_in_a_second(moments) <= 100
    assert sum(killed_at <= at < restarted_at for at in moments) / 1.5 > 50
    assert sum(at > restarted_at + 1.0 for at in moments) > 30
    gone = [record for record in caplog.records if "Redis is gone" in record.getMessage()]
    back = [record for record in caplog.records if "Redis is back" in record.getMessage()]
    assert (len(gone), len(back)) == (3, 3)


async def test_a_redis_that_hangs(server: Server) -> None:
    """A Redis that accepts connections and does not answer counts as unreachable, whatever the client's own timeouts are."""
    limiter = RedisLimiter(redis.Redis(port=server.port), key=KEY, workers=1)
    await limiter.acquire()
    threads = threading.active_count()
    server.signal(signal.SIGSTOP)
    try:
        with anyio.fail_after(2):
            for _ in range(50):
                await limiter.acquire()
        assert threading.active_count() <= threads + 2
    finally:
        server.signal(signal.SIGCONT)
    with anyio.fail_after(3):
        while limiter.snapshot().pace != 99:
            await limiter.acquire()


async def test_what_goes_to_redis_is_no_key(server: Server) -> None:
    """The name in Redis is a hash-tagged digest, so that a cluster keeps it on one node and the API key cannot be read there."""
    limiter = RedisLimiter(server.url, key=KEY)
    await limiter.acquire()
    with redis.Redis(port=server.port) as client:
        names = [name.decode() for name in client.scan_iter()]
        assert names == [limiter._name]
        assert client.ttl(names[0]) > 0
    assert names[0].startswith("ajoxi:{")
    assert KEY not in names[0]


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"limit": 1}, "limit"), ({"limit": 2.5}, "limit"), ({"workers": 0}, "workers"), ({"key": ""}, "key")],
)
async def test_settings_that_cannot_be(settings: dict[str, Any], name: str) -> None:
    """Errors name the parameter."""
    with pytest.raises(InvalidParameterError, match=name):
        RedisLimiter("redis://127.0.0.1:1", **{"key": KEY, **settings})


async def test_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named when it is missing."""
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"ajoxi-async\[redis\]"):
        RedisLimiter("redis://127.0.0.1:1", key=KEY)
