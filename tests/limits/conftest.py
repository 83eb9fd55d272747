"""Redis for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from ajoxi_async.limits.redis import RedisLimiter

from .redis_server import KEY, Server, find_redis


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]) -> Iterator[Server]:
    binary = find_redis()
    if binary is None:
        missing("redis-server or valkey-server: apt-get install redis-server")
        return
    server = Server(binary, tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """Redis, with the schedule of a key that has been in use for a while: its hold is over."""
    running.start()
    with redis.Redis(port=running.port) as client:
        client.flushall()
        seconds, micros = client.time()
        now = seconds * 1_000_000 + micros
        client.hset(RedisLimiter(running.url, key=KEY)._name, mapping={"next": now, "seen": now})
    yield running
