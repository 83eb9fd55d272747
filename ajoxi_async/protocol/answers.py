"""Reading answers: the API's error body, the exception it becomes, its headers, and notices of retirement.

Rules of headers. They hold on both engines, of which one joins repeated headers and the other gives the first:
1. Of a header that should come once, the first value counts; of ``Content-Type`` the last, as in browsers (WHATWG Fetch:
   extract a MIME type).
2. Values come from outside, so the length that is kept is bounded, and what is printed is escaped.
3. A value that cannot be read counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from attrs import frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.encoding.exact_values import exact
from ajoxi_async.contract.encoding.times import parse_http_date
from ajoxi_async.contract.masking import shown
from ajoxi_async.contract.routes import Route
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    OutcomeUnknownError,
    status_error,
)
from ajoxi_async.protocol.retry import parse_retry_after

__all__ = [
    "ErrorBody",
    "date_of",
    "error_body_of",
    "error_from",
    "first_value",
    "media_type",
    "no_answer",
    "outcome_unknown",
    "request_id_of",
    "retirement_notice",
    "retry_after_of",
    "unexpected_answer",
]

T = TypeVar("T")

_EXCERPT = 200
_REQUEST_ID = 200
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


@frozen
class ErrorBody:
    """The error envelope of the API (API reference: Errors & status codes)."""

    code: str
    message: str
    param: str | None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def error_body_of(response: Response) -> ErrorBody | None:
    """The error envelope of a body, or ``None`` if the body has none."""
    try:
        body = codec.parse_json(response.body)
    except codec.DecodeError:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return None
    return ErrorBody(error["code"], _text(error.get("message")) or "", _text(error.get("param")))


def first_value(given: Mapping[str, str], name: str) -> str | None:
    """The first value of a header."""
    several = getattr(
        given, "get_list", None
    )  # httpx joins repeated headers with commas, which URLs and dates contain too
    return next(iter(several(name)), None) if several is not None else given.get(name)


def media_type(given: Mapping[str, str]) -> str:
    """The type and subtype of the body, in lower case and without parameters; empty if there is none."""
    several = getattr(given, "getall", None)  # aiohttp's plain lookup gives only the first
    joined = ",".join(several(headers.CONTENT_TYPE, ())) if several else given.get(headers.CONTENT_TYPE, "")
    types = [part.partition(";")[0].strip().lower() for part in joined.split(",")]
    return next((kind for kind in reversed(types) if "/" in kind and kind != "*/*"), "")


def request_id_of(given: Mapping[str, str]) -> str | None:
    """``X-Request-Id``, shortened, and with everything escaped that is not printable ASCII."""
    value = first_value(given, headers.REQUEST_ID)
    return value and value[:_REQUEST_ID].encode("ascii", "backslashreplace").decode().translate(_CONTROL)[:_REQUEST_ID]


def date_of(given: Mapping[str, str]) -> float | None:
    """``Date``: when the server sent the answer, by its clock, in seconds since the epoch."""
    moment = parse_http_date(first_value(given, headers.DATE))
    return None if moment is None else moment.timestamp()


def retry_after_of(response: Response) -> float | None:
    """The seconds that the server asked to wait."""
    given = response.headers
    return parse_retry_after(first_value(given, headers.RETRY_AFTER), first_value(given, headers.DATE))


def _excerpt(body: bytes) -> str:
    return shown(body[: 4 * _EXCERPT].decode("utf-8", "replace"), _EXCERPT)[:_EXCERPT]


def error_from(response: Response, error: ErrorBody | None, route: str, attempts: int) -> APIStatusError:
    """Build the exception of an answer that is not 2xx."""
    status = response.status
    message = (error and error.message) or f"HTTP {status} without the API's error body: {_excerpt(response.body)!r}"
    return status_error(status)(
        message,
        route=route,
        status_code=status,
        code=error.code if error else None,
        param=error.param if error else None,
        request_id=request_id_of(response.headers),
        retry_after=retry_after_of(response),
        attempts=attempts,
    )


def no_answer(error: ExchangeError, route: str, attempts: int) -> APIConnectionError:
    """Build the exception of a request without a response that is safe to repeat."""
    failure = (APITimeoutError if error.timeout else APIConnectionError)(error.message, route=route, attempts=attempts)
    failure.__cause__ = error
    return failure


def outcome_unknown(
    route: Route[Any],
    request: Request,
    outcome: Response | ExchangeError | None,
    *,
    params: Mapping[str, Any] | None,
    idempotency_header: str | None,
    sent_at: float,
    sent_on_our_clock: float,
    heard: tuple[Mapping[str, str], float] | None,
    attempts: int,
) -> OutcomeUnknownError:
    """Build the exception of a write that may or may not have been carried out.

    Args:
        route: the route that was called.
        request: as it was sent.
        outcome: of the last attempt; ``None`` if it was cancelled.
        params: as the caller gave them.
        idempotency_header: the name of the header that holds the key.
        sent_at: when it was sent, in seconds since the epoch.
        sent_on_our_clock: the same moment in monotonic seconds.
        heard: headers of the latest answer, and when it arrived in monotonic seconds.
        attempts: how many there were.
    """
    response = outcome if isinstance(outcome, Response) else None
    error = OutcomeUnknownError(
        f"{route.method} {route.path} may or may not have been carried out: {outcome or 'cancelled on the way'}",
        route=route.name,
        status_code=response.status if response else None,
        request_id=request_id_of(response.headers) if response else None,
        attempts=attempts,
    )
    error.method, error.sent_at, error.sent_on_our_clock = route.method, sent_at, sent_on_our_clock
    if heard is not None and (date := date_of(heard[0])) is not None:
        error.server_sent_at = date + (sent_on_our_clock - heard[1])
    if params is not None:
        # As plain values, so that a process without the caller's classes can unpickle the error.
        error.to, error.from_ = exact(params.get("to")), exact(params.get("from"))
        metadata = exact(params.get("metadata"))
        error.client_reference = metadata.get(headers.CLIENT_REFERENCE) if isinstance(metadata, dict) else None
    if idempotency_header is not None:
        name = idempotency_header.lower()
        error.idempotency_key = next((value for key, value in request.headers.items() if key.lower() == name), None)
    error.__cause__ = outcome if isinstance(outcome, ExchangeError) else None
    return error


def unexpected_answer(response: Response, why: str, route: str) -> APIResponseValidationError:
    """Build the exception of a 2xx whose body does not have the documented form."""
    error = APIResponseValidationError(
        f"the answer does not have the documented form: {why}",
        route=route,
        status_code=response.status,
        request_id=request_id_of(response.headers),
    )
    error.excerpt = _excerpt(response.body)
    return error


def _deprecated_at(value: str) -> str:
    # RFC 9745: a structured date, "@" and epoch seconds.
    try:
        return datetime.fromtimestamp(int(value[:_EXCERPT].removeprefix("@")), UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return shown(value, 40)


def _sunset_at(value: str) -> str:
    # RFC 8594: an HTTP-date.
    moment = parse_http_date(value)
    return moment.date().isoformat() if moment is not None else shown(value, 40)


def retirement_notice(route: Route[Any], answer: Mapping[str, str]) -> str | None:
    """A warning text from the Deprecation and Sunset headers of a route (API reference: Versioning), or ``None``."""
    deprecation, sunset = first_value(answer, headers.DEPRECATION), first_value(answer, headers.SUNSET)
    if deprecation is None and sunset is None:
        return None
    since = f" is deprecated since {_deprecated_at(deprecation)}" if deprecation is not None else " is being retired"
    until = f" and goes away on {_sunset_at(sunset)}" if sunset is not None else ""
    return f"{route.method} {route.path} ({route.name}){since}{until}"
