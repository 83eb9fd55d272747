"""One receiver for each framework, served by a real server in a process of its own.

The environment says the webhook's secret, and the file to which the ids of handled events are written.
"""

# ruff: noqa: PLC0415 - each process imports one framework

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from asgiref.sync import sync_to_async

from ajoxi_async import Event, MessageReceived
from ajoxi_async.webhooks.asgi import WebhookApp
from ajoxi_async.webhooks.logs import RedisLog, SqliteLog
from ajoxi_async.webhooks.router import WebhookRouter

PATH = "/webhooks/ajoxi"


def make_router() -> WebhookRouter:
    """A router that writes down what it handles."""
    handled = Path(os.environ["HANDLED"])
    redis = os.environ.get("REDIS_URL")
    router = WebhookRouter(
        os.environ["SECRET"], log=RedisLog(redis) if redis else SqliteLog(handled.with_suffix(".db"))
    )

    def note(event: Event) -> None:
        with handled.open("a") as file:
            file.write(f"{event.id}\n")

    @router.on(MessageReceived)
    async def received(event: MessageReceived) -> None:
        await anyio.sleep(float(os.environ["HANDLING"]))
        if "django" in sys.modules:
            await sync_to_async(note)(event)  # as a query does
        else:
            note(event)

    return router


def bare() -> Any:
    """The ASGI application alone."""
    return WebhookApp(make_router())


def starlette() -> Any:
    """A route of Starlette."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    router = make_router()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with router:
            yield

    return Starlette(routes=[Route(PATH, WebhookApp(router), methods=["POST"])], lifespan=lifespan)


def fastapi() -> Any:
    """A route of FastAPI, behind a middleware that has read the body if the address asks for it."""
    from fastapi import FastAPI, Request

    app = FastAPI()

    @app.middleware("http")
    async def nosy(request: Request, call_next: Any) -> Any:
        if "nosy" in request.query_params:
            await request.body()
        return await call_next(request)

    app.add_route(PATH, WebhookApp(make_router()), methods=["POST"])  # type: ignore[arg-type]
    return app


def litestar() -> Any:
    """Mounted in Litestar."""
    from litestar import Litestar, asgi

    return Litestar([asgi(PATH, is_mount=True, copy_scope=True)(WebhookApp(make_router()))])


def quart() -> Any:
    """In front of Quart, which hands other paths on."""
    from quart import Quart

    app, webhooks = Quart(__name__), bare()

    @app.get("/")
    async def home() -> str:
        return "home"

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        inner = webhooks if scope.get("path") == PATH else app
        await inner(scope, receive, send)

    return dispatch


def _django() -> None:
    import django
    from django.conf import settings
    from django.urls import path

    from ajoxi_async.webhooks.django import webhook_view

    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=(path(PATH.strip("/"), webhook_view(make_router())),),
        MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
        SECRET_KEY="test",  # noqa: S106
    )
    django.setup()


def django_asgi() -> Any:
    """A view of Django under ASGI."""
    _django()
    from django.core.asgi import get_asgi_application

    return get_asgi_application()


def django_wsgi() -> Any:
    """A view of Django under WSGI."""
    _django()
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def flask() -> Any:
    """A view of Flask, after a hook that has read the body if the address asks for it."""
    from flask import Flask, request

    from ajoxi_async.webhooks.flask import webhook_view

    app = Flask(__name__)

    @app.before_request
    def nosy() -> None:
        if "nosy" in request.args:
            request.get_data()

    app.add_url_rule(PATH, view_func=webhook_view(make_router()), methods=["POST"])
    return app


def flask_in_a_thread_of_asgi() -> Any:
    """Flask behind asgiref's adapter, which calls it in a thread."""
    from asgiref.wsgi import WsgiToAsgi

    return WsgiToAsgi(flask())


def flask_in_the_loop() -> Any:
    """Flask called in a thread whose loop runs, as in a notebook."""
    client = flask().test_client()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        given = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        given = [one for one in given if one[0] not in {"content-length", "transfer-encoding"}]
        query = scope["query_string"].decode()
        answer = client.open(scope["path"], query_string=query, method=scope["method"], data=body, headers=given)
        await send({"type": "http.response.start", "status": answer.status_code, "headers": []})
        await send({"type": "http.response.body", "body": answer.data})

    return app


def aiohttp() -> None:
    """A handler of aiohttp, served by aiohttp."""
    from aiohttp import web

    from ajoxi_async.webhooks.aiohttp import open_router, router_handler

    app, router = web.Application(), make_router()
    app.router.add_post(PATH, router_handler(router))
    app.cleanup_ctx.append(open_router(router))
    web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)


if __name__ == "__main__":
    aiohttp()
