"""One exchange over aiohttp: its state, and the request and response classes that record it.

Rules:
1. A request counts as sent from the moment aiohttp starts to write it. aiohttp calls `ClientRequest.send` exactly then, so
   the flag is set there.
2. aiohttp sends GET, PUT and DELETE again by itself when a kept connection breaks, which the limiter would not notice. A
   second `send` within one exchange is therefore refused, and the retry rules decide.
3. A kept connection that is readable before the request is written is not used: the peer has closed it, or has sent data that
   would be taken for the answer to this request. aiohttp itself would notice only when its loop reads the next time. Nothing
   was sent, so another connection is taken at once.
4. A request is written directly after its connection was checked; no other code runs in between.
"""

from __future__ import annotations

import asyncio
import logging
import select
import sys
import types
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import aiohttp

from ajoxi_async.contract.masking import mask

__all__ = ["CheckedRequest", "Exchange", "HeldResponse", "UnusableConnectionError", "answer_or_raise", "current"]

logger: logging.Logger = logging.getLogger("ajoxi_async")


class Exchange:
    """The state of an exchange that is under way.

    Attributes:
        task: the task that waits for it.
        sent: whether any byte may have been sent; ``None`` while that is unknown, because something else than aiohttp makes the request.
        expired: whether its time ran out.
        closed: whether the client was closed.
        response: of a stream, once its headers have come.
        answer: the response as it came, while code of the caller's session may still raise.
    """

    __slots__ = ("answer", "cancelling", "closed", "expired", "response", "sent", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelling = task.cancelling()
        self.sent: bool | None = None
        self.expired = self.closed = False
        self.response: aiohttp.ClientResponse | None = None
        self.answer: HeldResponse | None = None

    def expire(self) -> None:
        """End it because its time is up."""
        self.expired = True
        self.task.cancel()

    def close(self) -> None:
        """End it because the client was closed."""
        self.closed = True
        if self.response is None:
            self.task.cancel()
        else:  # only an exception wakes the task that reads
            self.response.content.set_exception(aiohttp.ClientConnectionError("the client was closed"))
            self.response.close()

    def translated(self) -> Exception | None:
        """The error that a CancelledError stands for; ``None`` if the task was really cancelled from outside."""
        if not (self.expired or self.closed):
            # When a connector is closed, aiohttp cancels the tasks that wait for a connection.
            asked_for = self.task.cancelling() > self.cancelling
            return None if asked_for else aiohttp.ClientConnectionError("the session was closed")
        # Distinguished in the same way as in `asyncio.timeout`.
        if self.task.uncancel() > self.cancelling:
            return None
        return aiohttp.ClientConnectionError("the client was closed") if self.closed else TimeoutError()


#: The exchange of the running task.
current: ContextVar[Exchange] = ContextVar("ajoxi_async_exchange")


class UnusableConnectionError(aiohttp.ServerDisconnectedError):
    """The connection was readable before the request was written. It is closed, and nothing was sent."""


class CheckedRequest(aiohttp.ClientRequest):
    """A request that checks its connection before it is written, and records that it is sent."""

    # aiohttp calls this while it makes the request. The key is in the headers; a session or URL must not replace it.
    def update_auth(self, auth: Any, trust_env: bool = False) -> None:
        """Use no credentials."""
        current.get().sent = False

    # It returns aiohttp's coroutine instead of being one, which saves time on every request.
    def send(self, conn: Any) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Begin to write the request.

        Raises:
            UnusableConnectionError: a kept connection cannot be used.
            aiohttp.ServerDisconnectedError: a new connection cannot be used, or this would be a second attempt.
        """
        exchange = current.get()
        if exchange.sent:
            raise aiohttp.ServerDisconnectedError("a second attempt within one exchange is refused")
        protocol = conn.protocol
        # aiohttp's parser is new on a new connection. On a kept one it still has the payload of the answer before.
        kept = getattr(protocol, "_payload", None) is not None
        transport = protocol.transport
        # A new TLS connection may hold session tickets, so that it is usable unless the peer has closed it.
        bad_signs = -1 if kept or transport is None or transport.get_extra_info("ssl_object") is None else _CLOSED
        if transport is None or protocol.should_close or _signs(protocol) & bad_signs:
            conn.close()
            if kept:
                raise UnusableConnectionError
            raise aiohttp.ServerDisconnectedError("the server spoke first, or closed the connection at once")
        exchange.sent = True
        return super().send(conn)

    if sys.version_info < (3, 12):
        # Later Python versions start tasks at once. Here aiohttp would write the body in a task some time after the connection
        # was checked, and code that runs in between may block the loop.
        def write_bytes(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, None]:
            """Write the body, as much as the connection takes at once."""
            return _run_until_first_wait(super().write_bytes(*args, **kwargs))


class HeldResponse(aiohttp.ClientResponse):
    """A response over a session of the caller's own, which stays open until `allow_close`.

    Middlewares and traces may raise after its headers have come, and aiohttp then closes the response. The answer has come
    nevertheless and must be reported.
    """

    _held = False

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read the headers."""
        response = await super().start(connection)
        self._held, current.get().answer = True, self
        return response

    def close(self) -> None:
        """Close the connection, unless it is still needed."""
        if not self._held:
            super().close()

    def allow_close(self) -> None:
        """Allow it to be closed."""
        self._held = False


def answer_or_raise(error: Exception, exchange: Exchange) -> aiohttp.ClientResponse:
    """The answer that had come when code of the session raised. If there was none, the error is raised."""
    answer = exchange.answer
    if answer is None or (answer.closed and answer._body is None and not answer.content.is_eof()):
        raise error
    logger.warning("code of the session failed after an answer: %s", mask(f"{type(error).__name__}: {error}"))
    return answer


def _run_until_first_wait(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """Run a coroutine until it first waits; returns a coroutine for the rest of it."""
    try:
        waited_for = work.send(None)
    except StopIteration:
        return _nothing()
    return cast("Coroutine[Any, Any, None]", _rest(work, waited_for))


async def _nothing() -> None:
    pass


@types.coroutine
def _rest(work: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            answer = yield waited_for
        except BaseException as error:
            step = partial(work.throw, error)
        else:
            step = partial(work.send, answer)
        try:
            waited_for = step()
        except StopIteration:
            return


if hasattr(select, "poll"):
    #: The peer has closed the connection, whatever can still be read. Not every system has the first of these.
    _CLOSED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR

    def _signs(protocol: Any) -> int:
        """What is to be seen of a connection, as flags of `poll`: 0 while the peer is silent."""
        # Stored on the connection, because making a poll object takes as long as polling.
        ask = getattr(protocol, "_ajoxi_poll", None)
        if ask is None:
            poll = select.poll()
            poll.register(protocol.transport.get_extra_info("socket"), select.POLLIN | _CLOSED)
            ask = protocol._ajoxi_poll = poll.poll
        seen = ask(0)
        return seen[0][1] if seen else 0

else:
    _CLOSED = 0

    def _signs(protocol: Any) -> int:
        """Whether a connection is readable, as 1 or 0."""
        return len(select.select([protocol.transport.get_extra_info("socket")], (), (), 0)[0])
