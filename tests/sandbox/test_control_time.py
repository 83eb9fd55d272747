"""Time over the control surface: a live clock, advances that are stopped, what is due, snapshots and marks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession

from ajoxi_async import Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import Timing

TO, FROM = "+15005550100", "+14155550100"
Ask = Callable[..., Awaitable[tuple[int, Any]]]


@asynccontextmanager
async def surface(**options: Any) -> AsyncIterator[tuple[Sandbox, Ask]]:
    async with Sandbox(**{"clock": "manual", **options}) as sandbox, ClientSession() as session:

        async def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            sent = {"Authorization": f"Bearer {sandbox.control_token}"}
            url = f"{sandbox.base_url}/_ajoxi/{path}"
            async with session.request(method, url, json=body, headers=sent) as response:
                return response.status, await response.json()

        yield sandbox, ask


@pytest.mark.asyncio
async def test_a_live_clock() -> None:
    """It runs, pauses and changes its speed, and each answer shows the clock as it is then."""
    async with surface(clock="live=100") as (_, ask):
        clock = (await ask("GET", "clock"))[1]
        assert (clock["mode"], clock["running"], clock["speed"], clock["advance"]) == ("live", True, 100, None)
        paused = (await ask("POST", "clock/pause"))[1]
        assert (paused["running"], (await ask("GET", "clock"))[1]) == (False, paused)
        status, answer = await ask("POST", "clock/run", {"speed": 0})
        assert (status, answer["error"]["param"]) == (400, "speed")
        running = (await ask("POST", "clock/run", {"speed": 2.5}))[1]
        assert (running["running"], running["speed"]) == (True, 2.5)
        await ask("POST", "clock/pause")
        assert (await ask("POST", "clock/run"))[1]["speed"] == 2.5
        assert (await ask("POST", "clock/advance", {"seconds": 3600}))[0] == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("route", ["clock/run", "clock/pause"])
async def test_other_clocks_are_not_paused(route: str) -> None:
    """The refusal names the clock that can be paused."""
    async with surface() as (_, ask):
        status, answer = await ask("POST", route)
        assert (status, answer["error"]["param"]) == (400, "clock")
        assert "clock='live'" in answer["error"]["message"]


@pytest.mark.asyncio
async def test_an_advance_is_watched_and_stopped() -> None:
    """While it runs `GET clock` tells how far it is; once stopped, it is answered with what happened."""
    asked = anyio.Event()

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        asked.set()
        await anyio.sleep_forever()

    async with surface(post=post) as (sandbox, ask):
        headers = {"Authorization": f"Bearer {sandbox.api_key}"}
        body = b'{"url": "http://127.0.0.1:9/", "events": ["call.answered"]}'
        await sandbox.transport().send(Request("POST", "/v1/webhooks", headers, body))
        await ask("POST", "inbound/calls", {"from": TO})
        assert (await ask("GET", "clock"))[1]["next_due"] == "2026-01-01T00:00:00.400Z"
        answers = []

        async def advance() -> None:
            answers.append(await ask("POST", "clock/advance", {"to": "2026-01-02T00:00:00Z"}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(advance)
            await asked.wait()
            assert (await ask("GET", "clock"))[1]["advance"] == {
                "from": "2026-01-01T00:00:00.000Z", "now": "2026-01-01T00:00:00.400Z", "to": "2026-01-02T00:00:00.000Z",
                "instants": 1,
            }  # fmt: skip
            assert (await ask("DELETE", "clock/advance"))[1] == {"stopped": True}
        assert (await ask("DELETE", "clock/advance"))[1] == {"stopped": False}
        ((status, answer),) = answers
        assert (status, answer["error"]["code"]) == (409, "advance_stopped")
        assert [one["what"] for one in answer["fired"]] == ["call.answered"]
        (jump,) = (await ask("GET", "clock/jumps"))[1]["data"]
        assert (jump["stopped"], jump["summary"], jump["mark"]) == (True, "0.4 s passed, 1 event", "mark_1")


@pytest.mark.asyncio
async def test_what_is_due() -> None:
    """`next` advances to what is listed first, until nothing is due; the list is paged and bounded."""
    async with surface() as (_, ask):
        (call,) = [(await ask("POST", "inbound/calls", {"from": TO}))[1]]
        await ask("POST", "inbound/messages", {"from": TO, "body": "x"})
        await ask("POST", "inbound/calls", {"from": TO})
        first = {"at": "2026-01-01T00:00:00.400Z", "kind": "answer", "id": call["id"]}
        assert (await ask("GET", "timers?limit=1"))[1] == {"data": [first], "at": 0, "total": 2}
        assert [row["kind"] for row in (await ask("GET", "timers?at=1"))[1]["data"]] == ["answer"]
        status, advanced = await ask("POST", "clock/advance", {"next": True})
        assert (status, advanced["now"], advanced["fired"][0]["what"]) == (200, first["at"], "call.answered")
        assert (await ask("GET", "timers"))[1]["data"][0]["kind"] == "end"
        await ask("POST", "clock/advance", {"until_idle": True})
        status, answer = await ask("POST", "clock/advance", {"next": True})
        assert (status, answer["error"]["code"], answer["fired"]) == (409, "never_happened", [])
        for query, param in (
            ("at=-1", "at"),
            ("at=10001", "at"),
            ("limit=0", "limit"),
            ("limit=100000", "limit"),
            ("x=1", "x"),
        ):
            status, answer = await ask("GET", f"timers?{query}")
            assert (status, answer["error"]["param"]) == (400, param)
        assert (await ask("POST", "clock/advance", {"next": True, "seconds": 1}))[0] == 400


@pytest.mark.asyncio
async def test_snapshots_and_marks() -> None:
    """Both are listed with label, moment and counts, and both can be restored; a mark is not deleted by hand."""
    async with surface() as (sandbox, ask):
        await ask("POST", "clock/advance", {"seconds": 60})
        await ask("POST", "inbound/calls", {"from": TO})
        status, made = await ask("POST", "snapshots", {"label": "one call"})
        assert (status, made["id"], made["label"], made["automatic"]) == (201, "snap_1", "one call", False)
        await ask("POST", "clock/advance", {"seconds": 86_400})
        listed = (await ask("GET", "snapshots"))[1]["data"]
        assert [(one["id"], one["label"], one["at"], one["automatic"], one["counts"]["calls"]) for one in listed] == [
            ("mark_1", "before +1 min", "2026-01-01T00:00:00.000Z", True, 0),
            ("snap_1", "one call", "2026-01-01T00:01:00.000Z", False, 1),
            ("mark_2", "before +24 h", "2026-01-01T00:01:00.000Z", True, 1),
        ]
        assert (await ask("POST", "snapshots/mark_2/restore"))[0] == 200
        assert (await ask("GET", "clock"))[1]["now"] == "2026-01-01T00:01:00.000Z"
        assert sandbox.world().next_due is not None
        assert (await ask("POST", "snapshots/mark_1/restore"))[0] == 200
        assert len(sandbox.world().account.calls) == 0
        assert (await ask("DELETE", "snapshots/mark_1"))[0] == 422
        assert (await ask("DELETE", "snapshots/snap_1"))[0] == 200
        for path in ("snapshots/snap_1", "snapshots/mark_9"):
            assert (await ask("DELETE", path))[0] == 404
        status, answer = await ask("POST", "snapshots", {"label": 7})
        assert (status, answer["error"]["param"]) == (400, "label")


@pytest.mark.asyncio
async def test_much_that_fired() -> None:
    """An answer with thousands of events has each of them once and in order."""
    async with surface(rate_limit=None) as (sandbox, ask):
        account = sandbox.world().account
        for number in range(1_234):
            sandbox.inbound_call(from_=TO)
        fired = (await ask("POST", "clock/advance", {"seconds": 3}))[1]["fired"]
        assert [one["id"] for one in fired] == [call.id for call in reversed(list(account.calls.newest_first()))]


def test_human_timing() -> None:
    """Somebody who watches can follow: three seconds of ringing, a minute of talk."""
    timing = Timing.human()
    assert (timing.ring, timing.talk) == (3, 60)
    assert timing.sms_delivered > Timing().sms_delivered
