"""The client of a campaign: which of its owner's settings hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ajoxi_async import AsyncAjoxi
from ajoxi_async.contract.wire import ExchangeError, Request, Response
from ajoxi_async.protocol.retry import RetryPolicy

from .scene import people, run, scene

pytestmark = pytest.mark.anyio


async def test_lists_are_asked_for_again_as_the_owner_wants_and_calls_are_not(tmp_path: Path) -> None:
    """Of the owner's retry policy all holds for what reads; a request for a call is sent once, whatever the policy says of writes."""
    asked: Counter[str] = Counter()
    lost = [True]

    class Fails:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def send(self, request: Request) -> Response:
            asked[request.method] += 1
            if request.method == "GET" and asked["GET"] <= 3:
                raise ExchangeError("the connection broke", sent=True)
            response = await self.inner.send(request)
            if request.method == "POST" and lost:
                lost.clear()
                raise ExchangeError("the connection broke", sent=True)
            return response

        def stream(self, request: Request) -> Any:
            return self.inner.stream(request)

        async def aclose(self) -> None:
            await self.inner.aclose()

    async with scene(tmp_path) as here:
        policy = RetryPolicy(max_retries=3, base=0.001, cap=0.001, writes="always")
        async with AsyncAjoxi(here.sandbox.api_key, transport=Fails(here.sandbox.transport()), retry=policy) as client:
            here.client = client
            begun = here.clock.now()
            campaign = await here.campaign(people(2), concurrency=1)
            last = await run(campaign)
            assert client.retry == policy
    first = min(ring.at.timestamp() for ring in here.sandbox.world().rings())
    assert first == begun  # The list was read by the first look, which did not have to be made again later.
    assert last.contacts["done"] == 2
    assert asked["POST"] == len(here.sandbox.world().rings()) == 2
