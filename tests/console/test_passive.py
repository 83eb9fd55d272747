"""Nobody notices that a console looks: not the API's clients, not the webhook endpoints, not the clock."""

from __future__ import annotations

import json
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from ajoxi_async import Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox.console import feed
from ajoxi_async.sandbox.console.feeds import Feeds
from ajoxi_async.sandbox.console.sessions import Sessions
from ajoxi_async.sandbox.server.control.surface import Control
from tests.sandbox.wires import Watch, played

#: Views of everything that a page can show.
VIEWS = [
    "calls?limit=200", "calls?status=ringing", "messages", "recordings", "deliveries", "deliveries?state=failing", "deliveries/attempts",
    "requests", "conversations", "campaigns", "faults", "keys", "worlds", "snapshots", "clock", "timers", "overview", "counts", "settings",
    "v1/calls?limit=3", "v1/webhooks", "v1/numbers?status=active", "v1/numbers", "v1/messages", "v1/calls/latest", "v1/transcripts/latest",
]  # fmt: skip


def consoles(amount: int, seed: int, *, stalled: bool = False) -> Watch:
    """So many consoles that show some views, drawn by the seed; with `stalled`, the first one reads its first event and then nothing."""
    shown = dict(enumerate(random.Random(seed).sample(VIEWS, 8)))
    views = {str(number): view for number, view in shown.items()}

    @asynccontextmanager
    async def watch(sandbox: Sandbox) -> AsyncIterator[None]:
        control = Control(sandbox._worlds, sandbox.api_key, "token", sandbox.requests)
        feeds, told = Feeds(sandbox._app, control, Sessions()), 0

        async def follow(events: AsyncIterator[bytes], number: int) -> None:
            nonlocal told
            async for event in events:
                told += 1
                data = json.loads(event.partition(b"\ndata: ")[2])
                if "feed" in data:
                    feeds.show(data["feed"], {"views": views})
                else:
                    calls = [call.id for call in sandbox.world().account.calls.rows(0, 20).items]
                    feeds.show(list(feeds._open)[number], {"views": views, "calls": calls})

        async with anyio.create_task_group() as following:
            opened = [feeds.events(sandbox.world(), None) for _ in range(amount)]
            for events in opened:
                first = await anext(events)
                assert b"hello" in first
                feeds.show(
                    json.loads(first.partition(b"\ndata: ")[2])["feed"],
                    {"views": views},
                )
            for number, events in enumerate(opened):
                if number or not stalled:
                    following.start_soon(follow, events, number)
            yield
            await anyio.sleep(0.02 if amount else 0)
            following.cancel_scope.cancel()
        for events in opened:
            await events.aclose()
        assert len(feeds) == 0
        assert (told > 20) == (amount > stalled)

    return watch


@pytest.mark.parametrize("seed", [5, 77])
def test_the_same_with_any_number_of_consoles(seed: int) -> None:
    """The same seed and commands give the same bytes on every wire with 0, 1 and 5 consoles, one of them stalled."""
    with pytest.MonkeyPatch.context() as patch:
        # They look after every change, and not only every 50 ms.
        patch.setattr(feed, "EVERY", 0.0)
        patch.setattr(feed, "SHARE", math.inf)
        compared(seed)


def compared(seed: int) -> None:
    alone = anyio.run(played, seed, consoles(0, seed))
    assert sum(map(len, alone.values())) > 20
    assert anyio.run(played, seed, consoles(1, seed)) == alone
    assert anyio.run(played, seed, consoles(5, seed, stalled=True)) == alone


@pytest.mark.anyio
async def test_looking_leaves_no_trace() -> None:
    """A view leaves the world, its ids, its clock, the log of requests and the quota as they were."""
    async with Sandbox(port=None, clock="manual", rate_limit=2) as sandbox:
        world = sandbox.world()
        world.inbound_call(from_="+15005550123")
        await world.advance(0.5)
        control = Control(sandbox._worlds, sandbox.api_key, "token", sandbox.requests)
        account = world.account

        def state() -> list[Any]:
            return [
                account.minter.copy().mint("call"), len(account.timers), account.calls.version, list(account.tripped),
                world.clock.now(), len(sandbox.requests), len(sandbox.worlds()), world.quota.headers(0.0, 0.0),
            ]  # fmt: skip

        before = state()
        for path in (view.partition("?")[0] for view in VIEWS):
            if path.startswith("v1/"):
                answer = await sandbox._app.act(world, Request("GET", f"/{path}"))
                assert answer.status == 200
            else:
                await control.look(path, sandbox.api_key)
            assert state() == before
