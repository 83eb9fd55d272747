"""Many live transcripts as one iterator.

Rules:
1. Each call has a task that reads it and a buffer of its own; the iterator takes one item of each call in turn, so that a
   call that floods delays no other.
2. A buffer that is full holds its reader back, and so its connection: nothing is dropped (``"block"``). With
   ``"coalesce"`` interims in it that a later revision has superseded make room first; finals never do.
3. A call that fails is an item like the others, and the end of that call only. It ends when every call has.
4. The tasks live from the beginning of the ``async with`` block to its end, which any task may bring about. They never
   raise, so no exception of the caller's own is wrapped or cancelled.
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
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.runtime.hosting import TaskHost
from ajoxi_async.streaming.live import LiveTranscript

__all__ = ["LiveTranscripts", "Overflow", "StreamItem"]

Overflow = Literal["block", "coalesce"]


@frozen(kw_only=True)
class StreamItem:
    """What one of many calls has to say.

    Attributes:
        call_id: which one, as it was asked for.
        segment: what was said, or ``None`` for the last item of a call.
        error: why the call's stream ended early.
        last_event_id: where a new stream of this call resumes after this item.
    """

    call_id: str
    segment: Segment | None = None
    error: Exception | None = None
    last_event_id: str | None = None

    @property
    def done(self) -> bool:
        """Whether it is the call's last item; without an error the transcript is complete."""
        return self.segment is None


@define(eq=False)
class _Call:
    """One call's reader and its buffer: items by their number, in order."""

    live: LiveTranscript
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    room: anyio.Event = field(factory=anyio.Event)
    discarded: bool = False
    # Whether it waits for its turn.
    in_line: bool = False
    _items: OrderedDict[int, StreamItem] = field(factory=OrderedDict)
    _numbers: Iterator[int] = field(factory=count)
    # The latest interim of each sequence, and those that a later item has superseded.
    _interims: dict[int, int] = field(factory=dict)
    _stale: list[int] = field(factory=list)

    def __len__(self) -> int:
        return len(self._items)

    def supersede(self, segment: Segment) -> None:
        """Note what the coming segment makes superfluous."""
        earlier = self._interims.pop(segment.sequence, None)
        if earlier is not None:
            self._stale.append(earlier)

    def coalesce(self) -> None:
        """Drop what is superfluous."""
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
        buffer = integer(max_buffer)
        if buffer is None or buffer < 1:
            raise InvalidParameterError("max_buffer", f"expected 1 or more, got {max_buffer!r}")
        if overflow not in {"block", "coalesce"}:
            raise InvalidParameterError("overflow", f"expected 'block' or 'coalesce', got {overflow!r}")
        self._opened = opened
        self._max = buffer
        self._coalesce = overflow == "coalesce"
        self._first = [(id, opened(id, None)) for id in dict.fromkeys(ids)]
        self._calls: dict[str, _Call] = {}
        # Calls with something in their buffer, each once, in the order of their turns.
        self._turns: deque[_Call] = deque()
        self._news = anyio.Event()
        self._tasks: TaskHost | None = None
        self._any = bool(self._first)
        self._closed = False

    @property
    def call_ids(self) -> tuple[str, ...]:
        """The calls that have not ended, or whose last items were not taken yet."""
        return tuple(self._calls)

    def add(self, id: str, *, resume_from: str | None = None) -> None:
        """Follow one more call; one that is followed already is left as it is. For use inside the ``async with`` block.

        Args:
            id: as for `Transcripts.stream`.
            resume_from: `StreamItem.last_event_id` of an earlier stream of this call.

        Raises:
            InvalidParameterError: no such id can be.
            RuntimeError: outside the block.
        """
        if self._tasks is None:
            raise RuntimeError("calls are added inside the `async with` block")
        if id not in self._calls:
            self._start(id, self._opened(id, resume_from))

    def discard(self, id: str) -> None:
        """Stop following a call; what it had in its buffer is dropped. A call that is not followed is no error."""
        call = self._calls.pop(id, None)
        if call is not None:
            call.discarded = True
            call.scope.cancel()
            if call in self._turns:
                self._turns.remove(call)
            self._news.set()

    def _start(self, id: str, live: LiveTranscript) -> None:
        assert self._tasks is not None
        self._any = True
        call = self._calls[id] = _Call(live)
        self._tasks.start_soon(self._follow, id, call)

    async def _follow(self, id: str, call: _Call) -> None:
        live = call.live
        with call.scope:
            error: Exception | None = None
            try:
                async with live:
                    async for segment in live:
                        item = StreamItem(call_id=id, segment=segment, last_event_id=live.last_event_id)
                        await self._put(call, item)
            except Exception as failure:
                error = failure
            await self._put(call, StreamItem(call_id=id, error=error, last_event_id=live.last_event_id))

    async def _put(self, call: _Call, item: StreamItem) -> None:
        if self._coalesce and item.segment is not None:
            call.supersede(item.segment)
            if len(call) >= self._max:
                call.coalesce()
        while len(call) >= self._max:
            call.room = anyio.Event()
            await call.room.wait()
        if call.discarded:
            return
        call.put(item)
        if not call.in_line:
            call.in_line = True
            self._turns.append(call)
            self._news.set()

    async def __aenter__(self) -> Self:
        if self._tasks is not None or self._closed:
            raise ConfigurationError("stream_many: it is entered once; call `stream_many` again for a second block")
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
        self._news.set()
        if tasks is not None:
            await tasks.aclose(cancel=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamItem:
        while not self._turns:
            if self._closed or (self._any and not self._calls):
                raise StopAsyncIteration
            self._news = anyio.Event()
            await self._news.wait()
        call = self._turns.popleft()
        item = call.take()
        call.in_line = len(call) > 0
        if call.in_line:
            self._turns.append(call)
        if item.done:
            del self._calls[item.call_id]
        call.room.set()
        return item
