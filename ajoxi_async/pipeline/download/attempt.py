"""One request for audio, wherever its URL points.

Rules:
1. The Authorization header, the client's own headers and those of the call go to the API's own origin and nowhere else.
2. An attempt takes its turn at the limiter, and is told to the hooks, only where it goes to the API: the URL of a storage
   may hold a signature, which is left out of the log as well.
3. Every turn is settled, whatever happens.
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

#: The name by which the limiter, hooks and errors know a request for audio.
ROUTE = "recordings.download"
#: Set here, whatever a caller sends besides.
_OWN = frozenset({"accept", "accept-encoding", "range", "if-range"})

logger: logging.Logger = logging.getLogger("ajoxi_async")


@frozen
class Answer:
    """An answer whose body is not read yet; leave its connection when it is."""

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
        An answer of any status, or why there was none.

    Raises:
        APITimeoutError: the deadline cannot be met.
    """
    limiter, permit, authorization = pipeline.limiter, None, ""
    at_home = origin(url) == origin(pipeline.base_url)
    asked = pipeline.clock()
    if at_home:
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
    watch = watch if at_home else None
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
        seen = outcome.status if isinstance(outcome, Response) else outcome
        where = urlsplit(url)._replace(query="", fragment="", netloc=urlsplit(url).hostname or "").geturl()
        line = f"{ROUTE} GET {where} {part.get('Range', 'whole')} attempt {attempt}: {seen} in {took * 1000:.1f} ms"
        logger.debug("%s", mask(line))
    return outcome if isinstance(outcome, ExchangeError) else Answer(connection, stream, outcome, authorization)


def _headers(pipeline: Pipeline, extra: Mapping[str, str], authorization: str) -> dict[str, str]:
    sent = {"User-Agent": pipeline.headers.get("User-Agent", "")}
    if authorization:
        sent = {name: value for name, value in {**pipeline.headers, **extra}.items() if name.lower() not in _OWN}
        sent[headers.AUTHORIZATION] = authorization
    return sent | {"Accept": "*/*", "Accept-Encoding": "identity"}
