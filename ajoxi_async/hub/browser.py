"""Sending a live transcript to one browser, in whatever framework.

Rules:
1. An event stream is written in pieces of about `PIECE` bytes, and the next piece is made when the browser has taken the one before.
   So a browser that stalls costs one piece, and is sent what is new when it reads again.
2. Errors of the stream are sent as ``failed``, and are not raised.
3. A browser that was sent ``completed`` and connects again, as an EventSource does by itself, is answered 204: do not reconnect.
4. A browser that takes nothing for `send_timeout` seconds is given up. It can connect again and resume.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Generic, Protocol, Self, TypeVar

import anyio
from attrs import define, frozen

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.hub.room import is_end
from ajoxi_async.hub.timeline import Entry
from ajoxi_async.hub.transcript_hub import TranscriptHub
from ajoxi_async.hub.watcher import TranscriptWatcher
from ajoxi_async.hub.wire import Events, Messages, refusal
from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["LAST_ID", "Answer", "EventBody", "refused", "send_events", "send_messages", "until_gone"]

#: Bytes of an event stream that are written at once.
PIECE: Final = 16 * 1024
#: The parameter by which a browser says where it resumes if it cannot set the header: a WebSocket, or an EventSource made anew.
LAST_ID: Final = "last_event_id"
#: Close codes of WebSockets, by the status that a response would have: normal, and RFC 6455's and private ones of failures.
_CLOSE_CODES: Final = {404: 4404, 503: 1013}
_COMPLETED, _FAILED = 1000, 1011

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Format(Protocol[T_co]):
    @property
    def alive(self) -> T_co: ...
    def snapshot(self, call_id: str) -> T_co: ...
    def segment(self, entry: Entry, id: Callable[[], str]) -> T_co: ...
    def completed(self, call_id: str, id: str) -> T_co: ...
    def failed(self, error: AjoxiError) -> T_co: ...


@define
class _Outbox(Generic[T]):
    """What one browser is sent, one thing after the other.

    Attributes:
        failure: why the stream ended early.
    """

    _watcher: TranscriptWatcher
    _format: _Format[T]
    failure: AjoxiError | None = None
    _begun: bool = False
    _over: bool = False
    # Whether nothing was sent since the last sign of life was due.
    _idle: bool = False

    def ready(self) -> T | None:
        """What can be sent now."""
        watcher, format = self._watcher, self._format
        if self._over:
            return None
        if not self._begun:
            self._begun = True
            if not watcher.resumed:
                return format.snapshot(watcher.call_id)
        try:
            entry = watcher._take()
        except AjoxiError as error:
            self._over, self.failure = True, error
            return format.failed(error)
        if entry is not None:
            return format.segment(entry, watcher._id)
        if watcher.ended:
            self._over = True
            return format.completed(watcher.call_id, watcher.last_event_id)
        return None

    async def next(self) -> T | None:
        """Wait for what is to be sent next; ``None`` at the end."""
        while (item := self.ready()) is None and not self._over:
            if await self._watcher._changed():
                if self._idle:
                    return self._format.alive
                self._idle = True
        self._idle = False
        return item


class EventBody:
    """The body of an event stream, in pieces. Use it in ``async with``.

    Raises:
        ConfigurationError: on entering: the hub is not open, or on another event loop.
    """

    def __init__(self, hub: TranscriptHub, call_id: str, *, last_event_id: str | None, interim: bool) -> None:
        self.watcher: TranscriptWatcher = hub.watch(call_id, last_event_id=last_event_id, interim=interim)
        self._outbox: _Outbox[bytes] | None = None
        # Sent before anything else: also that there can be no stream.
        self._first: bytes | None = Events.preamble

    async def __aenter__(self) -> Self:
        try:
            await self.watcher.__aenter__()
        except ConfigurationError:
            raise
        except AjoxiError as error:
            self._first = Events.preamble + Events.failed(error)
        else:
            self._outbox = _Outbox(self.watcher, Events())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outbox is not None:
            self._outbox = None
            await self.watcher.__aexit__(kind, error, trace)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        outbox = self._outbox
        first, self._first = self._first, None
        if first is None and outbox is not None:
            first = await outbox.next()
        if first is None:
            raise StopAsyncIteration
        if outbox is None or (event := outbox.ready()) is None:
            return first
        pieces, size = [first], len(first)
        while event is not None:
            pieces.append(event)
            size += len(event)
            event = outbox.ready() if size < PIECE else None
        return b"".join(pieces)


@frozen
class Answer:
    """A response that is no event stream: an HTTP status, and a JSON body unless it is empty."""

    status: int
    body: bytes = b""


async def refused(hub: TranscriptHub, call_id: str, last_event_id: str | None) -> Answer | None:
    """Wait until the API has answered for a call, for as long as a browser can be kept waiting.

    Returns:
        What is answered in place of an event stream, if there cannot be one.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    if is_end(call_id, last_event_id):
        return Answer(204)
    try:
        async with hub.watch(call_id) as watcher:
            with anyio.move_on_after(hub.keep_alive):
                await watcher.opened()
    except ConfigurationError:
        raise
    except AjoxiError as error:
        return Answer(*refusal(error))
    return None


async def send_events(body: EventBody, send: Callable[[bytes], Awaitable[object]]) -> bool:
    """Send the body of an event stream; returns whether the browser took it all. The body has to be entered."""
    return await _send_all(body.watcher, lambda: anext(body, None), send)


async def send_messages(
    hub: TranscriptHub,
    call_id: str,
    send: Callable[[str], Awaitable[object]],
    *,
    last_event_id: str | None,
    interim: bool,
) -> int | None:
    """Send the messages of a WebSocket.

    Returns:
        The code with which to close it; ``None`` if the browser did not take them all.

    Raises:
        ConfigurationError: the hub is not open, or on another event loop.
    """
    if last_event_id is not None and is_end(call_id, last_event_id):
        await send(Messages.completed(call_id, last_event_id))
        return _COMPLETED
    try:
        async with hub.watch(call_id, last_event_id=last_event_id, interim=interim) as watcher:
            outbox = _Outbox(watcher, Messages())
            if not await _send_all(watcher, outbox.next, send):
                return None
            failure = outbox.failure
    except ConfigurationError:
        raise
    except AjoxiError as error:
        failure = error
        await send(Messages.failed(error))
    return _COMPLETED if failure is None else _CLOSE_CODES.get(refusal(failure)[0], _FAILED)


async def _send_all(
    watcher: TranscriptWatcher, next_item: Callable[[], Awaitable[T | None]], send: Callable[[T], Awaitable[object]]
) -> bool:
    with anyio.CancelScope() as watcher._scope:
        while (item := await next_item()) is not None:
            watcher._sending_since = time.monotonic()
            await send(item)
            watcher._sending_since = None
        return True
    return False


async def until_gone(sending: Callable[[], Awaitable[None]], gone: Callable[[], Awaitable[object]]) -> None:
    """Send until everything was sent or the browser is gone, whichever comes first.

    Args:
        sending: sends everything.
        gone: returns, or raises, when the browser is gone.
    """
    failure: Exception | None = None

    async def leave_when_gone() -> None:
        with suppress(Exception):
            await gone()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave_when_gone)
        try:
            await sending()
        except Exception as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
