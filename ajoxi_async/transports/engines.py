"""A transport for any number of event loops, threads and processes, with an engine for each loop.

Rules:
1. Each event loop has an engine of its own, which is looked up by the running loop: aiohttp on asyncio, httpx on trio, or the
   library of the caller's session.
2. An engine is removed when its loop ends. Engines close themselves while their loop shuts down its asynchronous generators,
   as `asyncio.run` and trio do. Engines of a loop that was closed without that are abandoned when the next engine is made.
3. A forked child begins without engines. It closes its copies of the parent's sockets and uses nothing else of the parent's
   loop, because they share the selector.
4. Closing closes the engines of all loops, each in its own loop. The transport cannot be used afterwards.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from threading import Lock
from typing import Any, Protocol
from weakref import ref

from ajoxi_async.contract.wire import ExchangeError, Request, Response, StreamResponse, Transport
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.runtime.forks import renew_in_child
from ajoxi_async.runtime.loops import Loop, call_soon, has_ended, running_loop
from ajoxi_async.transports.settings import TransportSettings, session_kind

__all__ = ["EngineTransport"]


class Engine(Transport, Protocol):
    """A transport that works in one event loop."""

    def close_soon(self) -> None:
        """Close in a new task. Called in the engine's loop."""
        ...

    def abandon(self) -> None:
        """Close the sockets only, because the loop has ended or belongs to the parent process."""
        ...


def _open(settings: TransportSettings, loop: Loop, ended: Callable[[Engine], None]) -> Engine:
    kind = session_kind(settings.session)
    on_asyncio = isinstance(loop, asyncio.AbstractEventLoop)
    if kind == "aiohttp" and not on_asyncio:
        raise ConfigurationError(
            "session: an aiohttp.ClientSession works on asyncio only; on trio give an httpx.AsyncClient"
        )
    if kind in {None, "aiohttp"} and on_asyncio:
        from ajoxi_async.transports.aiohttp import AiohttpTransport

        return AiohttpTransport(settings, ended)
    from ajoxi_async.transports.httpx import HttpxTransport

    return HttpxTransport(settings, ended)


class EngineTransport:
    """`contract.wire.Transport` for any event loop.

    Engines are imported and opened on first use, so that importing the package is fast and a client can be made before a
    loop runs.
    """

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._closed = False
        self._sessions_loop: Loop | None = None
        self._begin()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin again in a forked child."""
        for engine in list(self._engines.values()):
            engine.abandon()
        self._begin()

    def _begin(self) -> None:
        self._lock = Lock()
        self._engines: dict[Loop, Engine] = {}
        # The last engine and its loop in one value, because another thread may replace it at any moment.
        self._last: tuple[Loop | None, Any] = (None, None)

    def _engine(self) -> Engine:
        last, engine = self._last
        loop = asyncio._get_running_loop()
        # In trio's guest mode an asyncio loop runs as well, but the current task is trio's.
        if loop is last and loop is not None and ("trio" not in sys.modules or asyncio.current_task(loop) is not None):
            return engine  # type: ignore[no-any-return]
        return self._find(running_loop())

    def _find(self, loop: Loop) -> Engine:
        with self._lock:
            engine = self._engines.get(loop)
            if engine is None:
                if self._closed:
                    raise ExchangeError("the client is closed", sent=False)
                self._give_up_ended()
                self._check_loop_of_session(loop)
                engine = self._engines[loop] = _open(self._settings, loop, self._on_end(loop))
        self._last = (loop, engine)
        return engine

    def _give_up_ended(self) -> None:
        # Copied, because an engine that closes itself in another thread removes itself from the dict.
        for loop, engine in list(self._engines.items()):
            if has_ended(loop):
                self._engines.pop(loop, None)
                engine.abandon()

    def _check_loop_of_session(self, loop: Loop) -> None:
        # An aiohttp session knows its loop. An httpx client belongs to the first loop in which it makes a connection.
        if session_kind(self._settings.session) in {None, "aiohttp"}:
            return
        if self._sessions_loop not in {None, loop}:
            raise ConfigurationError(
                "session: it was used in another event loop, where its connections are; give each loop a client with a session "
                "of its own, or leave session out: without it one client serves any number of loops"
            )
        self._sessions_loop = loop

    def _on_end(self, loop: Loop) -> Callable[[Engine], None]:
        # A weak reference, so that an engine does not keep a client alive that was dropped without being closed.
        this = ref(self)

        def ended(engine: Engine) -> None:
            _dropped.discard(engine)
            transport = this()
            if transport is not None:
                transport._engines.pop(loop, None)
                if transport._last[0] is loop:
                    transport._last = (None, None)

        return ended

    def prepare(self) -> None:
        """Import the engine now, because the import would delay the first request between its permit and its sending."""
        self._engine()

    def send(self, request: Request) -> Coroutine[Any, Any, Response]:
        """See `Transport.send`."""
        try:
            engine = self._engine()
        except ConfigurationError:
            request.sent = False
            raise
        return engine.send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[StreamResponse]:
        """See `Transport.stream`."""
        return self._engine().stream(request)

    async def aclose(self) -> None:
        """Close the engines of all loops: the running loop's before this returns, the others in tasks of their loops."""
        here = running_loop()
        with self._lock:
            self._closed = True
            engines, self._engines, self._last = self._engines, {}, (None, None)
        for loop, engine in engines.items():
            if loop is not here and not call_soon(loop, engine.close_soon):
                engine.abandon()
        if here in engines:
            await engines[here].aclose()

    def __del__(self) -> None:
        for loop, engine in list(self._engines.items()):
            # Kept until it has closed itself: if the loop ends at this moment, only the engine's own generator closes it.
            _dropped.add(engine)
            if has_ended(loop) or not call_soon(loop, engine.close_soon):
                engine.abandon()


#: Engines of transports that were dropped without being closed.
_dropped: set[Engine] = set()
