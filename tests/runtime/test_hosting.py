"""What is entered in one task and left in another: `TaskHost`, `Sandbox`, `WebhookRouter`, `stream_many`."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import IsolatedAsyncioTestCase

import anyio
import msgspec
import pytest
from aiohttp import ClientSession, web

from ajoxi_async import (
    AsyncAjoxi,
    CallCompleted,
    CallStarted,
    ConfigurationError,
    LiveTranscripts,
    Sandbox,
    WebhookRouter,
)
from ajoxi_async.contract import signing
from ajoxi_async.runtime.hosting import TaskHost
from ajoxi_async.webhooks.aiohttp import open_router, router_handler

SECRET = "whsec_0123456789"


def delivery(kind: str = "call.completed", id: str = "evt_1") -> tuple[bytes, str]:
    """A body and its signature."""
    data = {"id": "call_8f2a1b3c", "status": "completed"}
    body = msgspec.json.encode({"id": id, "type": kind, "created_at": "2026-11-23T09:30:00.000Z", "data": data})
    return body, signing.sign(body, [SECRET])


@asynccontextmanager
async def many() -> AsyncIterator[LiveTranscripts]:
    """`stream_many` of two calls on a sandbox in memory."""
    async with Sandbox(port=None, clock="auto") as sandbox:
        client = AsyncAjoxi(sandbox.api_key, transport=sandbox.transport())
        ids = [(await client.calls.create(to="+14155551234", from_="+14155550100")).id for _ in range(2)]
        lives = client.transcripts.stream_many(ids)
        await lives.__aenter__()
        yield lives
        await lives.__aexit__(None, None, None)


CONTEXTS = {
    "sandbox": lambda: Sandbox(port=None),
    "router": lambda: WebhookRouter(SECRET),
    "many": many,
}


async def in_a_task(work: Callable[[], Awaitable[Any]]) -> Any:
    """What a task of its own makes of it."""
    told: list[Any] = []

    async def run() -> None:
        told.append(await work())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
    return told[0]


@pytest.mark.anyio
@pytest.mark.parametrize("name", CONTEXTS)
async def test_left_in_another_task(name: str) -> None:
    """One task enters, another leaves, on both backends; nothing is raised and nothing is left behind."""
    context: AbstractAsyncContextManager[Any] = CONTEXTS[name]()
    value = await in_a_task(context.__aenter__)
    if isinstance(value, LiveTranscripts):
        assert (await anext(value)).call_id
    await in_a_task(lambda: context.__aexit__(None, None, None))
    await context.__aexit__(None, None, None) if name != "many" else None


@pytest.mark.anyio
@pytest.mark.parametrize("name", CONTEXTS)
async def test_left_out_of_order_in_one_task(name: str) -> None:
    """A cancel scope of the caller's that was entered before and is left first is no matter."""
    context: AbstractAsyncContextManager[Any] = CONTEXTS[name]()
    with anyio.CancelScope():
        await context.__aenter__()
    await context.__aexit__(None, None, None)


class TestInUnittest:
    """`IsolatedAsyncioTestCase` sets up, tests and tears down in tasks of their own."""

    def test_enter_async_context(self) -> None:
        """asyncSetUp, enterAsyncContext and asyncTearDown with all three."""
        ran: list[str] = []

        class Case(IsolatedAsyncioTestCase):
            async def asyncSetUp(self) -> None:
                self.sandbox = await self.enterAsyncContext(Sandbox())
                self.client = await self.enterAsyncContext(
                    AsyncAjoxi(self.sandbox.api_key, base_url=self.sandbox.base_url)
                )
                self.router = WebhookRouter(SECRET)
                await self.router.__aenter__()
                call = await self.client.calls.create(to="+14155551234", from_="+14155550100")
                self.lives = self.client.transcripts.stream_many([call.id])
                await self.lives.__aenter__()

            async def asyncTearDown(self) -> None:
                await self.lives.__aexit__(None, None, None)
                await self.router.__aexit__(None, None, None)

            async def test_it(self) -> None:
                assert (await self.client.calls.list()).data
                assert (await self.router.receive(*delivery())).status == 204
                ran.append("test")

        result = Case("test_it").run()
        assert result is not None
        assert not [*result.errors, *result.failures]
        assert ran == ["test"]


@pytest.mark.asyncio
async def test_cleanup_ctx_under_pytest_aiohttp() -> None:
    """The README's application, started and stopped by different tasks as pytest-aiohttp's fixture does."""
    router, done = WebhookRouter(SECRET), asyncio.Event()

    @router.on(CallCompleted, background=True)
    async def completed(event: CallCompleted) -> None:
        await asyncio.sleep(0.05)
        done.set()

    app = web.Application()
    app.router.add_post("/webhooks/ajoxi", router_handler(router))
    app.cleanup_ctx.append(open_router(router))
    runner = web.AppRunner(app)
    await asyncio.create_task(runner.setup())
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    body, signature = delivery()
    async with (
        ClientSession() as session,
        session.post(
            f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/ajoxi",
            data=body,
            headers={"X-Ajoxi-Signature": signature},
        ) as answer,
    ):
        assert answer.status == 204
    await asyncio.create_task(runner.cleanup())
    assert done.is_set()


# Cancellation.


@pytest.mark.anyio
async def test_cancelled_while_leaving_a_router() -> None:
    """A task that is cancelled while leaving still waits for acknowledged events, and is cancelled then."""
    router, go, finished = WebhookRouter(SECRET), anyio.Event(), []

    @router.on(CallCompleted, background=True)
    async def completed(event: CallCompleted) -> None:
        await go.wait()
        finished.append(event.id)

    await router.__aenter__()
    assert (await router.receive(*delivery())).status == 204
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            scope.cancel()
            tasks.start_soon(_later, go)
            await router.__aexit__(None, None, None)
            raise AssertionError  # it was cancelled
    assert finished == ["evt_1"]


async def _later(go: anyio.Event) -> None:
    with anyio.CancelScope(shield=True):
        await anyio.sleep(0.02)
        go.set()


@pytest.mark.asyncio
async def test_cancelled_by_asyncio_while_leaving_a_router() -> None:
    """The same with several calls of `asyncio.Task.cancel`, which ignores shields."""
    router, go, finished = WebhookRouter(SECRET), asyncio.Event(), []

    @router.on(CallCompleted, background=True)
    async def completed(event: CallCompleted) -> None:
        await go.wait()
        finished.append(event.id)

    await router.__aenter__()
    assert (await router.receive(*delivery())).status == 204
    leaving = asyncio.create_task(router.__aexit__(None, None, None))
    for _ in range(3):
        await asyncio.sleep(0)
        leaving.cancel()
    await asyncio.sleep(0.01)
    assert not leaving.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert finished == ["evt_1"]


@pytest.mark.anyio
@pytest.mark.parametrize("name", CONTEXTS)
async def test_cancelled_while_entering(name: str) -> None:
    """A task that is cancelled while entering leaves nothing open, and the block can be entered again."""
    context: AbstractAsyncContextManager[Any] = CONTEXTS[name]()
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with context:
            await anyio.sleep(1)
    assert scope.cancelled_caught
    if name != "many":
        async with context:
            pass
    _nothing_is_open()


@pytest.mark.asyncio
@pytest.mark.parametrize("steps", range(6))
async def test_cancelled_by_asyncio_while_entering(steps: int) -> None:
    """At whatever step: an entering that is cancelled leaves nothing open."""
    for context in (Sandbox(), WebhookRouter(SECRET)):
        entering = asyncio.create_task(context.__aenter__())
        for _ in range(steps):
            await asyncio.sleep(0)
        entering.cancel()
        try:
            await entering
        except asyncio.CancelledError:
            pass
        else:
            await context.__aexit__(None, None, None)
    _nothing_is_open()


def _nothing_is_open() -> None:
    from ajoxi_async.runtime import hosting

    assert not hosting._open


# Ends of loops.


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", CONTEXTS)
def test_never_left(name: str, backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """A loop that ends with something open ends in time, and nothing is logged about tasks."""
    context: AbstractAsyncContextManager[Any] = CONTEXTS[name]()

    async def enter() -> None:
        await context.__aenter__()

    with caplog.at_level(logging.DEBUG):
        anyio.run(enter, backend=backend)
        gc.collect()
    _nothing_is_open()
    assert "never retrieved" not in caplog.text
    assert "destroyed" not in caplog.text


def test_left_after_its_loop_has_ended(tmp_path: Path) -> None:
    """Leaving on a second loop when the first has ended does nothing; the file is free, and it can be entered again."""
    sandbox, router = Sandbox(port=None, db=tmp_path / "x.db"), WebhookRouter(SECRET)

    async def enter() -> None:
        await router.__aenter__()
        await sandbox.__aenter__()

    async def leave() -> None:
        await router.__aexit__(None, None, None)
        await sandbox.__aexit__(None, None, None)

    anyio.run(enter)
    anyio.run(leave, backend="trio")
    anyio.run(enter, backend="trio")
    anyio.run(leave)
    anyio.run(enter)
    anyio.run(leave)


@pytest.mark.asyncio
async def test_left_by_the_garbage_collector() -> None:
    """A generator that is not finished is closed by the event loop, in a task of the loop's own."""

    async def fixture() -> AsyncIterator[Sandbox]:
        async with Sandbox() as sandbox:
            yield sandbox

    generator = fixture()
    sandbox = await asyncio.create_task(anext(generator))  # type: ignore[arg-type]
    del generator
    gc.collect()
    async with asyncio.timeout(5):
        while sandbox._opened is not None or sandbox._hosting is not None:
            await asyncio.sleep(0.01)


# Twice.


@pytest.mark.anyio
async def test_a_router_opened_twice() -> None:
    """By an application and one inside of it: background handlers go on until the outermost end, which waits for them."""
    router, go, finished = WebhookRouter(SECRET), anyio.Event(), []

    @router.fallback
    async def now(event: Any) -> None: ...

    @router.on(CallCompleted, background=True)
    async def completed(event: CallCompleted) -> None:
        await go.wait()
        finished.append(event.id)

    async with router:
        async with router:
            assert (await router.receive(*delivery())).status == 204
        assert not finished
        assert (await router.receive(*delivery(id="evt_2"))).status == 204
        go.set()
    assert sorted(finished) == ["evt_1", "evt_2"]
    assert (await router.receive(*delivery(id="evt_3"))).status == 204
    assert finished[-1] == "evt_3"


@pytest.mark.anyio
async def test_a_router_opened_by_two_tasks_at_once() -> None:
    """Whichever comes first, both can use it at once."""
    router = WebhookRouter(SECRET)
    statuses = []

    async def application(number: int) -> None:
        async with router:
            statuses.append((await router.receive(*delivery("call.started", f"evt_{number}"))).status)

    router.on(CallStarted, background=True)(_nothing)
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(application, number)
    assert statuses == [204, 204, 204]
    assert not router._openings


async def _nothing(event: Any) -> None: ...


@pytest.mark.parametrize("backends", [("asyncio", "asyncio"), ("asyncio", "trio"), ("trio", "trio")], ids=str)
def test_a_router_on_several_loops_at_once(backends: tuple[str, ...]) -> None:
    """Each loop has tasks of its own: deliveries are handled on the loop that took them, opened there or not."""
    router, handled, both = WebhookRouter(SECRET), [], threading.Barrier(len(backends) + 1, timeout=10)

    @router.on(CallCompleted, background=True)
    async def completed(event: CallCompleted) -> None:
        handled.append((event.id, threading.get_ident()))

    statuses: list[tuple[str, int, int]] = []

    async def serve(id: str) -> None:
        async with router:
            both.wait()
            receipt = await router.receive(*delivery(id=id))
            statuses.append((id, receipt.status, threading.get_ident()))
            both.wait()

    threads = [
        threading.Thread(target=lambda n=n, b=b: anyio.run(serve, f"evt_{n}", backend=b))
        for n, b in enumerate(backends)
    ]
    for thread in threads:
        thread.start()
    both.wait()
    # A loop of this thread's own, as Flask has one for each delivery; the router is open in other threads only.
    assert anyio.run(router.receive, *delivery(id="evt_9")).status == 204
    statuses.append(("evt_9", 204, threading.get_ident()))
    both.wait()
    for thread in threads:
        thread.join(10)
    assert [status for _, status, _ in statuses] == [204] * 3
    assert sorted(handled) == sorted((id, thread) for id, _, thread in statuses)
    assert not router._openings


@pytest.mark.anyio
async def test_a_sandbox_entered_twice() -> None:
    """A second entering is refused and says what to do; the first goes on, and after it the sandbox can be entered again."""
    sandbox = Sandbox(port=None)
    async with sandbox:
        with pytest.raises(ConfigurationError, match="open already"):
            await sandbox.__aenter__()
        client = AsyncAjoxi(sandbox.api_key, transport=sandbox.transport())
        assert not (await client.calls.list()).data
    async with sandbox:
        pass
    await sandbox.__aexit__(None, None, None)


@pytest.mark.asyncio
async def test_a_sandbox_that_cannot_listen_can_try_again(unused_tcp_port: int) -> None:
    """A port that was taken is free a moment later."""
    sandbox = Sandbox(port=unused_tcp_port)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", unused_tcp_port)
    with pytest.raises(OSError):
        await sandbox.__aenter__()
    server.close()
    await server.wait_closed()
    async with sandbox:
        pass


@pytest.mark.anyio
async def test_stream_many_entered_twice() -> None:
    """It has one block; a second one needs another call of `stream_many`."""
    async with many() as lives:
        with pytest.raises(ConfigurationError, match="entered once"):
            await lives.__aenter__()
    with pytest.raises(ConfigurationError, match="entered once"):
        await lives.__aenter__()


# The host itself.


@pytest.mark.anyio
async def test_a_task_that_raises() -> None:
    """Its siblings are cancelled, and `aclose` raises the error once, as it was raised."""
    host, ended = TaskHost(), []

    async def fails() -> None:
        raise ZeroDivisionError

    async def waits() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    await host.open()
    host.start_soon(waits)
    await anyio.sleep(0)
    host.start_soon(fails)
    with pytest.raises(ZeroDivisionError):
        await host.aclose(cancel=False)
    await host.aclose(cancel=False)
    assert ended == [True]


@pytest.mark.anyio
async def test_context_variables_of_the_opener() -> None:
    """Tasks have the context variables of the task that started them."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    async def look() -> None:
        seen.append(variable.get())

    variable.set("mine")
    host = TaskHost()
    await host.open()
    host.start_soon(look)
    await host.aclose(cancel=False)
    assert seen == ["mine"]


def test_another_loop_that_runs() -> None:
    """Using or closing it on another loop than the one that opened it is refused while that one has not ended."""
    host = TaskHost()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(host.open())

    async def elsewhere() -> None:
        with pytest.raises(ConfigurationError, match="another one"):
            host.start_soon(anyio.sleep, 0)
        with pytest.raises(ConfigurationError, match="close it there"):
            await host.aclose(cancel=True)

    anyio.run(elsewhere)
    loop.run_until_complete(host.aclose(cancel=True))
    loop.close()
    _nothing_is_open()


@pytest.mark.asyncio
async def test_an_eager_task_factory() -> None:
    """Tasks that begin at once, as `asyncio.eager_task_factory` has it, make no difference."""
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("needs Python 3.12")
    asyncio.get_running_loop().set_task_factory(factory)
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        await stack.enter_async_context(WebhookRouter(SECRET))
        client = await stack.enter_async_context(AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url))
        assert not (await client.calls.list()).data
