"""Which events were handled, so that each is handled once however often it is delivered.

Rules:
1. An event is claimed, then done or released. Claiming is atomic: of two workers one gets it. A claim has an owner, and
   only that one can release it: a worker whose claim lapsed gives up neither another's claim nor what another has done.
2. What is done is remembered for `REMEMBER`, longer than the 24 hours for which the platform delivers again.
3. A claim whose worker died lapses after `lease` seconds; an event whose handlers take longer may run twice.
"""

from __future__ import annotations

import inspect
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from os import PathLike
from typing import Any, Final, Literal, Protocol, TypeVar

import anyio.to_thread

from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.webhooks.blocking import native_lock

__all__ = ["REMEMBER", "Claim", "EventLog", "MemoryLog", "RedisLog", "SqliteLog"]

T = TypeVar("T")

Claim = Literal["new", "running", "done"]

#: Seconds: three days, since an operator may replay dead letters by hand.
REMEMBER: Final = 3 * 24 * 3600.0
#: Seconds after which a claim lapses.
LEASE: Final = 900.0


class EventLog(Protocol):
    """What a `WebhookRouter` asks. Bring your own by implementing these three."""

    async def claim(self, id: str, owner: str) -> Claim:
        """Take an event for `owner` if nobody has it; ``"running"`` and ``"done"`` say who has."""
        ...

    async def done(self, id: str) -> None:
        """It was handled: never again."""
        ...

    async def release(self, id: str, owner: str) -> None:
        """It was not handled: whoever claims it next may. Nothing happens where the claim is not the owner's."""
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
        self._running: dict[str, tuple[str, float]] = {}
        self._done: OrderedDict[str, float] = OrderedDict()
        self._lock = native_lock()

    async def claim(self, id: str, owner: str) -> Claim:
        """See `EventLog`."""
        with self._lock:
            now = self._clock()
            while self._done and next(iter(self._done.values())) <= now:
                self._done.popitem(last=False)
            if id in self._done:
                return "done"
            if id in self._running and self._running[id][1] > now:
                return "running"
            self._running[id] = owner, now + self._lease
            return "new"

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        with self._lock:
            self._running.pop(id, None)
            self._done[id] = self._clock() + self._remember
            self._done.move_to_end(id)

    async def release(self, id: str, owner: str) -> None:
        """See `EventLog`."""
        with self._lock:
            if id in self._running and self._running[id][0] == owner:
                del self._running[id]


#: Seconds to wait for another process that writes.
WAIT: Final = 10.0
#: `state` is "done", or the owner of the claim.
_SET_UP: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, state TEXT NOT NULL, until REAL NOT NULL) STRICT",
    "CREATE INDEX IF NOT EXISTS events_until ON events (until)",
)


def _set_up(database: sqlite3.Connection) -> None:
    end = time.monotonic() + WAIT
    while True:
        try:
            for statement in _SET_UP:
                database.execute(statement)
        except sqlite3.OperationalError as error:
            # The workers of a server begin together, and whoever switches to WAL does not wait for another that does,
            # whatever the timeout of the connection.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return


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
        self._path = path
        self._lock = native_lock()
        self._opened: dict[int, sqlite3.Connection] = {}
        self._connection()  # a path that cannot be is told here

    def _connection(self) -> sqlite3.Connection:
        # One for each process: SQLite's own rule is that none is carried over a fork, as of a server's first process.
        process = os.getpid()
        if process not in self._opened:
            self._lock = native_lock()
            database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None, timeout=WAIT)
            _set_up(database)
            self._opened[process] = database
        return self._opened[process]

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        database = self._connection()

        def locked() -> T:
            with self._lock:
                return work(database)

        return await anyio.to_thread.run_sync(locked)

    async def claim(self, id: str, owner: str) -> Claim:
        """See `EventLog`."""

        def claim(database: sqlite3.Connection) -> Claim:
            now, run = self._clock(), database.execute
            run("DELETE FROM events WHERE until <= ?", (now,))
            taken = run("INSERT OR IGNORE INTO events VALUES (?, ?, ?)", (id, owner, now + self._lease)).rowcount
            if taken:
                return "new"
            row = run("SELECT state FROM events WHERE id = ?", (id,)).fetchone()
            return "done" if row is not None and row[0] == "done" else "running"

        return await self._run(claim)

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        row = (id, self._clock() + self._remember)
        await self._run(lambda database: database.execute("INSERT OR REPLACE INTO events VALUES (?, 'done', ?)", row))

    async def release(self, id: str, owner: str) -> None:
        """See `EventLog`."""
        await self._run(lambda run: run.execute("DELETE FROM events WHERE id = ? AND state = ?", (id, owner)))

    def close(self) -> None:
        """Close the file."""
        if database := self._opened.pop(os.getpid(), None):
            database.close()


#: Compare and delete in one step: between a look and a deletion the claim could lapse and be taken over.
_RELEASE: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class RedisLog:
    """In Redis or Valkey, for workers on many machines (``ajoxi-async[redis]``).

    Args:
        redis: a URL, or a ``redis.Redis`` of your own; it is asked in a thread, so that it serves asyncio, trio and WSGI.
        prefix: of the names of its keys.
        remember: seconds.
        lease: seconds.

    Raises:
        ConfigurationError: redis-py is not installed, or the client is an asynchronous one.
    """

    def __init__(
        self, redis: Any, *, prefix: str = "ajoxi:event:", remember: float = REMEMBER, lease: float = LEASE
    ) -> None:
        try:
            import redis as library
        except ImportError:
            raise ConfigurationError("RedisLog needs redis-py: pip install 'ajoxi-async[redis]'") from None
        if inspect.iscoroutinefunction(getattr(redis, "execute_command", None)):
            raise ConfigurationError(
                f"redis: expected a URL or a redis.Redis, got {type(redis).__module__}'s asynchronous one"
            )
        self._redis = library.Redis.from_url(redis) if isinstance(redis, str) else redis
        self._prefix, self._remember, self._lease = prefix, remember, lease

    async def claim(self, id: str, owner: str) -> Claim:
        """See `EventLog`."""

        def claim() -> Claim:
            name = self._prefix + id
            if self._redis.set(name, owner, nx=True, px=round(self._lease * 1000)):
                return "new"
            return "done" if self._redis.get(name) in {b"done", "done"} else "running"

        return await anyio.to_thread.run_sync(claim)

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        await anyio.to_thread.run_sync(
            lambda: self._redis.set(self._prefix + id, "done", px=round(self._remember * 1000))
        )

    async def release(self, id: str, owner: str) -> None:
        """See `EventLog`."""
        await anyio.to_thread.run_sync(lambda: self._redis.eval(_RELEASE, 1, self._prefix + id, owner))
