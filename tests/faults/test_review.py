"""What a hostile reading of the request road found."""

from __future__ import annotations

import gc
import json
import time
import warnings
from typing import Any

import aiohttp
import anyio
import pytest

from ajoxi_async import (
    AjoxiError,
    APIConnectionError,
    APIError,
    APITimeoutError,
    AsyncAjoxi,
    ClientCredentials,
    NotFoundError,
    OutcomeUnknownError,
    Recording,
    RetryPolicy,
)
from ajoxi_async.contract import codec
from ajoxi_async.limits.local import LocalLimiter

from . import kinds
from .clients import KEY, client_of, create, outcome_of, with_tokens
from .kinds import envelope, html, lying, replying
from .server import Exchange, FaultServer, answer
from .test_cancellation import settled

pytestmark = pytest.mark.anyio

BEYOND = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
DATE = "Mon, 23 Nov 2026 10:00:00 GMT"
TOKEN = replying(200, {"access_token": "secret", "expires_in": 60})


# A header that cannot be read.


async def test_a_retry_after_beyond_all_dates() -> None:
    """A Retry-After that is no date is none at all: the POST that was refused is sent again, and the turn is settled."""
    refused = replying(429, envelope("rate_limited"), {"Retry-After": BEYOND, "Date": DATE})
    async with FaultServer(refused) as server, client_of(server.url) as client:
        assert await outcome_of(create(client)) is None
        assert len(server.received) == 2


async def test_a_turn_is_settled_whatever_an_answer_says() -> None:
    """Every turn ends, also where looking at the answer failed: a hundred of them would stop the client for good."""
    refused = replying(429, envelope("rate_limited"), {"Retry-After": BEYOND, "Date": DATE})
    async with FaultServer(refused) as server, client_of(server.url, retries=0) as client:
        await outcome_of(create(client))
        assert settled(client)


async def test_a_sunset_beyond_all_dates() -> None:
    """A call that was placed is returned, whatever a notice of retirement looks like."""
    async with FaultServer(lying({"Sunset": BEYOND})) as server, client_of(server.url) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert await outcome_of(create(client)) is None


@pytest.mark.parametrize("status", [200, 422, 429, 500])
@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"a":' * 100_000, b'{"error": {"code": "\xff"}}', b'{"error": {"code": "\\ud800"}}', b"\0" * 9],
    ids=["deep list", "deep object", "no UTF-8", "half a surrogate", "zeros"],
)
async def test_a_body_that_cannot_be_read(status: int, body: bytes) -> None:
    """Whatever the body, the caller gets an APIError that can be printed, and the turn is settled."""
    async with FaultServer(then=replying(status, body)) as server, client_of(server.url, retries=0) as client:
        error = await outcome_of(create(client))
        assert isinstance(error, APIError)
        assert str(error)
        assert settled(client)


# Deadlines.


async def test_a_deadline_that_passed_while_the_token_came() -> None:
    """When the call's time is up before anything was sent, nothing is sent and the call ends."""

    async def slow_token() -> str:
        await anyio.sleep(0.1)
        return "secret"

    async with (
        FaultServer(then=kinds.stall_before_headers) as server,
        with_tokens(server.url, slow_token) as client,
    ):
        with anyio.move_on_after(0.5) as scope:
            error = await outcome_of(create(client, timeout=0.05))
        assert not scope.cancelled_caught, f"still waiting; {len(server.received)} sent after the deadline"
        assert type(error) is APITimeoutError
        assert not server.received


async def test_a_deadline_holds_for_the_token_too() -> None:
    """A call's timeout bounds the whole call, its token included."""
    async with (
        FaultServer(then=kinds.stall_before_headers) as tokens,
        FaultServer() as server,
        with_tokens(server.url, ClientCredentials(f"{tokens.url}/token", "id", "secret")) as client,
    ):
        with anyio.move_on_after(5) as scope:
            error = await outcome_of(client.calls.retrieve("call_1", timeout=0.1))
        assert not scope.cancelled_caught
        assert type(error) is APITimeoutError


async def test_a_deadline_holds_for_a_download_too() -> None:
    """A download's timeout bounds its turn at the limiter."""
    slow = lying({"X-RateLimit-Limit": 1})
    async with FaultServer(then=slow) as server, client_of(server.url, limiter=LocalLimiter(1)) as client:
        await client.calls.retrieve("call_1")
        recording = codec.decode(json.dumps({"id": "rec_1", "url": f"{server.url}/v1/a"}).encode(), Recording)
        began = time.monotonic()
        assert type(await outcome_of(client.recordings.download(recording, timeout=0.1))) is APITimeoutError
        assert time.monotonic() - began < 0.6


async def test_a_timeout_without_end() -> None:
    """An infinite timeout is refused by name or waits for ever; it never raises an OverflowError."""
    async with FaultServer() as server:
        try:
            client = client_of(server.url, timeout=float("inf"))
        except AjoxiError:
            return
        async with client:
            error = await outcome_of(client.calls.retrieve("call_1"))
        assert error is None or isinstance(error, AjoxiError)


# A POST sent again under "always", the first of which may have been carried out.


async def test_the_limiter_refuses_the_second_attempt() -> None:
    """If the second attempt gets no permit in time, the first may still have been carried out, and the error says so."""
    async with (
        FaultServer(kinds.reset_after_commit) as server,
        client_of(server.url, "always", limiter=LocalLimiter(1)) as client,
    ):
        error = await outcome_of(create(client, timeout=0.3))
    assert len(server.committed) == 1
    assert type(error) is OutcomeUnknownError


async def test_no_token_for_the_second_attempt() -> None:
    """If the second attempt gets no token, the first may still have been carried out, and the error says so."""
    tokens = ["secret"]

    async def provider() -> str:
        if not tokens:
            raise APIConnectionError("the token endpoint did not answer")
        return tokens.pop()

    async with FaultServer(kinds.reset_after_commit) as server, with_tokens(server.url, provider, "always") as client:
        error = await outcome_of(create(client))
    assert len(server.committed) == 1
    assert type(error) is OutcomeUnknownError


# Tokens.


@pytest.mark.parametrize("fault", [html(503), kinds.reset_before_commit], ids=["503", "reset"])
async def test_a_token_endpoint_that_stumbles(fault: Any) -> None:
    """A token that could not be fetched for a moment is requested again: nothing was sent to the API yet."""
    async with (
        FaultServer(fault, then=TOKEN) as tokens,
        FaultServer() as server,
        with_tokens(server.url, ClientCredentials(f"{tokens.url}/token", "id", "secret")) as client,
    ):
        assert await outcome_of(create(client)) is None
        assert len(server.received) == 1


async def test_who_fetches_the_token_is_cancelled() -> None:
    """A task cancelled while it fetches the token for all leaves the others nothing worse than a fetch of their own."""
    async with (
        FaultServer(kinds.stall_before_headers, then=TOKEN) as tokens,
        FaultServer() as server,
        with_tokens(server.url, ClientCredentials(f"{tokens.url}/token", "id", "secret")) as client,
        anyio.create_task_group() as others,
    ):
        with anyio.fail_after(5):
            async with anyio.create_task_group() as first:
                first.start_soon(outcome_of, create(client))
                while not tokens.received:
                    await anyio.sleep(0.001)
                for _ in range(5):
                    others.start_soon(client.calls.retrieve, "call_1")
                await anyio.sleep(0.01)
                first.cancel_scope.cancel()
            while len(server.received) < 5:
                await anyio.sleep(0.001)
        assert len(tokens.received) == 2


# Engines.


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_session_of_the_callers_own_sends_once() -> None:
    """Releasing a number on a connection that breaks is attempted once, also over a session that was given to us."""
    async with aiohttp.ClientSession() as session, FaultServer(then=kinds.reset_unread) as server:
        client = AsyncAjoxi(KEY, base_url=server.url, session=session, retry=RetryPolicy(max_retries=0))
        await outcome_of(client.numbers.release("num_1"))
    assert len(server.received) == 1


@pytest.mark.parametrize("reply", [answer(502), answer(407), b""], ids=["502", "407", "cut"])
async def test_a_proxy_that_refuses_the_tunnel(reply: bytes) -> None:
    """Where a proxy makes no tunnel the request never left: a POST is tried again, and ends as an APIConnectionError."""

    async def proxy(exchange: Exchange) -> None:
        await exchange.read_head()
        if reply:
            await exchange.send(reply)
        await exchange.close()

    async with (
        FaultServer(then=proxy) as server,
        client_of("https://127.0.0.1:1", proxy=server.url) as client,
    ):
        error = await outcome_of(create(client))
    assert type(error) is APIConnectionError
    assert len(server.received) == 3


async def test_a_handshake_that_hangs() -> None:
    """A TLS handshake that ran out of time was not sent, and its socket is closed."""
    async with FaultServer(then=kinds.tls_stall, scheme="https") as server:
        gc.disable()  # the collector would hide it
        try:
            async with client_of(server.url, timeout=0.1) as client:
                error = await outcome_of(create(client))
            told = (type(error), getattr(error, "attempts", 0))
            del error  # its traceback holds the sockets
            await anyio.sleep(0.05)
            left = server.open_connections
        finally:
            gc.enable()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
    assert told == (APITimeoutError, 3)
    assert server.connections == 3
    assert left == 0


async def test_the_quota_gets_back_what_was_drawn() -> None:
    """A 429 draws on no quota, so sending again after one fills none."""
    failed = replying(500, envelope("internal_error"))
    async with (
        FaultServer(failed, failed, failed, kinds.storm(Retry_After=0)) as server,
        client_of(server.url) as client,
    ):
        await outcome_of(client.calls.retrieve("call_1"))
        left = client._pipeline.quota.left
        assert left == client._pipeline.quota.capacity - 2
        await client.calls.retrieve("call_1")
        assert len(server.received) == 5
        assert client._pipeline.quota.left <= left + 0.2


class NotingLanes(LocalLimiter):
    """Notes the lane of every turn."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[str] = []

    def try_acquire(self, lane: Any = "default") -> Any:
        self.lanes.append(lane)
        return super().try_acquire(lane)


@pytest.mark.parametrize("what", ["stream", "download"])
async def test_the_lane_of_a_call_holds_for_all_it_sends(what: str) -> None:
    """A lane given to a call is the lane of each of its requests, streams and downloads not excepted."""
    limiter = NotingLanes()
    async with FaultServer(then=replying(404, envelope("not_found"))) as server:
        async with client_of(server.url, limiter=limiter, lane="default") as client:
            if what == "stream":
                with pytest.raises(NotFoundError):
                    async with client.transcripts.stream("call_1", lane="bulk"):
                        pass
            else:
                recording = codec.decode(json.dumps({"id": "rec_1", "url": f"{server.url}/v1/a"}).encode(), Recording)
                assert isinstance(await outcome_of(client.recordings.download(recording, lane="bulk")), NotFoundError)
    assert limiter.lanes
    assert set(limiter.lanes) == {"bulk"}
