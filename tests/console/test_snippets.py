"""Requests as code that somebody copies: a test of a request passes in a world of its own."""

from __future__ import annotations

import json

import pytest

from ajoxi_async import AsyncAjoxi, Sandbox

from .modules import Call

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALL = {"to": "+14155550123", "from": "+14155550100", "ai_receptionist": True, "metadata": {"team": "blue"}}
BODIES = [
    ("/v1/calls", "calls.create", CALL),
    ("/v1/calls", "calls.create", {**CALL, "from": "+14155559999"}),
    ("/v1/messages", "messages.send", {"to": "+14155550123", "from": "+14155550100", "body": "It's\n\"here\" {5}"}),
    ("/v1/webhooks", "webhooks.create", {"url": "http://127.0.0.1:9/", "events": ["call.completed"]}),
    ("/v1/calls", "calls.create_campaign", {"from": "+14155550100", "campaign": {"name": "autumn", "mode": "power", "contacts": ["+12125550123"]}}),
]  # fmt: skip


async def test_a_copied_test_passes(call: Call) -> None:
    """A request that was answered, or refused with 422, is copied as a test that says so and passes in a new sandbox."""
    async with Sandbox() as sandbox, AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        described = []
        for url, route, body in BODIES:
            sandbox.requests.clear()
            resource, method = route.split(".")
            values = {
                ("from_" if name == "from" else name): value for name, value in body.items() if name != "campaign"
            }
            try:
                await getattr(getattr(client, resource), method)(**values, **body.get("campaign", {}))
            except Exception as error:
                assert getattr(error, "status_code", None) == 422, error
            (request,) = sandbox.requests.find()
            assert (request.url, request.route) == (url, route)
            described.append([
                {"method": "POST", "url": url, "route": route, "body": request.request_body.decode(), "status": request.status, "answer": request.response_body.decode()}
            ])  # fmt: skip
        codes = await call("widgets/snippets.js", "asPytest", described)
    assert [one[0]["status"] for one in described] == [201, 422, 201, 201, 201]
    for code, (url, route, _) in zip(codes, BODIES, strict=True):
        names: dict[str, object] = {}
        exec(compile(code, f"{url}.py", "exec"), names)  # noqa: S102 - it is what the page has made
        test = names[f"test_{route.replace('.', '_')}"]
        async with Sandbox(clock="manual") as fresh, AsyncAjoxi(fresh.api_key, base_url=fresh.base_url) as other:
            await test(fresh, other)  # type: ignore[operator]
        assert code.count("assert") >= 1, code


async def test_what_cannot_be_repeated_is_no_test(call: Call) -> None:
    """A request about an object, or one whose answer only its own world gives, cannot be copied as a test."""
    rows = [
        {"method": "GET", "url": "/v1/calls", "route": "calls.list", "status": 200},
        {"method": "POST", "url": "/v1/webhooks/wh_1/test", "route": "webhooks.test", "status": 200},
        {"method": "POST", "url": "/v1/calls", "route": "calls.create", "body": json.dumps(CALL), "status": 503},
        {"method": "POST", "url": "/v1/nothing", "route": None, "status": 404},
    ]
    assert await call("widgets/snippets.js", "asPytest", [[row] for row in rows]) == [None] * 4
