"""From a delivery to handlers: sorting out, acknowledging, failing, shutting down."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import anyio
import msgspec
import pytest

from ajoxi_async import CallCompleted, CallStarted, ConfigurationError, Event, InvalidParameterError, UnknownEvent
from ajoxi_async.contract import signing
from ajoxi_async.webhooks.asgi import WebhookApp
from ajoxi_async.webhooks.logs import MemoryLog
from ajoxi_async.webhooks.router import Receipt, WebhookRouter

pytestmark = pytest.mark.anyio

SECRET = "whsec_0123456789"


def delivery(kind: str = "call.completed", id: str = "evt_00000001", **more: Any) -> bytes:
    """The body of a delivery."""
    data = {"id": "call_8f2a1b3c", "status": "completed", "duration": 5}
    return msgspec.json.encode({"id": id, "type": kind, "created_at": "2026-11-23T09:30:00.000Z", "data": data, **more})


async def send(router: WebhookRouter, body: bytes | None = None, **settings: Any) -> Receipt:
    """Deliver a body with its signature."""
    body = delivery() if body is None else body
    return await router.receive(body, signing.sign(body, [SECRET]), **settings)


class Seen(list[Event]):
    """A handler that remembers."""

    async def __call__(self, event: Event) -> None:
        self.append(event)


async def test_handlers_by_class() -> None:
    """Each event goes to the handlers of its class, unknown types to theirs, the rest to the fallback."""
    router = WebhookRouter(SECRET)
    completed, again, unknown, rest = Seen(), Seen(), Seen(), Seen()
    router.on(CallCompleted)(completed)
    router.on(CallCompleted)(again)
    router.unknown(unknown)
    router.fallback(rest)
    for number, kind in enumerate(["call.completed", "call.started", "call.pondered"]):
        assert (await send(router, delivery(kind, f"evt_{number}"))).status == 204
    assert [type(event) for event in completed + again] == [CallCompleted, CallCompleted]
    assert [type(event) for event in unknown] == [UnknownEvent]
    assert [type(event) for event in rest] == [CallStarted]
    assert completed[0].raw == delivery(id="evt_0")


async def test_an_event_is_handled_once() -> None:
    """A delivery that comes again is acknowledged and not handled."""
    router, seen = WebhookRouter(SECRET), Seen()
    router.fallback(seen)
    assert [(await send(router)).status for _ in range(3)] == [204, 204, 204]
    assert len(seen) == 1


async def test_the_same_delivery_twice_at_once() -> None:
    """Of two workers that take the same delivery at the same time one handles it; the other's comes again later."""
    log, seen = MemoryLog(), Seen()
    begun, go = anyio.Event(), anyio.Event()

    async def slow(event: Event) -> None:
        begun.set()
        await go.wait()
        seen.append(event)

    first, second = WebhookRouter(SECRET, log=log), WebhookRouter(SECRET, log=log)
    first.fallback(slow)
    second.fallback(slow)
    receipts: list[Receipt] = []

    async def take(router: WebhookRouter) -> None:
        receipts.append(await send(router))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take, first)
        await begun.wait()
        await take(second)
        go.set()
    assert [receipt.status for receipt in receipts] == [503, 204]
    assert len(seen) == 1
    assert (await send(second)).status == 204


async def test_a_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """500, so that the event comes again; then all of its handlers run again. What is logged is masked."""
    router, seen = WebhookRouter(SECRET), Seen()
    fail = True

    @router.on(CallCompleted)
    async def failing(event: CallCompleted) -> None:
        if fail:
            raise RuntimeError("no luck with +14155551234")

    router.on(CallCompleted)(seen)
    with caplog.at_level(logging.ERROR, logger="ajoxi_async.webhooks"):
        receipt = await send(router)
    assert receipt.status == 500
    assert b"luck" not in receipt.body
    assert "RuntimeError" in caplog.text
    assert "+14155551234" not in caplog.text
    fail = False
    assert (await send(router)).status == 204
    assert len(seen) == 2


async def test_an_answer_of_the_frameworks_own() -> None:
    """Exceptions that are answers pass through, and the event may come again."""
    router = WebhookRouter(SECRET)

    @router.fallback
    async def answer(event: Event) -> None:
        raise LookupError

    for opened in (False, True):
        if opened:
            async with router:
                with pytest.raises(LookupError):
                    await send(router, passing=(LookupError,))
        else:
            with pytest.raises(LookupError):
                await send(router, passing=(LookupError,))


async def test_work_in_the_background() -> None:
    """A background handler runs after the acknowledgement, and the end of the router waits for it."""
    router, seen, go = WebhookRouter(SECRET), Seen(), anyio.Event()

    @router.on(CallCompleted, background=True)
    async def later(event: CallCompleted) -> None:
        await go.wait()
        seen.append(event)

    async with router:
        assert (await send(router)).status == 204
        assert not seen
        go.set()
    assert len(seen) == 1


async def test_background_work_without_an_open_router() -> None:
    """Where nobody opened the router a background handler runs before the answer, and its failure is a 500."""
    router, seen = WebhookRouter(SECRET), Seen()
    router.on(CallCompleted, background=True)(seen)
    assert (await send(router)).status == 204
    assert len(seen) == 1


async def test_a_background_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and neither changes the answer nor ends the router."""
    router = WebhookRouter(SECRET)

    @router.on(CallCompleted, background=True)
    async def later(event: CallCompleted) -> None:
        raise RuntimeError

    async with router:
        assert (await send(router)).status == 204
        assert (await send(router, delivery(id="evt_2"))).status == 204
    assert "evt_00000001" in caplog.text


async def test_handlers_that_take_too_long() -> None:
    """The platform is answered before it gives up, the handlers go on, and the next delivery finds them done."""
    router, go, seen = WebhookRouter(SECRET, answer_within=0.01), anyio.Event(), Seen()

    @router.fallback
    async def slow(event: Event) -> None:
        await go.wait()
        seen.append(event)

    async with router:
        assert (await send(router)).status == 503
        assert (await send(router)).status == 503
        go.set()
    assert len(seen) == 1
    assert (await send(router)).status == 204
    assert len(seen) == 1


async def test_a_cancelled_delivery_comes_again() -> None:
    """When the request is cancelled while its handlers run, the claim is given up."""
    router, begun, seen = WebhookRouter(SECRET), anyio.Event(), Seen()
    stall = True

    @router.fallback
    async def handler(event: Event) -> None:
        if stall:
            begun.set()
            await anyio.sleep_forever()
        seen.append(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, router)
        await begun.wait()
        tasks.cancel_scope.cancel()
    stall = False
    assert (await send(router)).status == 204
    assert len(seen) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("step", "handled"), [("claim", 0), ("done", 1)])
async def test_a_task_that_is_cancelled_while_the_log_is_asked(step: str, handled: int) -> None:
    """`task.cancel()` leaves no claim that nobody handles, and lets no event be handled twice."""
    begun, go_on, seen = anyio.Event(), anyio.Event(), Seen()

    class Slow(MemoryLog):
        async def claim(self, id: str, owner: str) -> Any:
            claim = await super().claim(id, owner)
            await self.pause("claim")
            return claim

        async def done(self, id: str) -> None:
            await self.pause("done")
            await super().done(id)

        async def pause(self, where: str) -> None:
            if where == step:
                begun.set()
                await go_on.wait()

    router = WebhookRouter(SECRET, log=Slow())
    router.fallback(seen)
    task = asyncio.ensure_future(send(router))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(seen) == handled
    assert (await send(router)).status == 204
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("body", "signature", "status"),
    [
        (delivery(), None, 400),
        (delivery(), "00", 400),
        (b"[]", signing.sign(b"[]", [SECRET]), 400),
        (b"x" * 2000, "00", 413),
    ],
)
async def test_what_is_refused(body: bytes, signature: str | None, status: int) -> None:
    """Missing and wrong signatures, what is no event, and large bodies are refused in the API's own shape."""
    router, seen = WebhookRouter(SECRET, max_bytes=1000), Seen()
    router.fallback(seen)
    receipt = await router.receive(body, signature)
    assert receipt.status == status
    assert msgspec.json.decode(receipt.body)["error"]["code"]
    assert not seen


@pytest.mark.parametrize("body", [None, 5, {}, "text"])
async def test_a_body_that_is_not_bytes(body: Any) -> None:
    """A framework's parsed body, or none at all, is refused by name."""
    with pytest.raises(InvalidParameterError, match="body: expected the raw bytes"):
        await WebhookRouter(SECRET).receive(body, "00")


async def test_settings_that_cannot_be() -> None:
    """Secrets, numbers and classes are checked where they are given."""
    for settings in (
        {"max_bytes": 0},
        {"max_bytes": "5"},
        {"max_bytes": float("nan")},
        {"answer_within": 0},
        {"answer_within": 20},
        {"answer_within": "5"},
        {"tolerance": -1},
        {"tolerance": "5"},
        {"tolerance": float("nan")},
    ):
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            WebhookRouter(SECRET, **settings)
    with pytest.raises(ConfigurationError, match="secret"):
        WebhookRouter("")
    with pytest.raises(ConfigurationError, match="kind"):
        WebhookRouter(SECRET).on(str)  # type: ignore[type-var]


class PlainHandler:
    """An object whose plain call does the work and returns nothing."""

    def __init__(self, answer: Any = None) -> None:
        self.ran, self.answer = 0, answer

    def __call__(self, event: Event) -> Any:
        self.ran += 1
        return self.answer


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    "handler", [print, lambda event: None, [].append, partial(print, "x"), PlainHandler, None, "handler"]
)
async def test_a_handler_that_is_not_async_is_refused(handler: Any, background: bool) -> None:
    """Its work would be done at each of eleven deliveries, since `await None` fails after it: refused by each way in."""
    router = WebhookRouter(SECRET)
    for register in (router.on(CallCompleted, background=background), router.unknown, router.fallback):
        with pytest.raises(ConfigurationError, match="handler: expected an async function"):
            register(handler)
    assert (await send(router)).status == 204


@pytest.mark.parametrize("opened", [False, True])
async def test_a_handler_that_turns_out_not_to_be_async_runs_once(
    opened: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be told at registration is told in the log, and the event does not come again."""
    router, handler = WebhookRouter(SECRET), PlainHandler()
    router.on(CallCompleted)(handler)
    async with router if opened else nullcontext():
        assert [(await send(router)).status for _ in range(11)] == [204] * 11
    assert handler.ran == 1
    assert "PlainHandler is not async" in caplog.text


async def test_an_object_that_returns_a_generator_has_done_nothing() -> None:
    """Its event is not acknowledged: it comes again, and nothing is done twice."""
    router, ran = WebhookRouter(SECRET), []
    handler = PlainHandler(ran.append(1) for _ in range(1))
    router.on(CallCompleted)(handler)
    assert (await send(router)).status == 500
    assert not ran


async def test_objects_that_return_what_can_be_awaited() -> None:
    """A plain call that hands on an async function is a handler like any other."""
    router, seen = WebhookRouter(SECRET), Seen()

    class HandsOn:
        def __call__(self, event: Event) -> Any:
            return seen(event)

    router.on(CallCompleted)(HandsOn())
    assert (await send(router)).status == 204
    assert len(seen) == 1


class PlainLog:
    """A log whose methods are not async."""

    def claim(self, id: str, owner: str) -> str:
        return "new"

    def done(self, id: str) -> None:
        """Nothing."""

    def release(self, id: str, owner: str) -> None:
        """Nothing."""


@pytest.mark.parametrize("log", [PlainLog(), MemoryLog, "events.db", object()])
async def test_a_log_that_is_not_async_is_refused(log: Any) -> None:
    """It would answer 503 to each delivery for ever."""
    with pytest.raises(ConfigurationError, match="log: expected an EventLog"):
        WebhookRouter(SECRET, log=log)


async def test_a_websocket_is_refused() -> None:
    """A stranger who opens a WebSocket at the address of webhooks gets a refusal, and writes no traceback into the server's log."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "websocket.connect"}

    async def answer(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await WebhookApp(WebhookRouter(SECRET))({"type": "websocket"}, receive, answer)
    assert sent == [{"type": "websocket.close"}]
