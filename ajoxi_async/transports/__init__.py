"""Floor 2: the only I/O of the client. One module per engine, each an implementation of `contract.wire.Transport`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from attrs import frozen

from ajoxi_async.contract.wire import Request, Response, StreamResponse, Transport

__all__ = ["EngineTransport", "TransportSettings", "session_kind"]


@frozen(kw_only=True)
class TransportSettings:
    """What both engines understand.

    Attributes:
        proxy: URL of an HTTP proxy for every request.
        tls: a TLS context in place of the default one.
        trust_env: whether HTTP_PROXY, HTTPS_PROXY, NO_PROXY and .netrc count.
        max_connections: most connections REST calls hold at once; live streams have their own and are not limited.
        session: a caller's own ``aiohttp.ClientSession`` or ``httpx.AsyncClient``, never closed by this package.
    """

    proxy: str | None = None
    tls: ssl.SSLContext | None = None
    trust_env: bool = False
    max_connections: int = 100
    session: Any = None


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def session_kind(session: Any) -> str | None:
    """``aiohttp`` or ``httpx``, told without importing either; ``None`` for what is no session."""
    names = {kind.__module__.partition(".")[0] for kind in type(session).__mro__}
    return next((name for name in ("aiohttp", "httpx") if name in names), None)


def _open(settings: TransportSettings) -> Transport:
    if session_kind(settings.session) != "httpx" and _on_asyncio():
        from ajoxi_async.transports.aiohttp import AiohttpTransport

        return AiohttpTransport(settings)
    from ajoxi_async.transports.httpx import HttpxTransport

    return HttpxTransport(settings)


class EngineTransport:
    """The engine of the event loop that is running: aiohttp on asyncio, httpx elsewhere, or an injected session's.

    Engines are imported and opened on first use: importing the package stays cheap, and a client may be made before any
    loop runs.
    """

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._engines: dict[bool, Transport] = {}
        # Asked first, with its loop named: before Python 3.12 asking which loop is running costs a system call.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_loop: Transport

    def _engine(self) -> Transport:
        if self._loop is not None and asyncio.current_task(self._loop) is not None:
            return self._on_loop
        kind = _on_asyncio()
        engine = self._engines.get(kind)
        if engine is None:
            engine = self._engines[kind] = _open(self._settings)
        if kind:
            self._loop, self._on_loop = asyncio.get_running_loop(), engine
        return engine

    def prepare(self) -> None:
        """Import the engine now: at the first request it would take time between its turn and its leaving."""
        self._engine()

    def send(self, request: Request) -> Coroutine[Any, Any, Response]:
        """See `Transport.send`."""
        return self._engine().send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[StreamResponse]:
        """See `Transport.stream`."""
        return self._engine().stream(request)

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self._loop = None
        engine = self._engines.pop(_on_asyncio(), None)
        if engine is not None:
            await engine.aclose()
