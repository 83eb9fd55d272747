"""A Redis that does not answer, refuses, or is asked in another way than expected."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest
import redis
import redis.asyncio

from ajoxi_async import CallCompleted, ConfigurationError, Event, EventLogError
from ajoxi_async.contract import signing
from ajoxi_async.webhooks.logs import RedisLog
from ajoxi_async.webhooks.logs import redis as redis_log
from ajoxi_async.webhooks.router import WebhookRouter

pytestmark = pytest.mark.anyio

SECRET = "whsec_0123456789"
BODY = b'{"id": "evt_1", "type": "call.completed", "data": {"id": "call_1"}}'


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.fixture(params=["url", "client without timeouts"])
def silent_log(request: pytest.FixtureRequest, silent: int) -> Iterator[RedisLog]:
    """A log on a silent server."""
    if request.param == "url":
        yield RedisLog(f"redis://127.0.0.1:{silent}")
        return
    with redis.Redis(port=silent, socket_timeout=None, socket_connect_timeout=None) as client:
        yield RedisLog(client)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules in a shorter time."""
    monkeypatch.setattr(redis_log, "PATIENCE", 0.2)


async def test_a_redis_that_says_nothing(silent_log: RedisLog, impatient: None) -> None:
    """Each question ends with an error of ours, and the router answers 503, so that the event comes again."""
    router, ran = WebhookRouter(SECRET, log=silent_log), []

    @router.on(CallCompleted)
    async def handler(event: Event) -> None:
        ran.append(event.id)

    with anyio.fail_after(3):
        with pytest.raises(EventLogError, match="does not answer within"):
            await silent_log.claim("evt_1", "worker")
        assert (await router.receive(BODY, signing.sign(BODY, [SECRET]))).status == 503
    assert not ran


async def test_a_question_to_a_silent_redis_is_cancelled_at_once(silent_log: RedisLog) -> None:
    """Whoever cancels is not kept waiting."""
    began = time.monotonic()
    with anyio.move_on_after(0.1):
        await silent_log.claim("evt_1", "worker")
    assert time.monotonic() - began < 1


async def test_a_silent_redis_does_not_fill_the_process_with_threads(
    silent: int, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While many questions are under way nothing is asked; it is asked again when they are old enough."""
    monkeypatch.setattr(redis_log, "PATIENCE", 0.01)
    with redis.Redis(port=silent, socket_timeout=None, socket_connect_timeout=None) as client:
        log = RedisLog(client)
        for _ in range(3 * redis_log.MOST_LEFT):
            with pytest.raises(EventLogError):
                await log.claim("evt_1", "worker")
        mine = [one for one in threading.enumerate() if one.name == "ajoxi-webhooks-redis"]
        assert redis_log.MOST_LEFT <= len(mine) <= 3 * redis_log.MOST_LEFT  # those of other tests besides
        with pytest.raises(EventLogError, match="still under way"):
            await log.claim("evt_1", "worker")
        monkeypatch.setattr(redis_log, "FORGOTTEN", 0.0)
        with pytest.raises(EventLogError, match="within"):
            await log.claim("evt_1", "worker")


def test_a_process_with_a_question_under_way_ends() -> None:
    """A thread that waits for a silent Redis does not keep the process from ending."""
    code = """
import anyio, redis, socket
from ajoxi_async.webhooks.logs import RedisLog
server = socket.create_server(("127.0.0.1", 0))
log = RedisLog(redis.Redis(port=server.getsockname()[1], socket_timeout=None, socket_connect_timeout=None))
async def main():
    with anyio.move_on_after(0.1):
        await log.claim("evt_1", "worker")
anyio.run(main)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=20)


async def test_a_claim_that_succeeds_too_late_is_released(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody handles the event of a claim that was given up: the next delivery gets it, not the lapse of the claim."""
    monkeypatch.setattr(redis_log, "PATIENCE", 0.05)
    go = threading.Event()
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        log, put = RedisLog(client), client.set

        def slow(*args: Any, **more: Any) -> Any:
            go.wait(10)
            return put(*args, **more)

        monkeypatch.setattr(client, "set", slow)
        with pytest.raises(EventLogError):
            await log.claim("evt_1", "late")
        go.set()
        with anyio.fail_after(5):
            while log._left:
                await anyio.sleep(0.01)
        monkeypatch.setattr(redis_log, "PATIENCE", 5.0)
        assert await log.claim("evt_1", "next") == "new"


async def test_a_claim_whose_answer_was_lost_is_released(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis has made the claim, but nobody was told: the next delivery gets it, not the lapse of the claim."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        log, put = RedisLog(client), client.set

        def cut(*args: Any, **more: Any) -> Any:
            put(*args, **more)
            raise redis.ConnectionError

        monkeypatch.setattr(client, "set", cut)
        with pytest.raises(EventLogError):
            await log.claim("evt_1", "first")
        monkeypatch.setattr(client, "set", put)
        with anyio.fail_after(20):
            while await log.claim("evt_1", "next") == "running":
                await anyio.sleep(0.01)


async def test_a_claim_that_the_client_asks_for_twice(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py asks again when an answer was lost: the claim that it finds is its own."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        log, put = RedisLog(client), client.set

        def twice(*args: Any, **more: Any) -> Any:
            put(*args, **more)
            return put(*args, **more)

        monkeypatch.setattr(client, "set", twice)
        assert await log.claim("evt_1", "first") == "new"
        assert await log.claim("evt_1", "second") == "running"


async def test_all_other_threads_are_busy(redis_url: str) -> None:
    """An application that keeps every thread of anyio's busy does not hold up the log."""
    go = threading.Event()
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        log = RedisLog(client)
        async with anyio.create_task_group() as tasks:
            for _ in range(45):
                tasks.start_soon(anyio.to_thread.run_sync, go.wait, 10)
            await anyio.sleep(0.1)
            try:
                with anyio.fail_after(3):
                    assert await log.claim("evt_1", "worker") == "new"
            finally:
                go.set()


@pytest.mark.parametrize("by", ["client", "url"])
async def test_decoded_answers(redis_url: str, by: str) -> None:
    """A client that decodes answers is a client like any other."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushall()
        log = RedisLog(client if by == "client" else f"{redis_url}?decode_responses=True")
        assert await log.claim("evt_1", "worker") == "new"
        assert await log.claim("evt_1", "other") == "running"
        await log.release("evt_1", "worker")
        assert await log.claim("evt_1", "worker") == "new"
        await log.done("evt_1")
        assert await log.claim("evt_1", "worker") == "done"
        if by == "url":
            log._redis.close()


async def test_a_redis_that_refuses(redis_url: str) -> None:
    """What Redis says is in the error: a key of another type, no permission, a password that is missing."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        client.rpush("ajoxi:event:evt_1", "x")
        with pytest.raises(EventLogError, match="WRONGTYPE"):
            await RedisLog(client).claim("evt_1", "worker")
        client.execute_command("ACL", "SETUSER", "reader", "on", ">secretword", "~*", "+get", "+hello", "+client")
        try:
            url = redis_url.replace("//", "//reader:secretword@")
            log = RedisLog(url)
            with pytest.raises(EventLogError, match="(?i)no ?perm") as caught:
                await log.claim("evt_2", "worker")
            assert "secretword" not in str(caught.value)
            log._redis.close()
        finally:
            client.execute_command("ACL", "DELUSER", "reader")
    with pytest.raises(EventLogError, match="ConnectionError"):
        await RedisLog("redis://127.0.0.1:1").claim("evt_1", "worker")


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        b"redis://127.0.0.1",
        "",
        "127.0.0.1:6379",
        "http://:secretword@127.0.0.1",
        "redis://:secretword@127.0.0.1:port",
        "redis://:secretword@127.0.0.1?nonsense=1",
        "redis://:secretword@127.0.0.1?socket_timeout=x",
        redis.Redis,
        redis.asyncio.Redis(),
        redis.asyncio.Redis,
        redis.Redis().pipeline(),
        redis.ConnectionPool(),
        object(),
    ],
)
async def test_what_is_no_redis(given: Any) -> None:
    """It is refused where it is given, and a password is not shown."""
    with pytest.raises(ConfigurationError, match=r"redis: expected a URL") as caught:
        RedisLog(given)
    assert "secretword" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_a_client_that_turns_out_to_be_asynchronous() -> None:
    """Its answers look like success without having asked anybody: no claim is new for that."""

    class Client:
        def set(self, *args: Any, **more: Any) -> Any:
            return anyio.sleep(0)

        def __getattr__(self, name: str) -> Any:
            return self.set

    with pytest.raises(EventLogError, match="not asynchronous"):
        await RedisLog(Client()).claim("evt_1", "worker")
