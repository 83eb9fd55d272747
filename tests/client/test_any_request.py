"""`client.request` for what this version does not know, and `extra_body` beside what it knows."""

from __future__ import annotations

import copy
import logging
import pickle
import warnings
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from ajoxi_async import (
    AjoxiDeprecationWarning,
    APIResponseValidationError,
    AsyncAjoxi,
    Call,
    CallStatus,
    InvalidParameterError,
    NotFoundError,
    OutcomeUnknownError,
    Sandbox,
)
from tests.client.fakes import ENVELOPE, ScriptedTransport, SteppedClock, answer, client_on, lost
from tests.transports.sockets import answering, server

pytestmark = pytest.mark.anyio


async def test_through_both_ends() -> None:
    """A known endpoint reached by path brings the same as its method: model, JSON, bytes and errors."""
    async with Sandbox(port=None) as sandbox, AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        body = {"to": "+14155551234", "from": "+14155550100", "record": None}
        placed = await client.request("post", "/v1/calls", body=body, returns=Call)
        call = await client.calls.retrieve(placed.id)
        assert await client.request("GET", f"/v1/calls/{placed.id}", returns=Call) == call
        assert (await client.request("GET", "/v1/calls", query={"limit": 5, "status": None}))["has_more"] is False
        assert (
            msgspec.json.decode(await client.request("GET", f"/v1/calls/{placed.id}", returns=bytes))["id"] == call.id
        )
        with pytest.raises(NotFoundError) as caught:
            await client.request("GET", "/v1/faxes/fax_1")
        assert caught.value.route == "request"
        raw = await client.with_raw_response(client.request)("GET", f"/v1/calls/{placed.id}")
        assert raw.data["id"] == call.id
        assert raw.request_id
    # Refused attempts and answers went through the limiter like any other.
    assert client.limiter.snapshot().granted == 7


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_write_is_never_sent_twice(method: str) -> None:
    """POST and PATCH whose fate is unknown raise, and a proxy's 502 counts as unknown; what was not sent is sent again."""
    for script in ([lost(sent=True)], [answer(502)], [lost(sent=False), lost(sent=True)]):
        transport = ScriptedTransport(*script)
        with pytest.raises(OutcomeUnknownError) as caught:
            await client_on(transport).request(method, "/v1/faxes", body={"to": "+14155551234", "metadata": ["x"]})
        assert len(transport.requests) == len(script)
        assert (caught.value.method, caught.value.to) == (method, "+14155551234")
        assert "+14155551234" not in str(caught.value)
    transport = ScriptedTransport(answer(500, ENVELOPE), answer(200, {"id": 1}))
    assert await client_on(transport).request(method, "/v1/faxes", body={}) == {"id": 1}
    assert len(transport.requests) == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_what_may_be_repeated_is(method: str) -> None:
    """Methods that are idempotent are sent again after a lost connection."""
    transport = ScriptedTransport(lost(sent=True), answer(204))
    assert await client_on(transport).request(method, "/v1/faxes/fax_1") is None
    assert len(transport.requests) == 2


async def test_what_is_sent() -> None:
    """Query, options and body travel as those of known methods do; keys of a POST are sent too."""
    transport = ScriptedTransport(answer(200, {}))
    client = client_on(transport)
    when = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
    await client.request(
        "POST",
        "/v1/faxes?a=1",
        body={"at": when, "status": CallStatus.QUEUED, "call": Call(id="call_1"), "pages": (1, 2)},
        query={"since": when, "open": True, "tag": ["x", False, None], "metadata": {"k": "v", "n": None}, "none": None},
        extra_query={"b": "2"},
        extra_body={"late": None},
        extra_headers={"X-A": "b"},
    )
    request = transport.requests[0]
    assert request.url.endswith(
        "/v1/faxes?a=1&since=2026-11-26T09%3A30%3A00.000Z&open=true&tag=x&tag=false&metadata%5Bk%5D=v&b=2"
    )
    sent = msgspec.json.decode(request.body or b"")
    assert (sent["at"], sent["status"], sent["pages"], sent["late"]) == (
        "2026-11-26T09:30:00.000Z",
        "queued",
        [1, 2],
        None,
    )
    assert sent["call"]["id"] == "call_1"
    assert request.headers["Content-Type"] == "application/json"
    assert {"X-A", "Idempotency-Key", "Authorization"} <= request.headers.keys()
    await client.request("PUT", "/v1/faxes/1/pages", body=b"\x00pdf", content_type="application/pdf")
    assert (transport.requests[1].body, transport.requests[1].headers["Content-Type"]) == (
        b"\x00pdf",
        "application/pdf",
    )


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("method", {"method": "TRACE"}),
    ("method", {"method": None}),
    ("path", {"path": "v1/faxes"}),
    ("path", {"path": "//evil.example/v1"}),
    ("path", {"path": "/v1/faxes/../calls"}),
    ("path", {"path": "/v1/faxes/%2e%2E/calls"}),
    ("path", {"path": "/v1/fa xes"}),
    ("path", {"path": "/v1/faxes\r\nX: y"}),
    ("path", {"path": "/v1/%zz"}),
    ("path", {"path": b"/v1"}),
    ("body", {"method": "GET", "body": {}}),
    ("body", {"body": {"x": float("nan")}}),
    ("body", {"body": {"x": {1: 2}}}),
    ("body", {"body": {"x": b"y"}}),
    ("body", {"body": {"x": datetime(2026, 1, 1)}}),
    ("body.x", {"body": {"x": "\ud83d"}}),
    ("body", {"body": object()}),
    ("content_type", {"body": b"x"}),
    ("content_type", {"body": {}, "content_type": "text/plain"}),
    ("content_type", {"body": b"x", "content_type": "a/b\r\nX: y"}),
    ("query", {"query": "a=b"}),
    ("query", {"query": {"a": object()}}),
    ("query", {"query": {"a": {"b": {"c": 1}}}}),
    ("query", {"query": {"a": [[1]]}}),
    ("a", {"query": {"a": "\ud83d"}}),
    ("returns", {"returns": int}),
    ("returns", {"returns": "Call"}),
    ("timeout", {"timeout": -1}),
    ("retries", {"retries": 3}),
    ("extra_body", {"body": [1], "extra_body": {"a": 1}}),
    ("extra_body", {"method": "GET", "body": None, "extra_body": {"a": 1}}),
    ("extra_headers", {"extra_headers": {"Authorization": "x"}}),
]


@pytest.mark.parametrize(("param", "given"), REFUSED)
async def test_what_cannot_be_right_is_not_sent(param: str, given: dict[str, Any]) -> None:
    """Each mistake names its parameter, and nothing goes out."""
    transport = ScriptedTransport(answer(200, {}))
    arguments: dict[str, Any] = {"method": "POST", "path": "/v1/faxes", **given}
    with pytest.raises(InvalidParameterError) as caught:
        await client_on(transport).request(arguments.pop("method"), arguments.pop("path"), **arguments)
    assert caught.value.param == param
    assert not transport.requests


async def test_answers_of_another_form() -> None:
    """A 2xx that is not JSON, or not the model, is an error as everywhere."""
    for body, returns in ((b"<html>", None), (b'{"x": 1}', Call), (b"", Call)):
        with pytest.raises(APIResponseValidationError):
            await client_on(ScriptedTransport(answer(200, body))).request("GET", "/v1/faxes", returns=returns)  # type: ignore[call-overload]


async def test_log_and_retirement(caplog: pytest.LogCaptureFixture) -> None:
    """A debug line as for any request, masked; notices of different paths are both told, and the book of routes stays small."""
    clock = SteppedClock()
    client = client_on(ScriptedTransport(answer(200, {}, {"Sunset": "Sat, 31 Dec 2028 23:59:59 GMT"})), clock=clock)
    with caplog.at_level(logging.DEBUG, "ajoxi_async"), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in range(3):
            clock.now += 2
            await client.request("GET", f"/v1/faxes/{number}", query={"to": "+14155551234"})
    assert "request GET /v1/faxes/0?to=%2B1415***34 attempt 1: 200" in caplog.text
    assert [str(one.message).split()[1] for one in told] == ["/v1/faxes/0", "/v1/faxes/1", "/v1/faxes/2"]
    assert all(issubclass(one.category, AjoxiDeprecationWarning) for one in told)
    assert len(client._pipeline.next_retirement_check) == 1


async def test_extra_body() -> None:
    """It is merged into the body of each method that has one, nulls included; a parameter of the method's own is refused."""
    transport = ScriptedTransport(answer(201, {"id": "call_1"}))
    client = client_on(transport)
    numbers: dict[str, Any] = {"to": "+14155551234", "from_": "+14155550100"}
    await client.calls.create(**numbers, extra_body={"voicemail": {"drop": True}, "after": None})
    assert msgspec.json.decode(transport.requests[0].body or b"") == {
        "to": "+14155551234", "from": "+14155550100", "voicemail": {"drop": True}, "after": None,
    }  # fmt: skip
    await client.messages.send(**numbers, body="hi", extra_body={})
    await client.webhooks.create(url="http://127.0.0.1/x", events=["call.started"], extra_body={"note": "x"})
    assert b'"note":"x"' in (transport.requests[2].body or b"")
    for name in ("to", "from", "timeout"):
        with pytest.raises(InvalidParameterError, match=name):
            await client.calls.create(**numbers, extra_body={name: "x"})
    for wrong in ([("a", 1)], "x", {1: 2}, {"x": float("inf")}):
        with pytest.raises(InvalidParameterError, match="extra_body"):
            await client.calls.create(**numbers, extra_body=wrong)
    with pytest.raises(InvalidParameterError, match="extra_body"):
        await client.calls.retrieve("call_1", extra_body={"a": 1})
    with pytest.raises(InvalidParameterError, match="extra_body"):
        client.calls.list(extra_body={"a": 1})
    with pytest.raises(InvalidParameterError, match="extra_body"):
        client.transcripts.stream("call_1", extra_body={"a": 1})
    assert len(transport.requests) == 3


@pytest.mark.parametrize("take", [lambda raw: pickle.loads(pickle.dumps(raw)), copy.copy, copy.deepcopy])
async def test_a_raw_response_can_be_pickled_and_copied(take: Any) -> None:
    """A raw response is a value: it can be sent to another process, whatever engine it came through."""
    body = b'{"id":"call_1","status":"ringing"}'
    lines = b"HTTP/1.1 200 OK\r\nX-Request-Id: req_1\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with server(answering(lines + body)) as (url, _), AsyncAjoxi("AJX_TEST_key", base_url=url) as client:
        raw = await client.with_raw_response(client.calls.retrieve)("call_1")
    other = take(raw)
    assert (other.data, other.status_code, other.body, other.request_id) == (raw.data, 200, body, "req_1")
    assert other.headers["x-request-id"] == "req_1"
    assert repr(other) == repr(raw)
