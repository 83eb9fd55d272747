"""Everything the package raises: a tree that is as it is drawn, travels between processes, and tells no secret."""

from __future__ import annotations

import copy
import pickle
import re
import sys
import traceback
from typing import Any

import pytest

from ajoxi_async.contract.codec import DecodeError
from ajoxi_async.contract.errors import CODE_STATUS, AjoxiError, InvalidParameterError, error_body
from ajoxi_async.contract.wire import ExchangeError
from ajoxi_async.protocol import errors
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    OutcomeUnknownError,
    RateLimitError,
    StreamError,
    status_error,
)

CLASSES: list[type[AjoxiError]] = [
    *(getattr(errors, name) for name in errors.__all__ if isinstance(getattr(errors, name), type)),
    DecodeError,
    ExchangeError,
]
SECRETS = "AJX_LIVE_topsecret whsec_topsecret Bearer topsecret +14155551234"


def an_error(cls: type[AjoxiError], message: str = SECRETS) -> AjoxiError:
    """An error of the class with every attribute set."""
    error: AjoxiError
    if issubclass(cls, InvalidParameterError):
        error = cls("to", message, missing=True)
    elif issubclass(cls, ExchangeError):
        error = cls(message, sent=True, timeout=True)
    elif issubclass(cls, StreamError):
        error = cls(message, last_event_id="42")
    elif issubclass(cls, APIError):
        error = cls(
            message,
            route="calls.create",
            status_code=429,
            code="rate_limited",
            param="to",
            request_id="req_0123456789abcdef",
            retry_after=1.5,
            attempts=3,
        )
    else:
        error = cls(message)
    error.cursor = "Y3Vyc29y"
    if isinstance(error, APIResponseValidationError):
        error.excerpt = "<html>"
    if isinstance(error, OutcomeUnknownError):
        error.method, error.sent_at = "PUT", 1715800000.5
    return error


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_travel(cls: type[AjoxiError]) -> None:
    """An error comes out of another process as it went in, attributes included."""
    error = an_error(cls)
    for again in (*(pickle.loads(pickle.dumps(error, n)) for n in range(2, 6)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is cls
        assert vars(again) == vars(error)
        assert again.args == error.args
        assert (str(again), repr(again)) == (str(error), repr(error))


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_tell_no_secret(cls: type[AjoxiError]) -> None:
    """Neither str, nor repr, nor args, nor a traceback holds a key or a phone number."""
    error = an_error(cls)
    try:
        raise error
    except AjoxiError as caught:
        told = traceback.format_exception(caught)
    for text in (str(error), repr(error), repr(error.args), "".join(told)):
        assert "topsecret" not in text
        assert "5551234" not in text
        assert "AJX_LIVE_***" in text


@pytest.mark.parametrize("fact", ["route", "code", "param", "request_id"])
def test_facts_tell_no_secret(fact: str) -> None:
    """What the server says beside its message is masked in str as well."""
    error = APIError("no", **{fact: "whsec_topsecret+14155551234"})
    assert "topsecret" not in f"{error} {error!r}"
    assert getattr(error, fact) == "whsec_topsecret+14155551234"


def test_a_refused_value_tells_no_secret() -> None:
    """Error trackers record attributes too: a key or a number that was given for something else is masked in all of them."""
    error = InvalidParameterError("lane", "expected 'bulk', got 'AJX_LIVE_topsecret' for +14155551234\n")
    told = f"{error} {error!r} {error.args} {vars(error)}"
    assert "topsecret" not in told
    assert "5551234" not in told
    assert "\n" not in error.why


def test_how_an_error_reads() -> None:
    """An error says what went wrong, where, and which request to ask about."""
    error = RateLimitError("slow down", route="calls.create", status_code=429, code="rate_limited", request_id="req_1")
    assert str(error) == "slow down (route calls.create, status 429, code rate_limited, request req_1)"
    assert repr(error) == f"RateLimitError({str(error)!r})"
    assert str(APIError("no answer")) == "no answer"
    assert str(InvalidParameterError("limit", "expected 1 to 200, got 0")) == "limit: expected 1 to 200, got 0"
    assert APIError("x").attempts == 1


def _drawn() -> dict[str, tuple[str | None, str | None]]:
    """The tree of the docstring: class -> (parent, builtin it is as well)."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:[│├└─ ]{4})*)([A-Z]\w+)(?: \((\w+)\))?(?:\s{2,}|$)", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            tree[found[2]] = (path[depth - 1] if depth else None, found[3])
    return tree


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO takes the docstrings away")
def test_the_tree_is_as_it_is_drawn() -> None:
    """The tree in the docstring has every public class under its own parent."""
    drawn = _drawn()
    assert set(drawn) == {cls.__name__ for cls in CLASSES if cls not in {DecodeError, ExchangeError}}
    for name, (parent, builtin) in drawn.items():
        bases = [base.__name__ for base in getattr(errors, name).__bases__]
        assert bases == [parent or "Exception", *([builtin] if builtin else [])]


def test_an_unknown_outcome_is_no_connection_error() -> None:
    """Code that retries on connection errors cannot place a call twice."""
    assert not issubclass(OutcomeUnknownError, APIConnectionError)
    assert not issubclass(APIConnectionError, OutcomeUnknownError)


def test_all_is_sorted() -> None:
    """`__all__` names every exception of the module, in order."""
    assert errors.__all__ == sorted(errors.__all__)
    public = {name for name, thing in vars(errors).items() if isinstance(thing, type) and issubclass(thing, Exception)}
    assert public | {"status_error"} == set(errors.__all__)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (502, "InternalServerError"),
        (503, "InternalServerError"),
        (599, "InternalServerError"),
        (402, "APIStatusError"),
        (405, "APIStatusError"),
        (409, "APIStatusError"),
        (418, "APIStatusError"),
        (302, "APIStatusError"),
    ],
)
def test_the_class_of_a_status(status: int, name: str) -> None:
    """API reference, Errors & status codes: the status is the category."""
    assert status_error(status).__name__ == name
    assert issubclass(status_error(status), APIStatusError)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (("not_found", "No such call."), {"error": {"code": "not_found", "message": "No such call."}}),
        (
            ("invalid_parameter", "No.", "to"),
            {"error": {"code": "invalid_parameter", "message": "No.", "param": "to"}},
        ),
        (("x", "y", ""), {"error": {"code": "x", "message": "y", "param": ""}}),
    ],
)
def test_the_error_body(given: Any, body: dict[str, Any]) -> None:
    """API reference, Errors & status codes: error.code and error.message; `param` only where there is one."""
    assert error_body(*given) == body


def test_codes_have_the_statuses_of_the_reference() -> None:
    """API reference, Errors & status codes: every code has one of its statuses, and 405 is HTTP's own."""
    assert set(CODE_STATUS.values()) == {400, 401, 403, 404, 405, 422, 429, 500, 503}
    assert CODE_STATUS["rate_limited"] == 429
    assert CODE_STATUS["unreachable_destination"] == 422
