"""Which events were handled, so that each is handled once however often it is delivered.

Rules:
1. An event is claimed, then done or released. Claiming is atomic: of two workers one gets it.
2. What is done is remembered for `REMEMBER`, longer than the 24 hours for which the platform delivers again.
3. A claim whose worker died lapses after `lease` seconds; an event whose handlers take longer may run twice.
"""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from os import PathLike
from threading import Lock
from typing import Any, Final, Literal, Protocol, TypeVar

import anyio.to_thread

from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["REMEMBER", "Claim", "EventLog", "MemoryLog", "RedisLog", "SqliteLog"]

T = TypeVar("T")

Claim = Literal["new", "running", "done"]

#: Seconds: three days, since an operator may replay dead letters by hand.
REMEMBER: Final = 3 * 24 * 3600.0
#: Seconds after which a claim lapses.
LEASE: Final = 900.0


class EventLog(Protocol):
    """What a `WebhookRouter` asks. Bring your own by implementing these three."""

    async def claim(self, id: str) -> Claim:
        """Take an event if nobody has it; ``"running"`` and ``"done"`` say who has."""
        ...

    async def done(self, id: str) -> None:
        """It was handled: never again."""
        ...

    async def release(self, id: str) -> None:
        """It was not handled: whoever claims it next may."""
        ...


class MemoryLog:
    """In the memory of one process: for one worker, and forgotten when it ends.

    Args:
        remember: seconds.
        lease: seconds.
        clock: seconds, of any beginning.
    """

    def __init__(
        self, *, remember: float = REMEMBER, lease: float = LEASE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remember, self._lease, self._clock = remember, lease, clock
        self._running: dict[str, float] = {}
        self._done: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    async def claim(self, id: str) -> Claim:
        """See `EventLog`."""
        with self._lock:
            now = self._clock()
            while self._done and next(iter(self._done.values())) <= now:
                self._done.popitem(last=False)
            if id in self._done:
                return "done"
            if self._running.get(id, now) > now:
                return "running"
            self._running[id] = now + self._lease
            return "new"

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        with self._lock:
            self._running.pop(id, None)
            self._done[id] = self._clock() + self._remember
            self._done.move_to_end(id)

    async def release(self, id: str) -> None:
        """See `EventLog`."""
        with self._lock:
            self._running.pop(id, None)


class SqliteLog:
    """In a file, for all workers of one machine; it outlives them.

    Args:
        path: of the database, made when there is none.
        remember: seconds.
        lease: seconds.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        remember: float = REMEMBER,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._remember, self._lease, self._clock = remember, lease, clock
        self._lock = Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, state TEXT NOT NULL, until REAL NOT NULL) STRICT"
        )
        self._database.execute("CREATE INDEX IF NOT EXISTS events_until ON events (until)")

    async def _run(self, work: Callable[[], T]) -> T:
        def locked() -> T:
            with self._lock:
                return work()

        return await anyio.to_thread.run_sync(locked)

    async def claim(self, id: str) -> Claim:
        """See `EventLog`."""

        def claim() -> Claim:
            now, run = self._clock(), self._database.execute
            run("DELETE FROM events WHERE until <= ?", (now,))
            taken = run("INSERT OR IGNORE INTO events VALUES (?, 'running', ?)", (id, now + self._lease)).rowcount
            if taken:
                return "new"
            row = run("SELECT state FROM events WHERE id = ?", (id,)).fetchone()
            return "done" if row is not None and row[0] == "done" else "running"

        return await self._run(claim)

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        row = (id, self._clock() + self._remember)
        await self._run(lambda: self._database.execute("INSERT OR REPLACE INTO events VALUES (?, 'done', ?)", row))

    async def release(self, id: str) -> None:
        """See `EventLog`."""
        await self._run(lambda: self._database.execute("DELETE FROM events WHERE id = ? AND state = 'running'", (id,)))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class RedisLog:
    """In Redis or Valkey, for workers on many machines (``ajoxi-async[redis]``).

    Args:
        redis: a URL, or a ``redis.Redis`` of your own.
        prefix: of the names of its keys.
        remember: seconds.
        lease: seconds.

    Raises:
        ConfigurationError: redis-py is not installed.
    """

    def __init__(
        self, redis: Any, *, prefix: str = "ajoxi:event:", remember: float = REMEMBER, lease: float = LEASE
    ) -> None:
        try:
            import redis as library
        except ImportError:
            raise ConfigurationError("RedisLog needs redis-py: pip install 'ajoxi-async[redis]'") from None
        self._redis = library.Redis.from_url(redis) if isinstance(redis, str) else redis
        self._prefix, self._remember, self._lease = prefix, remember, lease

    async def claim(self, id: str) -> Claim:
        """See `EventLog`."""

        def claim() -> Claim:
            name = self._prefix + id
            if self._redis.set(name, "running", nx=True, px=round(self._lease * 1000)):
                return "new"
            return "done" if self._redis.get(name) in {b"done", "done"} else "running"

        return await anyio.to_thread.run_sync(claim)

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        await anyio.to_thread.run_sync(
            lambda: self._redis.set(self._prefix + id, "done", px=round(self._remember * 1000))
        )

    async def release(self, id: str) -> None:
        """See `EventLog`."""
        await anyio.to_thread.run_sync(lambda: self._redis.delete(self._prefix + id))
