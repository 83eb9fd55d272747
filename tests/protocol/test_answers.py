"""What an answer says."""

from __future__ import annotations

import pytest

from ajoxi_async.contract.routes import CALLS_LIST
from ajoxi_async.contract.wire import Response
from ajoxi_async.protocol import answers
from ajoxi_async.protocol.errors import NotFoundError, RateLimitError


def test_error_of_the_api() -> None:
    """Code, message, parameter, request id and Retry-After all reach the exception."""
    body = b'{"error": {"code": "rate_limited", "message": "slow down", "param": "to"}}'
    response = Response(429, {"X-Request-Id": "req_1", "Retry-After": "2"}, body)
    error = answers.error_from(response, answers.error_body_of(response), "calls.create", 3)
    assert type(error) is RateLimitError
    assert (error.code, error.message, error.param) == ("rate_limited", "slow down", "to")
    assert (error.request_id, error.retry_after, error.attempts, error.status_code) == ("req_1", 2.0, 3, 429)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"error": "x"}', b'{"error": {"message": "x"}}', b'{"error": {"code": 5}}', b"\xff"],
)
def test_error_of_somebody_else(body: bytes) -> None:
    """A body without the API's envelope comes from a proxy, and the error says so."""
    response = Response(404, {}, body)
    assert answers.error_body_of(response) is None
    error = answers.error_from(response, None, "calls.retrieve", 1)
    assert type(error) is NotFoundError
    assert error.code is None
    assert "without the API's error body" in str(error)


def test_excerpt_is_bounded_and_masked() -> None:
    """An excerpt holds at most 200 characters, and no number or key."""
    body = b"AJX_LIVE_verysecret +14155551234 " + b"x" * 10_000
    error = answers.unexpected_answer(Response(200, {}, body), "why", "calls.list")
    assert len(error.excerpt) <= 200
    assert "verysecret" not in error.excerpt
    assert "+14155551234" not in error.excerpt


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, None),
        ({"Deprecation": "@1790000000"}, "is deprecated since 2026-09-21"),
        ({"Sunset": "Sat, 31 Dec 2028 23:59:59 GMT"}, "goes away on 2028-12-31"),
        ({"Deprecation": "true", "Sunset": "never"}, "deprecated since true and goes away on never"),
        ({"Deprecation": "@" + "9" * 40}, "is deprecated since @999"),
    ],
)
def test_retirement(headers: dict[str, str], words: str | None) -> None:
    """The notice shows Deprecation (RFC 9745) and Sunset (RFC 8594) with their dates, and any other value as it is."""
    notice = answers.retirement_notice(CALLS_LIST, headers)
    assert (notice is None) == (words is None)
    assert words is None or (words in str(notice) and "GET /v1/calls" in str(notice))
