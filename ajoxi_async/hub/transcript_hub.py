"""`TranscriptHub`: one stream of the API for each call, however many consumers it has.

Rules:
1. A call is followed from the moment when its first consumer joins until `linger` seconds after the last one has left. A stream that
   has failed is forgotten at once; the next consumer opens another one.
2. Nothing waits for a consumer: the stream is read as fast as it comes, and what was said is kept once for all consumers. Rules 2 and 3
   of `timeline` say what becomes of a consumer that is behind.
3. All tasks live from the beginning of the hub's block to its end, and never raise. Any task of the event loop may leave the block.
4. A hub belongs to the event loop that opened it. In another loop or in a forked process it is refused.
5. Closing the hub or its client ends all consumers at once, with an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import anyio

from ajoxi_async.contract.encoding.exact_values import exact, seconds
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.hub.room import Room
from ajoxi_async.hub.watcher import TranscriptWatcher
from ajoxi_async.pipeline.lifetime import Lifetime
from ajoxi_async.protocol.errors import ConfigurationError, StreamInterruptedError
from ajoxi_async.runtime.hosting import TaskHost
from ajoxi_async.runtime.loops import Loop, running_loop
from ajoxi_async.streaming.live import LiveTranscript

__all__ = ["TranscriptHub"]

#: A program that ends may cancel every task of its loop, those of the hub included.
_CANCELLED: Final = "the tasks of the transcript hub were cancelled"


class TranscriptHub:
    """Live transcripts for many consumers. Made by ``client.transcripts.hub``; use it in ``async with``."""

    def __init__(
        self,
        opened: Callable[[str], LiveTranscript],
        lifetime: Lifetime,
        *,
        linger: float,
        keep_alive: float,
        send_timeout: float | None,
    ) -> None:
        self._opened = opened
        self._lifetime = lifetime
        self._linger = _span("linger", linger, least=0.0)
        self.keep_alive: float = _span("keep_alive", keep_alive, least=0.001)
        self._send_timeout = None if send_timeout is None else _span("send_timeout", send_timeout, least=0.001)
        self._rooms: dict[str, Room] = {}
        # Failed rooms as well, until their consumers have left.
        self._open: set[Room] = set()
        self._tasks: TaskHost | None = None
        self._loop: Loop | None = None
        self._closed: str | None = None

    @property
    def consumers(self) -> dict[str, int]:
        """How many consumers each call has that is followed."""
        return {call_id: len(room.members) for call_id, room in self._rooms.items()}

    def watch(self, call_id: str, *, last_event_id: str | None = None, interim: bool = True) -> TranscriptWatcher:
        """Join the consumers of a call.

            async with hub.watch(call.id) as live:
                async for segment in live:
                    print(segment.speaker, segment.text)

        The segments that count now come first, then each new one. A consumer that is behind gets all finals, and of interims the
        latest ones. The iterator ends when the transcript is complete.

        Args:
            call_id: as for ``transcripts.stream``.
            last_event_id: `TranscriptWatcher.last_event_id` of an earlier consumer of this hub; only what came after it is given. An
                id that the hub does not know, of another process for instance, has no effect.
            interim: whether segments that are not final yet are delivered as well.

        Raises:
            InvalidParameterError: the call id cannot be right.
            ConfigurationError: on entering: the hub is not open, or is open on another event loop.
            ClientClosedError: on entering: the client was closed.
            StreamInterruptedError: the stream was lost and not resumed in time, or the hub was closed.
            AjoxiError: whatever else ``transcripts.stream`` raises.
        """
        id = exact(call_id)
        if not isinstance(id, str):
            raise InvalidParameterError("call_id", f"expected an id, got {call_id!r:.40}")
        last_id = exact(last_event_id)
        if last_id is not None and not isinstance(last_id, str):
            raise InvalidParameterError("last_event_id", f"expected an id or None, got {last_event_id!r:.40}")
        return TranscriptWatcher(
            id, self._join, last_event_id=last_id, interim=interim, send_timeout=self._send_timeout
        )

    def _join(self, call_id: str) -> Room:
        if self._closed is not None:
            self._lifetime.check("transcripts.stream")
            raise StreamInterruptedError(self._closed)
        if self._tasks is None:
            raise ConfigurationError("hub: expected to be used inside its `async with` block")
        if running_loop() is not self._loop:
            raise ConfigurationError(
                "hub: it was opened on another event loop or before a fork; open one for each loop and process"
            )
        self._lifetime.check("transcripts.stream")
        if not self._tasks.is_running:
            raise StreamInterruptedError(_CANCELLED)
        room = self._rooms.get(call_id)
        if room is None:
            room = self._rooms[call_id] = Room(self._opened(call_id))
            self._open.add(room)
            self._tasks.start_soon(self._host, call_id, room)
        return room

    async def _host(self, call_id: str, room: Room) -> None:
        """Follow a call until it has had no consumers for `linger` seconds."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._follow, call_id, room)
                while room.members or not await self._lingered(call_id, room):
                    await room.left.wait()
                self._forget(call_id, room)
                tasks.cancel_scope.cancel()
        finally:
            self._forget(call_id, room)
            self._open.discard(room)
            if room.members:
                room.cut(StreamInterruptedError(self._closed or _CANCELLED))

    async def _lingered(self, call_id: str, room: Room) -> bool:
        """Wait until nobody has joined for `linger` seconds; returns False if somebody does."""
        if self._rooms.get(call_id) is not room:
            return True
        with anyio.move_on_after(self._linger) as waiting:
            await room.joined.wait()
        return waiting.cancelled_caught and not room.members

    async def _follow(self, call_id: str, room: Room) -> None:
        await room.follow()
        if not room.completed:
            self._forget(call_id, room)

    def _forget(self, call_id: str, room: Room) -> None:
        if self._rooms.get(call_id) is room:
            del self._rooms[call_id]

    async def _beat(self) -> None:
        # Twice as often, because a consumer waits for up to two beats after the last thing that it was sent.
        while True:
            await anyio.sleep(self.keep_alive / 2)
            now = time.monotonic()
            for room in list(self._open):
                room.beat(now)

    async def _until_client_closes(self) -> None:
        with anyio.CancelScope() as scope, self._lifetime.ends(scope):
            await anyio.sleep_forever()
        self._end("the client of the transcript hub was closed")

    def _end(self, why: str) -> None:
        if self._closed is None:
            self._closed = why
            for room in list(self._open):
                room.cut(StreamInterruptedError(why))

    async def __aenter__(self) -> Self:
        if self._tasks is not None or self._closed is not None:
            raise ConfigurationError("hub: expected to be entered once; make another one for a second block")
        self._lifetime.check("transcripts.stream")
        self._loop = running_loop()
        self._tasks = tasks = TaskHost()
        try:
            await tasks.open()
        except BaseException:
            await self.aclose()
            raise
        tasks.start_soon(self._beat)
        tasks.start_soon(self._until_client_closes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all consumers with `StreamInterruptedError`, and close the streams. Idempotent; any task of the loop may call it.

        Raises:
            ConfigurationError: the hub was opened on another event loop, which has not ended.
        """
        if self._tasks is not None and running_loop() is not self._loop:
            # Raises unless the hub's loop has ended, and then nobody is left to be woken.
            await self._tasks.aclose(cancel=True)
            self._open.clear()
        self._end("the transcript hub was closed")
        if self._tasks is not None:
            await self._tasks.aclose(cancel=True)


def _span(name: str, given: float | None, *, least: float) -> float:
    number = seconds(given)
    if number is None or not least <= number < float("inf"):
        raise InvalidParameterError(name, f"expected seconds, at least {least:g}, got {given!r:.40}")
    return number
