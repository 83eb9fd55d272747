"""Many live transcripts as one iterator.

Rules:
1. Each call has a task that reads it and a buffer of its own. The iterator takes one item of each call in turn, so that a
   call with many segments does not delay the others.
2. A reader waits while its buffer is full, and so does its connection; nothing is dropped (``"block"``). With
   ``"coalesce"``, interim segments in the buffer that a later revision has replaced are dropped first; final segments
   never are.
3. The failure of a call is an item like the others, and ends that call only. The iterator ends when every call has ended.
4. The tasks live from the beginning of the ``async with`` block to its end; any task may leave the block. They never raise,
   so no exception of the caller's own is wrapped or cancelled.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from types import TracebackType
from typing import Literal, Self

import anyio
from attrs import define, field, frozen

from ajoxi_async.contract.encoding.exact_values import integer
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.transcripts import Segment
from ajoxi_async.protocol.errors import ConfigurationError, StreamInterruptedError
from ajoxi_async.runtime.cancellation import stray_cancellation_fails
from ajoxi_async.runtime.hosting import TaskHost
from ajoxi_async.streaming.live import LiveTranscript

__all__ = ["LiveTranscripts", "Overflow", "StreamItem"]

Overflow = Literal["block", "coalesce"]


@frozen(kw_only=True)
class StreamItem:
    """A segment of one of the calls, or the end of a call.

    Attributes:
        call_id: the id of the call, as given to ``stream_many``.
        segment: the segment, or ``None`` for the last item of a call.
        error: why the call's stream ended early.
        last_event_id: where a new stream of this call resumes after this item.
    """

    call_id: str
    segment: Segment | None = None
    error: Exception | None = None
    last_event_id: str | None = None

    @property
    def done(self) -> bool:
        """Whether it is the call's last item. If it has no `error`, the transcript is complete."""
        return self.segment is None


def _text(id: object) -> str:
    if not isinstance(id, str):
        raise InvalidParameterError("id", f"expected the id of a call, got {type(id).__name__}")
    return id


@define(eq=False)
class _Call:
    """One call's reader and its buffer: items by their number, in order."""

    live: LiveTranscript
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    room: anyio.Event = field(factory=anyio.Event)
    discarded: bool = False
    # Whether it is in the queue of calls that have items.
    in_line: bool = False
    _items: OrderedDict[int, StreamItem] = field(factory=OrderedDict)
    _numbers: Iterator[int] = field(factory=count)
    # Numbers of the latest interim of each sequence, and of interims that a later item has replaced.
    _interims: dict[int, int] = field(factory=dict)
    _stale: list[int] = field(factory=list)

    def __len__(self) -> int:
        return len(self._items)

    def supersede(self, segment: Segment) -> None:
        """Mark the buffered interim that this segment replaces."""
        earlier = self._interims.pop(segment.sequence, None)
        if earlier is not None:
            self._stale.append(earlier)

    def coalesce(self) -> None:
        """Drop the interims that were replaced."""
        for number in self._stale:
            self._items.pop(number, None)
        self._stale.clear()

    def put(self, item: StreamItem) -> None:
        number = next(self._numbers)
        self._items[number] = item
        if item.segment is not None and not item.segment.is_final:
            self._interims[item.segment.sequence] = number

    def take(self) -> StreamItem:
        number, item = self._items.popitem(last=False)
        if item.segment is not None and self._interims.get(item.segment.sequence) == number:
            del self._interims[item.segment.sequence]
        return item


class LiveTranscripts:
    """Segments of many calls. Made by ``client.transcripts.stream_many``; use it in ``async with``."""

    def __init__(
        self,
        opened: Callable[[str, str | None], LiveTranscript],
        ids: Iterable[str],
        *,
        max_buffer: int,
        overflow: Overflow,
    ) -> None:
        if isinstance(ids, str):
            raise InvalidParameterError("ids", "expected several ids; for one call there is `stream`")
        if not isinstance(ids, Iterable):
            raise InvalidParameterError("ids", f"expected ids of calls, got {type(ids).__name__}")
        buffer = integer(max_buffer)
        if buffer is None or buffer < 1:
            raise InvalidParameterError("max_buffer", f"expected 1 or more, got {max_buffer!r}")
        if overflow not in ("block", "coalesce"):  # no set, in which a list would be looked up with a TypeError
            raise InvalidParameterError("overflow", f"expected 'block' or 'coalesce', got {overflow!r:.40}")
        self._opened = opened
        self._max = buffer
        self._coalesce = overflow == "coalesce"
        self._first = [(id, opened(id, None)) for id in dict.fromkeys(map(_text, ids))]
        self._calls: dict[str, _Call] = {}
        # Calls that have items in their buffer, in the order in which the iterator visits them.
        self._turns: deque[_Call] = deque()
        self._item_added = anyio.Event()
        self._tasks: TaskHost | None = None
        self._any = bool(self._first)
        self._closed = False

    @property
    def call_ids(self) -> tuple[str, ...]:
        """The calls that have not ended or whose last items were not taken yet."""
        return tuple(self._calls)

    def add(self, id: str, *, resume_from: str | None = None) -> None:
        """Follow one more call, inside the ``async with`` block. A call that is already followed is left as it is.

        Args:
            id: as for `Transcripts.stream`.
            resume_from: `StreamItem.last_event_id` of an earlier stream of this call.

        Raises:
            InvalidParameterError: the id cannot be right.
            ConfigurationError: outside the block.
        """
        if self._tasks is None:
            raise ConfigurationError("calls are added inside the `async with` block")
        if _text(id) not in self._calls:
            self._start(id, self._opened(id, resume_from))

    def discard(self, id: str) -> None:
        """Stop following a call and drop its buffered items. Without effect for a call that is not followed."""
        call = self._calls.pop(id, None)
        if call is not None:
            call.discarded = True
            call.scope.cancel()
            if call in self._turns:
                self._turns.remove(call)
            self._item_added.set()

    def _start(self, id: str, live: LiveTranscript) -> None:
        assert self._tasks is not None
        self._any = True
        call = self._calls[id] = _Call(live)
        if self._tasks.is_running:
            self._tasks.start_soon(self._follow, id, call)
        else:
            self._interrupt(id, call)

    async def _follow(self, id: str, call: _Call) -> None:
        try:
            with call.scope:
                await self._read(id, call)
        except BaseException:
            if not (self._closed or call.discarded):
                self._interrupt(id, call)
            raise

    async def _read(self, id: str, call: _Call) -> None:
        live = call.live
        error: Exception | None = None
        try:
            with stray_cancellation_fails():
                async with live:
                    async for segment in live:
                        item = StreamItem(call_id=id, segment=segment, last_event_id=live.last_event_id)
                        await self._put(call, item)
        except Exception as failure:
            error = failure
        await self._put(call, StreamItem(call_id=id, error=error, last_event_id=live.last_event_id))

    def _interrupt(self, id: str, call: _Call) -> None:
        """End a call whose task a program has cancelled, as one that ends may cancel every task of its loop."""
        error = StreamInterruptedError(f"the task that read the live transcript of {id} was cancelled")
        self._queue(call, StreamItem(call_id=id, error=error, last_event_id=call.live.last_event_id))

    async def _put(self, call: _Call, item: StreamItem) -> None:
        if self._coalesce and item.segment is not None:
            call.supersede(item.segment)
            if len(call) >= self._max:
                call.coalesce()
        while len(call) >= self._max:
            call.room = anyio.Event()
            await call.room.wait()
        if not call.discarded:
            self._queue(call, item)

    def _queue(self, call: _Call, item: StreamItem) -> None:
        call.put(item)
        if not call.in_line:
            call.in_line = True
            self._turns.append(call)
            self._item_added.set()

    async def __aenter__(self) -> Self:
        if self._tasks is not None or self._closed:
            raise ConfigurationError("stream_many: expected to be entered once; call it again for a second block")
        self._tasks = tasks = TaskHost()
        try:
            await tasks.open()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        first, self._first = self._first, []
        for id, live in first:
            self._start(id, live)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        self._closed = True
        self._item_added.set()
        if tasks is not None:
            await tasks.aclose(cancel=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamItem:
        while not self._turns:
            if self._closed or (self._any and not self._calls):
                raise StopAsyncIteration
            self._item_added = anyio.Event()
            await self._item_added.wait()
        call = self._turns.popleft()
        item = call.take()
        call.in_line = len(call) > 0
        if call.in_line:
            self._turns.append(call)
        if item.done:
            del self._calls[item.call_id]
        call.room.set()
        return item
