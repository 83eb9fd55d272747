"""The log of events in Redis or Valkey, for workers on many machines (``ajoxi-async[redis]``).

Rules:
1. Redis is asked in threads of the log's own, so that the log works with asyncio, trio and WSGI, and also while all threads of
   anyio's pool are busy. They are daemon threads, so that one without an answer does not keep the process from ending.
2. A request ends after `PATIENCE` seconds, and at once when it is cancelled, whatever the client's own timeouts are: redis-py
   before 6 has none by default. A claim that succeeds after its request was given up is released.
3. Threads of given-up requests are counted. While there are `MOST_LEFT` of them, no request is made. A thread older than
   `FORGOTTEN` seconds is not counted any more, so that a log whose connections hung for good works again by itself.
4. A claim may have been made although its answer was lost. One that failed is released, after the error was raised.
5. Every refusal of Redis is an `EventLogError`, whatever the client raises.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, Final, Generic, TypeVar

import anyio

from ajoxi_async.contract.masking import mask
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.protocol.errors import ConfigurationError, EventLogError
from ajoxi_async.webhooks.greenlets import native_lock
from ajoxi_async.webhooks.logs.memory import LEASE, REMEMBER, Claim, check_spans

__all__ = ["RedisLog"]

T = TypeVar("T")

#: Seconds that a socket waits, if the client is made from a URL, and seconds that any request may take. The platform waits
#: 15 s for its answer.
SOCKET_TIMEOUT: Final = 2.0
PATIENCE: Final = 4.0
#: How many given-up requests may be under way, and seconds after which one is not counted any more.
MOST_LEFT: Final = 16
FORGOTTEN: Final = 60.0

_THREAD: Final = "ajoxi-webhooks-redis"

#: Compares and deletes in one step, because between two steps the claim could expire and be taken by another worker. The state of a
#: claim is its owner and a token of nine characters.
_RELEASE: Final = (
    "local state = redis.call('get', KEYS[1])"
    " if state and #state > 9 and string.sub(state, 1, -10) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
)


def _client(redis: Any) -> Any:
    """A client of redis-py, checked as far as is possible without connecting."""
    try:
        import redis as library
    except ImportError:
        raise ConfigurationError("RedisLog needs redis-py: pip install 'ajoxi-async[redis]'") from None
    if isinstance(redis, str):
        try:
            client = library.Redis.from_url(redis, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT)
            # Options of the URL are checked when a connection object is made, which does not connect yet.
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)
        except Exception as error:
            # Without the URL and the error's text, which may hold a password.
            raise ConfigurationError(
                f"redis: expected a URL such as redis://localhost:6379/0; this one is refused ({type(error).__name__})"
            ) from None
        return client
    methods = [getattr(redis, name, None) for name in ("set", "get", "eval")]
    execute = getattr(redis, "execute_command", None)
    wrong = (
        isinstance(redis, (type, library.client.Pipeline))
        or any(why_not_plain(method) for method in methods)
        or (execute is not None and why_not_plain(execute))
    )
    if wrong:
        kind = type(redis)
        raise ConfigurationError(
            f"redis: expected a URL or a redis.Redis that is not asynchronous, got {kind.__module__}.{kind.__qualname__}"
            if redis is not None and not isinstance(redis, type)
            else f"redis: expected a URL or a redis.Redis, got {redis!r}"
        )
    return redis


class _Question(Generic[T]):
    """One request, sent in a thread of its own and awaited in an event loop."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = native_lock()
        self._answer: T | None = None
        self._error: Exception | None = None
        self.ended = False
        self._left: Callable[[T], object] | None = None
        self._done = anyio.Event()
        if "trio" in sys.modules and sys.modules["trio"].lowlevel.in_trio_run():
            self._tell: Callable[[Callable[[], object]], object] = (
                sys.modules["trio"].lowlevel.current_trio_token().run_sync_soon
            )
        else:
            self._tell = asyncio.get_running_loop().call_soon_threadsafe

    def run(self) -> None:
        """Send the request, and wake the waiting task. Called in the thread."""
        try:
            self._answer = self._ask()
        except Exception as error:
            self._error = error
        with self._lock:
            self.ended = True
            left = self._left
        if left is not None and self._error is None:
            self._undo(left)
        try:
            self._tell(self._done.set)
        except RuntimeError:
            pass  # the event loop has ended

    @property
    def failed(self) -> bool:
        """Whether it was answered with an error, or not at all."""
        return self._error is not None

    async def answer(self) -> T:
        """Wait for the answer."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]

    def leave(self, then: Callable[[T], object]) -> None:
        """Give the request up. `then` is called with its answer in a thread, also if the answer has come already."""
        with self._lock:
            self._left = then
            ended = self.ended
        if ended and self._error is None:
            Thread(target=self._undo, args=(then,), name=_THREAD, daemon=True).start()

    def _undo(self, then: Callable[[T], object]) -> None:
        try:
            then(self._answer)  # type: ignore[arg-type]
        except Exception:
            return  # no task waits for the answer any more, and a claim expires by itself


class RedisLog:
    """A log in Redis or Valkey, for workers on several machines (``ajoxi-async[redis]``).

    Its methods raise `EventLogError` within 4 s if Redis refuses or does not answer.

    Args:
        redis: a URL, or a ``redis.Redis`` of your own. It is used in a thread, so the log works with asyncio, trio and WSGI.
        prefix: of the names of its keys.
        remember: seconds.
        lease: seconds.

    Raises:
        ConfigurationError: redis-py is not installed, the URL cannot be right, or the client is an asynchronous one.
    """

    def __init__(
        self, redis: Any, *, prefix: str = "ajoxi:event:", remember: float = REMEMBER, lease: float = LEASE
    ) -> None:
        self._redis = _client(redis)
        self._prefix = prefix
        self._remember, self._lease = check_spans(remember, lease)
        #: When the requests were given up whose threads are still under way.
        self._left: dict[object, float] = {}

    async def _ask(
        self, ask: Callable[[], T], late: Callable[[T], object], lost: Callable[[], object] | None = None
    ) -> T:
        left = [since for since in list(self._left.values()) if since > time.monotonic() - FORGOTTEN]
        if len(left) >= MOST_LEFT:
            raise EventLogError(f"Redis does not answer: {len(left)} requests are still under way")

        def run() -> None:
            try:
                question.run()
                if question.failed and lost is not None:
                    self._left[question] = time.monotonic()
                    with suppress(Exception):  # Redis is still away, and a claim expires by itself
                        lost()
            finally:
                self._left.pop(question, None)

        question = _Question(ask)
        Thread(target=run, name=_THREAD, daemon=True).start()
        answered = False
        try:
            with anyio.move_on_after(PATIENCE):
                answer = await question.answer()
                answered = True
        except Exception as error:
            answered = True
            raise EventLogError(mask(f"Redis cannot be asked: {type(error).__name__}: {error}")) from error
        finally:
            if not answered:
                self._left[question] = time.monotonic()
                question.leave(late)
                if question.ended:
                    self._left.pop(question, None)
        if not answered:
            raise EventLogError(f"Redis does not answer within {PATIENCE:g} s")
        return answer

    async def claim(self, id: str, owner: str) -> Claim:
        """See `EventLog`."""

        def claim() -> Claim:
            name, mine = self._prefix + id, f"{owner} {secrets.token_hex(4)}"
            if _plain(self._redis.set(name, mine, nx=True, px=round(self._lease * 1000))):
                return "new"
            state = self._redis.get(name)
            if state in {mine.encode(), mine}:  # redis-py has asked twice, because the first answer was lost
                return "new"
            return "done" if state in {b"done", "done"} else "running"

        def give_up(late: Claim) -> None:
            if late == "new":
                self._release(id, owner)

        return await self._ask(claim, give_up, lambda: self._release(id, owner))

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        remember = round(self._remember * 1000)
        await self._ask(lambda: _plain(self._redis.set(self._prefix + id, "done", px=remember)), lambda _: None)

    async def release(self, id: str, owner: str) -> None:
        """See `EventLog`."""
        await self._ask(lambda: self._release(id, owner), lambda _: None)

    def _release(self, id: str, owner: str) -> Any:
        return _plain(self._redis.eval(_RELEASE, 1, self._prefix + id, owner))


def _plain(answer: T) -> T:
    """Check that an answer is not awaitable: an asynchronous client has sent nothing."""
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError("expected a client that is not asynchronous")
    return answer
