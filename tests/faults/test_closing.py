"""A client that is closed while calls are on their way, and while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from ajoxi_async import APIConnectionError, OutcomeUnknownError

from . import kinds
from .clients import client_of, create
from .server import Exchange, FaultServer, answer

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def in_flight(call: Any, server: FaultServer) -> AsyncIterator[list[Any]]:
    """Run a call until the server has it; what it ends with comes into the list."""
    ends: list[Any] = []

    async def run() -> None:
        try:
            ends.append(await call)
        except Exception as error:
            ends.append(error)
        except BaseException as error:
            ends.append(error)
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(5):
            while not server.received:
                await anyio.sleep(0.001)
        yield ends
        tasks.cancel_scope.cancel()


async def test_closing_ends_what_is_in_flight() -> None:
    """A closed client sends nothing again by itself: a call in flight ends, and no connection is left open."""
    async with FaultServer(then=kinds.stall_before_headers) as server:
        client = client_of(server.url)
        async with in_flight(client.calls.retrieve("call_1"), server) as ends:
            await client.aclose()
            with anyio.move_on_after(0.3):
                while not ends:
                    await anyio.sleep(0.01)
            sent, left = len(server.received), server.open_connections
        await client.aclose()
    assert (sent, left) == (1, 0)
    assert isinstance(ends[0], APIConnectionError)


async def test_closing_makes_a_post_in_flight_unknown() -> None:
    """A POST in flight when the client is closed may have been carried out."""
    async with FaultServer(then=kinds.stall_before_headers) as server:
        client = client_of(server.url)
        async with in_flight(create(client), server) as ends:
            await client.aclose()
            with anyio.fail_after(2):
                while not ends:
                    await anyio.sleep(0.001)
        assert len(server.received) == 1
    assert type(ends[0]) is OutcomeUnknownError


async def test_closing_ends_what_waits_for_a_connection() -> None:
    """A call that waits for the pool when the client is closed ends as not sent, and never as cancelled."""
    ends: list[BaseException] = []
    async with FaultServer(then=kinds.stall_before_headers) as server:
        client = client_of(server.url, retries=0, max_connections=1)

        async def waiting() -> None:
            try:
                await create(client)
            except (Exception, asyncio.CancelledError) as error:
                ends.append(error)

        async with in_flight(client.calls.retrieve("call_1"), server), anyio.create_task_group() as tasks:
            tasks.start_soon(waiting)
            await anyio.sleep(0.02)
            await client.aclose()
            with anyio.move_on_after(0.3):
                while not ends:
                    await anyio.sleep(0.001)
            sent = len(server.received)
            tasks.cancel_scope.cancel()
        await client.aclose()
    assert sent == 1
    assert isinstance(ends[0], APIConnectionError)


async def test_closing_ends_the_page_ahead() -> None:
    """A page on its way when the client is closed is not asked for again, and leaves no connection."""

    async def page(exchange: Exchange) -> None:
        request = await exchange.read()
        if "cursor" in request.path:
            await exchange.stall()
        else:
            await exchange.send(answer(200, {"data": [{"id": "call_1"}], "next_cursor": "2", "has_more": True}))

    async with FaultServer(then=page) as server:
        async with client_of(server.url) as client:
            calls = aiter(client.calls.list(limit=1))
            await anext(calls)
            while len(server.received) < 2:
                await anyio.sleep(0.001)
        await anyio.sleep(0.1)
        sent, left = len(server.received), server.open_connections
        del calls
        await client.aclose()
    assert (sent, left) == (2, 0)
