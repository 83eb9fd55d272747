"""The receiver for aiohttp, over a real socket of this machine."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import io
import logging
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from ajoxi_async.contract.webhooks import Event, MessageReceived
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.webhooks.aiohttp import router_handler, webhook_handler
from ajoxi_async.webhooks.router import WebhookRouter

SECRET = "whsec_5b1f0c"
BODY = b'{"id": "evt_00000001", "type": "message.received", "data": {"id": "msg_1", "from": "+14155551234"}}'


def signed(body: bytes = BODY, secret: str = SECRET) -> str:
    """The signature, by the standard library."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Receiver:
    """What was received, and what to do about the next."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.raises: BaseException | None = None

    async def __call__(self, event: Event) -> None:
        self.events.append(event)
        if self.raises is not None:
            raise self.raises


@asynccontextmanager
async def served(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], **settings: Any
) -> AsyncIterator[Callable[..., Awaitable[tuple[int, Any]]]]:
    """Serve a handler and give a function that posts to it."""
    app = web.Application(**settings)
    app.router.add_post("/", handler)
    runner = web.AppRunner(app, lingering_time=0.1)  # seconds for what is still sent after the answer; 10 by default
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"

    async def post(
        data: Any = BODY, signature: str | list[str] | None = "", encoding: str | None = None
    ) -> tuple[int, Any]:
        given = [signed(data)] if signature == "" else [signature] if isinstance(signature, str) else signature or []
        headers = [("X-Ajoxi-Signature", one) for one in given]
        headers += [("Content-Encoding", encoding)] if encoding else []
        async with aiohttp.ClientSession() as session, session.post(url, data=data, headers=headers) as response:
            body = await response.read()
            return response.status, (await response.json() if body else None)

    try:
        yield post
    finally:
        await runner.cleanup()


def envelope(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The API's error envelope, spelled out."""
    return {"error": {"code": code, "message": message} | ({"param": param} if param else {})}


@pytest.mark.asyncio
async def test_a_delivery() -> None:
    """A signed delivery reaches the function, typed and with its bytes, and is answered with 204."""
    receiver = Receiver()
    async with served(webhook_handler(SECRET, receiver)) as post:
        assert await post() == (204, None)
    [event] = receiver.events
    assert isinstance(event, MessageReceived)
    assert (event.data.from_, event.raw) == ("+14155551234", BODY)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        [signed(secret="whsec_new") + "," + signed()],
        [signed(secret="whsec_unrelated"), "sha256=" + signed().upper()],
    ],
    ids=["one header", "two headers"],
)
async def test_rotation(headers: list[str]) -> None:
    """While a secret is rotated, several signatures come, in one header or in several."""
    receiver = Receiver()
    async with served(webhook_handler([SECRET, "whsec_third"], receiver)) as post:
        assert await post(signature=headers) == (204, None)
    assert len(receiver.events) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("signature", "error"),
    [
        (None, envelope("missing_parameter", "The signature is missing.", "X-Ajoxi-Signature")),
        ("0" * 64, envelope("invalid_parameter", "The signature does not match.", "X-Ajoxi-Signature")),
        ("é", envelope("invalid_parameter", "The signature does not match.", "X-Ajoxi-Signature")),
        (signed(BODY + b" "), envelope("invalid_parameter", "The signature does not match.", "X-Ajoxi-Signature")),
    ],
)
async def test_forgeries(signature: str | None, error: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """What is not signed is answered with 400 in the API's shape, and never reaches the function."""
    receiver = Receiver()
    async with served(webhook_handler(SECRET, receiver)) as post:
        assert await post(signature=signature) == (400, error)
    assert receiver.events == []
    assert [(one.name, one.levelname) for one in caplog.records if one.name.startswith("ajoxi")] == [
        ("ajoxi_async.webhooks", "WARNING")
    ]
    assert SECRET not in caplog.text


@pytest.mark.asyncio
async def test_a_header_that_is_not_utf8() -> None:
    """A signature of any bytes is a wrong signature, and no failure of the server."""
    receiver = Receiver()
    runner = web.AppRunner(app := web.Application())
    app.router.add_post("/", webhook_handler(SECRET, receiver))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Ajoxi-Signature: \xff\xfe\xed\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The signature does not match." in answer
    assert receiver.events == []


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """A body without a Content-Length."""
    for start in range(0, len(body), 64 * 1024):
        yield body[start : start + 64 * 1024]


@pytest.mark.asyncio
@pytest.mark.parametrize("pieces", [False, True], ids=["Content-Length", "chunked"])
@pytest.mark.parametrize("limit", [100, 2 * 1024 * 1024])
async def test_too_large(limit: int, pieces: bool) -> None:
    """A body at the limit is taken, and one over it answered with 413, whatever the application's own limit."""
    receiver = Receiver()
    fits = b'{"id": "evt_1", "type": "x"}'.ljust(limit)
    async with served(webhook_handler(SECRET, receiver, max_bytes=limit), client_max_size=1000) as post:
        for body, expected in (
            (fits, (204, None)),
            (fits + b" ", (413, envelope("invalid_parameter", f"The body is over {limit} bytes."))),
        ):
            assert await post(_in_pieces(body) if pieces else io.BytesIO(body), signature=[signed(body)]) == expected
    assert [event.raw for event in receiver.events] == [fits]


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'{"id": "evt_1", "type": "call.started"}'])
async def test_signed_and_no_event(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A signed body that is no event is answered with 400 and logged as an error."""
    receiver = Receiver()
    async with served(webhook_handler(SECRET, receiver)) as post:
        assert await post(body, signature=signed(body)) == (400, envelope("invalid_json", "The body is not an event."))
    assert receiver.events == []
    assert [one.levelname for one in caplog.records if one.name == "ajoxi_async.webhooks"] == ["ERROR"]


@pytest.mark.asyncio
async def test_a_function_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What the function raises is answered with 500, so that the event comes again, and is logged masked."""
    receiver = Receiver()
    receiver.raises = RuntimeError("no room for +14155551234 under AJX_LIVE_topsecret")
    async with served(webhook_handler(SECRET, receiver)) as post:
        with caplog.at_level(logging.DEBUG):
            assert await post() == (500, envelope("internal_error", "The event could not be handled."))
        receiver.raises = None
        assert await post() == (204, None)
    assert [event.id for event in receiver.events] == ["evt_00000001", "evt_00000001"]
    [record] = [one for one in caplog.records if one.name == "ajoxi_async.webhooks"]
    assert record.levelname == "ERROR"
    assert record.exc_info is None
    assert "evt_00000001" in record.getMessage()
    assert "RuntimeError: no room for +1415***34 under AJX_LIVE_***" in record.getMessage()
    assert "topsecret" not in caplog.text
    assert "+14155551234" not in caplog.text


@pytest.mark.asyncio
async def test_an_answer_of_ones_own() -> None:
    """A `web.HTTPException` of the function is the answer: 410 ends the subscription."""
    receiver = Receiver()
    receiver.raises = web.HTTPGone(text="null", content_type="application/json")
    async with served(webhook_handler(SECRET, receiver)) as post:
        assert await post() == (410, None)


@pytest.mark.asyncio
async def test_a_handler_that_raises_an_answer_of_2xx_has_handled_its_event() -> None:
    """After a 2xx nothing is delivered again, so background handlers run, and a repeated delivery is not handled."""
    router, ran = WebhookRouter(SECRET), list[str]()

    @router.on(MessageReceived)
    async def first(event: Event) -> None:
        ran.append("first")
        raise web.HTTPAccepted(text="null", content_type="application/json")

    @router.on(MessageReceived, background=True)
    async def later(event: Event) -> None:
        ran.append("later")

    async with router, served(router_handler(router)) as post:
        assert await post() == (202, None)
        assert await post() == (204, None)
    assert ran == ["first", "later"]


@pytest.mark.asyncio
async def test_a_handler_that_fails_beside_an_answer_of_2xx() -> None:
    """The event is delivered again if one of its handlers has failed, whatever another one answers."""
    router = WebhookRouter(SECRET)

    @router.fallback
    async def first(event: Event) -> None:
        raise RuntimeError

    @router.fallback
    async def second(event: Event) -> None:
        raise web.HTTPOk

    async with served(router_handler(router)) as post:
        assert (await post())[0] == 500


@pytest.mark.asyncio
async def test_a_middleware_that_read_the_body() -> None:
    """A body that was read before is still there, with its limit."""

    @web.middleware
    async def reads(request: web.Request, handler: Any) -> web.StreamResponse:
        await request.read()
        return await handler(request)

    receiver = Receiver()
    async with served(webhook_handler(SECRET, receiver, max_bytes=len(BODY)), middlewares=[reads]) as post:
        assert await post() == (204, None)
        longer = BODY + b" "
        status, _ = await post(_in_pieces(longer), signature=[signed(longer)])
        assert status == 413
    assert len(receiver.events) == 1


@pytest.mark.asyncio
async def test_a_compressed_body() -> None:
    """aiohttp's server decompresses; the bound holds for what comes out, before it is in memory."""
    receiver = Receiver()
    async with served(webhook_handler(SECRET, receiver)) as post:
        assert await post(gzip.compress(BODY), signature=signed(), encoding="gzip") == (204, None)
        bomb = gzip.compress(bytes(64 * 2**20))
        tracemalloc.start()
        try:
            assert (await post(bomb, signature="00", encoding="gzip"))[0] == 413
            assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
        finally:
            tracemalloc.stop()
    assert len(receiver.events) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("how", [ConnectionResetError("Connection lost"), web.RequestPayloadError("not chunked")])
async def test_a_sender_that_goes_away(how: Exception) -> None:
    """A body that breaks off calls nobody, and is no error of the server, which would log a traceback."""
    receiver = Receiver()
    payload = aiohttp.StreamReader(Mock(), 2**16, loop=asyncio.get_running_loop())
    payload.set_exception(how)
    request = make_mocked_request("POST", "/", payload=payload)
    assert (await webhook_handler(SECRET, receiver)(request)).status == 400
    assert not receiver.events


@pytest.mark.asyncio
async def test_deliveries_at_once() -> None:
    """Deliveries do not wait for one another."""
    arrived = asyncio.Barrier(3)

    async def together(event: Event) -> None:
        await arrived.wait()

    async with served(webhook_handler(SECRET, together)) as post, asyncio.timeout(5):
        assert await asyncio.gather(post(), post(), post()) == [(204, None)] * 3


@pytest.mark.parametrize(
    ("secret", "settings", "why"),
    [
        ("", {}, "^secret: "),
        ([], {}, "^secret: "),
        ([SECRET, ""], {}, "^secret: "),
        (SECRET, {"max_bytes": 0}, "^max_bytes: "),
    ],
)
def test_settings(secret: Any, settings: dict[str, Any], why: str) -> None:
    """A receiver without a secret, or that could take nothing, is refused when it is made."""
    with pytest.raises(ConfigurationError, match=why):
        webhook_handler(secret, Receiver(), **settings)
