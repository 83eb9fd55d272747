"""Units of the aiohttp engine, with aioresponses in place of the network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses
from yarl import URL

from ajoxi_async import AsyncAjoxi, OutcomeUnknownError
from ajoxi_async.contract.wire import ExchangeError, Request
from ajoxi_async.transports import EngineTransport, TransportSettings
from ajoxi_async.transports.aiohttp import AiohttpTransport
from ajoxi_async.transports.httpx import HttpxTransport

pytestmark = pytest.mark.asyncio

URL_OF_A_CALL = "https://api.ajoxi.com/v1/calls/call_1"


class _Response(aiohttp.ClientResponse):
    """aioresponses does not know the argument that aiohttp 3.14 added."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock())
        super().__init__(*args, **kwargs)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """A network that answers as the test says, and nothing else."""
    monkeypatch.setattr("aioresponses.core.ClientResponse", _Response)
    with aioresponses() as mocked:
        yield mocked


async def test_the_key_and_the_json_travel(network: aioresponses) -> None:
    """Authorization, Accept and User-Agent go with every request, and the answer is decoded."""
    seen: dict[str, Any] = {}

    def answer(url: URL, **kwargs: Any) -> CallbackResult:
        seen.update(kwargs["headers"])
        return CallbackResult(payload={"id": "call_1", "status": "completed"})

    network.get(URL_OF_A_CALL, callback=answer)
    async with AsyncAjoxi("AJX_TEST_x") as client:
        assert (await client.calls.retrieve("call_1")).status == "completed"
    assert seen["Authorization"] == "Bearer AJX_TEST_x"
    assert seen["Accept"] == "application/json"
    assert seen["User-Agent"].startswith("ajoxi-async/")


@pytest.mark.parametrize(
    "error", [aiohttp.ServerDisconnectedError(), aiohttp.ClientPayloadError(), aiohttp.ClientOSError(104, "reset")]
)
async def test_every_failure_is_an_exchange_error(network: aioresponses, error: Exception) -> None:
    """Whatever aiohttp raises comes out as the one error of transports."""
    network.get(URL_OF_A_CALL, exception=error)
    transport = EngineTransport(TransportSettings())
    with pytest.raises(ExchangeError) as caught:
        await transport.send(Request("GET", URL_OF_A_CALL))
    assert caught.value.__cause__ is error
    await transport.aclose()


async def test_a_callers_own_session_is_used_and_left_open(network: aioresponses) -> None:
    """An injected session is not closed with the client; what it cannot report counts as sent."""
    network.post("https://api.ajoxi.com/v1/calls", exception=aiohttp.ServerDisconnectedError())
    async with aiohttp.ClientSession() as session:
        async with AsyncAjoxi("AJX_TEST_x", session=session) as client:
            with pytest.raises(OutcomeUnknownError):
                await client.calls.create(to="+14155551234", from_="+14155550100")
        assert not session.closed


async def test_the_engine_follows_the_session() -> None:
    """On asyncio the engine is aiohttp, unless an httpx client is injected."""
    import httpx

    assert isinstance(EngineTransport(TransportSettings())._engine(), AiohttpTransport)
    async with httpx.AsyncClient() as session:
        assert isinstance(EngineTransport(TransportSettings(session=session))._engine(), HttpxTransport)


async def test_timeouts_that_end_on_the_same_second_share_a_timer(network: aioresponses) -> None:
    """What a coarse timeout ends is an ExchangeError, its task is not left cancelled, and nothing is kept of it."""
    begun = asyncio.Event()

    async def stall(url: URL, **kwargs: Any) -> CallbackResult:
        begun.set()
        await asyncio.sleep(60)
        return CallbackResult()

    network.get(URL_OF_A_CALL, callback=stall, repeat=True)
    transport = AiohttpTransport(TransportSettings())

    async def exchange() -> int:
        with pytest.raises(ExchangeError) as caught:
            await transport.send(Request("GET", URL_OF_A_CALL, timeout=30.0))
        assert caught.value.timeout
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    tasks = [asyncio.ensure_future(exchange()) for _ in range(2)]
    await begun.wait()
    (second,) = transport._expiries._due
    transport._expiries._expire(second)
    assert await asyncio.gather(*tasks) == [0, 0]
    assert not transport._expiries._due
    await transport.aclose()


async def test_a_cancellation_from_outside_is_not_taken_for_a_timeout(network: aioresponses) -> None:
    """Cancelling the task raises CancelledError, also when its time runs out in the same moment."""
    begun = asyncio.Event()

    async def stall(url: URL, **kwargs: Any) -> CallbackResult:
        begun.set()
        await asyncio.sleep(60)
        return CallbackResult()

    network.get(URL_OF_A_CALL, callback=stall, repeat=True)
    transport = AiohttpTransport(TransportSettings())
    for expires_too in (False, True):
        begun.clear()
        task = asyncio.ensure_future(transport.send(Request("GET", URL_OF_A_CALL, timeout=30.0)))
        await begun.wait()
        task.cancel()
        if expires_too:
            (second,) = transport._expiries._due
            transport._expiries._expire(second)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not any(transport._expiries._due.values())
    await transport.aclose()
