"""How many items a list of the sandbox holds where no `limit` is given (API reference: Pagination)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.limits.local import LocalLimiter

pytestmark = pytest.mark.anyio

TO, FROM = "+14155551234", "+14155550100"

LISTS: dict[str, tuple[Callable[[AsyncAjoxi], Awaitable[Any]] | None, Callable[[AsyncAjoxi], Any]]] = {
    "calls": (lambda client: client.calls.create(to=TO, from_=FROM), lambda client: client.calls.list()),
    "messages": (
        lambda client: client.messages.send(to=TO, from_=FROM, body="hello"),
        lambda client: client.messages.list(),
    ),
    "webhooks": (
        lambda client: client.webhooks.create(url="https://hooks.example/x", events=["call.completed"]),
        lambda client: client.webhooks.list(),
    ),
    "recordings": (
        lambda client: client.calls.create(to=TO, from_=FROM, record=True),
        lambda client: client.recordings.list(),
    ),
    "numbers": (None, lambda client: client.numbers.search()),
}


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_has_fifty_items_by_default(name: str) -> None:
    """Fifty in every list, and the rest on the next page."""
    make, listed = LISTS[name]
    async with Sandbox(port=None, clock="manual", rate_limit=None) as sandbox:
        async with AsyncAjoxi(
            sandbox.api_key, transport=sandbox.transport(), limiter=LocalLimiter(limit=None)
        ) as client:
            if make is not None:
                for _ in range(52):
                    await make(client)
            await sandbox.clock.advance(3600)
            page = await listed(client)
    assert len(page.data) == 50
    assert page.has_more
