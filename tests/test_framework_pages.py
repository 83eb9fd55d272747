"""The pages about frameworks and the like: their code runs in the framework, against a sandbox on this machine."""

from __future__ import annotations

import ast
import asyncio
import base64
import inspect
import json
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web

import ajoxi_async
from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract.signing import sign
from ajoxi_async.sandbox import Timing

pytestmark = pytest.mark.asyncio

DOCS = Path(__file__).parent.parent / "docs"
EVENT = json.dumps(
    {
        "id": "evt_1",
        "type": "call.completed",
        "created_at": "2026-01-01T00:00:00Z",
        "data": {"id": "call_1", "disposition": "busy"},
    }
).encode()
SIGNATURE = {"X-Ajoxi-Signature": sign(EVENT, ["whsec_0123456789"])}
TO = "+14155551234"


def code_of(page: str) -> dict[str, Any]:
    """The names that the code of a page defines, all blocks together."""
    code: dict[str, Any] = {"__name__": page.partition(".")[0]}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        exec(compile(block, f"docs/{page}", "exec", dont_inherit=True), code)
    return code


@pytest_asyncio.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """A sandbox that a client without arguments finds."""
    async with Sandbox(timing=Timing(ring=0.01, talk=0.05)) as opened:
        monkeypatch.setenv("AJOXI_API_KEY", opened.api_key)
        monkeypatch.setenv("AJOXI_BASE_URL", opened.base_url)
        yield opened


def numbers_called(sandbox: Sandbox) -> list[str]:
    return [ring.number for ring in sandbox.world().rings()]


def browser_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


async def test_fastapi(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The application places a call, shows it, answers 422 and 404, and takes a webhook."""
    app = code_of("fastapi.md")["app"]

    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:  # as a server does
            await app({**scope, "state": dict(state)}, receive, send)

        async with browser_of(with_state) as browser:
            made = await browser.post("/calls", params={"to": TO})
            assert made.status_code == 201
            assert (await browser.get(f"/calls/{made.json()['id']}")).json()["to"] == TO
            assert (await browser.post("/calls", params={"to": "5551234"})).status_code == 422
            assert (await browser.get("/calls/call_0")).status_code == 404
            assert (await browser.post("/webhooks/ajoxi", content=EVENT, headers=SIGNATURE)).status_code == 204
    assert "call_1 busy" in capsys.readouterr().out


async def test_litestar(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The application places a call with the client of its lifespan, and takes a webhook."""
    app = code_of("litestar.md")["app"]
    async with app.lifespan(), browser_of(app) as browser:
        assert (await browser.post("/calls", json={"to": TO})).json()["to"] == TO
        assert (await browser.post("/webhooks/ajoxi", content=EVENT, headers=SIGNATURE)).status_code == 204
    assert "call_1 busy" in capsys.readouterr().out


async def test_django(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The async view places a call, in this loop and in one of its own; the other view takes a webhook."""
    from django.conf import settings
    from django.test import AsyncRequestFactory, RequestFactory

    if not settings.configured:
        settings.configure(DEFAULT_CHARSET="utf-8", SECRET_KEY="test")
    page = code_of("django.md")
    request = AsyncRequestFactory().post("/calls", {"to": TO})
    assert (await page["place"](request)).status_code == 201
    request = RequestFactory().post("/calls", {"to": "+14155559999"})
    answer = await asyncio.to_thread(lambda: asyncio.run(page["place"](request)))
    assert json.loads(answer.content)["to"] == "+14155559999"
    assert (await page["place"](RequestFactory().post("/calls", {"to": "5"}))).status_code == 422
    hook = RequestFactory().post("/webhooks/ajoxi", EVENT, content_type="application/json", headers=SIGNATURE)
    view = page["urlpatterns"][1].callback
    answer = await asyncio.to_thread(view, hook)
    assert (await answer if inspect.isawaitable(answer) else answer).status_code == 204
    await page["ajoxi"]().aclose()
    assert "call_1 busy" in capsys.readouterr().out


async def test_celery(sandbox: Sandbox) -> None:
    """A task that is delivered twice calls once, and a lost answer is looked up; each has an event loop of its own."""
    page = code_of("celery.md")

    def deliver(appointment: str) -> str:
        return page["remind"].apply(args=[TO, appointment]).get()

    first = await asyncio.to_thread(deliver, "7")
    assert await asyncio.to_thread(deliver, "7") == first
    sandbox.faults.add(action="drop_after_commit", match="calls.create", when="times", n=1)
    assert await asyncio.to_thread(deliver, "8") not in {first, "unknown"}
    assert numbers_called(sandbox) == [TO, TO]


async def test_lambda(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Two invocations share a loop and a client; a webhook is taken as text and as base64, and refused if it is not signed."""
    page = code_of("lambda.md")

    def invoke() -> list[dict[str, Any]]:
        answers = [page["handler"]({"to": TO}, None) for _ in range(2)]
        page["runner"]().run(page["ajoxi"]().aclose())
        page["runner"]().close()
        return answers

    assert [set(answer) for answer in await asyncio.to_thread(invoke)] == [{"id", "status"}] * 2
    assert numbers_called(sandbox) == [TO, TO]
    plain = {"body": EVENT.decode(), "headers": SIGNATURE}
    encoded = {"body": base64.b64encode(EVENT).decode(), "isBase64Encoded": True, "headers": SIGNATURE}
    assert page["webhook"](plain, None) == page["webhook"](encoded, None) == {"statusCode": 204}
    lists = {"body": EVENT.decode(), "headers": None, "multiValueHeaders": {n: ["00", v] for n, v in SIGNATURE.items()}}
    assert page["webhook"](lists, None) == {"statusCode": 204}
    no_event = {"X-Ajoxi-Signature": sign(b"[]", ["whsec_0123456789"])}
    empty: list[dict[str, Any]] = [
        {**plain, "headers": {}},
        {"headers": SIGNATURE},
        {"body": None, "headers": SIGNATURE},
    ]
    for refused in [*empty, {"body": "[]", "headers": no_event}]:
        assert page["webhook"](refused, None)["statusCode"] == 400
    assert capsys.readouterr().out.count("call_1 busy") == 3


async def test_notebooks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells run one after the other, as a notebook runs them: in a loop that is running."""
    cells = re.findall(r"```py\n(.*?)```", (DOCS / "notebooks.md").read_text(), re.DOTALL)
    assert len(cells) == 4
    monkeypatch.setattr(ajoxi_async, "Sandbox", partial(Sandbox, timing=Timing(ring=0.01, talk=0.1)))
    names: dict[str, Any] = {}
    for cell in cells:
        running = eval(compile(cell, "notebook", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True), names)
        if inspect.isawaitable(running):
            await running
    assert "ai: " in capsys.readouterr().out


async def test_dataframes(sandbox: Sandbox) -> None:
    """A list becomes a frame with a row for each call, and a group of it has the seconds of talk."""
    import polars as pl

    page = code_of("dataframes.md")
    async with AsyncAjoxi() as client:
        for to in ("+15005550100", "+15005550100", "+15005550102"):
            await client.calls.create(to=to, from_="+14155550100", metadata={"team": "blue"})
        while len((await client.calls.list(status="completed")).data) < 3:
            await asyncio.sleep(0.01)
        frame = await page["calls_of"](client, "blue")
    assert frame.height == 3
    assert page["talk_time"](frame).select("to", "calls").rows() == [("+15005550100", 2)]
    text = (DOCS / "dataframes.md").read_text()
    for expression in re.findall(r"`(calls\.\w+\(.*?\))`", text):
        assert eval(expression, {"calls": frame, "pl": pl}).height == 3


async def test_oauth(sandbox: Sandbox, tmp_path: Path) -> None:
    """A token endpoint is asked once for many requests, and a token of one's own is sent."""
    page = code_of("oauth.md")
    asked: list[str] = []

    async def token(request: web.Request) -> web.Response:
        asked.append((await request.post())["scope"])
        return web.json_response({"access_token": sandbox.api_key, "token_type": "bearer", "expires_in": 3600})

    app = web.Application()
    app.router.add_post("/oauth/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/oauth/token"
    async with page["client_for"](url, "id", "secret", sandbox.base_url) as client:
        await asyncio.gather(*(client.calls.list() for _ in range(5)))
    assert asked == ["calls messages"]
    await runner.cleanup()
    (tmp_path / "token").write_text(sandbox.api_key + "\n")
    page["TOKEN"] = str(tmp_path / "token")
    async with page["with_token"](sandbox.base_url) as client:
        assert (await client.calls.list()).data == ()


@pytest.mark.parametrize("page", ["migrating-twilio.md", "migrating-telnyx.md"])
async def test_migrating(sandbox: Sandbox, page: str) -> None:
    """The program after the migration places one call, and each method and class that the table names is there."""
    assert await code_of(page)["main"]()
    assert numbers_called(sandbox) == [TO]
    ours = " ".join(row.rsplit("|", 2)[1] for row in re.findall(r"^\| `.*", (DOCS / page).read_text(), re.MULTILINE))
    methods = set(re.findall(r"client\.(\w+)\.(\w+)", ours))
    assert len(methods) > 6
    async with AsyncAjoxi() as client:
        for resource, method in methods:
            assert callable(getattr(getattr(client, resource), method)), method


async def test_proxies(tmp_path: Path) -> None:
    """A context with a client certificate of one's own is taken."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authorities.pem"))
    issued = authority.issue_cert("client.example")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    client = code_of("proxies.md")["client_for"](
        *(str(tmp_path / name) for name in ("authorities.pem", "client.pem", "client.key"))
    )
    assert client.mode == "test"
    await client.aclose()
