"""The control surface over HTTP: who may use it, and that it does what the Python face does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import VirtualClock
from ajoxi_async.sandbox.server.control.surface import ROUTES, Control

TO, FROM = "+15005550100", "+14155550100"
Ask = Callable[..., Awaitable[tuple[int, Any]]]


@asynccontextmanager
async def surface(**options: Any) -> AsyncIterator[tuple[Sandbox, Ask]]:
    """A sandbox, and a way to ask its control surface."""
    async with Sandbox(**{"clock": "manual", **options}) as sandbox, ClientSession() as session:

        async def ask(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
            sent = {"Authorization": f"Bearer {sandbox.control_token}"}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            url = f"{sandbox.base_url}/_ajoxi/{path}"
            async with session.request(method, url, json=body, headers=sent) as response:
                return response.status, await response.json()

        yield sandbox, ask


@pytest.mark.asyncio
async def test_a_suite_in_another_language() -> None:
    """Key, clock, inbound, faults, snapshots and reset, each over HTTP and for the world that is meant."""
    async with surface(strict_keys=True) as (sandbox, ask):
        status, minted = await ask("POST", "keys", {"deny": ["numbers.provision"]})
        assert status == 201
        key = minted["key"]
        status, call = await ask("POST", "inbound/calls", {"from": TO}, X_Ajoxi_Key=key)
        assert (status, call["direction"], call["from"]) == (201, "inbound", TO)
        _, snapshot = await ask("POST", "snapshots", X_Ajoxi_Key=key)
        status, advanced = await ask("POST", "clock/advance", {"until_event": "call.completed"}, X_Ajoxi_Key=key)
        assert [one["what"] for one in advanced["fired"]] == ["call.answered", "call.completed"]
        assert (status, advanced["now"], advanced["fired"][-1]["id"]) == (200, "2026-01-01T00:00:03.400Z", call["id"])
        assert (await ask("GET", "clock"))[1] == {
            "mode": "manual", "now": "2026-01-01T00:00:00.000Z", "next_due": None, "running": False, "speed": None,
            "advance": None,
        }  # fmt: skip
        async with AsyncAjoxi(key, base_url=sandbox.base_url) as client:
            assert (await client.calls.retrieve(call["id"])).status == "completed"
            assert (await ask("POST", f"snapshots/{snapshot['id']}/restore", X_Ajoxi_Key=key))[0] == 200
            assert (await client.calls.retrieve(call["id"])).status == "ringing"
            assert (await ask("POST", f"snapshots/{snapshot['id']}/restore"))[0] == 404
            assert (await ask("DELETE", f"snapshots/{snapshot['id']}", X_Ajoxi_Key=key))[0] == 200
            fault = {"action": "latency", "match": "calls.list", "when": "times", "n": 2, "seconds": 0.001}
            status, added = await ask("POST", "faults", fault, X_Ajoxi_Key=key)
            assert (status, added["fired"]) == (201, 0)
            await client.calls.list()
            (shown,) = (await ask("GET", "faults", X_Ajoxi_Key=key))[1]["data"]
            assert (shown["id"], shown["matched"], shown["fired"]) == (added["id"], 1, 1)
            assert (await ask("GET", "faults"))[1] == {"data": []}
            assert (await ask("DELETE", f"faults/{added['id']}", X_Ajoxi_Key=key))[0] == 200
            assert (await ask("DELETE", f"faults/{added['id']}", X_Ajoxi_Key=key))[0] == 404
            assert (await ask("DELETE", "faults", X_Ajoxi_Key=key))[0] == 200
            status, message = await ask("POST", "inbound/messages", {"from": TO, "body": "hi"}, X_Ajoxi_Key=key)
            assert (status, message["status"]) == (201, "received")
            assert (await ask("POST", "reset", X_Ajoxi_Key=key))[0] == 200
            assert (await client.calls.list()).data == ()
            moment = "2026-02-01T00:00:00Z"
            assert (await ask("POST", "clock/advance", {"to": moment}))[1] == {
                "now": "2026-02-01T00:00:00.000Z",
                "fired": [],
            }


@pytest.mark.asyncio
async def test_webhooks() -> None:
    """Log, pending, dead letters, replay and rotation over HTTP."""
    async with surface() as (sandbox, ask):
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            webhook = await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
        await ask("POST", "inbound/messages", {"from": TO, "body": "hi"})
        await ask("POST", "clock/advance", {"seconds": 0})
        (pending,) = (await ask("GET", "deliveries/pending"))[1]["data"]
        assert (pending["attempts"], pending["due"]) == (1, "2026-01-01T00:00:05.000Z")
        assert (await ask("GET", "dead-letters"))[1] == {"data": []}
        await ask("POST", "clock/advance", {"until_idle": True})
        log = (await ask("GET", f"deliveries/attempts?webhook_id={webhook.id}"))[1]["data"]
        assert [attempt["number"] for attempt in log] == list(range(1, 12))
        assert "ConnectError" in log[0]["error"]
        (dead,) = (await ask("GET", "dead-letters"))[1]["data"]
        assert json.loads(dead["body"])["id"] == dead["event_id"]
        status, rotated = await ask("POST", f"webhooks/{webhook.id}/rotate-secret")
        assert (status, rotated["secret"][:6], rotated["secret"] == webhook.secret) == (200, "whsec_", False)
        assert (await ask("POST", "dead-letters/replay", {"ids": ["dlv_0"]}))[0] == 404
        assert (await ask("POST", "dead-letters/replay", {"ids": [dead["id"]]}))[1] == {"replayed": 1}
        assert (await ask("POST", "dead-letters/replay"))[1] == {"replayed": 0}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403), ({"Host": "127.0.0.1.evil.example"}, 403), ({"Host": "192.0.2.1"}, 403),
        ({"Host": "[::1"}, 403), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403), ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer \u00e9"}, 401), ({"Authorization": ""}, 401), ({"Host": "localhost"}, 200),
        ({"Host": "[::1]:80"}, 200), ({"Host": "localhost:7", "Origin": "http://localhost:7"}, 200),
    ],
    ids=str,
)  # fmt: skip
async def test_who_may(headers: dict[str, str], status: int) -> None:
    """The Host names this machine, an Origin is the sandbox's own, and the token is right, or nothing is done."""
    async with surface() as (_, ask):
        assert (await ask("GET", "clock", **headers))[0] == status


@pytest.mark.asyncio
async def test_an_api_key_opens_nothing() -> None:
    """The token is its own: no API key opens the control surface, and the token is no API key."""
    async with surface() as (sandbox, ask):
        assert (await ask("GET", "clock", Authorization=f"Bearer {sandbox.api_key}"))[0] == 401
        async with ClientSession() as session:
            sent = {"Authorization": f"Bearer {sandbox.control_token}"}
            for path, wanted in (("/v1/calls", 401), ("/v1/_ajoxi/clock", 401), ("/_ajoxi", 401)):
                async with session.get(sandbox.base_url + path, headers=sent) as response:
                    assert response.status == wanted


@pytest.mark.asyncio
async def test_other_machines_get_nothing() -> None:
    """Wherever the sandbox listens, only a peer on this machine is answered."""
    async with Sandbox(port=None, clock=VirtualClock()) as sandbox:
        control = Control(sandbox._worlds, sandbox.api_key, "token")
        sent = {"Authorization": "Bearer token", "Host": "localhost"}
        for peer, status in (
            ("127.0.0.1", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("192.0.2.7", 403), ("10.0.0.1", 403),
            (None, 403), ("", 403),
        ):  # fmt: skip
            assert (await control.handle(Request("GET", "/_ajoxi/clock", sent), peer)).status == status


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("GET", "nothing", None, 404, None), ("PUT", "clock", {}, 405, None), ("POST", "clock/advance", {}, 400, "seconds"),
        ("POST", "clock/advance", {"seconds": "1"}, 400, "seconds"), ("POST", "clock/advance", {"seconds": True}, 400, "seconds"),
        ("POST", "clock/advance", {"seconds": -1}, 400, "seconds"), ("POST", "clock/advance", {"to": "soon"}, 400, "to"),
        ("POST", "clock/advance", {"to": "2026-02-01T00:00:00"}, 400, "to"), ("POST", "clock/advance", [], 400, "body"),
        ("POST", "clock/advance", {"until_event": "call.completed"}, 409, None), ("POST", "keys", {"mode": "x"}, 400, "mode"),
        ("POST", "keys", {"deny": ["x"]}, 400, "deny"), ("POST", "keys", {"deny": [[]]}, 400, "deny"),
        ("POST", "faults", {}, 400, "action"), ("POST", "faults", {"action": "x"}, 400, "action"),
        ("POST", "faults", {"action": "status", "colour": 1}, 400, "colour"), ("POST", "inbound/calls", {}, 400, "from"),
        ("POST", "inbound/calls", {"from": "x"}, 400, "from"), ("POST", "inbound/calls", {"from": TO, "to": TO}, 422, "to"),
        ("POST", "inbound/messages", {"from": TO}, 400, "body"), ("POST", "snapshots/x/restore", None, 404, None),
        ("POST", "dead-letters/replay", {"ids": []}, 400, "ids"), ("POST", "webhooks/x/rotate-secret", None, 404, None),
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be(method: str, path: str, body: Any, status: int, param: str | None) -> None:
    """What cannot be is refused in the API's envelope, with the parameter named."""
    async with surface() as (_, ask):
        found, answer = await ask(method, path, body)
        assert (found, answer["error"].get("param")) == (status, param)
        found, answer = await ask("GET", "clock", X_Ajoxi_Key="no key")
        assert (found, answer["error"]["param"]) == (400, "X-Ajoxi-Key")


def test_every_route_is_documented() -> None:
    """The page lists each route of the surface and no other."""
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()
    for route in ROUTES:
        assert f"| `{route.method} {route.path}` |" in page
