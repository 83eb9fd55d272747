"""Whether a client was closed, and what its closing ends.

Rules:
1. A client is closed once and for all, together with its variants. A call made afterwards raises `ClientClosedError`.
2. Closing ends at once what waits: for a turn at the limiter, for a token, for the next attempt or connection. What is on
   the wire is ended by the transport.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import anyio

from ajoxi_async.protocol.errors import ClientClosedError
from ajoxi_async.runtime.forks import renew_in_child
from ajoxi_async.runtime.loops import Loop, call_soon, running_loop

__all__ = ["Lifetime"]

T = TypeVar("T")


class Lifetime:
    """Shared by a client and its variants, in all threads.

    Attributes:
        closed: whether the client was closed.
    """

    __slots__ = ("__weakref__", "_lock", "_waits", "closed")

    def __init__(self) -> None:
        self.closed: bool = False
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget all waits: in a forked child they belong to the parent."""
        self._lock = Lock()
        self._waits: dict[anyio.CancelScope, Loop] = {}

    def check(self, route: str | None = None) -> None:
        """Refuse to begin anything after the client was closed.

        Raises:
            ClientClosedError: it was closed.
        """
        if self.closed:
            raise ClientClosedError("the client is closed; nothing was sent", route=route, attempts=0)

    @contextmanager
    def ends(self, scope: anyio.CancelScope) -> Iterator[None]:
        """While the block runs, cancel `scope` when the client is closed, or at once if it is closed already."""
        with self._lock:
            self._waits[scope] = running_loop()
        try:
            if self.closed:
                scope.cancel()
            yield
        finally:
            with self._lock:
                del self._waits[scope]

    async def bound(self, route: str, work: Awaitable[T]) -> T:
        """Await `work`, but stop waiting when the client is closed.

        Raises:
            ClientClosedError: it was closed first.
        """
        with anyio.CancelScope() as scope, self.ends(scope):
            return await work
        raise ClientClosedError("the client was closed; nothing was sent", route=route, attempts=0)

    def close(self) -> None:
        """Mark the client as closed and end every wait. Idempotent."""
        self.closed = True
        with self._lock:
            waits = tuple(self._waits.items())
        here = running_loop()
        for scope, loop in waits:
            if loop is here:
                scope.cancel()
            else:
                call_soon(loop, scope.cancel)
