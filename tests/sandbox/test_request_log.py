"""The log of requests: what tests assert on, and what it must not hold."""

from __future__ import annotations

from io import BytesIO

import anyio
import pytest
from aiohttp import ClientSession

from ajoxi_async import AsyncAjoxi, OutcomeUnknownError, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import LoggedRequest, RequestLog

TO, FROM = "+15005550100", "+14155550100"


@pytest.mark.anyio
async def test_what_was_asked_and_answered() -> None:
    """Route, status, id, bodies of both sides, latency and the fault that struck, for each request and retry."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            sandbox.faults.add(match="calls.create", when="nth", n=1, action="rate_limit_storm", seconds=0)
            call = await client.calls.create(to=TO, from_=FROM)
            await client.calls.list(limit=3)
        (refused,) = sandbox.requests.find(route="calls.create", status=429)
        assert (refused.fault, refused.method, refused.url) == ("rate_limit_storm", "POST", "/v1/calls")
        assert sandbox.requests.find(fault=refused.faults[0].id) == (refused,)
        (placed,) = sandbox.requests.find(route="calls.*", status="2xx", method="POST")
        assert placed.fault is None
        assert call.id.encode() in placed.response_body
        assert TO.encode() in placed.request_body
        assert placed.response_bytes == len(placed.response_body)
        assert placed.response_headers["X-Request-Id"] == placed.id
        assert (placed.source, placed.key_id, placed.moment) == ("api", sandbox.world().id, sandbox.clock.now())
        assert placed.latency > 0
        assert [entry.url for entry in sandbox.requests][-1] == "/v1/calls?limit=3"
        assert sandbox.requests.get(placed.id) is placed
        sandbox.requests.clear()
        assert len(sandbox.requests) == 0


@pytest.mark.anyio
async def test_a_request_over_the_rate_has_its_route() -> None:
    """A request that is refused before its route is found is logged under that route all the same."""
    async with Sandbox(port=None, rate_limit=1, clock="manual") as sandbox:
        sent = {"Authorization": f"Bearer {sandbox.api_key}"}
        call = f'{{"to": "{TO}", "from": "{FROM}"}}'.encode()
        campaign = f'{{"from": "{FROM}", "campaign": {{"name": "c", "mode": "power", "contacts": ["{TO}"]}}}}'.encode()
        for body in (call, call, campaign):
            await sandbox.transport().send(Request("POST", "/v1/calls", sent, body))
        assert len(sandbox.requests.find(route="calls.create", status=429)) == 1
        assert len(sandbox.requests.find(route="calls.create_campaign", status=429)) == 1


@pytest.mark.anyio
async def test_no_answer_is_logged_too() -> None:
    """A connection that a fault ends has no status and says why, and so does a client that goes away."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            sandbox.faults.add(match="calls.create", when="nth", n=1, action="drop_after_commit")
            with pytest.raises(OutcomeUnknownError):
                await client.calls.create(to=TO, from_=FROM)
            (broken,) = sandbox.requests
            assert (broken.status, broken.fault, broken.route) == (None, "drop_after_commit", "calls.create")
            assert broken.error == "the connection was broken on purpose"
            sandbox.faults.clear()
            sandbox.faults.add(match="calls.list", action="latency", seconds=60)
            with anyio.move_on_after(0.05):
                await client.calls.list()
        assert [entry.error for entry in sandbox.requests.find(route="calls.list")] == ["the client went away"]


@pytest.mark.anyio
async def test_secrets_are_not_kept() -> None:
    """Keys, webhook secrets and cookies are in no part of an entry, wherever they were sent."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            webhook = await client.webhooks.create(url="http://127.0.0.1:9/", events=["call.started"])
        sent = {"Authorization": f"bearer  {sandbox.api_key}", "Cookie": "session=AJX", "X-API-Key": sandbox.api_key}
        await sandbox.transport().send(Request("GET", f"/v1/calls?key={sandbox.api_key}", sent))
        body = f'{{"to": "{sandbox.api_key}"}}'.encode()
        await sandbox.transport().send(
            Request("POST", "/v1/calls", {"Authorization": f"Basic {sandbox.api_key}"}, body)
        )
        assert len(sandbox.requests) == 3
        for entry in sandbox.requests:
            shown = repr([getattr(entry, name) for name in dir(entry) if not name.startswith("_") and name != "trim"])
            shown += repr(entry)
            for secret in (sandbox.api_key, "session=AJX", webhook.secret):
                assert str(secret).removeprefix("AJX_TEST_").removeprefix("whsec_") not in shown


@pytest.mark.anyio
async def test_a_stream_is_one_entry() -> None:
    """A live transcript is one line, with the bytes that were sent and how long it took."""
    async with Sandbox(port=None, clock="auto") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            call = await client.calls.create(to=TO, from_=FROM)
            async with client.transcripts.stream(call.id) as stream:
                async for _ in stream:
                    (entry,) = sandbox.requests.find(route="transcripts.stream")
                    assert entry.duration is None
        assert entry.streamed
        assert (entry.status, entry.response_body) == (200, b"")
        assert entry.response_bytes > 100
        assert entry.duration is not None


def test_it_is_bounded() -> None:
    """The last 2,000 are kept, and no more than 16 MiB; of a very long body its beginning."""
    log = RequestLog()
    for number in range(2_500):
        log.add(LoggedRequest(f"req_{number}", Request("GET", "/", {}, b""), {}))
    assert [entry.id for entry in log][::1999] == ["req_500", "req_2499"]
    for _ in range(40):
        log.add(LoggedRequest("long", Request("GET", "/", {}, b"a" * 1024 * 1024), {}))
    assert len(log) == 15
    log.add(LoggedRequest("longer", Request("GET", "/", {}, b"a" * 1024 * 1025), {}))
    assert len(log.find()[-1].request_body) == 64 * 1024
    log.add(LoggedRequest("headers", Request("GET", "/", {}, b""), {str(n): "a" * 8_000 for n in range(2_100)}))
    assert len(log) == 0


@pytest.mark.asyncio
async def test_over_a_socket() -> None:
    """A body that is not taken is logged, and so is a path that is no route."""
    async with Sandbox() as sandbox, ClientSession() as session:
        async with session.post(f"{sandbox.base_url}/v1/calls", data=BytesIO(b"a" * (1024 * 1024 + 1))) as response:
            assert response.status == 400
        async with session.get(f"{sandbox.base_url}/v1/nothing") as response:
            shown = response.headers["X-Request-Id"]
        first, second = sandbox.requests
        assert (first.route, first.status) == ("calls.create", 400)
        assert (second.route, second.status, second.id, second.key_id) == (
            None,
            404 if second.key_id else 401,
            shown,
            None,
        )
