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
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from attrs import evolve

from ajoxi_async.contract import codec, headers
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
from ajoxi_async.contract.wire import ExchangeError, Response, StreamResponse
from ajoxi_async.options import CallOptions
from ajoxi_async.pipeline import Pipeline
from ajoxi_async.protocol import answers
from ajoxi_async.protocol.errors import StreamInterruptedError, StreamProtocolError, TranscriptGapError
from ajoxi_async.protocol.rate import Turn
from ajoxi_async.protocol.resume import Assembly, reconnect_delay
from ajoxi_async.protocol.sse import Frame, SSEDecoder

__all__ = ["LiveTranscript"]

_REQUEST_HEADERS = {"Accept": headers.EVENT_STREAM, "Cache-Control": "no-cache", "Accept-Encoding": "identity"}
#: The body of an error answer is read no further than this.
_ERROR_BODY = 64 * 1024
#: Seconds after which a connection counts as sound though it brought nothing new.
_SOUND_AFTER = 8.0


class LiveTranscript:
    """Segments as they are spoken. Made by ``client.transcripts.stream``; use it in ``async with``.

    Attributes:
        last_event_id: where a new stream can resume; the event of the last segment delivered, or ``None``.
        reconnects: connections after the first.
    """

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
        self._request = pipeline.request(TRANSCRIPTS_STREAM, options, id=call_id)
        self._interim = interim
        self._idle_timeout = idle_timeout
        self._max_outage = max_outage
        self.last_event_id = resume_from
        self._resumed = resume_from is not None
        self.reconnects = 0
        self._assembly = Assembly()
        self._completed: TranscriptCompleted | None = None
        self._ended = False
        self._ready: deque[Frame] = deque()
        self._filled: deque[Segment] = deque()
        self._decoder = SSEDecoder()
        self._retry_ms: int | None = None
        self._connection: AbstractAsyncContextManager[StreamResponse] | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._fruitless = 0
        self._opened_at = 0.0
        self._outage_began: float | None = None

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and close its socket. Idempotent."""
        self._ended = True
        await self._disconnect()

    def __aiter__(self) -> LiveTranscript:
        return self

    async def __anext__(self) -> Segment:
        while True:
            if self._filled:
                return self._filled.popleft()
            if self._ready:
                segment = await self._take(self._ready.popleft())
                if segment is not None:
                    return segment
            elif self._ended:
                await self._disconnect()
                raise StopAsyncIteration
            else:
                await self._read()

    async def _read(self) -> None:
        if self._chunks is None:
            await self._connect()
            return
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            await self._lost("the response ended before the transcript did")
        except ExchangeError as error:
            await self._lost(str(error))
        else:
            self._ready.extend(self._decoder.feed(chunk))
            self._retry_ms = self._decoder.retry if self._decoder.retry is not None else self._retry_ms

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
        self.last_event_id = frame.id or self.last_event_id
        if segment is None or not self._assembly.accept(segment):
            return None
        # Only what is new is progress: a server that repeats itself and hangs up would otherwise be asked for ever.
        self._fruitless, self._outage_began = 0, None
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
        self._ended = True
        await self._disconnect()
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

    async def _connect(self) -> None:
        pipeline = self._pipeline
        while True:
            if self._fruitless or self._outage_began is not None:
                await self._back_off()
            resume = {headers.LAST_EVENT_ID: self.last_event_id} if self.last_event_id is not None else {}
            authorization = await pipeline.credentials.header(pipeline.transport)
            turn = await pipeline.limiter.acquire(self._options.get("lane") or pipeline.lane)
            request = evolve(
                self._request,
                headers={
                    **self._request.headers,
                    **_REQUEST_HEADERS,
                    **resume,
                    headers.AUTHORIZATION: authorization,
                },
                timeout=pipeline.timeout,
                idle_timeout=self._idle_timeout,
            )
            connection = pipeline.transport.stream(request)
            try:
                stream = await connection.__aenter__()
            except ExchangeError as error:
                (pipeline.limiter.lost if error.sent else pipeline.limiter.give_back)(turn)
                self._note_failure(str(error))
                continue
            except BaseException:
                pipeline.limiter.lost(turn)
                raise
            self._connection = connection
            try:
                if await self._accept(stream, authorization, turn):
                    return
            except BaseException:
                await self._disconnect()
                raise
            await self._disconnect()

    async def _accept(self, stream: StreamResponse, authorization: str, turn: Turn) -> bool:
        """Look at the head of an answer; True when the stream is open or at its stated end."""
        pipeline, status = self._pipeline, stream.status
        head = Response(status, stream.headers, b"")
        pipeline.limiter.observe(turn, TRANSCRIPTS_STREAM.name, status, stream.headers, answers.retry_after_of(head))
        if status == 204:
            self._ended = True
            return True
        if status != 200:
            body = await _read_error(stream)
            response = Response(status, stream.headers, body)
            error = answers.error_from(response, answers.error_body_of(response), TRANSCRIPTS_STREAM.name, 1)
            again = status == 401 and self._fruitless == 0 and pipeline.credentials.rejected(authorization)
            if status != 429 and status < 500 and not again:
                raise error
            self._note_failure(str(error))
            return False
        if stream.headers.get(headers.CONTENT_TYPE, "").partition(";")[0].strip().lower() != headers.EVENT_STREAM:
            body = await _read_error(stream)
            raise answers.unexpected_answer(
                Response(status, stream.headers, body), "expected an event stream", TRANSCRIPTS_STREAM.name
            )
        self._decoder = SSEDecoder()
        self._chunks = aiter(stream.chunks())
        self._opened_at = pipeline.clock()
        return True

    def _note_failure(self, why: str) -> None:
        now = self._pipeline.clock()
        if self._outage_began is None:
            self._outage_began = now
        elif now - self._outage_began > self._max_outage:
            raise StreamInterruptedError(
                f"the live transcript of {self._call_id} was cut and not resumed within {self._max_outage:g} s: {why}",
                last_event_id=self.last_event_id,
            )
        self._fruitless += 1

    async def _lost(self, why: str) -> None:
        await self._disconnect()
        # A connection that held for a while was sound, even where nobody spoke.
        if self._pipeline.clock() - self._opened_at > _SOUND_AFTER:
            self._fruitless, self._outage_began = 0, None
        self._note_failure(why)
        self.reconnects += 1

    async def _back_off(self) -> None:
        pipeline = self._pipeline
        await pipeline.sleep(reconnect_delay(self._fruitless - 1, self._retry_ms, pipeline.jitter()))

    async def _disconnect(self) -> None:
        connection, self._connection, self._chunks = self._connection, None, None
        self._ready.clear()
        if connection is not None:
            await connection.__aexit__(None, None, None)

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


async def _read_error(stream: StreamResponse) -> bytes:
    body = b""
    try:
        async for chunk in stream.chunks():
            body += chunk
            if len(body) > _ERROR_BODY:
                break
    except ExchangeError:
        pass
    return body
