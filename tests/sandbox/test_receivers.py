"""Test receivers: their answers, their verdicts, and who may post to them."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.signing import sign

from .test_control import TO, Ask, surface


async def subscribed(sandbox: Sandbox, ask: Ask, **receiver: Any) -> tuple[dict[str, Any], Any]:
    """A receiver, and a webhook with its URL."""
    status, made = await ask("POST", "receivers", receiver)
    assert status == 201
    async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        return made, await client.webhooks.create(url=made["url"], events=["message.received"])


@pytest.mark.asyncio
async def test_it_answers_and_checks() -> None:
    """Each delivery is answered as the receiver is switched, and listed with the verdict, also after a rotation of the secret."""
    async with surface() as (sandbox, ask):
        made, webhook = await subscribed(sandbox, ask, answer=500, label="mine")
        assert (made["id"], made["answer"], made["label"]) == ("recv_1", 500, "mine")
        await ask("POST", "inbound/messages", {"from": TO, "body": "hi"})
        await sandbox.clock.advance(0)
        (attempt,) = sandbox.world().deliveries()
        assert (attempt.status, attempt.excerpt) == (500, b"failed: the test receiver says so\n")
        await ask("POST", f"webhooks/{webhook.id}/rotate-secret")
        assert (await ask("PUT", "receivers/recv_1", {"answer": 204}))[1]["answer"] == 204
        await sandbox.clock.advance(5)
        assert [one.status for one in sandbox.world().deliveries()] == [500, 204]
        _, shown = await ask("GET", "receivers/latest")
        assert [(post["answer"], post["verdict"], post["webhook_id"]) for post in shown["posts"]] == [
            (204, "valid", webhook.id), (500, "valid", webhook.id),
        ]  # fmt: skip
        assert len({post["event_id"] for post in shown["posts"]}) == 1
        assert len(shown["posts"][0]["headers"]["x-ajoxi-signature"].split(",")) == 2
        assert (shown["received"], shown["valid"], shown["posts"][0]["type"]) == (2, 2, "message.received")
        assert await ask("PUT", "receivers/recv_1", {"answer": 410}) == (
            200,
            {**made, "answer": 410, "received": 2, "valid": 2},
        )
        await ask("POST", "inbound/messages", {"from": TO, "body": "hi"})
        await sandbox.clock.advance(0)
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            assert (await client.webhooks.list()).data[0].status == "disabled"


@pytest.mark.asyncio
async def test_the_verdict_on_other_posts() -> None:
    """A post without signature, with a wrong one, over another body, or to a receiver without webhook is answered all the same."""
    async with surface() as (sandbox, ask), ClientSession() as session:
        made, webhook = await subscribed(sandbox, ask)
        _, lonely = await ask("POST", "receivers")
        right = sign(b"{}", [str(webhook.secret)])

        async def post(url: str, body: bytes, **headers: str) -> int:
            async with session.post(url, data=body, headers=headers) as response:
                return response.status

        signed = {"X-Ajoxi-Signature": right}
        assert await post(made["url"], b"{}", **signed, Authorization="Bearer secret", Cookie="a=b") == 204
        for body, headers in ((b"{}", {}), (b"[]", signed), (b"\xff", {"X-Ajoxi-Signature": "0" * 64})):
            assert await post(made["url"], body, **headers) == 204
        assert await post(lonely["url"], b"{}", **signed) == 204
        _, shown = await ask("GET", f"receivers/{made['id']}")
        assert [one["verdict"] for one in reversed(shown["posts"])] == ["valid", "missing", "invalid", "invalid"]
        assert "secret" not in str(shown["posts"][-1]["headers"]).lower()
        assert (await ask("GET", f"receivers/{lonely['id']}"))[1]["posts"][0]["verdict"] == "unknown"
        assert [one["id"] for one in (await ask("GET", "receivers"))[1]["data"]] == ["recv_2", "recv_1"]


@pytest.mark.asyncio
async def test_slow_and_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """`slow` answers 204 after a while, `hang` ends the connection without an answer in the end; both are listed at once."""
    monkeypatch.setattr("ajoxi_async.sandbox.server.control.receivers.SLOW", 0.01)
    monkeypatch.setattr("ajoxi_async.sandbox.server.control.receivers.HANG", 0.01)
    async with surface() as (_, ask), ClientSession() as session:
        _, made = await ask("POST", "receivers", {"answer": "slow"})
        async with session.post(made["url"], data=b"{}") as response:
            assert response.status == 204
        await ask("PUT", "receivers/recv_1", {"answer": "hang"})
        with pytest.raises(ClientError):
            await session.post(made["url"], data=b"{}")
        assert (await ask("GET", "receivers/recv_1"))[1]["received"] == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Origin": "http://evil.example"}, 403), ("POST", {"Origin": "{own}"}, 403), ("POST", {"Host": "evil.example"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403), ("POST", {"Sec-Fetch-Site": "same-origin"}, 403), ("GET", {}, 401), ("PUT", {}, 401),
    ],
    ids=str,
)  # fmt: skip
async def test_no_page_posts_to_it(method: str, headers: dict[str, str], status: int) -> None:
    """What a browser sends for a page is refused, whichever page it is; other methods need the token."""
    async with surface() as (sandbox, ask), ClientSession() as session:
        _, made = await ask("POST", "receivers")
        sent = {name: value.format(own=sandbox.base_url) for name, value in headers.items()}
        async with session.request(method, made["url"], data=b"{}", headers=sent) as response:
            assert response.status == status
        assert (await ask("GET", "receivers/recv_1"))[1]["received"] == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body", [{"answer": 199}, {"answer": 600}, {"answer": "204"}, {"answer": True}, {"answer": None}, {"label": "x" * 101}, {"url": "x"}],
    ids=str,
)  # fmt: skip
async def test_what_is_no_receiver(body: dict[str, Any]) -> None:
    """Another answer, a label that is too long and an unknown parameter are refused by name, when it is made and when it is changed."""
    async with surface() as (_, ask):
        await ask("POST", "receivers")
        for method, path in (("POST", "receivers"), ("PUT", "receivers/recv_1")):
            status, shown = await ask(method, path, body)
            assert (status, shown["error"]["param"]) == (400, next(iter(body)))
        assert len((await ask("GET", "receivers"))[1]["data"]) == 1


@pytest.mark.asyncio
async def test_how_many_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers and their posts are bounded; a deleted one is answered 404 and makes room."""
    monkeypatch.setattr("ajoxi_async.sandbox.server.control.receivers.RECEIVERS", 1)
    async with surface() as (_, ask), ClientSession() as session:
        _, made = await ask("POST", "receivers")
        assert (await ask("POST", "receivers"))[0] == 422
        for number in range(52):
            await session.post(made["url"], data=b'{"id": "evt_%d"}' % number)
        _, shown = await ask("GET", "receivers/recv_1")
        assert (shown["received"], len(shown["posts"]), shown["posts"][0]["event_id"]) == (52, 50, "evt_51")
        assert (await ask("DELETE", "receivers/recv_1"))[0] == 200
        async with session.post(made["url"], data=b"{}") as response:
            assert response.status == 404
        for method in ("GET", "PUT", "DELETE"):
            assert (await ask(method, "receivers/recv_1", {} if method == "PUT" else None))[0] == 404
        assert (await ask("POST", "receivers"))[1]["id"] == "recv_2"


@pytest.mark.asyncio
async def test_a_receiver_is_followed() -> None:
    """A post, a change and a deletion are changes of the kind `receiver`, for every world's subscribers."""
    async with surface() as (sandbox, ask), ClientSession() as session:
        async with sandbox.changes({"receiver"}) as changes:
            _, made = await ask("POST", "receivers")
            assert changes.take().changed == {"receiver": ("recv_1",)}
            await session.post(made["url"], data=b"{}")
            assert changes.take().changed == {"receiver": ("recv_1",)}
            await ask("DELETE", "receivers/recv_1")
            assert changes.take().changed == {"receiver": ("recv_1",)}
