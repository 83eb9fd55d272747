"""What becomes of a POST that may have been carried out: what the error says, how the call is found again, and hooks."""

from __future__ import annotations

import logging
import pickle
from functools import partial
from typing import Any
from unittest.mock import AsyncMock
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec
import pytest

from ajoxi_async import (
    APIConnectionError,
    AsyncAjoxi,
    ConfigurationError,
    Hooks,
    InternalServerError,
    InvalidParameterError,
    OutcomeUnknownError,
    RateLimitedEvent,
    RateLimitError,
    RequestEvent,
    ResponseEvent,
    RetryEvent,
    RetryPolicy,
    Sandbox,
)
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from tests.client.fakes import ENVELOPE, KEY, ScriptedTransport, SteppedClock, answer, client_on, lost

pytestmark = pytest.mark.anyio

CALL = {"id": "call_8f2a1b3c", "status": "ringing"}


async def place(client: AsyncAjoxi, **more: Any) -> Any:
    """A call."""
    return await client.calls.create(to="+14155551234", from_="+14155550100", **more)


async def unknown(client: AsyncAjoxi, **more: Any) -> OutcomeUnknownError:
    """The error of a call whose fate is not known."""
    with pytest.raises(OutcomeUnknownError) as caught:
        await place(client, **more)
    return caught.value


async def test_what_the_error_carries() -> None:
    """Method, route, when, whom, from where, our reference, the idempotency key and the attempts; it survives pickling."""
    transport = ScriptedTransport(lost(sent=False), lost(sent=True))
    error = await unknown(client_on(transport), metadata={"client_reference": "order-7"})
    for seen in (error, pickle.loads(pickle.dumps(error))):
        assert (seen.method, seen.route, seen.attempts) == ("POST", "calls.create", 2)
        assert (seen.to, seen.from_, seen.client_reference) == ("+14155551234", "+14155550100", "order-7")
        assert seen.sent_at == pytest.approx(error.sent_at)
        assert seen.idempotency_key == transport.requests[0].headers["Idempotency-Key"]
    assert "+14155551234" not in str(error)


async def test_an_idempotency_key_is_minted_once_a_call() -> None:
    """Every attempt of a call carries the same key, every call another; GET carries none; the name can be changed."""
    transport = ScriptedTransport(answer(500, ENVELOPE), answer(201, CALL))
    client = client_on(transport)
    await place(client)
    await place(client)
    await client.calls.retrieve("call_1")
    keys = [request.headers.get("Idempotency-Key") for request in transport.requests]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] is None
    renamed = ScriptedTransport(answer(201, CALL))
    await place(client_on(renamed, idempotency_header="X-Dedupe"))
    await place(client_on(renamed, idempotency_header=None))
    assert len(renamed.requests[0].headers["X-Dedupe"]) == 32
    assert "Idempotency-Key" not in renamed.requests[0].headers
    assert "X-Dedupe" not in renamed.requests[1].headers


async def test_client_references_are_opt_in() -> None:
    """By default nothing undocumented goes into a body; with client_references each call carries one of its own."""
    plain = ScriptedTransport(answer(201, CALL))
    await place(client_on(plain))
    assert b"metadata" not in (plain.requests[0].body or b"")
    marked = ScriptedTransport(answer(201, CALL))
    client = client_on(marked, client_references=True)
    await place(client, metadata={"order": "7"})
    await place(client, metadata={"client_reference": "mine"})
    first, second = (msgspec.json.decode(request.body or b"")["metadata"] for request in marked.requests)
    assert first["order"] == "7"
    assert len(first["client_reference"]) == 32
    assert second == {"client_reference": "mine"}


def asked(request: Request) -> dict[str, list[str]]:
    """The query of a request."""
    return parse_qs(urlsplit(request.url).query)


async def test_reconcile_by_reference() -> None:
    """With a client reference the call is looked for by it alone."""
    transport = ScriptedTransport(lost(sent=True), answer(200, {"data": [CALL], "next_cursor": None}))
    client = client_on(transport, client_references=True)
    error = await unknown(client)
    found = await client.calls.reconcile(error)
    assert (found.status, found.call and found.call.id) == ("found", "call_8f2a1b3c")
    assert asked(transport.requests[1]) == {"metadata[client_reference]": [error.client_reference], "limit": ["2"]}


@pytest.mark.parametrize(("matching", "status"), [(0, "not_found_yet"), (1, "found"), (2, "several")])
async def test_reconcile_by_numbers_and_time(matching: int, status: str) -> None:
    """Without one it is looked for by to, from and time; several that match are said to, and none is not "it is not"."""
    theirs = {"from": "+14155550100", "direction": "outbound"}
    calls = [{"id": f"call_{n}", "to": "+14155551234", **theirs} for n in range(matching)]
    calls.append({"id": "call_other", "to": "+14155559999", **theirs})
    transport = ScriptedTransport(lost(sent=True), answer(200, {"data": calls, "next_cursor": None}))
    client = client_on(transport)
    error = await unknown(client)
    found = await client.calls.reconcile(error, window=60)
    assert found.status == status
    assert len(found.candidates) == matching
    assert (found.call is None) == (matching != 1)
    query = asked(transport.requests[1])
    assert query["direction"] == ["outbound"]
    assert query["created_after"] < query["created_before"]


async def test_reconcile_refuses_what_is_not_a_call() -> None:
    """The unknown outcome of a message, another error or a window that is none are refused by name."""
    client = client_on(ScriptedTransport(lost(sent=True)))
    with pytest.raises(OutcomeUnknownError) as caught:
        await client.messages.send(to="+14155551234", from_="+14155550100", body="hello")
    for error in (caught.value, ValueError(), None):
        with pytest.raises(InvalidParameterError, match="error: expected"):
            await client.calls.reconcile(error)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="window"):
        await client.calls.reconcile(await unknown(client), window=0)


class CutAfter:
    """The sandbox behind a wire that breaks after the first POST has been carried out."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.posts = 0

    async def send(self, request: Request) -> Response:
        response: Response = await self.inner.send(request)
        if request.method == "POST":
            self.posts += 1
            raise ExchangeError("cut", sent=True)
        return response

    def stream(self, request: Request) -> Any:
        return self.inner.stream(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize("references", [True, False])
async def test_reconcile_finds_the_call_in_the_sandbox(references: bool) -> None:
    """A call that was placed although its answer was lost is found, by reference or by its numbers, and placed once."""
    async with Sandbox(port=None) as sandbox:
        transport = CutAfter(sandbox.transport())
        client = AsyncAjoxi(KEY, transport=transport, client_references=references)
        found = await client.calls.reconcile(await unknown(client))
        assert found.status == "found"
        assert transport.posts == 1


class Stalling:
    """A transport that never answers, and says whether anything has left."""

    def __init__(self, *, sent: bool) -> None:
        self.sent = sent
        self.begun = anyio.Event()

    async def send(self, request: Request) -> Response:
        request.sent = self.sent
        self.begun.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_cancelled_post_is_reported(sent: bool, method: str) -> None:
    """A POST cancelled after it may have gone out is reported to on_outcome_unknown; every permit is settled."""
    told: list[OutcomeUnknownError] = []
    transport = Stalling(sent=sent)
    client = client_on(transport, hooks=Hooks(on_outcome_unknown=told.append), client_references=True)
    async with anyio.create_task_group() as tasks:
        if method == "POST":
            tasks.start_soon(place, client)
        else:
            tasks.start_soon(client.calls.retrieve, "call_1")
        await transport.begun.wait()
        tasks.cancel_scope.cancel()
    assert len(told) == (sent and method == "POST")
    if told:
        assert told[0].to == "+14155551234"
        assert told[0].client_reference is not None
        assert told[0].sent_at is not None
    assert client.limiter.snapshot().in_use == int(sent)


async def test_hooks_are_told_of_everything() -> None:
    """Hooks get request, response, retry and 429 in order, with the number of their call and without secrets."""
    events: list[Any] = []
    hooks = Hooks(
        on_request=events.append, on_response=events.append, on_retry=events.append, on_rate_limited=events.append
    )
    transport = ScriptedTransport(
        answer(429, ENVELOPE, {"Retry-After": "2"}), lost(sent=False), answer(200, {"id": "call_1"})
    )
    await client_on(transport, hooks=hooks).calls.retrieve("call_1", lane="interactive")
    kinds = [RequestEvent, ResponseEvent, RateLimitedEvent, RetryEvent]
    kinds += [RequestEvent, ResponseEvent, RetryEvent, RequestEvent, ResponseEvent]
    assert [type(event) for event in events] == kinds
    assert len({event.call for event in events}) == 1
    assert events[0].lane == "interactive"
    assert events[2].retry_after == 2.0
    assert [event.attempt for event in events] == [1, 1, 1, 1, 2, 2, 2, 3, 3]
    assert (events[5].status, events[5].fate.value, events[8].status) == (None, "not sent", 200)
    assert KEY not in repr(events)


async def test_a_hook_adds_headers() -> None:
    """What a hook puts into the event's headers is sent; what may not be sent is left out and logged."""
    transport = ScriptedTransport(answer(200, {"id": "call_1"}))
    hooks = [
        Hooks(on_request=lambda event: event.headers.update(traceparent="00-1-2-01")),
        Hooks(on_response=lambda event: None),
    ]
    await client_on(transport, hooks=hooks).calls.retrieve("call_1")
    assert transport.requests[0].headers["traceparent"] == "00-1-2-01"
    stealing = Hooks(on_request=lambda event: event.headers.update(Authorization="Bearer x"))
    await client_on(transport, hooks=stealing).calls.retrieve("call_1")
    assert transport.requests[1].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry", "on_rate_limited", "on_outcome_unknown"])
async def test_an_async_hook_is_refused(name: str) -> None:
    """A hook is called and not awaited: an async one would never run, and is refused when the hooks are made."""

    async def hook(event: object) -> None:
        """Never runs."""

    for wrong in (hook, partial(hook), AsyncMock(), "hook"):
        with pytest.raises(ConfigurationError, match=f"{name}: expected a plain function"):
            Hooks(**{name: wrong})  # type: ignore[arg-type]


async def test_a_hook_that_turns_out_to_be_async(caplog: pytest.LogCaptureFixture) -> None:
    """A hook that turns out to be async when it is called is logged, and its coroutine is closed."""

    async def hook(event: object) -> None:
        """Never runs."""

    hooks = Hooks(on_request=lambda event: hook(event))
    await client_on(ScriptedTransport(answer(200, {"id": "call_1"})), hooks=hooks).calls.retrieve("call_1")
    assert "a hook is async and did not run" in caplog.text


async def test_a_failing_hook_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a hook is logged, masked, and the call goes on."""

    def fail(event: object) -> None:
        raise RuntimeError(f"no {KEY} for +14155551234")

    hooks = Hooks(on_request=fail, on_response=fail, on_retry=fail, on_rate_limited=fail, on_outcome_unknown=fail)
    transport = ScriptedTransport(answer(429, ENVELOPE), answer(200, {"id": "call_1"}))
    with caplog.at_level(logging.ERROR, logger="ajoxi_async"):
        await client_on(transport, hooks=hooks).calls.retrieve("call_1")
        await unknown(client_on(ScriptedTransport(lost(sent=True)), hooks=hooks))
    assert "a hook failed: RuntimeError" in caplog.text
    assert KEY not in caplog.text
    assert "+14155551234" not in caplog.text


async def test_what_are_no_hooks() -> None:
    """Anything but Hooks is refused."""
    with pytest.raises(ConfigurationError, match="hooks: expected Hooks"):
        AsyncAjoxi(KEY, hooks=[print])  # type: ignore[list-item]


async def test_the_retry_quota_keeps_an_outage_small() -> None:
    """When everything fails retries stop once the quota is spent, and successes fill it again; a 429 costs nothing."""
    down = ScriptedTransport(answer(500, ENVELOPE))
    client = client_on(down, retry=RetryPolicy(quota=4, base=0.001))
    for _ in range(10):
        with pytest.raises(InternalServerError):
            await client.calls.retrieve("call_1")
    assert len(down.requests) == 10 + 4
    down.script = [answer(200, {"id": "call_1"})]
    for _ in range(5):
        await client.calls.retrieve("call_1")
    down.script = [answer(500, ENVELOPE)]
    before = len(down.requests)
    for _ in range(3):
        with pytest.raises(InternalServerError):
            await client.calls.retrieve("call_1")
    assert len(down.requests) - before == 3 + 1
    busy = ScriptedTransport(answer(429, ENVELOPE))
    client = client_on(busy, retry=RetryPolicy(quota=0))
    with pytest.raises(RateLimitError):
        await client.calls.retrieve("call_1")
    assert len(busy.requests) == 3


async def test_variants_share_the_quota_unless_they_have_a_policy() -> None:
    """`with_options` shares the quota; a policy of its own brings its own."""
    client = AsyncAjoxi(KEY)
    assert client.with_options(timeout=1)._pipeline.quota is client._pipeline.quota
    assert client.with_options(retry=RetryPolicy())._pipeline.quota is not client._pipeline.quota


async def test_max_elapsed_bounds_the_whole() -> None:
    """No attempt begins later than max_elapsed after the first."""
    clock = SteppedClock()
    transport = ScriptedTransport(lost(sent=False))
    policy = RetryPolicy(max_retries=50, base=1.0, cap=1.0, max_elapsed=3.0)
    with pytest.raises(APIConnectionError):
        await client_on(transport, clock=clock, jitter=0.9, retry=policy).calls.retrieve("call_1")
    assert len(transport.requests) == 4


async def test_lanes_per_client_and_per_call() -> None:
    """`with_options(lane=...)` and a call's own lane reach the limiter; what is no lane is refused by name."""
    lanes: list[str] = []
    client = client_on(
        ScriptedTransport(answer(200, {"id": "call_1"})), hooks=Hooks(on_request=lambda event: lanes.append(event.lane))
    )
    await client.calls.retrieve("call_1")
    bulk = client.with_options(lane="bulk")
    await bulk.calls.retrieve("call_1")
    await bulk.calls.retrieve("call_1", lane="interactive")
    assert lanes == ["default", "bulk", "interactive"]
    for wrong in (lambda: client.with_options(lane="fast"), lambda: AsyncAjoxi(KEY, lane="fast")):  # type: ignore[arg-type]
        with pytest.raises(InvalidParameterError, match="lane: expected one of"):
            wrong()
    with pytest.raises(InvalidParameterError, match="lane: expected one of"):
        await client.calls.retrieve("call_1", lane="fast")  # type: ignore[arg-type]
