"""One request for audio, to the API or to the storage that its URL names.

Rules:
1. The Authorization header, the client's own headers and those of the call are sent to the API's origin only.
2. Only attempts that go to the API wait at the limiter and are reported to the hooks. The URL of a storage may hold a
   signature, which is left out of the log as well.
3. Every permit of the limiter is settled, whatever happens.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

from attrs import frozen

from ajoxi_async.contract import headers
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.wire import ExchangeError, Request, Response, StreamResponse
from ajoxi_async.pipeline.hooks import Watch
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.protocol import answers, retry
from ajoxi_async.protocol.credentials import origin
from ajoxi_async.protocol.errors import APITimeoutError

__all__ = ["ROUTE", "Answer", "ask"]

#: The name of a request for audio in the limiter, in hooks and in errors.
ROUTE = "recordings.download"
#: Headers that this module sets itself; a caller's are replaced.
_SET_HERE = frozenset({"accept", "accept-encoding", "range", "if-range"})

logger: logging.Logger = logging.getLogger("ajoxi_async")


@frozen
class Answer:
    """An answer whose body has not been read yet. Exit `connection` after reading `stream`."""

    connection: AbstractAsyncContextManager[StreamResponse]
    stream: StreamResponse
    head: Response
    authorization: str


async def ask(
    pipeline: Pipeline,
    url: str,
    part: Mapping[str, str],
    *,
    extra: Mapping[str, str],
    deadline: float | None,
    attempt: int,
    watch: Watch | None,
) -> Answer | ExchangeError:
    """Make one request.

    Args:
        pipeline: of the client.
        url: of the audio, or where a redirect leads.
        part: the headers that ask for a part of it.
        extra: further headers, for the API only.
        deadline: on the pipeline's clock.
        attempt: its number, from 1.
        watch: the hooks, if there are any.

    Returns:
        An answer of any status, or the error if there was no answer.

    Raises:
        APITimeoutError: the deadline cannot be met.
    """
    limiter, permit, authorization = pipeline.limiter, None, ""
    to_api = origin(url) == origin(pipeline.base_url)
    asked = pipeline.clock()
    if to_api:
        authorization = await pipeline.authorization(ROUTE, deadline)
        asked = pipeline.clock()
        permit = await pipeline.turn(ROUTE, pipeline.lane, deadline)
    started = pipeline.clock()
    left = None if deadline is None else deadline - started
    if left is not None and left <= 0:
        if permit is not None:
            limiter.give_back(permit)
        raise APITimeoutError("the time was up before it was sent", route=ROUTE, attempts=attempt - 1)
    within = pipeline.timeout if left is None else min(pipeline.timeout or left, left)
    sent = {**_headers(pipeline, extra, authorization), **part}
    request = Request("GET", url, sent, timeout=within, idle_timeout=pipeline.timeout)
    watch = watch if to_api else None
    if watch is not None:
        watch.begins(request, attempt, started - asked)
    outcome: Response | ExchangeError
    try:
        connection = pipeline.transport.stream(request)
        stream = await connection.__aenter__()
    except ExchangeError as error:
        outcome = error
        if permit is not None:
            (limiter.lost if error.sent else limiter.give_back)(permit)
    except BaseException:
        if permit is not None:
            (limiter.lost if request.sent else limiter.give_back)(permit)
        if watch is not None:
            watch.cancelled(request, attempt, pipeline.clock() - started)
        raise
    else:
        outcome = Response(stream.status, stream.headers, b"")
        if permit is not None:
            limiter.observe(permit, ROUTE, outcome.status, outcome.headers, answers.retry_after_of(outcome))
    took = pipeline.clock() - started
    if watch is not None:
        wait_for = answers.retry_after_of(outcome) if isinstance(outcome, Response) else None
        watch.ended(request, attempt, outcome, retry.classify(outcome), elapsed=took, retry_after=wait_for)
    if logger.isEnabledFor(logging.DEBUG):
        result = outcome.status if isinstance(outcome, Response) else outcome
        where = urlsplit(url)._replace(query="", fragment="", netloc=urlsplit(url).hostname or "").geturl()
        line = f"{ROUTE} GET {where} {part.get('Range', 'whole')} attempt {attempt}: {result} in {took * 1000:.1f} ms"
        logger.debug("%s", mask(line))
    return outcome if isinstance(outcome, ExchangeError) else Answer(connection, stream, outcome, authorization)


def _headers(pipeline: Pipeline, extra: Mapping[str, str], authorization: str) -> dict[str, str]:
    sent = {"User-Agent": pipeline.headers.get("User-Agent", "")}
    if authorization:
        sent = {name: value for name, value in {**pipeline.headers, **extra}.items() if name.lower() not in _SET_HERE}
        sent[headers.AUTHORIZATION] = authorization
    return sent | {"Accept": "*/*", "Accept-Encoding": "identity"}
