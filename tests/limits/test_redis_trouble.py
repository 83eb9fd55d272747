"""A RedisLimiter under odd conditions: unusual clients, clocks that are set, refusals, blocked loops, forks."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import MagicMock, Mock

import anyio
import anyio.to_thread
import pytest
import redis
import redis.asyncio

from ajoxi_async import ConfigurationError
from ajoxi_async.limits import redis as limiter_module
from ajoxi_async.limits import redis_requests
from ajoxi_async.limits.redis import HOLD, RedisLimiter
from ajoxi_async.limits.redis_clock import RedisClock
from ajoxi_async.limits.redis_requests import RequestThread, reason_of
from ajoxi_async.limits.waiting import Waiter

from .redis_server import KEY, Server

pytestmark = pytest.mark.anyio

OK = {"X-RateLimit-Limit": "100"}
BACKENDS = ("asyncio", "trio")


@pytest.fixture
def anyio_backend() -> str:
    """Redis is asked from a thread, so one backend will do where the loop is not the point; `test_redis` runs on both."""
    return "asyncio"


def shared(limiter: RedisLimiter) -> bool:
    """Whether the schedule is Redis's, and not a local share."""
    return limiter._gone_since is None and limiter._asked > 0


async def quickly(limiter: RedisLimiter, many: int, seconds: float) -> None:
    """Take so many turns within so many seconds."""
    with anyio.fail_after(seconds):
        for _ in range(many):
            await limiter.acquire()


# Clients.


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_client_that_decodes(server: Server, protocol: int) -> None:
    """With ``decode_responses``, of a client or in the URL, whatever the encoding, turns are given as usual."""
    clients: list[Any] = [
        f"{server.url}?decode_responses=true&protocol={protocol}",
        redis.Redis(port=server.port, decode_responses=True, protocol=protocol),
        redis.Redis(port=server.port, encoding="latin-1", decode_responses=True, protocol=protocol),
    ]
    for client in clients:
        limiter = RedisLimiter(client, key=KEY)
        await quickly(limiter, 8, 2)
        assert shared(limiter)
        if isinstance(client, redis.Redis):
            client.close()


def unfit() -> list[Any]:
    """What is no client and no URL."""
    return [
        None,
        6379,
        b"redis://localhost",
        "",
        "http://localhost",
        "localhost:6379",
        "redis://h:99999",
        "redis://h:x",
        "redis://h/zero",
        "redis://h/-1",
        "redis://[::1",
        "redis://h?bogus=1",
        "redis://h?protocol=9",
        "redis://h?socket_timeout=x",
        redis.asyncio.Redis(),
        redis.asyncio.ConnectionPool(),
        redis.ConnectionPool(),
        redis.Redis,
        redis.Redis().pipeline(),
        Mock(),
        MagicMock(spec=redis.Redis),
        object(),
    ]


@pytest.mark.parametrize("number", range(len(unfit())))
async def test_what_is_no_client_is_refused_at_once(number: int) -> None:
    """Whatever is neither a URL nor a synchronous client is a ConfigurationError that names the parameter."""
    with pytest.raises(ConfigurationError, match="^redis: expected a URL"):
        RedisLimiter(unfit()[number], key=KEY)


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@h:x", "redis://:hunter2@h/zero", "http://:hunter2@h", "redis://hunter2:x/y"]
)
async def test_a_password_in_a_url_is_not_repeated(url: str) -> None:
    """An error about a URL shows nothing of it."""
    with pytest.raises(ConfigurationError) as caught:
        RedisLimiter(url, key=KEY)
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


async def test_urls_that_can_be_right() -> None:
    """Nothing is connected, so a server that is not there is no error yet."""
    for url in (
        "redis://h",
        "redis://h/",
        "redis://h:1/3",
        "rediss://u:p@h:1/0?decode_responses=true",
        "unix:///tmp/x?db=2",
    ):
        RedisLimiter(url, key=KEY)


# Clocks.


def step(client: redis.Redis, limiter: RedisLimiter, seconds: float) -> None:
    """Change the schedule as if Redis's clock had been set by so many seconds."""
    for name, value in client.hgetall(limiter._name).items():
        if name == b"refunds":
            moments = [f"{float(at) - seconds * 1e6:.0f}" for at in value.decode().split(",") if at]
            client.hset(limiter._name, name, ",".join(moments))
        elif name != b"limit" and float(value):
            client.hset(limiter._name, name, f"{float(value) - seconds * 1e6:.0f}")


@pytest.mark.parametrize("seconds", [-0.4, -5, -60, -3600, -86400 * 400, 0.4, 60, 3600])
async def test_redis_clock_is_set(server: Server, seconds: float) -> None:
    """By whatever Redis's clock is set, known and new processes get turns within a second, at the pace of before."""
    limiter = RedisLimiter(server.url, key=KEY)
    await quickly(limiter, 10, 2)
    with redis.Redis(port=server.port) as client:
        used = client.hget(limiter._name, "seen")
        client.hset(limiter._name, mapping={"bulk": used, "w:another": used})
        step(client, limiter, seconds)
        if seconds > 11:
            client.hdel(limiter._name, f"w:{limiter._worker}")
    new = RedisLimiter(server.url, key=KEY)
    taken: list[float] = []

    async def take(whose: RedisLimiter) -> None:
        for _ in range(20):
            taken.append((await whose.acquire()).taken_at)

    with anyio.fail_after(1.5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take, limiter)
            tasks.start_soon(take, new)
    assert max(taken) - min(taken) > 0.35, "forty turns of a hundred a second take their time"
    assert shared(limiter)
    assert shared(new)
    with redis.Redis(port=server.port) as client:
        now = sum(part * scale for part, scale in zip(client.time(), (1_000_000, 1), strict=True))
        fields = {name: float(value) for name, value in client.hgetall(limiter._name).items() if name != b"refunds"}
        assert max(fields.values()) < now + 1_000_000


async def test_workers_that_are_gone_are_not_counted(server: Server) -> None:
    """Ten seconds after its last question a worker is one no more."""
    limiter = RedisLimiter(server.url, key=KEY)
    with redis.Redis(port=server.port) as client:
        seconds, _ = client.time()
        client.hset(limiter._name, mapping={"w:gone": (seconds - 11) * 1_000_000, "w:there": (seconds - 8) * 1_000_000})
        await limiter.acquire()
        assert limiter._workers == 2
        assert not client.hexists(limiter._name, "w:gone")


async def test_a_clock_set_back_keeps_a_pause(server: Server) -> None:
    """A 429's pause lasts as long as it was to last, though Redis's clock is set back meanwhile."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    limiter.observe(await limiter.acquire(), "calls.list", 429, {}, 0.8)
    began = time.monotonic()
    with redis.Redis(port=server.port) as client:
        while float(client.hget(limiter._name, "paused") or 0) == 0:
            await anyio.sleep(0.005)
        step(client, limiter, -3600)
    await quickly(other, 1, 3)
    assert 0.7 < time.monotonic() - began < 1.2


@pytest.mark.parametrize("ahead", [5, 60, 3600, 10**9])
async def test_a_schedule_that_no_lease_explains_begins_anew(server: Server, ahead: int) -> None:
    """A schedule that lies further ahead than any lease, for whatever reason, delays no call."""
    limiter = RedisLimiter(server.url, key=KEY)
    with redis.Redis(port=server.port) as client:
        seconds, micros = client.time()
        now = seconds * 1_000_000 + micros
        later = now + ahead * 1_000_000
        client.hset(limiter._name, mapping={"next": later, "wake": later, "paused": 0, "seen": now})
    await quickly(limiter, 5, HOLD + 3.5)


async def test_a_pause_is_at_most_a_minute(server: Server) -> None:
    """Whatever stands there, a pause ends within a minute."""
    limiter = RedisLimiter(server.url, key=KEY)
    with redis.Redis(port=server.port) as client:
        seconds, micros = client.time()
        later = (seconds + 86400) * 1_000_000 + micros
        client.hset(limiter._name, "paused", later)
        limiter._ask({"interactive": 1, "default": 0, "bulk": 0})
        assert float(client.hget(limiter._name, "paused") or 0) <= later - 86300 * 1_000_000


@pytest.mark.parametrize("jump", [-3600.0, -0.05, 0.05, 3600.0])
async def test_our_clock_jumps(server: Server, jump: float) -> None:
    """After a suspend, or a step of either clock, the next answer counts and not the ones before."""
    limiter = RedisLimiter(server.url, key=KEY)
    await quickly(limiter, 70, 3)
    samples = [(trip, offset - jump) for trip, offset in limiter._clock._samples]
    limiter._clock._samples.clear()
    limiter._clock._samples.extend(samples)
    await quickly(limiter, 10, 1)
    assert abs(limiter._clock.offset - samples[0][1] - jump) < 0.03


def test_a_jump_is_told_from_a_slow_answer() -> None:
    """An answer that is late in either direction contradicts nothing; one that cannot be true at once does."""
    clock = RedisClock()
    assert not clock.note(100.0005, 0.0, 0.001)
    for late in (0.2, 3.0):
        assert not clock.note(110.0, 10.0 - late, 10.001)
        assert not clock.note(120.0, 19.999, 20.0 + late)
    assert clock.offset == pytest.approx(100.0)
    assert not clock.note(130.001, 30.0, 30.001)
    assert clock.note(145.0, 40.0, 40.001)
    assert clock.offset == pytest.approx(105.0, abs=0.001)
    assert clock.note(150.0, 50.0, 50.5)
    assert clock.offset == pytest.approx(99.75)


# Refusals.


@contextmanager
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """What is logged meanwhile."""
    with caplog.at_level(logging.WARNING, logger="ajoxi_async"):
        caplog.clear()
        yield caplog.records


async def test_a_refusal_says_why_and_is_looked_after(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """A key of a wrong type, a wrong password and a wrong database: an error with the reason; mended, it goes on."""
    with redis.Redis(port=server.port) as client:
        wrong_type = RedisLimiter(server.url, key=KEY)
        client.delete(wrong_type._name)
        client.set(wrong_type._name, "somebody else's")
        for limiter, reason in (
            (wrong_type, "WRONGTYPE"),
            (RedisLimiter(f"{server.url}/99", key=KEY), "out of range"),
            (RedisLimiter(server.url.replace("//", "//nobody:hunter2@"), key=KEY), "AuthenticationError"),
        ):
            with heard(caplog) as records:
                await quickly(limiter, 3, 2)
            assert [record.levelname for record in records] == ["ERROR"]
            assert "Redis refuses to share the rate limit" in records[0].getMessage()
            assert reason in records[0].getMessage()
            assert "hunter2" not in records[0].getMessage()
        client.delete(wrong_type._name)
        with heard(caplog) as records, anyio.fail_after(3):
            while not shared(wrong_type):
                await wrong_type.acquire()
        assert ["Redis is back" in record.getMessage() for record in records] == [True]


async def test_a_user_without_permission(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """NOPERM is logged with its reason, and once the permission is given the limit is shared."""
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL SETUSER poor on >hunter2 ~* +ping +hello")
        try:
            limiter = RedisLimiter(server.url.replace("//", "//poor:hunter2@"), key=KEY)
            with heard(caplog) as records:
                await quickly(limiter, 2, 2)
            assert "no permissions" in records[0].getMessage()
            client.execute_command("ACL SETUSER poor +@all")
            with anyio.fail_after(3):
                while not shared(limiter):
                    await limiter.acquire()
        finally:
            client.execute_command("ACL DELUSER poor")


async def test_another_reason_is_told_too(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is unreachable a new reason is logged, but not each time, and a refusal is logged again."""
    monkeypatch.setattr(limiter_module, "TELL_EVERY", 0.05)
    limiter = RedisLimiter(server.url, key=KEY)
    errors = [redis.ConnectionError("first")] * 4 + [redis.ResponseError("second")] * 4
    with heard(caplog) as records:
        for error in errors:
            limiter._without_redis(1, error)
            await anyio.sleep(0.03)
        assert [record.levelname for record in records] == ["WARNING", "ERROR"]
        monkeypatch.setattr(limiter_module, "REPEAT_EVERY", 0.0)
        limiter._without_redis(1, errors[-1])
        limiter._without_redis(1, errors[0])
    assert [record.levelname for record in records] == ["WARNING", "ERROR", "ERROR"]


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (redis.ConnectionError("Error 111 connecting to h:6379"), False),
        (redis.TimeoutError("Timeout reading"), False),
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), False),
        (OSError("no route"), False),
        (TimeoutError("no answer within 0.3 s"), False),
        (redis.AuthenticationError("invalid username-password pair"), True),
        (redis.exceptions.NoPermissionError("this user has no permissions"), True),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), True),
        (redis.exceptions.OutOfMemoryError("command not allowed"), True),
        (redis.exceptions.ResponseError("DB index is out of range"), True),
        (TypeError("a mock's answer"), True),
        (ValueError("not enough values"), True),
    ],
)
async def test_refused_or_gone(error: Exception, refused: bool) -> None:
    """What Redis answers with is a refusal, what keeps it from answering is not; each with its reason."""
    assert reason_of(error, None) == (refused, f"{type(error).__name__}: {error}")


async def test_a_reason_holds_no_secret() -> None:
    """Redis repeats the arguments of commands it does not know; the password and keys are not logged."""
    client = redis.Redis(password="hunter2")
    echoed = redis.ResponseError("unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'hunter2'")
    assert reason_of(echoed, client) == (True, "ResponseError: unknown command 'HELLO'")
    plain = redis.ConnectionError(f"hunter2 and\nAJX_LIVE_0123456789 {'x' * 500}")
    assert reason_of(plain, client)[1].startswith("ConnectionError: *** and AJX_LIVE_*** xxx")
    assert len(reason_of(plain, client)[1]) < 230
    moved = redis.exceptions.MovedError("1234 127.0.0.1:7001")
    assert "RedisCluster" in reason_of(moved, client)[1]


@pytest.mark.parametrize("answer", [None, b"OK", [], [1, 2, 3], ["x"] * 5, Mock(), [1, 0, 1, 100, None]])
async def test_answers_that_are_none(server: Server, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a client returns in place of the script's answer, turns are given, by the local share."""
    limiter = RedisLimiter(server.url, key=KEY)
    limiter._script = lambda **_: answer
    with heard(caplog) as records:
        await quickly(limiter, 3, 2)
    assert len(records) == 1
    assert records[0].levelname == "ERROR"


@pytest.mark.parametrize("error", [RuntimeError("odd"), SystemExit()])
async def test_a_client_that_raises_anything(server: Server, error: BaseException) -> None:
    """After any error of the client Redis counts as unreachable, and is asked again."""
    limiter = RedisLimiter(server.url, key=KEY)
    sound, failing = limiter._script, [error] * 3

    def script(**arguments: Any) -> Any:
        if failing:
            raise failing.pop()
        return sound(**arguments)

    limiter._script = script
    with anyio.fail_after(4):
        while failing or not shared(limiter):
            await limiter.acquire()


# Threads and loops.


async def test_busy_worker_threads_change_nothing(server: Server) -> None:
    """Though all of anyio's worker threads are busy, Redis is asked; and when they are not it goes on."""
    limiter = RedisLimiter(server.url, key=KEY)
    release = threading.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(45):
            tasks.start_soon(anyio.to_thread.run_sync, release.wait)
        try:
            await anyio.sleep(0.05)
            await quickly(limiter, 30, 2)
            assert shared(limiter)
        finally:
            release.set()


async def test_a_question_that_never_ends(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """A client that hangs for ever is given up with its thread in the end, and Redis is asked in another one."""
    monkeypatch.setattr(redis_requests, "ABANDON", 0.4)
    limiter = RedisLimiter(server.url, key=KEY)
    sound, hang, hanging = limiter._script, threading.Event(), [True, True]

    def script(**arguments: Any) -> Any:
        if hanging:
            hanging.pop()
            hang.wait(10)
        return sound(**arguments)

    limiter._script = script
    try:
        with anyio.fail_after(6):
            while not shared(limiter):
                await limiter.acquire()
        assert limiter._requests._abandoned == 2
    finally:
        hang.set()
    with anyio.fail_after(2):
        while limiter._requests._abandoned:
            await anyio.sleep(0.01)
    await quickly(limiter, 5, 1)


async def test_threads_that_cannot_be_given_up_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more threads are given up than a bound, however long nothing ends."""
    monkeypatch.setattr(redis_requests, "ABANDON", 0.0)
    line, hang = RequestThread(), threading.Event()
    for _ in range(10):
        with pytest.raises(TimeoutError):
            line.ask(lambda: hang.wait(10), 0.005)
    assert line._abandoned == redis_requests.MOST_ABANDONED
    hang.set()


async def test_threads_end_when_nobody_waits(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time after the last turn neither of the limiter's threads is left, and the next turn begins them again."""
    monkeypatch.setattr(limiter_module, "LINGER", 0.1)
    monkeypatch.setattr(redis_requests, "LINGER", 0.1)
    limiter = RedisLimiter(server.url, key=KEY)
    for _ in range(2):
        await quickly(limiter, 2, 2)
        with anyio.fail_after(3):
            while limiter._serving or limiter._requests._running:
                await anyio.sleep(0.02)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("waiters", [1, 100])
def test_a_loop_that_stands_still_holds_up_no_other(server: Server, backend: str, waiters: int) -> None:
    """However many wait in a blocked loop, another loop has its turns; the blocked one has its own later."""
    limiter = RedisLimiter(server.url, key=KEY)
    blocked, go_on = threading.Event(), threading.Event()
    had: list[float] = []

    async def other() -> None:
        async def ask() -> None:
            await limiter.acquire()
            had.append(time.monotonic())

        async with anyio.create_task_group() as tasks:
            for _ in range(waiters):
                tasks.start_soon(ask)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            blocked.set()
            go_on.wait(10)

    thread = threading.Thread(target=lambda: anyio.run(other, backend=backend))
    thread.start()
    assert blocked.wait(5)
    try:
        began = time.monotonic()
        asyncio.run(quickly(limiter, 30, 2))
        took = time.monotonic() - began
    finally:
        go_on.set()
        thread.join(10)
    assert took < 5.0, "it waited for the blocked loop, which stands still for 10 s"
    assert len(had) == waiters
    assert min(had) > began + took
    assert not limiter._queue.stalled
    assert not limiter._given


@pytest.mark.parametrize("how", ["stopped", "closed"])
def test_waiters_of_a_loop_that_never_runs_again(server: Server, how: str) -> None:
    """A loop that was stopped or closed while its tasks waited delays no other."""
    limiter = RedisLimiter(server.url, key=KEY)
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(limiter.acquire()) for _ in range(20)]
    loop.run_until_complete(asyncio.sleep(0))
    if how == "closed":
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()
    asyncio.run(quickly(limiter, 20, 2))
    if how == "stopped":
        loop.run_until_complete(asyncio.wait_for(asyncio.gather(*tasks), 3))
        loop.close()
    assert not any(limiter.snapshot().waiting.values())
    assert not limiter._queue.stalled


async def test_a_429_while_nobody_waits_is_told_to_the_others(server: Server) -> None:
    """The pause reaches the other processes at once, and not with the next question of the process that met it."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    limiter.observe(await limiter.acquire(), "calls.list", 429, {}, 0.6)
    began = time.monotonic()
    await anyio.sleep(0.05)
    await other.acquire("interactive")
    assert time.monotonic() - began > 0.5


async def test_a_429_that_comes_while_redis_is_asked(server: Server) -> None:
    """A pause that begins during a request to Redis is sent with the next request."""
    limiter = RedisLimiter(server.url, key=KEY)
    turn = await limiter.acquire()
    sound = limiter._script

    def script(**arguments: Any) -> Any:
        limiter._script = sound
        limiter.observe(turn, "calls.list", 429, OK, 0.5)
        return sound(**arguments)

    limiter._script = script
    began = time.monotonic()
    await limiter.acquire()
    await RedisLimiter(server.url, key=KEY).acquire("interactive")
    assert time.monotonic() - began > 0.4


async def test_a_limit_that_is_heard_while_redis_is_asked(server: Server) -> None:
    """A limit that is announced during a request to Redis is sent with the next request."""
    limiter = RedisLimiter(server.url, key=KEY)
    turn = await limiter.acquire()
    sound = limiter._script

    def script(**arguments: Any) -> Any:
        limiter._script = sound
        limiter.observe(turn, "calls.list", 200, {"X-RateLimit-Limit": "40"}, None)
        return sound(**arguments)

    limiter._script = script
    await quickly(limiter, 2, 2)
    assert limiter.snapshot().limit == 40


async def test_a_pause_outlasts_redis(server: Server) -> None:
    """When Redis goes away during a 429's pause, the local share begins after the pause."""
    limiter = RedisLimiter(server.url, key=KEY)
    limiter.observe(await limiter.acquire(), "calls.list", 429, {}, 0.8)
    limiter._without_redis(0, redis.ConnectionError("gone"))
    assert limiter._local_next == limiter._pause


async def test_times_nobody_fetched_go_to_others(server: Server) -> None:
    """Send times given to a blocked loop are taken back, and its waiters keep their places in the queue."""
    limiter = RedisLimiter(server.url, key=KEY)
    waiters = [Waiter("default") for _ in range(3)]
    for waiter in waiters:
        limiter._queue.add(waiter)
    now = time.monotonic()
    limiter._assign([now + 0.1, now + 0.11])
    assert limiter._queue.next() is waiters[2]
    limiter._take_back(now + 1.0)
    assert limiter._spare == [now + 0.1, now + 0.11]
    assert limiter._queue.next() is None, "their loop is taken to stand still"
    limiter._queue.stalled.clear()
    assert limiter._queue.next() is waiters[0]


async def test_times_within_a_pause_are_not_handed_out_again(server: Server) -> None:
    """A send time that is given back during a 429's pause lies within the pause, so it is not used."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    await limiter.acquire()
    await other.acquire()
    ahead = limiter._ask({"interactive": 12, "default": 0, "bulk": 0}).times[8]
    limiter._pause, limiter._pause_unsent, limiter._spare = time.monotonic() + 0.6, True, [ahead]
    limiter._ask({"interactive": 0, "default": 0, "bulk": 0})
    assert not other._ask({"interactive": 1, "default": 0, "bulk": 0}).times


async def test_a_ticket_that_cannot_be_is_made_anew(server: Server) -> None:
    """A moment to come back at that lies far ahead, by a clock that has jumped since, is not waited for."""
    limiter = RedisLimiter(server.url, key=KEY)
    await limiter.acquire()
    limiter._ask({"interactive": 0, "default": 0, "bulk": 40})
    limiter._ticket = time.monotonic() + 3600
    answer = limiter._ask({"interactive": 0, "default": 0, "bulk": 40})
    assert answer.come_back < time.monotonic() + 1


@pytest.mark.parametrize("text", ["0", "-5", "", "junk", "100/s", "9" * 20, "NaN"])
async def test_an_unreadable_limit_is_not_no_limit(server: Server, text: str) -> None:
    """Whatever cannot be read leaves the limit as it was, and turns are still asked for."""
    limiter = RedisLimiter(server.url, key=KEY, limit=50)
    for _ in range(4):
        limiter.observe(await limiter.acquire(), "calls.list", 200, {"X-RateLimit-Limit": text}, None)
    assert limiter.snapshot().limit == 50
    assert limiter.try_acquire() is None


@pytest.mark.parametrize("text", ["40", " 40 ", '"40"', "40.0", "40, 40;w=1", "40, 40"])
async def test_readable_forms_of_a_limit(server: Server, text: str) -> None:
    """What gateways make of a number is read, and shared."""
    limiter, other = RedisLimiter(server.url, key=KEY), RedisLimiter(server.url, key=KEY)
    limiter.observe(await limiter.acquire(), "calls.list", 200, {"X-RateLimit-Limit": text}, None)
    await limiter.acquire()
    await other.acquire()
    assert other.snapshot().limit == 40


async def test_a_late_answer_brings_no_old_limit_back(server: Server) -> None:
    """Only the answer to a later request changes the limit."""
    limiter = RedisLimiter(server.url, key=KEY)
    early, later = await limiter.acquire(), await limiter.acquire()
    limiter.observe(later, "calls.list", 200, {"X-RateLimit-Limit": "40"}, None)
    limiter.observe(early, "calls.list", 200, {"X-RateLimit-Limit": "100"}, None)
    assert limiter.snapshot().limit == 40


@pytest.mark.parametrize("retry_after", [float("nan"), float("inf"), -3.0, 1e300])
async def test_odd_retry_afters(server: Server, retry_after: float) -> None:
    """A pause is never undefined, negative or longer than a minute."""
    limiter = RedisLimiter(server.url, key=KEY)
    turn = await limiter.acquire()
    limiter.observe(turn, "calls.list", 429, OK, retry_after)
    assert 0.9 < limiter._pause - time.monotonic() <= 60


# Forks.

FORK = """
import asyncio, os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from ajoxi_async.limits.redis import RedisLimiter

limiter = RedisLimiter(sys.argv[1], key=sys.argv[2])
async def take(many):
    for _ in range(many):
        await asyncio.wait_for(limiter.acquire(), 3)
stop = threading.Event()
async def churn():
    while not stop.is_set():
        await limiter.acquire("bulk")
asyncio.run(take(3))
thread = threading.Thread(target=lambda: asyncio.run(churn()))
thread.start()
own, children = limiter._worker, []
for attempt in range(4):
    if attempt % 2:
        limiter._lock.acquire()
        limiter._requests._changed.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert limiter._worker != own and limiter._worker.startswith(f"{os.getpid()}-")
            asyncio.run(take(10))
            assert limiter._gone_since is None
            time.sleep(0.3)  # so that all count as workers at once
            asyncio.run(take(1))
            print(limiter._workers)
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    children.append(child)
    if attempt % 2:
        limiter._requests._changed.release()
        limiter._lock.release()
codes = []
for child in children:
    began = time.monotonic()
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() - began < 10:
        time.sleep(0.01)
    if done[0] == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    codes.append(done[0] == 0 or done[1])
stop.set()
thread.join()
assert limiter._worker == own
sys.exit(any(codes))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork on this system")
def test_forked_children_are_workers_of_their_own(server: Server) -> None:
    """A limiter made before forks, in use and with its locks held: each child has an id, a thread and connections."""
    done = subprocess.run(
        [sys.executable, "-c", FORK, server.url, KEY], check=True, timeout=50, capture_output=True, text=True
    )
    assert [int(line) for line in done.stdout.split()] == [5] * 4, "each knows of the parent and of the other children"
