"""A live transcript, followed over as many connections as it takes (API reference: FAQ, Server-Sent Events).

Rules:
1. It ends in one of three ways: a completed transcript, the server's word that nothing is to come (204), or an exception.
   A response that merely ends was cut.
2. It resumes after the last event delivered to the caller, not the last one received: what lies between is lost with
   the connection. What comes twice is dropped.
3. Every connection takes a turn at the limiter. Backoff follows the server's ``retry``, starts again after progress, and
   gives up after `max_outage` seconds without any.
4. It is a class iterator behind ``async with``: leaving the block, by whatever way, closes the socket.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from ajoxi_async.contract import codec
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.routes import TRANSCRIPTS_RETRIEVE, TRANSCRIPTS_STREAM
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
from ajoxi_async.event_source import EventSource, Rules
from ajoxi_async.options import CallOptions
from ajoxi_async.pipeline import Pipeline
from ajoxi_async.protocol import answers
from ajoxi_async.protocol.errors import StreamProtocolError, TranscriptGapError
from ajoxi_async.protocol.resume import Assembly, reconnect_delay
from ajoxi_async.protocol.sse import Frame

__all__ = ["LiveTranscript"]


class LiveTranscript:
    """Segments as they are spoken. Made by ``client.transcripts.stream``; use it in ``async with``."""

    def __init__(
        self,
        pipeline: Pipeline,
        call_id: str,
        options: CallOptions,
        *,
        resume_from: str | None,
        interim: bool,
        idle_timeout: float,
        max_outage: float,
    ) -> None:
        self._pipeline = pipeline
        self._call_id = call_id
        self._options = options
        self._interim = interim
        self._source = EventSource(
            pipeline,
            pipeline.request(TRANSCRIPTS_STREAM, options, id=call_id),
            Rules(
                name=f"the live transcript of {call_id}",
                delay=reconnect_delay,
                waited_out=_busy,
                idle_timeout=idle_timeout,
                max_outage=max_outage,
            ),
            last_event_id=resume_from,
        )
        self._resumed = resume_from is not None
        self._assembly = Assembly()
        self._completed: TranscriptCompleted | None = None
        self._filled: deque[Segment] = deque()

    @property
    def last_event_id(self) -> str | None:
        """Where a new stream can resume; the event of the last segment delivered, or ``None``."""
        return self._source.last_event_id

    @property
    def reconnects(self) -> int:
        """Connections after the first."""
        return self._source.reconnects

    async def __aenter__(self) -> Self:
        await self._source.read()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and close its socket. Idempotent."""
        await self._source.aclose()

    def __aiter__(self) -> LiveTranscript:
        return self

    async def __anext__(self) -> Segment:
        source = self._source
        while True:
            if self._filled:
                return self._filled.popleft()
            if source.ready:
                try:
                    segment = await self._take(source.ready.popleft())
                except AjoxiError as error:
                    await source.fail(error)
                    raise
                if segment is not None:
                    return segment
            elif source.ended:
                source.check()
                raise StopAsyncIteration
            else:
                await source.read()

    async def _take(self, frame: Frame) -> Segment | None:
        """Take one event in; a segment is returned when it is new and wanted."""
        segment = None
        try:
            if frame.event == SEGMENT_EVENT:
                segment = codec.decode(frame.data.encode(), Segment)
            elif frame.event == COMPLETED_EVENT:
                self._completed = codec.decode(frame.data.encode(), TranscriptCompleted)
            elif frame.event == ERROR_EVENT:
                self._raise_if_terminal(frame)
        except codec.DecodeError as error:
            raise StreamProtocolError(
                f"event {frame.event!r} is not what was promised: {error}", last_event_id=self.last_event_id
            ) from None
        if self._completed is not None:
            await self._complete(self._completed)
        self._source.consumed(frame)
        if segment is None or not self._assembly.accept(segment):
            return None
        # Only what is new is progress: a server that repeats itself and hangs up would otherwise be asked for ever.
        self._source.progress()
        return segment if segment.is_final or self._interim else None

    def _raise_if_terminal(self, frame: Frame) -> None:
        body = codec.parse_json(frame.data.encode())
        if isinstance(body, dict) and body.get("retryable") is True:
            return
        error = answers.error_body_of(Response(200, {}, frame.data.encode()))
        raise StreamProtocolError(
            f"the server ended the stream: {error.code}: {error.message}" if error else "the server ended the stream",
            last_event_id=self.last_event_id,
        )

    async def _complete(self, completed: TranscriptCompleted) -> None:
        await self._source.aclose()
        # A resumed stream begins in the middle: what came before it is the checkpoint's owner's.
        missing = [] if self._resumed else self._assembly.missing(completed.last_sequence)
        if not missing:
            return
        whole = await self._pipeline.call(TRANSCRIPTS_RETRIEVE, self._options, id=self._call_id)
        wanted = set(missing)
        for segment in whole.segments:
            if segment.sequence in wanted and segment.is_final and self._assembly.accept(segment):
                self._filled.append(segment)
        missing = self._assembly.missing(completed.last_sequence)
        if missing:
            raise TranscriptGapError(
                f"final segments {missing[:10]} of {self._call_id} are missing", last_event_id=self.last_event_id
            )

    async def until_done(self) -> Transcript:
        """Read to the end and return the assembled transcript, final segments only."""
        async for _ in self:
            pass
        done = self._completed
        return Transcript(
            id=(done and done.transcript_id) or self._call_id,
            call_id=(done and done.call_id) or self._call_id,
            status=TranscriptStatus.COMPLETED,
            segments=self._assembly.finals(),
        )

    def finals(self) -> tuple[Segment, ...]:
        """The final segments so far, in the order of the conversation."""
        return self._assembly.finals()

    def text(self) -> str:
        """The final segments so far as text, a line each."""
        return "\n".join(segment.text for segment in self.finals())


def _busy(status: int) -> bool:
    return status == 429 or status >= 500
