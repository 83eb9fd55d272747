"""One exchange over aiohttp: what is known of it, and the request and response classes that find it out.

Rules:
1. A request counts as sent from the moment aiohttp starts to write it. aiohttp calls `ClientRequest.send` exactly then,
   which is where the flag is set.
2. aiohttp sends GET, PUT and DELETE again by itself when a kept connection breaks; the limiter would never see it, so a
   second `send` within one exchange is refused and left to the retry rules.
3. A kept connection that is readable before the request is written is not used: the peer has closed it, or sent an answer
   to nothing, which would be taken for this request's. aiohttp itself notices either only when its loop gets round to
   reading. Nothing was sent, so another connection is taken at once.
4. A request is written as soon as its connection was looked at; nothing else runs in between.
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

__all__ = ["Exchange", "NotedResponse", "SoundRequest", "UnsoundError", "answer_despite", "current"]

logger: logging.Logger = logging.getLogger("ajoxi_async")


class Exchange:
    """What is to be known of an exchange while it lasts.

    Attributes:
        task: who waits for it.
        sent: whether anything may have left; ``None`` until aiohttp has made its request.
        expired: whether its time ran out.
        closed: whether the client was closed.
        response: of a stream, once its headers have come.
        answer: the response as it came, over a session whose own code may still raise.
    """

    __slots__ = ("answer", "cancelling", "closed", "expired", "response", "sent", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelling = task.cancelling()
        self.sent: bool | None = None
        self.expired = self.closed = False
        self.response: aiohttp.ClientResponse | None = None
        self.answer: NotedResponse | None = None

    def expire(self) -> None:
        """End it: its time is up."""
        self.expired = True
        self.task.cancel()

    def close(self) -> None:
        """End it: the client was closed."""
        self.closed = True
        if self.response is None:
            self.task.cancel()
        else:  # whoever reads is woken by the exception, and by nothing else
            self.response.content.set_exception(aiohttp.ClientConnectionError("the client was closed"))
            self.response.close()

    def translated(self) -> Exception | None:
        """What the CancelledError in hand stands for; ``None`` where it was asked for from outside, as a last word."""
        if not (self.expired or self.closed):
            # aiohttp cancels whoever waits for a connection when a connector is closed.
            asked_for = self.task.cancelling() > self.cancelling
            return None if asked_for else aiohttp.ClientConnectionError("the session was closed")
        # Told apart as `asyncio.timeout` does it.
        if self.task.uncancel() > self.cancelling:
            return None
        return aiohttp.ClientConnectionError("the client was closed") if self.closed else TimeoutError()


#: The exchange of the task that runs.
current: ContextVar[Exchange] = ContextVar("ajoxi_async_exchange")


class UnsoundError(aiohttp.ServerDisconnectedError):
    """The connection was readable before anything was written to it; it is closed, and nothing was sent."""


class SoundRequest(aiohttp.ClientRequest):
    """A request that leaves on a sound connection only, and notes that it leaves."""

    # Called while aiohttp makes the request. The key is in the headers, and neither a session nor a URL replaces it.
    def update_auth(self, auth: Any, trust_env: bool = False) -> None:
        """Use no credentials."""
        current.get().sent = False

    # No coroutine of its own, but aiohttp's: this is on the path of every request.
    def send(self, conn: Any) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Begin to write.

        Raises:
            UnsoundError: a kept connection is not to be used.
            aiohttp.ServerDisconnectedError: a new connection is not, or this would be a second attempt.
        """
        exchange = current.get()
        if exchange.sent:
            raise aiohttp.ServerDisconnectedError("a second attempt within one exchange is refused")
        protocol = conn.protocol
        # Nothing of the head has been read: aiohttp's parser is new. What a kept connection brought before is known still.
        kept = getattr(protocol, "_payload", None) is not None
        transport = protocol.transport
        # A new TLS connection may hold session tickets.
        if (
            transport is None
            or protocol.should_close
            or ((kept or transport.get_extra_info("ssl_object") is None) and _is_readable(protocol))
        ):
            conn.close()
            if kept:
                raise UnsoundError
            raise aiohttp.ServerDisconnectedError("the server spoke first, or closed the connection at once")
        exchange.sent = True
        return super().send(conn)

    if sys.version_info < (3, 12):
        # Later Pythons begin a task at once. Here a body would be written by a task of its own, later than the look at the
        # connection: whatever runs in between may block the loop.
        def write_bytes(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, None]:
            """Write the body, at once as far as the connection takes it."""
            return _begun(super().write_bytes(*args, **kwargs))


class NotedResponse(aiohttp.ClientResponse):
    """A response over a session of the caller's own, which stays open until `let_go`.

    Middlewares and traces may raise when its headers have come, and aiohttp then closes it; but an answer is an answer.
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

    def let_go(self) -> None:
        """From here on it may be closed."""
        self._held = False


def answer_despite(error: Exception, exchange: Exchange) -> aiohttp.ClientResponse:
    """The answer that had come when a session's own code raised; without one the error is raised."""
    answer = exchange.answer
    if answer is None or (answer.closed and answer._body is None and not answer.content.is_eof()):
        raise error
    logger.warning("code of the session failed after an answer: %s", mask(f"{type(error).__name__}: {error}"))
    return answer


def _begun(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """Run a coroutine until it first waits; what is returned is the rest of it."""
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

    def _is_readable(protocol: Any) -> bool:
        # Kept with the connection: making one costs as much as asking it.
        ask = getattr(protocol, "_ajoxi_poll", None)
        if ask is None:
            poll = select.poll()
            poll.register(protocol.transport.get_extra_info("socket"), select.POLLIN)
            ask = protocol._ajoxi_poll = poll.poll
        return bool(ask(0))

else:

    def _is_readable(protocol: Any) -> bool:
        return bool(select.select([protocol.transport.get_extra_info("socket")], (), (), 0)[0])
