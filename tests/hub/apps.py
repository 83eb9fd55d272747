"""One application for each framework, which sends the live transcripts of a hub.

`GET /calls/{id}/events` is an event stream, `/calls/{id}/live` a WebSocket. All of them are run by real servers, in the tests' own loop.
"""

# Annotations are evaluated where they stand, since frameworks look for their names in the module otherwise.
# ruff: noqa: FA100, FA102, PLC0415

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from ajoxi_async import TranscriptHub

__all__ = ["APPS", "serving", "serving_aiohttp"]


def bare(hub: TranscriptHub) -> Any:
    """ASGI without a framework."""
    from ajoxi_async.hub.asgi import send_sse, serve_websocket

    async def app(scope: Any, receive: Any, send: Any) -> None:
        call_id = scope["path"].split("/")[2]
        if scope["type"] == "websocket":
            await serve_websocket(scope, receive, send, hub, call_id)
        else:
            await send_sse(scope, receive, send, hub, call_id, headers=[(b"x-own", b"1")])

    return app


def starlette(hub: TranscriptHub) -> Any:
    """Starlette."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    from ajoxi_async.hub.starlette import serve_websocket, sse_response

    async def events(request: Request) -> Response:
        return sse_response(hub, request.path_params["id"])

    async def live(socket: WebSocket) -> None:
        await serve_websocket(socket, hub, socket.path_params["id"])

    return Starlette(routes=[Route("/calls/{id}/events", events), WebSocketRoute("/calls/{id}/live", live)])


def fastapi(hub: TranscriptHub) -> Any:
    """FastAPI, with a middleware, a header of the endpoint's own, and a WebSocket that the endpoint accepts."""
    from fastapi import FastAPI, Request, Response, WebSocket

    from ajoxi_async.hub.starlette import serve_websocket, sse_response

    app = FastAPI()

    @app.middleware("http")
    async def passing_on(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    @app.get("/calls/{id}/events")
    async def events(id: str) -> Response:
        response = sse_response(hub, id)
        response.headers["X-Own"] = "1"
        return response

    @app.websocket("/calls/{id}/live")
    async def live(socket: WebSocket, id: str) -> None:
        await socket.accept()
        await serve_websocket(socket, hub, id)

    return app


def litestar(hub: TranscriptHub) -> Any:
    """Litestar."""
    from litestar import Litestar, Request, WebSocket, get, websocket
    from litestar.types import ASGIApp

    from ajoxi_async.hub.litestar import serve_websocket, sse_response

    @get("/calls/{id:str}/events")
    async def events(request: Request[Any, Any, Any]) -> ASGIApp:
        return sse_response(hub, request.path_params["id"])

    @websocket("/calls/{id:str}/live")
    async def live(socket: WebSocket[Any, Any, Any]) -> None:
        await serve_websocket(socket, hub, socket.path_params["id"])

    return Litestar([events, live])


def quart(hub: TranscriptHub) -> Any:
    """Quart, where other responses may take a fraction of the call."""
    from quart import Quart, Response

    from ajoxi_async.hub.quart import serve_websocket, sse_response

    app = Quart(__name__)
    app.config["RESPONSE_TIMEOUT"] = 0.2

    @app.get("/calls/<id>/events")
    async def events(id: str) -> Response:
        return await sse_response(hub, id)

    @app.websocket("/calls/<id>/live")
    async def live(id: str) -> None:
        await serve_websocket(hub, id)

    return app


#: The hub of the one Django that a process can have.
_of_django: list[TranscriptHub] = []


def django(hub: TranscriptHub) -> Any:
    """Django under ASGI, with WebSockets beside it as its documentation has it."""
    import django as package
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpRequest
    from django.urls import path

    from ajoxi_async.hub.asgi import serve_websocket
    from ajoxi_async.hub.django import sse_response

    async def events(request: HttpRequest, id: str) -> Any:
        return await sse_response(request, _of_django[-1], id)

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["127.0.0.1"],
            ROOT_URLCONF=(path("calls/<id>/events", events),),
            MIDDLEWARE=["django.middleware.gzip.GZipMiddleware", "django.middleware.http.ConditionalGetMiddleware"],
            SECRET_KEY="test",  # noqa: S106
        )
        package.setup()
    _of_django[:] = [hub]
    inner = get_asgi_application()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await serve_websocket(scope, receive, send, hub, scope["path"].split("/")[2])
        else:
            await inner(scope, receive, send)

    return app


APPS: dict[str, Any] = {
    "bare ASGI under uvicorn": ("uvicorn", bare),
    "starlette under hypercorn": ("hypercorn", starlette),
    "fastapi under uvicorn": ("uvicorn", fastapi),
    "litestar under uvicorn": ("uvicorn", litestar),
    "quart under hypercorn": ("hypercorn", quart),
    "django under uvicorn": ("uvicorn", django),
}


@asynccontextmanager
async def serving(server: str, app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port; gives host and port."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    over = anyio.Event()
    async with anyio.create_task_group() as tasks:
        if server == "uvicorn":
            import uvicorn

            config = uvicorn.Config(app, lifespan="off", log_level="error", ws="wsproto", timeout_graceful_shutdown=1)
            uv = uvicorn.Server(config)
            tasks.start_soon(uv.serve, [listener])
        else:
            from hypercorn.config import Config

            hyper = Config()
            hyper.bind = [f"fd://{listener.detach()}"]
            hyper.errorlog = None
            hyper.graceful_timeout = 1
            import sniffio

            if sniffio.current_async_library() == "trio":
                from hypercorn.trio import serve
            else:
                from hypercorn.asyncio import serve  # type: ignore[assignment]

            async def run() -> None:
                await serve(app, hyper, shutdown_trigger=over.wait)  # type: ignore[arg-type]

            tasks.start_soon(run)
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", int(address.rpartition(":")[2]))).aclose()
                break
            except OSError:
                await anyio.sleep(0.01)
        try:
            yield address
        finally:
            over.set()
            if server == "uvicorn":
                uv.should_exit = True


@asynccontextmanager
async def serving_aiohttp(hub: TranscriptHub) -> AsyncIterator[str]:
    """Serve an application of aiohttp on a free port; gives host and port."""
    from aiohttp import web

    from ajoxi_async.hub.aiohttp import serve_websocket, sse_response

    async def events(request: web.Request) -> web.StreamResponse:
        return await sse_response(request, hub, request.match_info["id"])

    async def live(request: web.Request) -> web.StreamResponse:
        return await serve_websocket(request, hub, request.match_info["id"])

    app = web.Application()
    app.router.add_get("/calls/{id}/events", events)
    app.router.add_get("/calls/{id}/live", live)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
