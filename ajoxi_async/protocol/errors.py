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
    │   ├── APIResponseValidationError          the answer does not have the documented form
    │   ├── APIConnectionError                  no answer came, and nothing was done
    │   │   ├── APITimeoutError                 because time ran out
    │   │   └── ClientClosedError               because the client was closed
    │   └── OutcomeUnknownError                 a write may or may not have been done
    ├── DownloadError                           a recording cannot be downloaded in this way
    │   └── DownloadFileError (OSError)         its file cannot be written
    ├── PaginationError                         a list cannot be continued
    ├── WaitTimeoutError                        what was waited for has not come in time
    ├── ReplayError                             a recording has no answer to a request
    ├── StreamError                             a live stream cannot be continued
    │   ├── StreamInterruptedError              the connection was lost and could not be resumed in time
    │   ├── StreamProtocolError                 the server sent something else than such a stream, or too large an event
    │   └── TranscriptGapError                  final segments are missing and could not be fetched
    ├── EventLogError                           the log of handled webhook events cannot be read or written
    ├── LedgerError                             the ledger of a dialer cannot be read or written
    │   ├── LedgerOwnedError                    another process owns the ledger or the campaign
    │   └── LedgerUnreachableError              its database cannot be reached; it may come back
    ├── CampaignHaltedError                     a campaign stopped dialling because of an error that all its calls would have
    └── WebhookSignatureError                   a delivery was not signed with the secret

Rule: an `OutcomeUnknownError` is never an `APIConnectionError`, so that code which retries on the latter cannot place a
call twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.contract.masking import shown

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AjoxiError",
    "AuthenticationError",
    "BadRequestError",
    "CampaignHaltedError",
    "ClientClosedError",
    "ConfigurationError",
    "DownloadError",
    "DownloadFileError",
    "EventLogError",
    "InternalServerError",
    "InvalidParameterError",
    "LedgerError",
    "LedgerOwnedError",
    "LedgerUnreachableError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PaginationError",
    "PermissionDeniedError",
    "RateLimitError",
    "ReplayError",
    "StreamError",
    "StreamInterruptedError",
    "StreamProtocolError",
    "TranscriptGapError",
    "UnprocessableEntityError",
    "WaitTimeoutError",
    "WebhookSignatureError",
    "status_error",
]


#: Most characters of each detail that is shown after the message.
_LONGEST_FACT = 200


class ConfigurationError(AjoxiError, ValueError):
    """A key, URL or setting cannot be right. Raised before anything is sent."""


class APIError(AjoxiError):
    """A request failed.

    Attributes:
        route: the method that was called, such as ``calls.create``.
        status_code: HTTP status, or ``None`` if there was no answer.
        code: the API's error code, such as ``not_found``.
        param: the parameter at fault, where the API names one.
        request_id: ``X-Request-Id`` of the answer, at most 200 characters, with everything escaped that is not printable ASCII.
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
        listed = ", ".join(f"{name} {shown(str(value), _LONGEST_FACT)}" for name, value in facts if value is not None)
        return f"{super().__str__()} ({listed})" if listed else super().__str__()


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
    """429: over the rate limit; ``retry_after`` is how long the server asks to wait."""


class InternalServerError(APIStatusError):
    """5xx: something failed on the API's side."""


class APIResponseValidationError(APIError):
    """The answer does not have the documented form: it is truncated, not JSON, or of another shape.

    Attributes:
        excerpt: the first 200 characters of the body, masked.
    """

    excerpt: str = ""


class APIConnectionError(APIError):
    """No answer came; the request was not sent, or sending it again is harmless."""


class APITimeoutError(APIConnectionError):
    """No answer came in time; the request was not sent, or sending it again is harmless."""


class ClientClosedError(APIConnectionError):
    """The client was closed, before the call or while it was under way; nothing was done.

    A client is closed by leaving its ``async with`` block and by `aclose`, for all its variants, and cannot be opened again.
    A write that may have been done is an `OutcomeUnknownError` here as well.
    """


class OutcomeUnknownError(APIError):
    """A write may or may not have been carried out, and was not sent again. Check before sending it again.

    ``await client.calls.reconcile(error)`` looks for the call.

    Attributes:
        method: the HTTP method.
        sent_at: when the request was first sent, in seconds since the epoch by the clock of this machine.
        server_sent_at: the same moment by the server's clock, if an earlier answer has shown the difference of the clocks.
        sent_on_our_clock: the same moment in monotonic seconds, which no change of the clock affects; lost when the error is
            pickled.
        to: the number called, if the request names one.
        from_: the number it is called from.
        client_reference: of the call's metadata, see ``client_references`` of `AsyncAjoxi`.
        idempotency_key: sent with every attempt.
    """

    method: str = "POST"
    sent_at: float | None = None
    server_sent_at: float | None = None
    sent_on_our_clock: float | None = None
    to: str | None = None
    from_: str | None = None
    client_reference: str | None = None
    idempotency_key: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, (cls, message, state) = super().__reduce__()
        # Monotonic seconds mean nothing in another process or on another machine.
        return rebuild, (cls, message, {name: value for name, value in state.items() if name != "sent_on_our_clock"})


class DownloadError(AjoxiError):
    """A recording cannot be downloaded in this way, and another connection would not help.

    It is larger than ``max_bytes``, its file changed while it was streamed, or its stream was closed.

    Attributes:
        received: bytes received so far.
        total: bytes of the whole recording, ``None`` if unknown.
    """

    def __init__(self, message: str, *, received: int = 0, total: int | None = None) -> None:
        super().__init__(message)
        self.received = received
        self.total = total


class DownloadFileError(DownloadError, OSError):
    """The file of a download cannot be written: a full disk, no permission, a directory in its place.

    Attributes:
        errno: of the operating system, ``errno.ENOSPC`` for instance.
        strerror: the system's message.
        filename: the path that the caller gave.
    """

    def __init__(
        self, message: str, *, errno: int | None = None, strerror: str | None = None, filename: str | None = None
    ) -> None:
        super().__init__(message)
        self.errno, self.strerror, self.filename = errno, strerror, filename

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The attributes of OSError are not in `__dict__`.
        return _rebuild_file_error, (super().__reduce__(), self.errno, self.strerror, self.filename)


def _rebuild_file_error(rest: tuple[Any, ...], *system: Any) -> DownloadFileError:
    rebuild, given = rest
    error: DownloadFileError = rebuild(*given)
    error.errno, error.strerror, error.filename = system
    return error


class PaginationError(AjoxiError):
    """A list cannot be continued: the server returned a cursor a second time, or too many empty pages."""


class WaitTimeoutError(AjoxiError):
    """What was waited for has not come in time. Nothing was changed by this, and waiting can go on.

    Attributes:
        id: of the call, message or recording.
        until: the state that was waited for.
        timeout: seconds that the wait took.
        last: the furthest state that is known, a `Call` for instance; ``None`` if nothing is.
    """

    id: str = ""
    until: str = ""
    timeout: float | None = None
    last: Any = None


class ReplayError(AjoxiError):
    """A recording has no answer to a request, or no more of a stream. Nothing was sent."""


class StreamError(AjoxiError):
    """A live stream cannot be continued.

    Attributes:
        last_event_id: the event id to resume from.
    """

    def __init__(self, message: str, *, last_event_id: str | None = None) -> None:
        super().__init__(message)
        self.last_event_id = last_event_id


class StreamInterruptedError(StreamError):
    """The connection was lost and could not be resumed in time."""


class StreamProtocolError(StreamError):
    """The server sent something else than such a stream, said that the stream failed, or sent too large an event."""


class TranscriptGapError(StreamError):
    """Final segments are missing and could not be fetched."""


class EventLogError(AjoxiError):
    """The log of handled webhook events cannot be read or written: a full disk, a locked file, an unreachable Redis.

    A `WebhookRouter` answers 503, so that the event is delivered again.
    """


class LedgerError(AjoxiError):
    """The ledger of a dialer cannot be read or written: a full disk, a damaged or foreign file, an unreachable database.

    What was asked for is not in the ledger, or it is not known whether it is. A call that was placed meanwhile is in doubt,
    and is found by the next sweep.
    """


class LedgerOwnedError(LedgerError):
    """Another process owns the ledger or the campaign, or this one has lost it; nothing was written."""


class LedgerUnreachableError(LedgerError):
    """The database of the ledger cannot be reached, or the connection was lost. It may come back, and `run` waits for it."""


class CampaignHaltedError(AjoxiError):
    """A campaign stopped dialling because of an error that every further call would have: a wrong key, a closed client.

    The contacts are as they were; `run` can be started again.
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
    """The error class of a status. Any 5xx is an `InternalServerError`; a status without its own class an `APIStatusError`."""
    return _BY_STATUS.get(status, InternalServerError if status >= 500 else APIStatusError)
