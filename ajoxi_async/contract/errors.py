"""The root of the exception tree, and the error body of the API.

Rules:
1. Every error response is ``{"error": {"code": ..., "message": ...}}`` and its HTTP status matches the category
   (API reference: Errors & status codes); ``param`` is added where one parameter is at fault.
2. Every exception of this package can be pickled. Its message is one line of at most some thousand characters, and shows
   neither a secret nor a whole phone number, whatever a server sent.
"""

from __future__ import annotations

from typing import Any

from ajoxi_async.contract.masking import shown

__all__ = ["CODE_STATUS", "AjoxiError", "InvalidParameterError", "error_body"]

#: Error code -> HTTP status. A server may send codes that are not listed here.
CODE_STATUS = {
    "invalid_json": 400,
    "invalid_parameter": 400,
    "missing_parameter": 400,
    "authentication_required": 401,
    "invalid_api_key": 401,
    "permission_denied": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "unreachable_destination": 422,
    "invalid_state": 422,
    "number_unavailable": 422,
    "opted_out": 422,
    "rate_limited": 429,
    "internal_error": 500,
    "service_unavailable": 503,
}


def error_body(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """Build the error envelope (API reference: Errors & status codes)."""
    error = {"code": code, "message": message}
    if param is not None:
        error["param"] = param
    return {"error": error}


#: Most characters of a message, since a server may answer with a megabyte.
_LONGEST = 4096


def _rebuild(cls: type[AjoxiError], message: str, state: dict[str, Any]) -> AjoxiError:
    error = cls.__new__(cls)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class AjoxiError(Exception):
    """Root of everything this package raises on purpose.

    Attributes:
        message: the description of the error, with secrets and phone numbers masked, since error trackers record attributes
            too, and with control characters escaped.
        cursor: of an error that ended a list: the cursor at which to start again.
    """

    cursor: str | None = None

    def __init__(self, message: str) -> None:
        # Tracebacks and log handlers print ``args``, so it holds the masked text only.
        super().__init__(shown(message, _LONGEST))
        self.message: str = self.args[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args[0] if self.args else "", dict(self.__dict__))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class InvalidParameterError(AjoxiError, ValueError):
    """A parameter cannot be right, whatever the server's state. Raised before anything is sent.

    Attributes:
        param: the name of the parameter, as the method spells it.
        why: what would be right, masked as the message is.
    """

    def __init__(self, param: str, why: str, *, missing: bool = False) -> None:
        super().__init__(f"{param}: {why}")
        self.param = param
        self.why = shown(why, _LONGEST)
        self.missing = missing
