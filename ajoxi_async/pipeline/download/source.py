"""The audio of a recording, read over several connections if necessary. `download`, `download_to` and `stream` share it.

Rules:
1. One task at a time reads. Nothing is read before it is asked for, and at most one piece is held.
2. Every attempt is judged like any GET (`protocol.retry`); a body that ends early is a failed attempt. Bytes beyond the
   furthest position so far are progress, after which failures are counted from zero.
3. Later attempts continue at the position that was reached, with ``Range`` and ``If-Range`` (`protocol.ranges`). If the
   server names no version of the file, or the file has changed, the download starts again at the first byte. A stream
   whose beginning was already delivered fails instead.
4. At most five redirects are followed, to http and https only, never from https to http. `attempt` says which headers go
   where.
5. A URL that is refused may have expired, so the recording is retrieved again for a new URL, once until there is progress.
6. The length that the answer states counts. If it differs from the recording's ``size``, the answer is something else,
   such as an error page, and is refused. If the answer states none, the body is checked against ``size``.
7. The request asks for the coding "identity". Another coding, such as gzip, is refused, since lengths and ranges would not
   apply to it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeVar

import anyio
from attrs import evolve

from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.routes import RECORDINGS_RETRIEVE
from ajoxi_async.contract.wire import ExchangeError, Response, StreamResponse
from ajoxi_async.pipeline.download.attempt import ROUTE as _ROUTE
from ajoxi_async.pipeline.download.attempt import ask
from ajoxi_async.pipeline.hooks import Watch
from ajoxi_async.pipeline.options import CallOptions, check_options
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.pipeline.retry_log import log_retry
from ajoxi_async.protocol import answers, ranges, retry
from ajoxi_async.protocol.errors import (
    APIResponseValidationError,
    APITimeoutError,
    ClientClosedError,
    DownloadError,
)
from ajoxi_async.protocol.ranges import Version
from ajoxi_async.protocol.redirects import MOST_REDIRECTS, names_a_user, next_hop, split_url
from ajoxi_async.protocol.retry import Fate

__all__ = ["AudioSource"]

T = TypeVar("T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Statuses of a signed URL that has expired (403 from S3, R2 and Azure, 400 from Google) or of a file that has moved.
_MAY_HAVE_EXPIRED = frozenset({400, 401, 403, 404, 410})
#: After a connection that brought at least this many bytes, the next one is opened without a delay.
_WORTH = 1024 * 1024
#: Bytes of an error answer's body that are read at most.
_ERROR_BODY = 64 * 1024
#: Longest time to close a connection, in seconds.
_CLOSING = 0.5

logger: logging.Logger = logging.getLogger("ajoxi_async")


class AudioSource:
    """The audio of one recording, piece by piece.

    Args:
        pipeline: of the client.
        recording: a recording, or its id.
        options: of the call.
        restarts: whether the audio may start again from its first byte.

    Attributes:
        start: the position at which the last piece begins; 0 when the audio has started again.
        position: the position at which it ends: how many bytes were delivered.
        ended: whether all of the audio was delivered.

    Raises:
        InvalidParameterError: something given cannot be right.
    """

    def __init__(self, pipeline: Pipeline, recording: Recording | str, options: CallOptions, *, restarts: bool) -> None:
        check_options(options)
        if not isinstance(recording, (str, Recording)):
            raise InvalidParameterError("recording", f"expected a Recording or its id, got {type(recording).__name__}")
        lane = options.get("lane")
        self._pipeline = pipeline.variant(lane=lane) if lane else pipeline
        self._options = options
        self._given = recording if isinstance(recording, Recording) else None
        if isinstance(recording, str):
            RECORDINGS_RETRIEVE.path_for(recording)
        self._id = recording.id if isinstance(recording, Recording) else recording
        self._restarts = restarts
        self.start: int = 0
        self.position: int = 0
        self.ended: bool = False
        self._url = ""
        self._expected = _size_of(self._given) if self._given is not None else None
        self._kind = self._given.content_type if self._given is not None else None
        self._version: Version | None = None
        self._deadline: float | None = None
        self._watch: Watch | None = None
        if pipeline.hooks is not None:
            self._watch = Watch(hooks=pipeline.hooks, route=_ROUTE, method="GET", lane=self._pipeline.lane)
        # The connection, the position in the file of its next byte, and the position at which its body ends.
        self._connection: AbstractAsyncContextManager[StreamResponse] | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._authorization = ""
        self._offset = 0
        self._end: int | None = None
        self._chunked = False
        self._read_cancelled = False
        # Counted since the last progress.
        self._furthest = 0
        self._failures = 0
        self._drawn = 0
        self._began = 0.0
        self._opened_at = 0
        self._renewed = False
        self._fresh_token_used = False
        self._attempts = 0
        self._failure: AjoxiError | None = None
        self._working: anyio.CancelScope | None = None

    @property
    def total(self) -> int | None:
        """Bytes of the whole audio, as the server or the recording states them; ``None`` while unknown."""
        known = self._version.length if self._version is not None else None
        return known if known is not None else self._expected

    @property
    def content_type(self) -> str | None:
        """The type that the answer states, or else the recording."""
        return self._kind

    async def open(self) -> None:
        """Connect, so that `total` and `content_type` are known.

        Raises:
            AjoxiError: see `read`.
        """
        timeout = self._options.get("timeout")
        self._began = self._pipeline.clock()
        self._deadline = None if timeout is None else self._began + timeout
        await self._guarded(self._connect)

    async def read(self) -> bytes:
        """Wait for the next piece, reconnecting if necessary; empty at the end.

        Raises:
            APIError: as from any call that reads.
            DownloadError: it was closed, or the file changed after its beginning was delivered.
        """
        return await self._guarded(self._next)

    async def aclose(self) -> None:
        """Close the connection, whichever task reads. Idempotent."""
        if self._failure is None:
            self._failure = self._error("the stream was closed")
        if self._working is not None:
            self._working.cancel()
        else:
            await self._disconnect()

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` so that the deadline and `aclose` can interrupt it. A failure ends the download."""
        if self._working is not None:
            raise self._error("another task is reading this stream")
        if self._failure is not None:
            raise self._failure
        pipeline, lifetime = self._pipeline, self._pipeline.lifetime
        lifetime.check(_ROUTE)
        deadline = float("inf")
        if self._deadline is not None:
            deadline = anyio.current_time() + self._deadline - pipeline.clock()
        with anyio.CancelScope(deadline=deadline) as self._working, lifetime.ends(self._working):
            try:
                return await work()
            except AjoxiError as error:
                self._failure = error
                raise
            finally:
                self._working = None
                if self._failure is not None:
                    await self._disconnect()
        if self._failure is None:
            kind, why = (
                (ClientClosedError, "the client was closed")
                if lifetime.closed
                else (APITimeoutError, "the time was up")
            )
            self._failure = kind(f"{why} after {self._progress_text()}", route=_ROUTE, attempts=self._attempts)
        await self._disconnect()
        raise self._failure

    def _progress_text(self) -> str:
        return f"{self.position} of {'?' if self.total is None else self.total} bytes"

    def _error(self, message: str) -> DownloadError:
        return DownloadError(f"recording {self._id}: {message}", received=self.position, total=self.total)

    # The body.

    async def _next(self) -> bytes:
        while not self.ended:
            if self._chunks is None:
                await self._connect()
            elif piece := await self._receive(self._chunks):
                return piece
        self.start = self.position
        return b""

    async def _receive(self, chunks: AsyncIterator[bytes]) -> bytes:
        try:
            chunk = await anext(chunks)
        except StopAsyncIteration:
            await self._body_ended(None)
            return b""
        except ExchangeError as error:
            await self._body_ended(error)
            return b""
        except BaseException:
            # Cancelled: some transports can continue reading afterwards; others report the end of the body next time.
            self._read_cancelled = True
            raise
        self._read_cancelled = False
        self._offset += len(chunk)
        if self._end is not None and self._offset > self._end:
            raise APIResponseValidationError(f"more bytes than the announced {self._end}", route=_ROUTE)
        # If the server sent the whole file in answer to a Range, bytes that were already delivered are dropped.
        new = self._offset - self.position
        if new <= 0:
            return b""
        self.start, self.position = self.position, self._offset
        if self.position > self._furthest:
            self._progress()
        return chunk if new == len(chunk) else chunk[-new:]

    def _progress(self) -> None:
        self._furthest = self.position
        self._began = self._pipeline.clock()
        self._renewed = self._fresh_token_used = False
        if self._failures:
            self._failures = 0
            self._pipeline.quota.earn(self._drawn)
            self._drawn = 0

    async def _body_ended(self, error: ExchangeError | None) -> None:
        """Decide whether the end of a body is the end of the audio, the end of a part, or a lost connection."""
        await self._disconnect()
        assert self._version is not None
        read_cancelled, self._read_cancelled = self._read_cancelled, False
        if self._end is not None:
            if self._offset == self._end:
                # After a part, the rest is requested at once.
                self.ended = self._offset == self._version.length
                return
        elif error is None and not read_cancelled:
            # A body without a length ends with its connection, so one that is too short may have been cut off.
            certain = self._chunked or self._offset > (self._expected or 0)
            if certain and self._expected not in {None, self._offset}:
                await self._renew()
            if self._expected in {None, self._offset}:
                self._version = evolve(self._version, length=self._offset)
                self.ended = True
                return
            if certain:
                raise self._of_another_size(self._offset)
        await self._failed(error or ExchangeError(f"the body ended after {self._progress_text()}", sent=True))

    def _of_another_size(self, seen: int) -> APIResponseValidationError:
        return APIResponseValidationError(
            f"recording {self._id} has a size of {self._expected} bytes, but its file has {seen}; to download it anyway, "
            "give the recording with size=None",
            route=_ROUTE,
        )

    async def _disconnect(self) -> None:
        connection, self._connection, self._chunks = self._connection, None, None
        if connection is not None:
            # Shielded, so that a cancelled reader still releases its connection.
            with anyio.move_on_after(_CLOSING, shield=True), suppress(ExchangeError):
                await connection.__aexit__(None, None, None)

    # Connections.

    async def _connect(self) -> None:
        while self._chunks is None and not self.ended:
            if not self._url:
                await self._locate()
            if self.position and (self._version is None or self._version.validator is None):
                self._begin_anew(
                    "the connection was lost, and the server names no version of the file, so the rest cannot be requested"
                )
            await self._attempt()

    def _begin_anew(self, why: str) -> None:
        if not self._restarts:
            raise self._error(f"after {self._progress_text()} {why}")
        self._version, self.position = None, 0

    async def _locate(self) -> None:
        """Find the URL of the audio."""
        recording, self._given = self._given, None
        if recording is None or not recording.url:
            recording = await self._retrieve()
        self._adopt(recording)

    async def _retrieve(self) -> Recording:
        self._renewed = True
        options = self._options
        if self._deadline is not None:
            options = {**options, "timeout": max(self._deadline - self._pipeline.clock(), 0.001)}
        return await self._pipeline.call(RECORDINGS_RETRIEVE, options, id=self._id)

    def _adopt(self, recording: Recording) -> None:
        url = recording.url or ""
        parts = split_url(url, _ROUTE)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable() or " " in url:
            raise APIResponseValidationError(f"recording {self._id} has no http or https URL", route=_ROUTE)
        if names_a_user(parts):
            raise APIResponseValidationError(f"the URL of recording {self._id} holds a user or password", route=_ROUTE)
        self._url, self._expected = url, _size_of(recording)
        self._kind = recording.content_type or self._kind

    async def _renew(self) -> bool:
        """Retrieve the recording again, once until there is progress; returns whether its URL or size has changed."""
        if self._renewed:
            return False
        before, waived = (self._url, self._expected), self._expected is None
        try:
            self._adopt(await self._retrieve())
        except AjoxiError as error:
            logger.debug("%s", mask(f"{_ROUTE} {self._id}: its URL was not renewed: {error}"))
            return False
        if waived:
            self._expected = None
        return before != (self._url, self._expected)

    async def _attempt(self) -> None:
        """Request the audio, following redirects."""
        url, hops = self._url, 0
        while True:
            self._attempts += 1
            answer = await ask(
                self._pipeline,
                url,
                self._range(),
                extra=self._options.get("extra_headers") or {},
                deadline=self._deadline,
                attempt=self._attempts,
                watch=self._watch,
            )
            if isinstance(answer, ExchangeError):
                await self._failed(answer)
                return
            self._connection, self._authorization, head = answer.connection, answer.authorization, answer.head
            if head.status not in _REDIRECTS or hops == MOST_REDIRECTS:
                break
            await self._disconnect()
            url, hops = next_hop(url, answers.first_value(head.headers, headers.LOCATION), _ROUTE), hops + 1
        try:
            await self._judge(answer.stream, head, redirected=hops > 0)
        finally:
            if self._chunks is None:
                await self._disconnect()

    def _range(self) -> dict[str, str]:
        if not self.position:
            return {}
        assert self._version is not None
        assert self._version.validator is not None
        return {"Range": f"bytes={self.position}-", "If-Range": self._version.validator}

    # What an answer means.

    async def _judge(self, stream: StreamResponse, head: Response, *, redirected: bool) -> None:
        status = head.status
        if status in {200, 206}:
            await self._take(stream, head)
            return
        if status == 416 and self.position:
            await self._unsatisfied(head)
            return
        with anyio.move_on_after(self._pipeline.timeout):
            head.body = await _read_error(stream)
        response = head
        await self._disconnect()
        if 200 <= status < 300:
            raise answers.unexpected_answer(response, f"{status} in place of the audio", _ROUTE)
        authorization = self._authorization
        if status == 401 and authorization and not self._fresh_token_used:
            self._fresh_token_used = True
            if self._pipeline.credentials.rejected(authorization):
                return
        if status in _MAY_HAVE_EXPIRED:
            untried = not self._renewed
            if await self._renew() or (redirected and untried):
                return
        await self._failed(response)

    async def _take(self, stream: StreamResponse, head: Response) -> None:
        """Accept a body if it is the one that was requested."""
        answer = head.headers
        if coding := ranges.content_coding(answer):
            raise answers.unexpected_answer(head, f"the audio is coded as {coding[:20]}, not as it is", _ROUTE)
        part = ranges.part_of(answer) if head.status == 206 else None
        if head.status == 206 and (part is None or part.start != self.position):
            raise answers.unexpected_answer(head, f"a 206 that does not begin at byte {self.position}", _ROUTE)
        length = part.length if part is not None else ranges.content_length(answer)
        version = ranges.version_of(answer, length, now=time.time())
        if self._expected is not None and length is not None and length != self._expected:
            await self._disconnect()
            if await self._renew():
                return
            raise self._of_another_size(length)
        known = self._version
        if part is not None:
            if known is not None and not known.has_part(version):
                await self._changed()
                return
            self._version = version if known is None else evolve(known, length=known.length or version.length)
            self._offset, self._end = part.start, part.end
        else:
            if self.position and not (known is not None and known.is_whole(version)):
                self._begin_anew(
                    "the server sent the whole file in place of the rest, and nothing says whether it is the same file"
                )
            self._version = version
            self._offset, self._end = 0, length
        self._kind = answer.get(headers.CONTENT_TYPE) or self._kind
        self._chunked = ranges.is_chunked(answer)
        self._opened_at, self._read_cancelled = self.position, False
        self._chunks = aiter(stream.chunks())

    async def _unsatisfied(self, head: Response) -> None:
        """Handle a 416: everything may have been delivered already, if no answer has stated the length."""
        assert self._version is not None
        if ranges.whole_length(head.headers) == self.position and self._version.length in {None, self.position}:
            if self._expected not in {None, self.position}:
                raise self._of_another_size(self.position)
            self._version = evolve(self._version, length=self.position)
            self.ended = True
            return
        await self._changed()

    async def _changed(self) -> None:
        """Start again, or fail, because the file has changed."""
        await self._disconnect()
        failure = self._error(f"after {self._progress_text()} the file changed")
        self._begin_anew("the file changed")
        await self._failed(ExchangeError("the file changed while it was read", sent=True), failure)

    async def _failed(self, outcome: Response | ExchangeError, error: AjoxiError | None = None) -> None:
        """Wait before the next attempt, if `protocol.retry` allows one.

        Raises:
            AjoxiError: no further attempt is allowed: `error` if given, or else the error that any GET would raise.
        """
        pipeline = self._pipeline
        self._failures += 1
        wait_for, error_body = None, None
        if isinstance(outcome, Response):
            wait_for, error_body = answers.retry_after_of(outcome), answers.error_body_of(outcome)
        fate = retry.classify(outcome, has_envelope=error_body is not None)
        at_once = self.position - self._opened_at >= _WORTH
        delay = retry.delay_before_retry(
            pipeline.retry,
            fate,
            "GET",
            attempt=self._failures,
            retry_after=wait_for,
            jitter=0.0 if at_once else pipeline.jitter(),
        )
        closed = pipeline.lifetime.closed
        if delay is None or closed or not pipeline.may_wait(delay, fate, self._began, self._deadline):
            if error is not None:
                raise error
            if isinstance(outcome, Response):
                raise answers.error_from(outcome, error_body, _ROUTE, self._attempts)
            if closed:
                raise ClientClosedError(outcome.message, route=_ROUTE, attempts=self._attempts) from outcome
            raise answers.no_answer(outcome, _ROUTE, self._attempts)
        self._opened_at = self.position
        self._drawn += fate is not Fate.REFUSED
        log_retry(_ROUTE, "GET", outcome, attempt=self._attempts, fate=fate, delay=delay, retry_after=wait_for)
        if self._watch is not None:
            self._watch.retries(self._attempts, fate, delay, outcome)
        await pipeline.pause(_ROUTE, delay)


def _size_of(recording: Recording) -> int | None:
    # A size of 0 means that the recording is still being processed.
    return recording.size if recording.size is not None and recording.size > 0 else None


async def _read_error(stream: StreamResponse) -> bytes:
    body = b""
    with suppress(ExchangeError):
        async for chunk in stream.chunks():
            body += chunk
            if len(body) > _ERROR_BODY:
                break
    return body
