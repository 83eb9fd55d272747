"""A client that is closed ends what is under way at once, whole, and for good."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    AsyncAjoxi,
    ClientClosedError,
    ClientCredentials,
    LocalLimiter,
    OutcomeUnknownError,
    StreamInterruptedError,
)
from ajoxi_async.contract.wire import Request, Response

from .clients import client_of, create
from .server import Exchange, FaultServer, answer, success

pytestmark = pytest.mark.anyio

SOON = 1.0


async def half_a_body(exchange: Exchange) -> None:
    """Answer with half a body, and then nothing."""
    await exchange.read()
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    await exchange.stall()


async def one_event(exchange: Exchange) -> None:
    """Answer with one event of a stream, and then nothing."""
    await exchange.read()
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 7\ndata: x\n\n")
    await exchange.stall()


async def unavailable(exchange: Exchange) -> None:
    """Answer 503 that may be tried again in a minute."""
    await exchange.read()
    await exchange.send(answer(503, {"error": {"code": "service_unavailable", "message": "no"}}))


@asynccontextmanager
async def under_way(work: Callable[[], Awaitable[Any]], begun: Callable[[], bool]) -> AsyncIterator[list[Any]]:
    """Run something in another task until it has begun; what it ends with comes into the list, in time or never."""
    ends: list[Any] = []

    async def run() -> None:
        try:
            ends.append(await work())
        except Exception as error:
            ends.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(5):
            while not begun():
                await anyio.sleep(0.001)
            await anyio.sleep(0.05)
        yield ends
        with anyio.move_on_after(SOON):
            while not ends:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("timeout", [None, 30.0], ids=["no timeout", "timeout"])
@pytest.mark.parametrize("method", ["retrieve", "create"])
async def test_half_a_body_when_the_client_is_closed(timeout: float | None, method: str) -> None:
    """A call with half of its body ends at once: a GET with ClientClosedError, a POST with an unknown outcome."""
    async with FaultServer(then=half_a_body) as server:
        client = client_of(server.url, timeout=timeout)  # type: ignore[arg-type]
        call = (lambda: client.calls.retrieve("call_1")) if method == "retrieve" else (lambda: create(client))
        async with under_way(call, lambda: bool(server.received)) as ends:
            await client.aclose()
        assert len(server.received) == 1
    assert [type(end) for end in ends] == [ClientClosedError if method == "retrieve" else OutcomeUnknownError]


@pytest.mark.parametrize("idle_timeout", [None, 60.0])
async def test_a_stream_that_waits_when_the_client_is_closed(idle_timeout: float | None) -> None:
    """A stream that is read ends at once with its checkpoint, and does not reconnect."""
    async with FaultServer(then=one_event) as server:
        client = client_of(server.url)
        seen: list[str] = []

        async def follow() -> None:
            async with client.events("GET", "/v1/transcripts/call_1", idle_timeout=idle_timeout) as events:
                async for event in events:
                    seen.append(event.id)

        async with under_way(follow, lambda: bool(seen)) as ends:
            await client.aclose()
        assert len(server.received) == 1
    assert isinstance(ends[0], StreamInterruptedError)
    assert ends[0].last_event_id == "7"
    assert "client was closed" in str(ends[0])


async def test_a_stream_that_rests_when_the_client_is_closed() -> None:
    """A stream that is not being read at the moment raises at the next read."""
    async with FaultServer(then=one_event) as server, client_of(server.url) as client:
        async with client.events("GET", "/v1/transcripts/call_1") as events:
            await anext(events)
            await client.aclose()
            with anyio.fail_after(SOON), pytest.raises(StreamInterruptedError) as caught:
                await anext(events)
        assert caught.value.last_event_id == "7"
        assert len(server.received) == 1


async def test_a_stream_that_waits_to_connect_again_when_the_client_is_closed() -> None:
    """A live transcript between two connections ends at once."""
    async with FaultServer(then=unavailable) as server:
        client = client_of(server.url)

        async def follow() -> None:
            async with client.transcripts.stream("call_1") as live:
                async for _ in live:
                    pass

        async with under_way(follow, lambda: bool(server.received)) as ends:
            await client.aclose()
    assert [type(end) for end in ends] == [StreamInterruptedError]


async def test_many_streams_when_the_client_is_closed() -> None:
    """Each of many streams ends with an item that holds its error."""
    async with FaultServer(then=one_event) as server:
        client = client_of(server.url)

        async def follow() -> list[Any]:
            async with client.transcripts.stream_many(["call_1", "call_2"]) as many:
                return [item.error async for item in many]

        async with under_way(follow, lambda: len(server.received) == 2) as ends:
            await client.aclose()
    assert [type(error) for error in ends[0]] == [StreamInterruptedError] * 2


async def test_what_waits_for_the_next_attempt_when_the_client_is_closed() -> None:
    """A call between two attempts ends at once, and is not sent again."""
    from ajoxi_async import RetryPolicy

    async with FaultServer(then=unavailable) as server:
        client = client_of(server.url)
        patient = client.with_options(retry=RetryPolicy(base=60, cap=60))
        async with under_way(lambda: patient.calls.retrieve("call_1"), lambda: bool(server.received)) as ends:
            await client.aclose()
        assert len(server.received) == 1
    assert [type(end) for end in ends] == [ClientClosedError]


async def test_what_waits_for_its_turn_when_the_client_is_closed() -> None:
    """A call in the limiter's queue ends at once, was not sent, and leaves the queue."""
    limiter = LocalLimiter(1)
    async with FaultServer(then=unavailable) as server:
        client = client_of(server.url, limiter=limiter, retries=0)
        held = limiter.try_acquire()
        assert held is not None
        async with under_way(lambda: create(client), lambda: limiter.snapshot().waiting["default"] == 1) as ends:
            await client.aclose()
        assert server.received == []
    assert [type(end) for end in ends] == [ClientClosedError]
    assert limiter.snapshot().waiting["default"] == 0


async def test_what_waits_for_a_token_when_the_client_is_closed() -> None:
    """A call whose token is on its way ends at once."""
    asked: list[int] = []

    async def provider() -> str:
        asked.append(1)
        await anyio.sleep(60)
        return "token"

    client = AsyncAjoxi(base_url="http://127.0.0.1:9", token_provider=provider, mode="test")
    async with under_way(lambda: client.calls.retrieve("call_1"), lambda: bool(asked)) as ends:
        await client.aclose()
    assert [type(end) for end in ends] == [ClientClosedError]


async def test_a_closed_client_stays_closed() -> None:
    """A closed client and its variants refuse calls, lists, streams and being entered, and open no connection."""
    async with FaultServer(then=unavailable) as server:
        client = client_of(server.url)
        before = client.with_options(timeout=5)
        async with client:
            pass
        for one in (client, before, client.with_options(timeout=5)):
            with pytest.raises(ClientClosedError, match="closed"):
                await one.calls.retrieve("call_1")
            with pytest.raises(ClientClosedError):
                await create(one)
            with pytest.raises(ClientClosedError):
                await one.calls.list()
            with pytest.raises(ClientClosedError):
                async for _ in one.calls.list():
                    pass
            with pytest.raises(ClientClosedError):
                async with one.transcripts.stream("call_1"):
                    pass
            with pytest.raises(ClientClosedError):
                async with one.events("GET", "/v1/transcripts/call_1"):
                    pass
            with pytest.raises(ClientClosedError):
                async with one:
                    pass
            await one.aclose()
        assert (server.received, server.open_connections) == ([], 0)


async def test_closing_a_variant_closes_all() -> None:
    """A variant shares the connections, so closing it closes the client."""
    client = client_of("http://127.0.0.1:9")
    await client.with_options(timeout=5).aclose()
    with pytest.raises(ClientClosedError):
        await client.calls.retrieve("call_1")


async def test_a_cancelled_block_is_closed_whole() -> None:
    """`move_on_after` around a client and a stream closes every connection and warns of nothing."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "Async generator 'http(x|core)", ResourceWarning)
        async with FaultServer(then=one_event) as server:
            with anyio.move_on_after(0.2):
                async with client_of(server.url) as client:
                    async with client.events("GET", "/v1/transcripts/call_1") as events:
                        async for _ in events:
                            pass
            with anyio.fail_after(5):
                while server.open_connections:
                    await anyio.sleep(0.001)
        del client, events
        gc.collect()
    assert [str(one.message) for one in warned] == []


async def test_closing_does_not_wait_for_a_transport_without_end() -> None:
    """A transport that never closes holds `aclose` up for five seconds and no longer, cancelled or not."""

    class Stuck:
        async def send(self, request: Request) -> Response:
            raise AssertionError

        def stream(self, request: Request) -> Any:
            raise AssertionError

        async def aclose(self) -> None:
            await anyio.sleep(60)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ajoxi_async.client._CLOSING", 0.05)
        began = time.monotonic()
        await AsyncAjoxi("AJX_TEST_x", transport=Stuck()).aclose()
    assert time.monotonic() - began < 5


async def test_closing_at_once_from_many_tasks() -> None:
    """Any number of tasks may close one client at the same time."""
    async with FaultServer(then=half_a_body) as server:
        client = client_of(server.url)
        async with under_way(lambda: client.calls.retrieve("call_1"), lambda: bool(server.received)) as ends:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(client.aclose)
    assert [type(end) for end in ends] == [ClientClosedError]


async def test_a_task_that_is_cancelled_while_the_client_closes_stays_cancelled() -> None:
    """A cancellation from outside is not taken for the closing of the client."""
    async with FaultServer(then=half_a_body) as server:
        client = client_of(server.url)
        with anyio.CancelScope() as scope:

            async def close() -> None:
                while not server.received:
                    await anyio.sleep(0.001)
                scope.cancel()
                await client.aclose()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close)
                await client.calls.retrieve("call_1")
        assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_token_request_on_the_wire_when_the_client_is_closed() -> None:
    """The client-credentials grant's own request ends with the client, too."""
    async with FaultServer(then=half_a_body) as server:
        grant = ClientCredentials(f"{server.url}/token", "id", "secret")
        client = AsyncAjoxi(base_url=server.url, token_provider=grant, mode="test")
        async with under_way(lambda: client.calls.retrieve("call_1"), lambda: bool(server.received)) as ends:
            await client.aclose()
            await asyncio.sleep(0)
    assert [type(end) for end in ends] == [ClientClosedError]


async def answered(exchange: Exchange) -> None:
    """Answer with success."""
    await exchange.send(success(await exchange.read()))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("turns", range(1, 8))
async def test_a_task_that_is_cancelled_while_it_closes_the_client_leaves_nothing_open(turns: int) -> None:
    """`task.cancel()` at any moment of `aclose`, from `asyncio.timeout` for instance, leaves no session open."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with FaultServer(answered, then=one_event) as server:
            client = client_of(server.url)
            await client.calls.retrieve("call_1")
            events = client.events("GET", "/v1/transcripts/call_1")
            await events.__aenter__()
            await anext(events)
            closing = asyncio.ensure_future(client.aclose())
            for _ in range(turns):
                await asyncio.sleep(0)
            cancelled = closing.cancel()
            await asyncio.wait([closing])
            assert closing.cancelled() is cancelled
            with anyio.fail_after(5):
                while server.open_connections:
                    await anyio.sleep(0.001)
        del client, events
        gc.collect()
    assert [str(one.message) for one in warned] == []
