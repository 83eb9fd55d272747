"""The audio of a recording, wherever its URL points.

Rules:
1. The Authorization header goes to the API's own origin and nowhere else, on no redirect either.
2. At most five redirects, never from https to http, http and https only.
3. A download takes its turn at the limiter only where it goes to the API.
"""

from __future__ import annotations

from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.routes import RECORDINGS_RETRIEVE
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.options import CallOptions, check_options
from ajoxi_async.pipeline import Pipeline
from ajoxi_async.protocol import answers
from ajoxi_async.protocol.credentials import origin
from ajoxi_async.protocol.errors import APIConnectionError, APIResponseValidationError, APITimeoutError
from ajoxi_async.protocol.redirects import MOST_REDIRECTS, next_hop, split_url

__all__ = ["download"]

_NAME = "recordings.download"


async def download(pipeline: Pipeline, recording: Recording | str, options: CallOptions) -> bytes:
    """Fetch the audio of a recording; see `Recordings.download`."""
    check_options(options)
    if options.get("lane"):
        pipeline = pipeline.variant(lane=options["lane"])
    if not isinstance(recording, (str, Recording)):
        raise InvalidParameterError("recording", f"expected a Recording or its id, got {type(recording).__name__}")
    if isinstance(recording, str):
        recording = await pipeline.call(RECORDINGS_RETRIEVE, options, id=recording)
    if not recording.url or split_url(recording.url, _NAME).scheme not in {"http", "https"}:
        raise APIResponseValidationError(f"recording {recording.id} has no http or https URL", route=_NAME)
    url = recording.url
    for _ in range(MOST_REDIRECTS + 1):
        response = await _get(pipeline, url, options.get("timeout"))
        if not 300 <= response.status < 400:
            break
        url = next_hop(url, answers.first_value(response.headers, headers.LOCATION), _NAME)
    if response.status != 200:
        raise answers.error_from(response, answers.error_body_of(response), _NAME, 1)
    return response.body


async def _get(pipeline: Pipeline, url: str, timeout: float | None) -> Response:
    sent = {"User-Agent": pipeline.headers.get("User-Agent", ""), "Accept": "*/*"}
    limiter, turn = pipeline.limiter, None
    if origin(url) == origin(pipeline.base_url):
        sent[headers.AUTHORIZATION] = await pipeline.credentials.header(pipeline.transport)
        turn = await limiter.acquire(pipeline.lane, deadline=None if timeout is None else pipeline.clock() + timeout)
    request = Request("GET", url, sent, timeout=timeout or pipeline.timeout)
    try:
        response = await pipeline.transport.send(request)
    except BaseException as error:
        if turn is not None:
            sent_out = error.sent if isinstance(error, ExchangeError) else request.sent
            (limiter.lost if sent_out else limiter.give_back)(turn)
        if not isinstance(error, ExchangeError):
            raise
        kind = APITimeoutError if error.timeout else APIConnectionError
        raise kind(error.message, route=_NAME) from error
    if turn is not None:
        limiter.observe(turn, _NAME, response.status, response.headers, answers.retry_after_of(response))
    return response
