"""The road of a request: retries, unknown outcomes, deadlines, notices and logs."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest

from ajoxi_async import (
    AjoxiDeprecationWarning,
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AsyncAjoxi,
    InternalServerError,
    InvalidParameterError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    RetryPolicy,
)
from ajoxi_async.contract.wire import Request, Response
from tests.client.fakes import ENVELOPE, KEY, ScriptedTransport, SteppedClock, answer, client_on, lost

pytestmark = pytest.mark.anyio

CALL = {"id": "call_8f2a1b3c", "status": "ringing", "ai_handler": "receptionist_v2"}


async def place(client: AsyncAjoxi) -> Any:
    """The reference's own call."""
    return await client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=True)


async def test_the_references_call() -> None:
    """What goes out is the reference's request, and its three-field answer is a call."""
    transport = ScriptedTransport(answer(201, CALL))
    call = await place(client_on(transport))
    (request,) = transport.requests
    assert (request.method, request.url) == ("POST", "https://api.ajoxi.com/v1/calls")
    assert request.body == b'{"to":"+14155551234","from":"+14155550100","ai_receptionist":true}'
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Content-Type"] == "application/json"
    assert (call.id, call.status, call.ai_handler, call.direction) == (*CALL.values(), None)


@pytest.mark.parametrize(
    "failure", [lost(sent=False), answer(500, ENVELOPE), answer(429, ENVELOPE)], ids=["not-sent", "500", "429"]
)
async def test_a_post_is_sent_again_where_it_is_safe(failure: Any) -> None:
    """Not sent, documented 5xx and 429: the POST goes out again."""
    transport = ScriptedTransport(failure, answer(201, CALL))
    assert (await place(client_on(transport))).id == CALL["id"]
    assert len(transport.requests) == 2
    assert transport.requests[0].body == transport.requests[1].body


@pytest.mark.parametrize(
    "failure",
    [lost(sent=True), lost(sent=True, timeout=True), answer(502, b"<html>"), answer(500, b"oops"), answer(504)],
    ids=["lost", "timeout", "502", "500-no-envelope", "504"],
)
async def test_a_post_of_unknown_fate_is_sent_once(failure: Any) -> None:
    """A POST that may have been carried out is never repeated, and the error says so."""
    transport = ScriptedTransport(failure)
    with pytest.raises(OutcomeUnknownError) as caught:
        await place(client_on(transport))
    assert len(transport.requests) == 1
    assert not isinstance(caught.value, APIConnectionError)
    assert caught.value.route == "calls.create"
    assert caught.value.method == "POST"
    assert caught.value.sent_at is not None
    assert pickle.loads(pickle.dumps(caught.value)).sent_at == caught.value.sent_at


async def test_unknown_after_a_safe_retry() -> None:
    """A retry that was safe does not make the next, unknown attempt safe."""
    transport = ScriptedTransport(answer(503, ENVELOPE), lost(sent=True))
    with pytest.raises(OutcomeUnknownError):
        await place(client_on(transport))
    assert len(transport.requests) == 2


async def test_always_still_tells_the_truth() -> None:
    """Under "always" a first unknown attempt is not forgotten when a later one fails for sure."""
    transport = ScriptedTransport(lost(sent=True), answer(422, ENVELOPE))
    with pytest.raises(OutcomeUnknownError):
        await place(client_on(transport, retry=RetryPolicy(writes="always")))
    assert len(transport.requests) == 2


async def test_a_get_of_unknown_fate_is_sent_again() -> None:
    """A GET is repeated; after the last retry it is a connection error."""
    transport = ScriptedTransport(lost(sent=True))
    with pytest.raises(APIConnectionError) as caught:
        await client_on(transport).calls.retrieve("call_1")
    assert len(transport.requests) == 3
    assert caught.value.attempts == 3


async def test_timeouts_are_told_apart() -> None:
    """Time that ran out is an APITimeoutError."""
    with pytest.raises(APITimeoutError):
        await client_on(ScriptedTransport(lost(sent=False, timeout=True))).calls.retrieve("call_1")


async def test_404_to_a_repeated_delete_is_success() -> None:
    """The first DELETE got through when the second finds nothing."""
    transport = ScriptedTransport(lost(sent=True), answer(404, ENVELOPE))
    await client_on(transport).numbers.release("num_1")
    assert len(transport.requests) == 2


@pytest.mark.parametrize("first", [lost(sent=False), answer(429, ENVELOPE), None], ids=["not-sent", "429", "none"])
async def test_404_to_a_first_delete_is_an_error(first: Any) -> None:
    """Where no earlier DELETE can have been carried out, 404 says that there is no such number."""
    transport = ScriptedTransport(*([first] if first else []), answer(404, ENVELOPE))
    with pytest.raises(NotFoundError):
        await client_on(transport).numbers.release("num_1")


async def test_retry_after_is_waited_for() -> None:
    """A 429 is waited out before anything else is sent."""
    clock = SteppedClock()
    transport = ScriptedTransport(answer(429, ENVELOPE, {"Retry-After": "7"}), answer(200, CALL))
    await client_on(transport, clock=clock, jitter=0.0).calls.retrieve("call_1")
    assert sum(clock.slept) >= 7.0


async def test_an_hour_is_not_slept_through() -> None:
    """A Retry-After beyond the policy's patience is raised with its seconds."""
    clock = SteppedClock()
    transport = ScriptedTransport(answer(429, ENVELOPE, {"Retry-After": "3600"}))
    with pytest.raises(RateLimitError) as caught:
        await client_on(transport, clock=clock).calls.retrieve("call_1")
    assert caught.value.retry_after == 3600.0
    assert len(transport.requests) == 1
    assert not clock.slept


async def test_every_attempt_takes_a_turn() -> None:
    """Retries pass the limiter like first attempts; what was not sent gives its turn back."""
    client = client_on(ScriptedTransport(answer(500, ENVELOPE), lost(sent=False), answer(200, CALL)))
    await client.calls.retrieve("call_1")
    assert client.limiter.snapshot().granted == 3


async def test_deadline_of_a_call() -> None:
    """A call's own timeout bounds attempts and waits together: no retry begins after it."""
    clock = SteppedClock()
    transport = ScriptedTransport(answer(503, ENVELOPE, {"Retry-After": "5"}))
    with pytest.raises(InternalServerError):
        await client_on(transport, clock=clock).calls.retrieve("call_1", timeout=3.0)
    assert len(transport.requests) == 1
    assert transport.requests[0].timeout == 3.0


async def test_timeout_of_an_attempt() -> None:
    """The client's timeout goes with each attempt; with_options changes it for the variant alone."""
    transport = ScriptedTransport(answer(200, CALL))
    client = client_on(transport, timeout=12.0)
    await client.calls.retrieve("call_1")
    await client.with_options(timeout=None).calls.retrieve("call_1")
    await client.with_options(timeout=None).calls.retrieve("call_1", timeout=2.0)
    await client.calls.retrieve("call_1", timeout=99)
    assert [request.timeout for request in transport.requests] == [12.0, None, 2.0, 12.0]


@pytest.mark.parametrize("timeout", [0, -1, "5", float("nan"), True])
async def test_nonsense_timeouts(timeout: Any) -> None:
    """A timeout is seconds above 0."""
    transport = ScriptedTransport(answer(200, CALL))
    with pytest.raises(InvalidParameterError, match="timeout"):
        await client_on(transport).calls.retrieve("call_1", timeout=timeout)
    assert not transport.requests


async def test_hopeless_deadline_is_refused_at_once() -> None:
    """A deadline that the queue of the limiter cannot meet sends nothing and does not wait."""
    clock = SteppedClock()
    transport = ScriptedTransport(answer(429, ENVELOPE, {"Retry-After": "30"}), answer(200, CALL))
    client = client_on(transport, clock=clock, retry=RetryPolicy(max_retries=0))
    with pytest.raises(RateLimitError):
        await client.calls.retrieve("call_1")
    with pytest.raises(APITimeoutError, match="nothing was sent"):
        await client.calls.retrieve("call_1", timeout=1.0)
    assert len(transport.requests) == 1
    assert not clock.slept


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<html>busy</html>", b"[]", b"null", b'{"status": "ringing"}', b'{"id": 5}', b"\xff\xfe",
     b'{"id": "call_1", "duration": "12"}'],
)  # fmt: skip
async def test_answers_that_do_not_have_the_documented_form(body: bytes) -> None:
    """A 2xx whose body does not fit is a typed error with status, request id and an excerpt."""
    with pytest.raises(APIResponseValidationError) as caught:
        await client_on(ScriptedTransport(answer(200, body))).calls.retrieve("call_1")
    assert caught.value.status_code == 200
    assert caught.value.request_id == "req_0123456789abcdef"
    assert len(caught.value.excerpt) <= 200


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """A redirect of the API is an error, so that a key never travels to another origin."""
    transport = ScriptedTransport(answer(status, b"", {"Location": "https://evil.example/"}))
    with pytest.raises(APIStatusError):
        await client_on(transport).calls.retrieve("call_1")
    assert [request.url for request in transport.requests] == ["https://api.ajoxi.com/v1/calls/call_1"]


async def test_retirement_is_told_once_a_route() -> None:
    """Deprecation and Sunset warn once for each route, with the dates."""
    headers = {"Deprecation": "@1790000000", "Sunset": "Sat, 31 Dec 2028 23:59:59 GMT"}
    client = client_on(ScriptedTransport(answer(200, CALL, headers)))
    with pytest.warns(AjoxiDeprecationWarning, match="2028-12-31") as caught:
        await client.calls.retrieve("call_1")
        await client.calls.retrieve("call_2")
    assert len(caught) == 1


async def test_retirement_of_a_write_is_logged_where_warnings_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    """A warning that is an error is raised by a read; what a write has made is returned, and the notice is logged."""
    headers = {"Sunset": "Sat, 31 Dec 2028 23:59:59 GMT"}
    client = client_on(ScriptedTransport(answer(201, CALL, headers)))
    assert (await client.calls.create(to="+14155551234", from_="+14155550100")).id
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "POST /v1/calls (calls.create) is being retired and goes away on 2028-12-31" in caplog.text
    with pytest.raises(AjoxiDeprecationWarning):
        await client_on(ScriptedTransport(answer(200, CALL, headers))).calls.retrieve("call_1")


async def test_extra_headers_and_query() -> None:
    """A call may add headers and query parameters of its own."""
    transport = ScriptedTransport(answer(200, {"data": [], "next_cursor": None, "has_more": False}))
    await client_on(transport).calls.list(limit=5, extra_query={"beta": "a b"}, extra_headers={"X-Trace": "1"})
    assert transport.requests[0].url.endswith("/v1/calls?limit=5&beta=a+b")
    assert transport.requests[0].headers["X-Trace"] == "1"


@pytest.mark.parametrize(
    "headers", [{"Authorization": "x"}, {"host": "x"}, {"X-A": "b\r\nX-C: d"}, {"X A": "b"}, {"X-A": 5}, {"": "x"}]
)
async def test_headers_that_cannot_be_sent(headers: dict[str, Any]) -> None:
    """Headers the client answers for, and headers that would break the framing, are refused."""
    transport = ScriptedTransport(answer(200, CALL))
    with pytest.raises(InvalidParameterError, match="extra_headers"):
        await client_on(transport).calls.retrieve("call_1", extra_headers=headers)
    assert not transport.requests


@pytest.mark.parametrize("id", ["", ".", "..", "a\x00", None, 5, "x" * 300])
async def test_ids_that_cannot_be(id: Any) -> None:
    """An id that cannot name one object is refused before anything is sent."""
    transport = ScriptedTransport(answer(200, CALL))
    with pytest.raises(InvalidParameterError, match="^id"):
        await client_on(transport).calls.retrieve(id)
    assert not transport.requests


@pytest.mark.parametrize("id", ["../numbers", "a/transfer", "a?x=1", "a#b", "a%2fb", "ü"])
async def test_no_id_reaches_another_endpoint(id: str) -> None:
    """Whatever is in an id stays one segment of the path."""
    transport = ScriptedTransport(answer(200, CALL))
    await client_on(transport).calls.retrieve(id)
    path = transport.requests[0].url.removeprefix("https://api.ajoxi.com/v1/calls/")
    assert not set(path) & set("/?#")


async def test_raw_response() -> None:
    """`with_raw_response` returns what the method returns, and the response."""
    client = client_on(ScriptedTransport(answer(500, ENVELOPE), answer(200, CALL, {"X-Extra": "1"})))
    raw = await client.with_raw_response(client.calls.retrieve)("call_1")
    assert (raw.status_code, raw.request_id, raw.headers.get("x-extra")) == (200, "req_0123456789abcdef", "1")
    assert raw.data.id == CALL["id"]
    assert b"receptionist_v2" in raw.body


async def test_one_debug_line_an_attempt(caplog: pytest.LogCaptureFixture) -> None:
    """Each attempt is one line under `ajoxi_async`, with neither key nor phone number in it."""
    caplog.set_level(logging.DEBUG, "ajoxi_async")
    page = {"data": [], "next_cursor": None, "has_more": False}
    client = client_on(ScriptedTransport(answer(503, ENVELOPE), answer(200, page)))
    await client.calls.list(metadata={"customer": "+14155551234", "k": KEY})
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO", "DEBUG"]
    assert "calls.list" in caplog.text
    assert "4155551234" not in caplog.text
    assert KEY not in caplog.text


async def test_a_transport_sees_the_body_unchanged_on_every_attempt() -> None:
    """The body is serialised once."""
    bodies: list[bytes | None] = []

    def note(request: Request) -> Response:
        bodies.append(request.body)
        return answer(503, ENVELOPE) if len(bodies) < 3 else answer(201, {"id": "msg_1"})

    client = client_on(ScriptedTransport(note))
    await client.messages.send(to="+14155551234", from_="+14155550100", body="hi")
    assert len(bodies) == 3
    assert len({id(body) for body in bodies}) == 1
