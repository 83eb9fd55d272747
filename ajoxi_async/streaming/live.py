"""A live transcript, read over several connections if necessary (API reference: FAQ, Server-Sent Events).

Rules:
1. It ends in one of three ways: with the completed event, with a 204, which says that nothing is to come, or with an
   exception. A response that ends otherwise counts as a lost connection.
2. Each final segment is delivered once, in the order of the stream; repeated ones are dropped. ``last_event_id`` is the id
   of the last segment delivered: a process that stores it together with its own results can resume there without a gap.
3. The completed event says how many final segments there are. Those that are missing are fetched and delivered last. If
   they cannot be fetched, an error is raised, so that a transcript is never silently shorter.
4. Only new segments count as progress. Otherwise a server that repeats itself and hangs up would be called for ever.
5. The iterator is a class used in ``async with``, without a task of its own: leaving the block in any way closes the
   socket, and no exception is wrapped.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from attrs import evolve

from ajoxi_async.contract import codec
from ajoxi_async.contract.routes import TRANSCRIPTS_RETRIEVE
from ajoxi_async.contract.transcripts import (
    COMPLETED_EVENT,
    ERROR_EVENT,
    SEGMENT_EVENT,
    Segment,
    Transcript,
    TranscriptCompleted,
    TranscriptStatus,
)
from ajoxi_async.contract.wire import Response
from ajoxi_async.pipeline.options import CallOptions
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.protocol import answers
from ajoxi_async.protocol.assembly import Assembly, TranscriptSnapshot, Turn, in_words, turns_of
from ajoxi_async.protocol.errors import APIError, StreamInterruptedError, StreamProtocolError, TranscriptGapError
from ajoxi_async.protocol.sse import Frame
from ajoxi_async.streaming.event_source import EventSource, StreamState, StreamStats

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

__all__ = ["LiveTranscript", "TranscriptEvents"]

#: Seconds between two requests for a transcript that is not complete yet.
_POLL_INTERVAL = 1.0


class LiveTranscript:
    """Segments as they are spoken. Made by ``client.transcripts.stream``; use it in ``async with``."""

    def __init__(
        self,
        pipeline: Pipeline,
        call_id: str,
        options: CallOptions,
        source: EventSource,
        *,
        interim: bool,
        max_outage: float,
    ) -> None:
        self._pipeline = pipeline
        self._call_id = call_id
        self._options = options
        self._source = source
        self._interim = interim
        self._max_outage = max_outage
        # A resumed stream starts in the middle. The caller who stored the event id already has the segments before it.
        self._resumed = source.last_event_id is not None
        self._assembly = Assembly()
        self._replayed = False
        self._completed: TranscriptCompleted | None = None
        # The completed event is kept here until the missing segments are delivered.
        self._end: Frame | None = None
        self._filled: deque[Segment] | None = None
        self._done = False

    @property
    def call_id(self) -> str:
        """The id of the call, as given to ``stream``."""
        return self._call_id

    @property
    def last_event_id(self) -> str | None:
        """Where a new stream can resume: the id of the last segment delivered, or ``None``."""
        return self._source.last_event_id

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return self._source.reconnects

    @property
    def state(self) -> StreamState:
        """See `StreamStats`."""
        return self._source.state

    @property
    def stats(self) -> StreamStats:
        """The state and counts of the stream."""
        return self._source.stats(self._assembly.duplicates)

    async def __aenter__(self) -> Self:
        await self._source.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and close its socket. Any task may call it. Idempotent."""
        await self._source.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Segment:
        while True:
            taken = await self._next()
            if taken is None:
                raise StopAsyncIteration
            segment = taken[1]
            if segment is not None and (segment.is_final or self._interim):
                return segment

    def events(self) -> TranscriptEvents:
        """Raw events in place of segments, including types that this version does not know. Repeated events are dropped."""
        return TranscriptEvents(self)

    async def _next(self) -> tuple[Frame, Segment | None] | None:
        """The next event that was not delivered before, and its segment; ``None`` at the end."""
        source = self._source
        while True:
            while source.ready:
                frame = source.ready.popleft()
                try:
                    segment = self._decode(frame)
                except StreamProtocolError as error:
                    await source.fail(error)
                    raise
                if frame.event == COMPLETED_EVENT:
                    self._end = frame
                    await source.disconnect()
                    break
                if segment is None:
                    if not self._replayed:
                        source.consumed(frame)
                    return frame, None
                # A repeated event must not set `last_event_id` back to an earlier one.
                self._replayed = not self._assembly.accept(segment)
                if not self._replayed:
                    source.consumed(frame)
                    source.progress()
                    return frame, segment
            if self._filled:
                return self._rebuilt(self._filled.popleft())
            if source.closed:
                source.check()
                return None
            if self._filled is not None:
                return await self._finish()
            if self._end is not None or source.ended:
                await source.guarded(self._fill)
            else:
                await source.read()

    def _decode(self, frame: Frame) -> Segment | None:
        """Decode an event; returns its segment, if it has one.

        Raises:
            StreamProtocolError: its data does not fit its type, or it says that the stream has failed.
        """
        data = frame.data.encode()
        try:
            if frame.event == SEGMENT_EVENT:
                return codec.decode(data, Segment)
            if frame.event == COMPLETED_EVENT:
                self._completed = codec.decode(data, TranscriptCompleted)
            elif frame.event == ERROR_EVENT:
                body = codec.parse_json(data)
                if not (isinstance(body, dict) and body.get("retryable") is True):
                    error = answers.error_body_of(Response(200, {}, data))
                    why = f": {error.code}: {error.message}" if error else ""
                    raise StreamProtocolError(f"the server ended the stream{why}", last_event_id=self.last_event_id)
        except codec.DecodeError as error:
            raise StreamProtocolError(
                f"event {frame.event!r} cannot be decoded: {error}", last_event_id=self.last_event_id
            ) from None
        return None

    def _rebuilt(self, segment: Segment) -> tuple[Frame, Segment]:
        data = codec.encode(segment).decode()
        return Frame(SEGMENT_EVENT, data, self.last_event_id or "", None), segment

    async def _finish(self) -> tuple[Frame, None] | None:
        """End the stream after all segments were delivered; returns the completed event, if there was one."""
        self._done = True
        if self._end is not None:
            self._source.consumed(self._end)
        await self._source.aclose()
        return (self._end, None) if self._end is not None else None

    async def _fill(self) -> None:
        """Fetch the final segments that the stream did not bring."""
        found: deque[Segment] = deque()
        gaps = [] if self._resumed else self._assembly.gaps(self._last_sequence)
        if gaps:
            for segment in (await self._retrieve()).segments:
                if segment.is_final and segment.sequence < gaps[-1].stop and self._assembly.settle_missing(segment):
                    found.append(segment)
        self._filled = found

    @property
    def _last_sequence(self) -> int | None:
        return self._completed.last_sequence if self._completed is not None else None

    async def _retrieve(self) -> Transcript:
        """Fetch the transcript, again and again until it has all segments that are missing here.

        Raises:
            TranscriptGapError: it cannot be fetched, or is still incomplete after `max_outage` seconds.
        """
        pipeline = self._pipeline
        until = pipeline.clock() + self._max_outage
        gaps = self._assembly.gaps(self._last_sequence)
        while True:
            try:
                whole = await pipeline.call(TRANSCRIPTS_RETRIEVE, self._options, id=self._call_id)
            except APIError as error:
                raise self._gap(gaps, f" and cannot be fetched: {error}") from error
            together = Assembly()
            for segment in (*self._assembly.finals(), *whole.segments):
                if segment.is_final:
                    together.settle(segment)
            gaps = together.gaps(self._last_sequence)
            if not gaps:
                return whole
            if whole.status != TranscriptStatus.IN_PROGRESS or pipeline.clock() >= until:
                raise self._gap(gaps)
            await pipeline.sleep(_POLL_INTERVAL)

    def _gap(self, gaps: list[range], why: str = "") -> TranscriptGapError:
        lost = f"final segments {in_words(gaps)}" if gaps else "earlier segments"
        return TranscriptGapError(f"{lost} of {self._call_id} are missing{why}", last_event_id=self.last_event_id)

    async def until_done(self) -> Transcript:
        """Read to the end and return the whole transcript, final segments only.

        If the stream was resumed in the middle, or ended without a completed event, the rest is fetched.

        Raises:
            StreamInterruptedError: the stream was closed before its end.
            TranscriptGapError: as for the stream.
        """
        async for _ in self:
            pass
        done, assembly = self._completed, self._assembly
        if not self._done:
            raise StreamInterruptedError(
                f"the live transcript of {self._call_id} was closed before its end", last_event_id=self.last_event_id
            )
        if done is not None and not self._resumed:
            return Transcript(
                id=done.transcript_id or self._call_id,
                call_id=done.call_id or self._call_id,
                status=TranscriptStatus.COMPLETED,
                segments=assembly.finals(),
            )
        whole = await self._retrieve()
        for segment in whole.segments:
            if segment.is_final:
                assembly.settle_missing(segment)
        return evolve(whole, segments=assembly.finals())

    def snapshot(self) -> TranscriptSnapshot:
        """All final segments so far, and the latest interim segments."""
        assembly = self._assembly
        return TranscriptSnapshot(assembly.finals(), assembly.interims(), self.last_event_id, self._done)

    def finals(self) -> tuple[Segment, ...]:
        """The final segments so far, in the order of the conversation."""
        return self._assembly.finals()

    def turns(self) -> tuple[Turn, ...]:
        """The final segments so far, grouped into turns: a turn lasts until another speaker begins."""
        return turns_of(self._assembly.finals())

    def text(self) -> str:
        """The text of the final segments so far, one line for each."""
        return "\n".join(segment.text for segment in self.finals())


class TranscriptEvents:
    """The raw events of a live transcript; see `LiveTranscript.events`."""

    def __init__(self, live: LiveTranscript) -> None:
        # Imported here, because it imports the whole of httpx.
        from httpx_sse import ServerSentEvent

        self._event = ServerSentEvent
        self._live = live

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        taken = await self._live._next()
        if taken is None:
            raise StopAsyncIteration
        return self._event(*taken[0])
