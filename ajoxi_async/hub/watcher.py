"""A consumer of a hub.

Rules:
1. Joining and leaving await nothing, so that a cancelled task neither stays behind nor is counted twice.
2. If the stream fails, the consumer gets all that came before, and then the error. If the hub or the client is closed, it gets the
   error at once.
3. A response that waits for its browser for longer than `send_timeout`, or when the hub or the client is closed, is ended by its
   cancel scope.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio

from ajoxi_async.contract.transcripts import Segment
from ajoxi_async.hub.room import Room
from ajoxi_async.hub.timeline import Cursor, Entry
from ajoxi_async.protocol.assembly import TranscriptSnapshot, Turn, turns_of
from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["TranscriptWatcher"]


class TranscriptWatcher:
    """The segments of one call, for one consumer. Made by `TranscriptHub.watch`; use it in ``async with``, in one task.

    Attributes:
        call_id: the id of the call, as given to ``watch``.
        resumed: whether the hub knew ``last_event_id``, so that only what came after it follows. Otherwise everything that was said so
            far comes first.
    """

    __slots__ = (
        "__weakref__",
        "_beats",
        "_cursor",
        "_given_id",
        "_interim",
        "_join",
        "_left",
        "_room",
        "_scope",
        "_send_timeout",
        "_sending_since",
        "call_id",
        "resumed",
    )

    def __init__(
        self,
        call_id: str,
        join: Callable[[str], Room],
        *,
        last_event_id: str | None,
        interim: bool,
        send_timeout: float | None,
    ) -> None:
        self.call_id: str = call_id
        self.resumed: bool = False
        self._join = join
        self._given_id = last_event_id
        self._interim = interim
        self._send_timeout = send_timeout
        self._room: Room | None = None
        self._cursor = Cursor(0, 0, 0)
        self._left = False
        self._beats = 0
        # Of a response: what ends it, and since when it has waited for its browser.
        self._scope: anyio.CancelScope | None = None
        self._sending_since: float | None = None

    async def __aenter__(self) -> Self:
        if self._room is not None:
            raise ConfigurationError("watch: expected to be entered once; call it again for a second block")
        self._room = room = self._join(self.call_id)
        self._cursor, self.resumed = room.cursor(self._given_id)
        self._beats = room.beats
        room.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._entered.leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Segment:
        while not self._left:
            if (entry := self._take()) is not None:
                return entry.segment
            if self.ended:
                break
            await self._changed()
        raise StopAsyncIteration

    @property
    def _entered(self) -> Room:
        if self._room is None:
            raise ConfigurationError("watch: expected to be used inside its `async with` block")
        return self._room

    @property
    def last_event_id(self) -> str:
        """Where another consumer of the same hub can go on: after the last segment that this one was given."""
        return self._entered.id_at(self._cursor.seen, end=self.ended)

    @property
    def ended(self) -> bool:
        """Whether the transcript is complete and this consumer was given all of it."""
        room = self._entered
        return room.completed and room.timeline.next(self._cursor, interim=self._interim) is None

    def snapshot(self) -> TranscriptSnapshot:
        """All final segments so far and the latest interims, also those that this consumer was not given yet."""
        return self._entered.snapshot()

    def finals(self) -> tuple[Segment, ...]:
        """The final segments of the snapshot, in the order of the conversation."""
        return self._entered.live.finals()

    def turns(self) -> tuple[Turn, ...]:
        """The final segments of the snapshot, grouped into turns: a turn lasts until another speaker begins."""
        return turns_of(self.finals())

    async def opened(self) -> None:
        """Wait until the API has answered for this call.

        Raises:
            NotFoundError: there is no such call. As for ``transcripts.stream``, other errors as well.
            StreamInterruptedError: the hub or the client was closed.
        """
        room = self._entered
        room.check_cut()
        while not room.opened:
            room.check()
            await room.changed.wait()
            room.check_cut()

    # For responses.

    def _take(self) -> Entry | None:
        """The next segment, if there is one already.

        Raises:
            StreamInterruptedError: the hub or the client was closed.
            AjoxiError: nothing more comes, because the stream has failed.
        """
        room = self._room or self._entered
        room.check_cut()
        entry = room.timeline.take(self._cursor, interim=self._interim)
        if entry is None:
            room.check()
        return entry

    async def _changed(self) -> bool:
        """Wait until there may be something new; returns whether it is time for a sign of life."""
        room = self._entered
        await room.changed.wait()
        beats, self._beats = self._beats, room.beats
        return room.beats != beats

    def _id(self) -> str:
        return self._entered.id_at(self._cursor.seen)

    # For the room.

    def _beat(self, now: float) -> None:
        """End a response that has waited too long for its browser."""
        since, limit = self._sending_since, self._send_timeout
        if since is not None and limit is not None and now - since >= limit:
            self._cut()

    def _cut(self) -> None:
        """End a response that waits for its browser."""
        if self._scope is not None and self._sending_since is not None:
            self._scope.cancel()
