"""Whatever is sent to the sandbox, the answer is the documented error body with the right status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ajoxi_async import Sandbox
from ajoxi_async.contract.wire import Request

pytestmark = pytest.mark.anyio

AUTH = {"Authorization": "Bearer AJX_TEST_hostile"}


async def ask(
    sandbox: Sandbox, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, Any]:
    """Send a request in memory and check what every answer must have."""
    response = await sandbox.transport().send(Request(method, path, AUTH if headers is None else headers, body))
    assert response.headers["X-Request-Id"].startswith("req_")
    assert response.headers["X-RateLimit-Limit"] == "100"
    assert response.headers["X-RateLimit-Remaining"]
    assert response.headers["X-RateLimit-Reset"].isdigit()
    parsed = json.loads(response.body) if response.body else None
    if response.status >= 400:
        assert set(parsed) == {"error"}
        assert {"code", "message"} <= set(parsed["error"]) <= {"code", "message", "param"}
        assert "Traceback" not in response.body.decode()
    error = (parsed or {}).get("error", {})
    return response.status, error.get("code"), error.get("param")


GOOD = b'{"to": "+14155551234", "from": "+14155550100"}'

BODIES = [
    (b"", "invalid_json", None),
    (b"{", "invalid_json", None),
    (b"\xff\xfe", "invalid_json", None),
    (b"nope", "invalid_json", None),
    (b'{"to": NaN}', "invalid_json", None),
    (b"[" * 100_000, "invalid_json", None),
    (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "invalid_json", None),
    (GOOD[:-1] + b', "metadata": {"a": ' + b"[" * 63 + b"]" * 63 + b"}}", "invalid_json", None),
    (GOOD[:-1] + b', "metadata": {"a": ' + b"[" * 62 + b"]" * 62 + b"}}", "invalid_parameter", "metadata[...]"),
    (GOOD[:-1] + b', "metadata": {"a": "\\ud83d"}}', "invalid_json", None),
    (GOOD[:-1] + b', "metadata": {"a": "\xff"}}', "invalid_json", None),
    (b"[]", "invalid_parameter", "body"),
    (b"null", "invalid_parameter", "body"),
    (b"5", "invalid_parameter", "body"),
    (b"{}", "missing_parameter", None),
    (b'{"to": "+14155551234"}', "missing_parameter", "from"),
    (b'{"from": "+14155550100"}', "missing_parameter", "to"),
    (b'{"to": 5, "from": "+14155550100"}', "invalid_parameter", "to"),
    (b'{"to": null, "from": "+14155550100"}', "missing_parameter", "to"),
    (b'{"to": ["+14155551234"], "from": "+14155550100"}', "invalid_parameter", "to"),
    (b'{"to": "4155551234", "from": "+14155550100"}', "invalid_parameter", "to"),
    (b'{"to": "+14155551234", "from": "ext:204"}', "invalid_parameter", "from"),
    (GOOD[:-1] + b', "colour": "red"}', "invalid_parameter", "colour"),
    (GOOD[:-1] + b', "timeout": "30"}', "invalid_parameter", "timeout"),
    (GOOD[:-1] + b', "timeout": 1e999}', "invalid_json", None),
    (GOOD[:-1] + b', "timeout": 99999999999999999999999999}', "invalid_parameter", "timeout"),
    (GOOD[:-1] + b', "timeout": 0}', "invalid_parameter", "timeout"),
    (GOOD[:-1] + b', "record": "yes"}', "invalid_parameter", "record"),
    (GOOD[:-1] + b', "metadata": {"a": 1}}', "invalid_parameter", "metadata[...]"),
    (GOOD[:-1] + b', "metadata": {"' + b"k" * 65 + b'": "v"}}', "invalid_parameter", "metadata"),
    (GOOD[:-1] + b', "campaign": {"name": "x"}}', "invalid_parameter", "to"),
    (b'{"from": "+14155550100", "campaign": {"name": "x", "mode": "loud", "contacts": ["+14155552000"]}}',
     "invalid_parameter", "campaign.mode"),
    (b'{"from": "+14155550100", "campaign": {"name": "x", "mode": "power", "contacts": []}}',
     "invalid_parameter", "campaign.contacts"),
    (b'{"from": "+14155550100", "campaign": 5}', "invalid_parameter", "campaign"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "param"), BODIES, ids=range(len(BODIES)))
async def test_bodies(body: bytes, code: str, param: str | None) -> None:
    """A body that cannot be right is a 400 that names the parameter, and nothing is placed."""
    async with Sandbox(port=None) as sandbox:
        status, found, at = await ask(sandbox, "POST", "/v1/calls", body)
        assert (status, found) == (400, code)
        assert param is None or at == param
        page = await sandbox.transport().send(Request("GET", "/v1/calls", AUTH))
        assert json.loads(page.body)["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=ten", "limit"), ("limit=5&limit=6", "limit"),
        ("limit=", "limit"), ("cursor=abc", "cursor"), ("cursor=%00", "cursor"), ("status=gone", "status"),
        ("direction=up", "direction"), ("created_after=yesterday", "created_after"), ("created_after=5", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after"), ("colour=red", "colour"), ("metadata=x", "metadata"),
        ("metadata[a]=1&metadata[a]=2", None), ("metadata[]=1", None), ("%ff=1", None), ("a" * 5000 + "=1", None),
        ("&".join(f"a{n}=1" for n in range(200)), None),
    ],
)  # fmt: skip
async def test_queries(query: str, param: str | None) -> None:
    """A query that cannot be right is a 400 that names the parameter."""
    async with Sandbox(port=None) as sandbox:
        status, code, at = await ask(sandbox, "GET", f"/v1/calls?{query}")
        assert (status, code) == (400, "invalid_parameter")
        assert param is None or at == param


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"), ("GET", "/v1", 404, "not_found"), ("GET", "/v2/calls", 404, "not_found"),
        ("GET", "/v1/calls/", 404, "not_found"), ("GET", "/v1/calls/a/b", 404, "not_found"),
        ("GET", "/v1/calls/%2e%2e%2fnumbers", 404, "not_found"), ("GET", "/v1/calls/%00", 404, "not_found"),
        ("GET", "/v1/calls/%ff%fe", 404, "not_found"), ("GET", "/v1/calls/" + "x" * 5000, 404, "not_found"),
        ("PATCH", "/v1/calls", 405, "method_not_allowed"), ("DELETE", "/v1/calls", 405, "method_not_allowed"),
        ("PUT", "/v1/webhooks", 405, "method_not_allowed"), ("BREW", "/v1/calls", 405, "method_not_allowed"),
        ("GET", "/v1/numbers/num_1", 405, "method_not_allowed"), ("GET", "/media/rec_1.wav", 404, "not_found"),
    ],
)  # fmt: skip
async def test_paths_and_methods(method: str, path: str, status: int, code: str) -> None:
    """What is not an endpoint is 404, a method it does not have is 405."""
    async with Sandbox(port=None) as sandbox:
        if path.startswith("/media/"):
            response = await sandbox.transport().send(Request(method, path))
            assert response.status == status
        else:
            assert (await ask(sandbox, method, path, b"{}"))[:2] == (status, code)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "authentication_required"), ("", "invalid_api_key"), ("Bearer", "invalid_api_key"),
        ("Basic AJX_TEST_x", "invalid_api_key"), ("Bearer sk_test_x", "invalid_api_key"),
        ("Bearer AJX_TEST_", "invalid_api_key"), ("Bearer AJX_TEST_a b", "invalid_api_key"),
        ("Bearer AJX_TEST_" + "x" * 500, "invalid_api_key"),
    ],
)  # fmt: skip
async def test_keys(header: str | None, code: str) -> None:
    """Without a key, or with one of the wrong shape: 401."""
    async with Sandbox(port=None) as sandbox:
        headers = {} if header is None else {"Authorization": header}
        assert (await ask(sandbox, "GET", "/v1/calls", headers=headers))[:2] == (401, code)


async def test_restricted_keys() -> None:
    """A key that may not use a route gets 403 there, and nowhere else."""
    async with Sandbox(port=None) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.mint_key(deny={'calls.create', 'webhooks.list'})}"}
        assert (await ask(sandbox, "POST", "/v1/calls", GOOD, headers))[:2] == (403, "permission_denied")
        assert (await ask(sandbox, "GET", "/v1/webhooks", headers=headers))[:2] == (403, "permission_denied")
        assert (await ask(sandbox, "GET", "/v1/calls", headers=headers))[0] == 200
        with pytest.raises(ValueError, match="calls.destroy"):
            sandbox.mint_key(deny={"calls.destroy"})


async def test_rate_limit() -> None:
    """The 101st request of a second is a 429 with Retry-After; another key is not concerned."""
    async with Sandbox(port=None) as sandbox:
        transport = sandbox.transport()
        statuses = [(await transport.send(Request("GET", "/v1/webhooks", AUTH))).status for _ in range(100)]
        assert set(statuses) == {200}
        refused = await transport.send(Request("GET", "/v1/webhooks", AUTH))
        assert (refused.status, refused.headers["Retry-After"], refused.headers["X-RateLimit-Remaining"]) == (
            429,
            "1",
            "0",
        )
        assert json.loads(refused.body)["error"]["code"] == "rate_limited"
        other = Request("GET", "/v1/webhooks", {"Authorization": "Bearer AJX_TEST_other"})
        assert (await transport.send(other)).status == 200


async def test_enterprise_has_no_cap() -> None:
    """Without a cap there are no rate-limit headers and no refusals."""
    async with Sandbox(port=None, rate_limit=None) as sandbox:
        transport = sandbox.transport()
        answers = [await transport.send(Request("GET", "/v1/webhooks", AUTH)) for _ in range(150)]
        assert {answer.status for answer in answers} == {200}
        assert not [name for name in answers[0].headers if "ratelimit" in name.lower()]


async def test_same_seed_same_bodies() -> None:
    """The same seed and the same commands at the same moments give identical bodies; another seed others."""
    from ajoxi_async.sandbox import VirtualClock

    async def trace(seed: int) -> list[bytes]:
        bodies = []
        clock = VirtualClock()
        async with Sandbox(port=None, seed=seed, clock=clock) as sandbox:
            transport = sandbox.transport()
            sandbox.seed_calls(60, key="AJX_TEST_hostile")
            for method, path, body in (
                ("POST", "/v1/calls", GOOD),
                ("GET", "/v1/numbers?limit=5", None),
                ("POST", "/v1/webhooks", b'{"url": "http://127.0.0.1:9/", "events": ["call.started"]}'),
                ("POST", "/v1/messages", GOOD[:-1] + b', "body": "hi"}'),
                ("GET", "/v1/calls?limit=20", None),
            ):
                bodies.append((await transport.send(Request(method, path, AUTH, body))).body)
                await clock.advance(0.5)
            bodies.append((await transport.send(Request("GET", "/v1/calls", AUTH))).body)
        return bodies

    first = await trace(1)
    assert await trace(1) == first
    assert await trace(2) != first
