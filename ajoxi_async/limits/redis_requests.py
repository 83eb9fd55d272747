"""Requests to Redis: checking the client, the thread that sends requests, and the reason of a failure for the log.

Rules:
1. A thread of its own sends the requests and ends after `LINGER` seconds without one. Threads of a shared pool, such as
   anyio's forty, may all be busy.
2. After a request has timed out, it is left to finish, and the next ones fail at once meanwhile. If it does not finish
   within `ABANDON` seconds, it is given up together with its thread: a client without timeouts may wait for ever.
3. The script, its key and its arguments are bytes, and answers may be bytes or text, because whether the client encodes and
   decodes is its owner's choice.
4. Reasons are logged without the password, which Redis repeats in some of its errors.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from ajoxi_async.contract.masking import mask
from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["RequestThread", "make_client", "reason_of"]

#: Seconds that a socket waits for Redis, where the client is made from a URL.
SOCKET_TIMEOUT: Final = 0.25
#: Seconds until an idle thread ends, seconds until a request is given up, and how many threads are given up at most.
LINGER, ABANDON, MOST_ABANDONED = 2.0, 10.0, 4

_EXPECTED = "redis: expected a URL such as redis://host:6379/0, or a redis.Redis or RedisCluster that is not asyncio's"


def make_client(redis: Any) -> Any:
    """Check a client, or make one from a URL. It does not connect.

    Raises:
        ConfigurationError: `redis` is neither, or the URL cannot be right. The message does not repeat the URL, since it may
            hold a password.
    """
    try:
        import redis as library
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise ConfigurationError("RedisLimiter needs redis-py: pip install 'ajoxi-async[redis]'") from None
    if not isinstance(redis, str):
        # By its type and not with isinstance, which a mock with a spec passes.
        kind = type(redis)
        if not issubclass(kind, (library.Redis, library.RedisCluster)) or issubclass(kind, library.client.Pipeline):
            raise ConfigurationError(f"{_EXPECTED}, got {kind.__module__.split('.')[0]}'s {kind.__name__}")
        return redis
    try:
        parts = urlsplit(redis)
        if parts.scheme != "unix" and not re.fullmatch(r"/?[0-9]*", parts.path):
            raise ConfigurationError(f"{_EXPECTED}; the path of this one is not a database number")
        client = library.Redis.from_url(
            redis, socket_timeout=SOCKET_TIMEOUT, socket_connect_timeout=SOCKET_TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
        if parts.query:
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # raises for unknown parameters of the query
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{_EXPECTED}; this one cannot be used ({type(error).__name__})") from None
    return client


def reason_of(error: BaseException, client: Any) -> tuple[bool, str]:
    """The reason of a failure: whether Redis was reached and refused, and a description in one line."""
    from redis import exceptions

    unreachable = isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError, OSError))
    refused = not unreachable or isinstance(error, (exceptions.AuthenticationError, exceptions.AuthorizationError))
    # The error for an unknown command repeats its arguments, which may include the password.
    text = re.sub(r"(?s),? with args beginning with.*", "", str(error))
    pool = getattr(client, "connection_pool", None)
    password = getattr(pool, "connection_kwargs", {}).get("password")
    if password:
        text = text.replace(str(password), "***")
    text = mask(" ".join(text.split()))[:200]
    name = type(error).__name__
    hint = "; this is a cluster's node, so give a RedisCluster" if name == "MovedError" else ""
    return refused, (f"{name}: {text}" if text else name) + hint


class _Request:
    def __init__(self, ask: Callable[[], Any]) -> None:
        self.ask = ask
        self.began = time.monotonic()
        self.done = False
        self.answer: Any = None
        self.error: BaseException | None = None


class RequestThread:
    """Sends one request at a time, in a thread of its own. It belongs to one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._request: _Request | None = None
        self._running = False
        self._abandoned = 0

    @property
    def busy(self) -> bool:
        """Whether a request that has timed out is still under way."""
        with self._changed:
            request = self._request
            if request is None:
                return False
            if time.monotonic() - request.began > ABANDON and self._abandoned < MOST_ABANDONED:
                self._abandoned += 1
                self._request, self._running = None, False
                return False
            return True

    def ask(self, ask: Callable[[], Any], patience: float) -> Any:
        """Call `ask` in the thread and wait for its result.

        Raises:
            TimeoutError: it takes longer than `patience` seconds.
            BaseException: the error that it raised, or that no thread could be started.
        """
        if self.busy:
            raise TimeoutError("an earlier request is still under way")
        request = _Request(ask)
        with self._changed:
            if not self._running:
                threading.Thread(target=self._serve, name="ajoxi-redis", daemon=True).start()
                self._running = True
            self._request = request
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: request.done, patience):
                raise TimeoutError(f"no answer within {patience:g} s")
        if request.error is not None:
            raise request.error
        return request.answer

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._request is not None, LINGER):
                    self._running = False
                    return
                request = self._request
            if request is None:
                continue
            try:
                request.answer = request.ask()
            except BaseException as error:
                request.error = error
            with self._changed:
                request.done = True
                if self._request is not request:  # it was given up meanwhile
                    self._abandoned -= 1
                    return
                self._request = None
                self._changed.notify_all()
