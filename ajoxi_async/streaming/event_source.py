"""The connections of an event stream. Live transcripts and `AsyncAjoxi.events` share it.

Rules:
1. One task at a time reads. Nothing is read before the consumer asks, so TCP holds a fast server back, and at most one
   piece of the network's is held.
2. A connection counts as lost when it breaks, is silent for the idle time, or ends before the stream is complete. The next
   one resumes after the last event the consumer took; events that were received and not taken are sent again.
3. Every connection to the API waits at the limiter. Redirects are followed only where `Rules` says so, and the
   Authorization header is sent to the API's origin only.
4. Failures are counted since the last progress. An outage of more than `max_outage` seconds ends the stream.
   `protocol.resume` gives the least time between connections. The time of the next one is fixed once, so that a consumer
   whose reads time out does not postpone it again and again.
5. Any task may call `aclose`, and a cancelled read leaves the stream as it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Literal

import anyio
from attrs import converters, evolve, field, frozen

from ajoxi_async.contract import headers
from ajoxi_async.contract.encoding.exact_values import exact, seconds
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.wire import ExchangeError, Request, Response, StreamResponse
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.pipeline.retry_log import log_reconnect
from ajoxi_async.protocol import answers
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.protocol.credentials import origin
from ajoxi_async.protocol.errors import StreamInterruptedError, StreamProtocolError
from ajoxi_async.protocol.redirects import MOST_REDIRECTS, next_hop
from ajoxi_async.protocol.resume import can_resume_from, count_short_connections, least_delay
from ajoxi_async.protocol.sse import Frame, SSEDecoder

__all__ = ["EventSource", "Rules", "StreamState", "StreamStats", "check_event_id", "check_seconds"]

StreamState = Literal["live", "stalled", "resuming", "ended"]

_REQUEST_HEADERS = {"Accept": headers.EVENT_STREAM, "Cache-Control": "no-cache", "Accept-Encoding": "identity"}
#: Bytes of an error answer's body that are read at most.
_ERROR_BODY = 64 * 1024
#: A connection that brought bytes for this many seconds counts as working, even if it brought no new event.
_SOUND_AFTER = 8.0
#: Longest time to close a connection, in seconds.
_CLOSING = 0.5


@frozen(kw_only=True)
class StreamStats:
    """The state and counts of a stream.

    Attributes:
        state: ``"live"``, ``"stalled"`` when it was silent for the idle time, ``"resuming"`` or ``"ended"``.
        reconnects: connections after the first.
        duplicates: events dropped because they had been delivered before.
        last_byte_age: seconds since bytes were last read. Bytes are only read while the consumer waits for an event.
        lag: seconds the oldest event that was received has been waiting for the consumer; 0 when there is none.
    """

    state: StreamState
    reconnects: int
    duplicates: int
    last_byte_age: float
    lag: float


@frozen(kw_only=True)
class Rules:
    """The settings in which one kind of event stream differs from another.

    Attributes:
        name: of the stream, for error messages.
        route: of its endpoint, for the limiter and API errors; the same for all streams of a kind.
        delay: seconds before a connection, from the failures since the last progress, the server's ``retry`` in
            milliseconds, and a random number from [0, 1).
        waited_out: whether the stream reconnects after an answer of this status, or ends.
        reconnect: whether to connect again after a connection has ended.
        opening_is_progress: whether an opened connection ends an outage. Otherwise only a call of `progress` does.
        redirects: whether they are followed.
        idle_timeout: seconds without a byte after which a connection counts as lost.
        max_outage: seconds.
    """

    name: str
    route: str
    delay: Callable[[int, int | None, float], float]
    waited_out: Callable[[int], bool]
    reconnect: bool = True
    opening_is_progress: bool = False
    redirects: bool = False
    idle_timeout: float | None = field(converter=converters.optional(float))
    max_outage: float = field(converter=float)


def check_seconds(**given: float | None) -> None:
    """Check spans of time, given by the names of their parameters.

    Raises:
        InvalidParameterError: one is not above 0.
    """
    for name, value in given.items():
        if value is not None and not (seconds(value) or 0.0) > 0:
            raise InvalidParameterError(name, f"expected seconds above 0, got {value!r}")


def check_event_id(**given: str | None) -> None:
    """Check event ids, given by the names of their parameters.

    Raises:
        InvalidParameterError: one is not a string, or cannot be sent in a header.
    """
    for name, value in given.items():
        if value is not None and not (isinstance(value, str) and can_resume_from(exact(value))):
            raise InvalidParameterError(name, f"expected a last_event_id, got {value!r:.40}")


class EventSource:
    """The connections of one stream, and the events that were received and not consumed yet.

    Attributes:
        ready: events that were received; take them from the left, and call `consumed` for each.
        ended: whether no events follow those in `ready`.
        closed: whether this side has ended it, by `aclose` or because of an error, which `check` raises.
        last_event_id: of the last event consumed.
        reconnects: connections after the first.
        retry_ms: the reconnection time the server last asked for.
        received_at: when the last bytes arrived, by the pipeline's clock.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        request: Request,
        rules: Rules,
        *,
        last_event_id: str | None = None,
        on_state: Callable[[StreamState], object] | None = None,
    ) -> None:
        if on_state is not None and (why := why_not_plain(on_state)) is not None:
            raise InvalidParameterError("on_state", f"expected a plain function, got {why}")
        self._pipeline = pipeline
        self._request = evolve(request, headers={**request.headers, **_REQUEST_HEADERS})
        self._rules = rules
        self._on_state = on_state
        self.state: StreamState = "resuming"
        self.last_event_id: str | None = exact(last_event_id)
        self.ready: deque[Frame] = deque()
        self.ended: bool = False
        self.closed: bool = False
        self._failure: Exception | None = None
        self.reconnects: int = 0
        self.received_at: float = pipeline.clock()
        self._opened_at = self.received_at
        self._decoder = SSEDecoder(last_id=last_event_id or "")
        self.retry_ms: int | None = None
        self._connection: AbstractAsyncContextManager[StreamResponse] | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._read_cancelled = False
        self._failures = 0
        self._outage_began: float | None = None
        # How many connections in a row ended at once, and whether the current one has brought a new event.
        self._short_connections = 0
        self._brought_events = False
        self._not_before = 0.0
        self._waiting = False
        self._working: anyio.CancelScope | None = None

    def consumed(self, frame: Frame) -> None:
        """Set `last_event_id` to that of a new event."""
        self._brought_events = True
        if can_resume_from(frame.id):
            self.last_event_id = frame.id or None

    def consumed_all(self) -> None:
        """Set `last_event_id` to the last id the stream has set, which may have come without an event."""
        if can_resume_from(self._decoder.last_id):
            self.last_event_id = self._decoder.last_id or None

    def progress(self) -> None:
        """Note that something new arrived: failures are counted from zero again."""
        self._failures, self._outage_began = 0, None

    def check(self) -> None:
        """Raise the error that ended the stream, if there was one."""
        if self._failure is not None:
            raise self._failure

    async def open(self) -> None:
        """Wait for the first connection.

        Raises:
            ClientClosedError: the client was closed before.
        """
        self._pipeline.lifetime.check(self._rules.route)
        await self.read()

    async def read(self) -> None:
        """Wait for the next bytes, reconnecting if necessary.

        Raises:
            APIStatusError: the server refused.
            APIResponseValidationError: the answer is not an event stream.
            StreamInterruptedError: the connection was lost and not resumed in time.
            StreamProtocolError: an event is over the size limit.
        """
        if self._waiting:
            raise anyio.BusyResourceError("reading from")
        if self._chunks is None:
            await self.guarded(self._connect)
            return
        # Every event passes here, so it is kept fast: no cancel scope and no further coroutine. Closing the connection
        # ends the wait.
        decoder, self._waiting = self._decoder, True
        lost: tuple[str, ExchangeError | None]
        try:
            # A decoder that has failed raises its error in `feed`.
            chunk = await anext(self._chunks) if decoder.failure is None else b""
            self._read_cancelled = False
            self.received_at = self._pipeline.clock()
            self.ready.extend(decoder.feed(chunk))
        except StopAsyncIteration:
            lost = "the response ended before the stream did", None
        except ExchangeError as error:
            lost = str(error), error
        except StreamProtocolError as error:
            failure = StreamProtocolError(str(error), last_event_id=self.last_event_id)
            await self.fail(failure)
            raise failure from None
        except BaseException:
            # Cancelled: most transports can continue reading afterwards; others report the end of the body next time.
            self._read_cancelled = True
            raise
        else:
            if decoder.retry is not None:
                self.retry_ms = decoder.retry
            return
        finally:
            self._waiting = False
        if not self.closed:
            await self.guarded(partial(self._lost, *lost))

    async def guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` so that `aclose` can interrupt it. A failure ends the stream."""
        if self._waiting:
            raise anyio.BusyResourceError("reading from")
        self.check()
        self._waiting = True
        lifetime = self._pipeline.lifetime
        with anyio.CancelScope() as self._working, lifetime.ends(self._working):
            try:
                await work()
            except Exception as error:
                await self.fail(error)
                raise
            finally:
                self._waiting, self._working = False, None
                if self.ended:
                    await self.disconnect()
        if lifetime.closed and not self.ended:
            failure = self._interrupted("the client was closed")
            await self.fail(failure)
            raise failure

    async def fail(self, error: Exception) -> None:
        """End the stream with an error. A consumer that reads again gets the same error, not the end of the stream."""
        self._failure, self.ended, self.closed = error, True, True
        self.ready.clear()
        await self.disconnect()
        self._enter("ended")

    async def aclose(self) -> None:
        """End the stream and close its socket, whichever task reads it. Idempotent."""
        self.ended = self.closed = True
        self.ready.clear()
        if self._working is not None:
            self._working.cancel()
        else:
            await self.disconnect()
        self._enter("ended")

    def stats(self, duplicates: int = 0) -> StreamStats:
        """The state and counts of the stream."""
        age = self._pipeline.clock() - self.received_at
        return StreamStats(
            state=self.state,
            reconnects=self.reconnects,
            duplicates=duplicates,
            last_byte_age=age,
            lag=age if self.ready else 0.0,
        )

    async def disconnect(self) -> None:
        """Close the connection, if there is one; the next `read` opens another."""
        connection, self._connection, self._chunks = self._connection, None, None
        if connection is not None:
            # Shielded, so that a cancelled consumer still releases its connection.
            with anyio.move_on_after(_CLOSING, shield=True), suppress(ExchangeError):
                await connection.__aexit__(None, None, None)

    def _enter(self, state: StreamState) -> None:
        if state != self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state)

    async def _lost(self, why: str, error: ExchangeError | None) -> None:
        await self.disconnect()
        if self._pipeline.lifetime.closed:
            raise self._interrupted("the client was closed") from error
        if not self._rules.reconnect:
            if error is not None:
                raise self._interrupted(why) from error
            self.ended = True
            return
        if error is not None and error.timeout:
            self._enter("stalled")
        self._enter("resuming")
        self.reconnects += 1
        # A connection that kept sending bytes was working, even if it brought no new event.
        if self.received_at - self._opened_at > _SOUND_AFTER:
            self.progress()
        if not self._read_cancelled:
            lasted = self._pipeline.clock() - self._opened_at
            self._short_connections = count_short_connections(
                self._short_connections, lasted=lasted, brought_events=self._brought_events
            )
            self._failed(why)
        self._read_cancelled = False

    def _failed(self, why: str, *, retry_after: float | None = None) -> None:
        pipeline, rules = self._pipeline, self._rules
        now = pipeline.clock()
        if self._outage_began is None:
            self._outage_began = now
        elif now - self._outage_began > rules.max_outage:
            raise self._interrupted(why)
        self._failures += 1
        jitter = pipeline.jitter()
        delay = max(rules.delay(self._failures, self.retry_ms, jitter), least_delay(self._short_connections, jitter))
        pause = min(max(delay, retry_after or 0.0), rules.max_outage)
        self._not_before = now + pause
        log_reconnect(rules.name, rules.route, why, failures=self._failures, delay=pause)

    def _interrupted(self, why: str) -> StreamInterruptedError:
        resumes = self._rules.reconnect and not self._pipeline.lifetime.closed
        span = f" and not resumed within {self._rules.max_outage:g} s" if resumes else ""
        return StreamInterruptedError(f"{self._rules.name} was cut{span}: {why}", last_event_id=self.last_event_id)

    async def _connect(self) -> None:
        while self._chunks is None and not self.ended:
            if (wait := self._not_before - self._pipeline.clock()) > 0:
                await self._pipeline.sleep(wait)
            url, hops = self._request.url, 0
            while url:
                url = await self._open(url, hops)
                hops += 1

    async def _open(self, url: str, hops: int) -> str:
        """Open one connection, after waiting at the limiter. Returns the URL of a redirect to follow, or ""."""
        pipeline, rules = self._pipeline, self._rules
        to_api = origin(url) == origin(pipeline.base_url)
        sent = dict(self._request.headers)
        authorization = ""
        # HTTP ignores white space around the value of a header.
        if id := (self.last_event_id or "").strip(" \t"):
            sent[headers.LAST_EVENT_ID] = id
        if to_api:
            authorization = sent[headers.AUTHORIZATION] = await pipeline.credentials.header(pipeline.transport)
        limiter = pipeline.limiter
        permit = await limiter.acquire(pipeline.lane) if to_api else None
        request = evolve(
            self._request,
            url=url,
            headers=sent,
            timeout=min(pipeline.timeout or rules.max_outage, rules.max_outage),
            idle_timeout=rules.idle_timeout,
        )
        try:
            connection = pipeline.transport.stream(request)
            stream = await connection.__aenter__()
        except ExchangeError as error:
            if permit is not None:
                (limiter.lost if error.sent else limiter.give_back)(permit)
            if not rules.reconnect:
                raise self._interrupted(str(error)) from error
            self._failed(str(error))
            return ""
        except BaseException:
            if permit is not None:
                limiter.lost(permit)
            raise
        self._connection = connection
        head = Response(stream.status, stream.headers, b"")
        if permit is not None:
            limiter.observe(permit, rules.route, head.status, head.headers, answers.retry_after_of(head))
        try:
            return await self._accept(stream, head, url, authorization, hops)
        finally:
            if self._chunks is None:
                await self.disconnect()

    async def _accept(self, stream: StreamResponse, head: Response, url: str, authorization: str, hops: int) -> str:
        """Accept an answer by its status and headers; returns as `_open` does."""
        status, rules = head.status, self._rules
        if status == 204:
            self.ended = True
            return ""
        if status == 200:
            if answers.media_type(head.headers) != headers.EVENT_STREAM:
                body = await _read_error(stream)
                raise answers.unexpected_answer(evolve(head, body=body), "expected an event stream", rules.route)
            # The last event id stays in force until the stream sets another one.
            self._decoder = SSEDecoder(last_id=self.last_event_id or "")
            self._chunks = aiter(stream.chunks())
            self._opened_at = self.received_at = self._pipeline.clock()
            self._brought_events = False
            if rules.opening_is_progress:
                self.progress()
            self._enter("live")
            return ""
        if rules.redirects and status in {301, 302, 303, 307, 308} and hops < MOST_REDIRECTS:
            return next_hop(url, answers.first_value(head.headers, headers.LOCATION), rules.route)
        response = evolve(head, body=await _read_error(stream))
        error = answers.error_from(response, answers.error_body_of(response), rules.route, 1)
        fresh_token = (
            status == 401
            and not self._failures
            and bool(authorization and self._pipeline.credentials.rejected(authorization))
        )
        if not fresh_token and not (rules.reconnect and rules.waited_out(status)):
            raise error
        self._failed(str(error), retry_after=answers.retry_after_of(head))
        return ""


async def _read_error(stream: StreamResponse) -> bytes:
    body = b""
    with suppress(ExchangeError):
        async for chunk in stream.chunks():
            body += chunk
            if len(body) > _ERROR_BODY:
                break
    return body
