"""What goes wrong on purpose: when it strikes, what it does, and whether anything was committed."""

from __future__ import annotations

import json
from typing import Any, get_args

import anyio
import pytest

from ajoxi_async import (
    APIResponseValidationError,
    AsyncAjoxi,
    InternalServerError,
    InvalidParameterError,
    OutcomeUnknownError,
    RateLimitError,
    RetryPolicy,
    Sandbox,
)
from ajoxi_async.contract.wire import ExchangeError, Request
from ajoxi_async.sandbox.faults.faults import Action, Faults

pytestmark = pytest.mark.anyio

TO, FROM = "+15005550100", "+14155550100"
GOOD = b'{"to": "+15005550100", "from": "+14155550100"}'


def striking(when: Any, amount: int, **given: Any) -> list[int]:
    """Which of so many matches a fault strikes, from 1."""
    faults = Faults()
    fault = faults.add(action="status", match="calls.*", when=when, **given)
    struck = [place for place in range(1, amount + 1) if faults.of_answers("calls.create", 0.0)]
    assert (fault.matched, fault.fired) == (amount, len(struck))
    assert not faults.of_answers("webhooks.create", 0.0)
    assert fault.matched == amount
    return struck


def test_when() -> None:
    """The n-th, every n-th, the first n, or a share by seed; each fault counts for itself."""
    assert striking("nth", 10, n=3) == [3]
    assert striking("every", 10, n=3) == [3, 6, 9]
    assert striking("every", 3) == [1, 2, 3]
    assert striking("times", 10, n=2) == [1, 2]
    assert striking("probability", 10, p=0.0) == []
    assert striking("probability", 3, p=1.0) == [1, 2, 3]
    drawn = striking("probability", 1000, p=0.3)
    assert 230 < len(drawn) < 370
    assert drawn == striking("probability", 1000, p=0.3)


@pytest.mark.parametrize(
    "given",
    [
        {"action": "explode"}, {"action": "status", "when": "never"}, {"action": "status", "n": 0},
        {"action": "status", "status": 200}, {"action": "status", "p": 2}, {"action": "status", "match": ""},
        {"action": "slow", "seconds": -1}, {"action": "slow", "seconds": "1"}, {"action": "status", "retry_after": -1},
        {"match": "calls.dial", "action": "status"}, {"match": "call.completed", "action": "status"},
        {"match": "calls.*", "action": "sse_cut"}, {"match": "calls.*", "action": "webhook_duplicate"},
        {"action": "sse_cut", "events": 0}, {"action": "status", "code": ""}, {"action": "status", "n": 1.5},
        {"match": "calls.list", "action": "commit_late"}, {"match": "calls.create", "action": "list_lag"},
        {"action": "commit_late", "seconds": -1}, {"action": "list_lag", "seconds": "5"}, {"action": "outage", "delay": -1},
        {"action": "status", "delay": 1}, {"action": "status_after_commit", "status": 200},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be(given: Any) -> None:
    """A fault that cannot be is refused with the parameter named."""
    with pytest.raises(InvalidParameterError) as caught:
        Faults().add(**given)
    assert caught.value.param in given


def client_of(sandbox: Sandbox, **options: Any) -> AsyncAjoxi:
    """A client in memory that does not try again."""
    return AsyncAjoxi(
        sandbox.api_key, transport=sandbox.transport(), retry=RetryPolicy(max_retries=0), **options
    )  # fmt: skip


#: Action -> what a client sees of it, and whether the call was placed.
ANSWERS: dict[str, tuple[type[Exception] | None, bool]] = {
    "status": (InternalServerError, False),
    "latency": (None, True),
    "drop_before": (OutcomeUnknownError, False),
    "drop_after_commit": (OutcomeUnknownError, True),
    "status_after_commit": (InternalServerError, True),
    "outage": (InternalServerError, False),
    "reset": (OutcomeUnknownError, False),
    "truncate": (OutcomeUnknownError, True),
    "malformed": (APIResponseValidationError, True),
    "slow": (None, True),
    "rate_limit_storm": (RateLimitError, False),
}


def test_every_action_is_tested() -> None:
    """No action without a test below."""
    others = {"commit_late", "list_lag", "sse_cut", "webhook_duplicate", "webhook_reorder", "webhook_bad_signature"}
    assert set(get_args(Action)) == ANSWERS.keys() | others


async def strikes_once(action: Any, *, port: int | None) -> None:
    """Place calls where one fault strikes, and see what became of it."""
    error, committed = ANSWERS[action]
    async with Sandbox(port=port, clock="manual") as sandbox:
        fault = sandbox.faults.add(action=action, match="calls.create", when="nth", seconds=0.05)
        where = {"transport": sandbox.transport()} if port is None else {"base_url": sandbox.base_url}
        async with AsyncAjoxi(sandbox.api_key, retry=RetryPolicy(max_retries=0), **where) as client:
            began = anyio.current_time()
            if error is None:
                await client.calls.create(to=TO, from_=FROM)
                assert anyio.current_time() - began >= 0.04
            else:
                with pytest.raises(error):
                    await client.calls.create(to=TO, from_=FROM)
            assert len((await client.calls.list()).data) == committed
            assert fault.fired == 1
            if action == "rate_limit_storm":
                await anyio.sleep(0.06)
            await client.calls.create(to=TO, from_=FROM)


@pytest.mark.parametrize("action", ANSWERS)
async def test_answers_in_memory(action: Any) -> None:
    """Each fault strikes once, and commits or does not as documented."""
    await strikes_once(action, port=None)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("action", ANSWERS)
async def test_answers_over_a_socket(action: Any) -> None:
    """Each fault looks the same over a socket as in memory."""
    await strikes_once(action, port=0)


async def test_status_and_code() -> None:
    """An injected status has the envelope, a code that fits or the one given, and Retry-After where one is given."""
    async with Sandbox(port=None) as sandbox:
        sandbox.faults.add(action="status", match="calls.list", status=503, retry_after=7)
        sandbox.faults.add(action="status", match="webhooks.list", status=418, code="teapot")
        sent = {"Authorization": f"Bearer {sandbox.api_key}"}
        first = await sandbox.transport().send(Request("GET", "/v1/calls", sent))
        assert (first.status, first.headers["Retry-After"]) == (503, "7")
        assert json.loads(first.body)["error"]["code"] == "service_unavailable"
        second = await sandbox.transport().send(Request("GET", "/v1/webhooks", sent))
        assert (second.status, json.loads(second.body)["error"]["code"]) == (418, "teapot")


async def test_a_storm_lasts() -> None:
    """Once it has begun, every match is a 429 until it is over."""
    moment = 0.0
    async with Sandbox(port=None, rate_limit=None) as sandbox:
        sandbox._app.monotonic = lambda: moment
        fault = sandbox.faults.add(action="rate_limit_storm", match="calls.*", when="nth", n=2, seconds=5)
        sent = {"Authorization": f"Bearer {sandbox.api_key}"}

        async def ask() -> int:
            return (await sandbox.transport().send(Request("GET", "/v1/calls", sent))).status

        assert [await ask() for _ in range(4)] == [200, 429, 429, 429]
        moment = 6.0
        assert [await ask() for _ in range(2)] == [200, 200]
        assert fault.fired == 3


async def test_a_cut_stream_is_resumed() -> None:
    """The client goes on where the stream was cut, and the whole conversation arrives."""
    async with Sandbox(port=None, clock="manual") as sandbox, client_of(sandbox) as client:
        call = await client.calls.create(to=TO, from_=FROM)
        await sandbox.clock.advance(60)
        fault = sandbox.faults.add(action="sse_cut", when="times", n=1, events=4)
        sent = {"Authorization": f"Bearer {sandbox.api_key}", "Accept": "text/event-stream"}
        cut = await sandbox.transport().send(Request("GET", f"/v1/transcripts/{call.id}", sent))
        assert (cut.body.count(b"\ndata:"), b"transcript.completed" in cut.body, fault.fired) == (4, False, 1)
        async with client.transcripts.stream(call.id) as live:
            assert [segment async for segment in live]


class Endpoint:
    """A receiver in place of the network."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        await anyio.lowlevel.checkpoint()
        self.got.append((headers["X-Ajoxi-Signature"], body))
        return 200

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.mark.parametrize("action", ["webhook_duplicate", "webhook_reorder", "webhook_bad_signature"])
async def test_webhooks(action: Any) -> None:
    """A duplicate is the same bytes twice, a reordering lets the later overtake, a bad signature is bad once."""
    endpoint = Endpoint()
    async with Sandbox(port=None, clock="manual", post=endpoint.post) as sandbox, client_of(sandbox) as client:
        await client.webhooks.create(url="http://127.0.0.1:9/", events=["call.started", "call.completed"])
        fault = sandbox.faults.add(action=action, match="call.started", when="nth")
        await client.calls.create(to=TO, from_=FROM)
        await sandbox.clock.advance(60)
    assert fault.fired == 1
    if action == "webhook_duplicate":
        assert endpoint.types() == ["call.started", "call.started", "call.completed"]
        assert endpoint.got[0] == endpoint.got[1]
    elif action == "webhook_reorder":
        assert endpoint.types() == ["call.completed", "call.started"]
    else:
        assert endpoint.types() == ["call.started", "call.completed"]
        assert [signature == "0" * 64 for signature, _ in endpoint.got] == [True, False]


async def test_a_fault_is_its_world_s() -> None:
    """Another key is not struck; a fault that was removed strikes no more, and a reset removes all."""
    async with Sandbox(port=None) as sandbox:
        fault = sandbox.faults.add(action="drop_before")
        sandbox.faults.add(action="status")
        other = {"Authorization": f"Bearer {sandbox.mint_key()}"}
        own = {"Authorization": f"Bearer {sandbox.api_key}"}
        transport = sandbox.transport()
        assert (await transport.send(Request("GET", "/v1/calls", other))).status == 200
        with pytest.raises(ExchangeError) as caught:
            await transport.send(Request("POST", "/v1/calls", own, GOOD))
        assert caught.value.sent
        sandbox.faults.remove(fault.id)
        assert (await transport.send(Request("GET", "/v1/calls", own))).status == 503
        sandbox.reset()
        assert (await transport.send(Request("GET", "/v1/calls", own))).status == 200
