"""Everything this package raises on purpose.

    AjoxiError
    ├── InvalidParameterError (ValueError)      a parameter cannot be right; nothing was sent
    ├── ConfigurationError (ValueError)         a key, URL or setting cannot be right; nothing was sent
    ├── APIError                                a request was made, or was about to be
    │   ├── APIStatusError                      the API answered with an error
    │   │   ├── BadRequestError                 400
    │   │   ├── AuthenticationError             401
    │   │   ├── PermissionDeniedError           403
    │   │   ├── NotFoundError                   404
    │   │   ├── UnprocessableEntityError        422
    │   │   ├── RateLimitError                  429
    │   │   └── InternalServerError             5xx
    │   ├── APIResponseValidationError          the answer is not what was promised
    │   ├── APIConnectionError                  no answer came, and nothing was done
    │   │   └── APITimeoutError                 because time ran out
    │   └── OutcomeUnknownError                 a write may or may not have been done
    ├── PaginationError                         a list cannot go on
    ├── StreamError                             a live stream cannot go on
    │   ├── StreamInterruptedError              it was cut and could not be resumed in time
    │   ├── StreamProtocolError                 the server sent what is no such stream, or an event too large
    │   └── TranscriptGapError                  final segments are missing and could not be fetched
    ├── EventLogError                           what remembers webhook events cannot be asked
    └── WebhookSignatureError                   a delivery was not signed with the secret

Rule: an `OutcomeUnknownError` is never an `APIConnectionError`, so that code which retries on the latter cannot place a
call twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.contract.masking import mask

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AjoxiError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "EventLogError",
    "InternalServerError",
    "InvalidParameterError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PaginationError",
    "PermissionDeniedError",
    "RateLimitError",
    "StreamError",
    "StreamInterruptedError",
    "StreamProtocolError",
    "TranscriptGapError",
    "UnprocessableEntityError",
    "WebhookSignatureError",
    "status_error",
]


class ConfigurationError(AjoxiError, ValueError):
    """A key, URL or setting cannot be right. Raised before anything is sent."""


class APIError(AjoxiError):
    """A request failed.

    Attributes:
        route: the method that was called, such as ``calls.create``.
        status_code: HTTP status, or ``None`` where there was no answer.
        code: the API's error code, such as ``not_found``.
        param: the parameter at fault, where the API names one.
        request_id: ``X-Request-Id`` of the answer.
        retry_after: seconds the server asked to wait.
        attempts: how many times the request was attempted.
    """

    def __init__(
        self,
        message: str,
        *,
        route: str | None = None,
        status_code: int | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.route = route
        self.status_code = status_code
        self.code = code
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after
        self.attempts = attempts

    def __str__(self) -> str:
        facts = (
            ("route", self.route),
            ("status", self.status_code),
            ("code", self.code),
            ("param", self.param),
            ("request", self.request_id),
        )
        told = ", ".join(f"{name} {value}" for name, value in facts if value is not None)
        return mask(f"{super().__str__()} ({told})" if told else super().__str__())


class APIStatusError(APIError):
    """The API answered with an error (API reference: Errors & status codes)."""


class BadRequestError(APIStatusError):
    """400: malformed JSON or invalid parameters."""


class AuthenticationError(APIStatusError):
    """401: missing or invalid API key."""


class PermissionDeniedError(APIStatusError):
    """403: the key does not have access to the resource."""


class NotFoundError(APIStatusError):
    """404: the resource does not exist in the account."""


class UnprocessableEntityError(APIStatusError):
    """422: semantically invalid, an unreachable destination for instance."""


class RateLimitError(APIStatusError):
    """429: over the rate limit; ``retry_after`` is the server's word."""


class InternalServerError(APIStatusError):
    """5xx: something failed on the API's side."""


class APIResponseValidationError(APIError):
    """The answer is not what was promised: truncated, not JSON, or of another shape.

    Attributes:
        excerpt: the first 200 characters of the body, masked.
    """

    excerpt: str = ""


class APIConnectionError(APIError):
    """No answer came; the request was not sent, or sending it again is harmless."""


class APITimeoutError(APIConnectionError):
    """No answer came in time; the request was not sent, or sending it again is harmless."""


class OutcomeUnknownError(APIError):
    """A write may or may not have been done, and was not sent again: check before you do.

    ``await client.calls.reconcile(error)`` looks for the call.

    Attributes:
        method: the HTTP method.
        sent_at: when the request went out first, in seconds since the epoch.
        to: whom it was for, if anybody.
        from_: from which number.
        client_reference: of the call's metadata, see ``client_references`` of `AsyncAjoxi`.
        idempotency_key: sent with every attempt.
    """

    method: str = "POST"
    sent_at: float | None = None
    to: str | None = None
    from_: str | None = None
    client_reference: str | None = None
    idempotency_key: str | None = None


class PaginationError(AjoxiError):
    """A list cannot go on: the server returned a cursor it had returned before."""


class StreamError(AjoxiError):
    """A live stream cannot go on.

    Attributes:
        last_event_id: the checkpoint to resume from.
    """

    def __init__(self, message: str, *, last_event_id: str | None = None) -> None:
        super().__init__(message)
        self.last_event_id = last_event_id


class StreamInterruptedError(StreamError):
    """The stream was cut and could not be resumed in time."""


class StreamProtocolError(StreamError):
    """The server sent what is no such stream, said that it failed, or sent an event over the size limit."""


class TranscriptGapError(StreamError):
    """Final segments are missing and could not be fetched."""


class EventLogError(AjoxiError):
    """What remembers webhook events cannot be asked: a full disk, a locked or vanished file, a Redis that does not answer.

    A `WebhookRouter` answers 503, so that the event is delivered again.
    """


class WebhookSignatureError(AjoxiError):
    """A delivery was not signed with the secret, or its signature is missing. Answer 400 and do nothing."""


_BY_STATUS: Mapping[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def status_error(status: int) -> type[APIStatusError]:
    """The class of a status; one that has none of its own is an `APIStatusError`, any 5xx an `InternalServerError`."""
    return _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
