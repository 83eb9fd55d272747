"""Async code called from code that blocks: which thread it runs in, and where a body ends that has no length."""

from __future__ import annotations

import contextvars
import io
import logging
import os
import sys
import threading
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from flask import Flask

from ajoxi_async import CallCompleted, Event
from ajoxi_async.contract import signing
from ajoxi_async.webhooks import django as django_receiver
from ajoxi_async.webhooks.blocking import run
from ajoxi_async.webhooks.flask import webhook_view
from ajoxi_async.webhooks.router import WebhookRouter
from ajoxi_async.webhooks.wsgi import TooLarge, read_without_length

SECRET = "whsec_0123456789"
BODY = msgspec.json.encode({"id": "evt_1", "type": "call.completed", "data": {"id": "call_1"}})
SIGNATURE = {"X-Ajoxi-Signature": signing.sign(BODY, [SECRET])}
marker: contextvars.ContextVar[str] = contextvars.ContextVar("marker")


async def where() -> tuple[int, str]:
    """The thread, and what the context holds."""
    await anyio.sleep(0)
    return threading.get_ident(), marker.get()


def test_in_the_thread_that_asks() -> None:
    """Without a running loop it is this thread, so that what belongs to it is at hand."""
    marker.set("here")
    assert run(where) == (threading.get_ident(), "here")


@pytest.mark.anyio
async def test_in_a_thread_that_has_a_running_loop() -> None:
    """It runs beside that loop, in another thread, with the same context variables."""
    marker.set("here")
    thread, held = run(where)
    assert thread != threading.get_ident()
    assert held == "here"


@pytest.mark.anyio
async def test_in_a_thread_that_a_loop_started() -> None:
    """A worker thread whose context says that a loop is running runs its own."""
    marker.set("here")
    context = contextvars.copy_context()
    assert (await anyio.to_thread.run_sync(context.run, run, where))[1] == "here"


@pytest.mark.anyio
async def test_flask_in_a_running_loop() -> None:
    """Deliveries to Flask from a notebook, or an ASGI server that calls WSGI in its loop, are handled."""
    router, seen = WebhookRouter(SECRET), []

    @router.fallback
    async def take(event: Event) -> None:
        seen.append(event.id)

    app = Flask(__name__)
    app.add_url_rule("/", view_func=webhook_view(router), methods=["POST"])
    assert [app.test_client().post("/", data=BODY, headers=SIGNATURE).status_code for _ in range(3)] == [204] * 3
    assert seen == ["evt_1"]


@pytest.mark.anyio
async def test_a_router_that_is_open_in_another_loop() -> None:
    """Its background handlers run before the answer, in the loop that took the delivery."""
    router, threads = WebhookRouter(SECRET), []

    @router.on(CallCompleted, background=True)
    async def later(event: Event) -> None:
        threads.append(threading.get_ident())

    async with router:
        receipt = await anyio.to_thread.run_sync(run, router.receive, BODY, SIGNATURE["X-Ajoxi-Signature"])
        assert receipt.status == 204
        assert len(threads) == 1
        assert threads != [threading.get_ident()]


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_worker_that_was_forked_after_a_delivery() -> None:
    """A process that has handled deliveries can be forked, and the child handles its own."""
    router = WebhookRouter(SECRET)

    @router.fallback
    async def take(event: Event) -> None:
        """Handled."""

    assert run(router.receive, BODY, SIGNATURE["X-Ajoxi-Signature"]).status == 204
    child = os.fork()
    if child == 0:
        other = BODY.replace(b"evt_1", b"evt_2")
        status = 1
        try:
            status = run(router.receive, other, signing.sign(other, [SECRET])).status == 204 and 42
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42


class Socket(io.RawIOBase):
    """A stream whose end is not known: reading from it for too long waits for ever."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("read")


@pytest.mark.parametrize(
    ("environ", "body"),
    [
        ({"wsgi.input": io.BytesIO(b"x" * 100)}, b"x" * 100),
        ({"wsgi.input": io.BytesIO(b""), "CONTENT_LENGTH": ""}, b""),
        ({"wsgi.input": io.BytesIO(b"x"), "CONTENT_LENGTH": "1"}, b""),
        ({"wsgi.input": Socket()}, b""),
        ({"wsgi.input": object()}, b""),
    ],
)
def test_where_a_body_ends(environ: dict[str, Any], body: bytes) -> None:
    """It is read where its end is known, and not touched where reading could wait for ever."""
    assert read_without_length(environ, 100) == body


def test_chunks_that_the_server_does_not_end(caplog: pytest.LogCaptureFixture) -> None:
    """The log says why such a delivery cannot be verified."""
    with caplog.at_level(logging.ERROR, logger="ajoxi_async.webhooks"):
        assert read_without_length({"wsgi.input": Socket(), "HTTP_TRANSFER_ENCODING": "chunked"}, 100) == b""
    assert "wsgi.input_terminated" in caplog.text


def test_no_more_than_the_bound_is_read() -> None:
    """Of an endless body one byte over the bound is read."""
    read = 0

    class Endless:
        def read(self, size: int) -> bytes:
            nonlocal read
            read += size
            return bytes(size)

    with pytest.raises(TooLarge):
        read_without_length({"wsgi.input": Endless(), "wsgi.input_terminated": True}, 100_000)
    assert read == 100_001


@pytest.mark.parametrize("length", ["100", ""])
def test_a_sender_that_goes_away_under_django(length: str) -> None:
    """A body that breaks off is answered 400, which nobody hears, and is no error of the application."""

    class Cut(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise ConnectionResetError

    if not settings.configured:
        settings.configure()
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": length, "wsgi.input": Cut(), "wsgi.input_terminated": True}
    view = django_receiver.webhook_view(WebhookRouter(SECRET))
    assert view(WSGIRequest(environ)).status_code == 400
