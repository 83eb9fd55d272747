"""A backend that sends live transcripts to browsers: ``python -m examples.live_to_websocket`` (Starlette and uvicorn).

Each call is followed once, however many browsers watch it. A browser that joins late first gets the transcript so far. Without
AJOXI_API_KEY it runs on the sandbox.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.hub.starlette import serve_websocket
from ajoxi_async.sandbox import Timing

PAGE = """<!doctype html><meta charset=utf-8><title>Live</title><pre id=out></pre><script>
const lines = new Map()
async function watch() {
  const call = await (await fetch("/calls", {method: "POST"})).json()
  const socket = new WebSocket(`ws://${location.host}/calls/${call.id}`)
  socket.onmessage = message => {
    const {event, data} = JSON.parse(message.data)
    if (event === "snapshot") lines.clear()
    if (event === "segment") lines.set(data.sequence, `${data.speaker}: ${data.text}${data.is_final ? "" : " ..."}`)
    out.textContent = [...lines].sort((a, b) => a[0] - b[0]).map(pair => pair[1]).join("\\n")
  }
}
watch()
</script>"""


async def page(_: Request) -> Response:
    """The page."""
    return HTMLResponse(PAGE)


async def call(request: Request) -> Response:
    """Place a call."""
    client: AsyncAjoxi = request.app.state.client
    placed = await client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=True)
    return JSONResponse({"id": placed.id})


async def watch(socket: WebSocket) -> None:
    """Let a browser watch a call."""
    await serve_websocket(socket, socket.app.state.hub, socket.path_params["id"])


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Open the client and the hub for as long as the application runs."""
    async with AsyncExitStack() as stack:
        if os.environ.get("AJOXI_API_KEY"):
            client = AsyncAjoxi()
        else:
            sandbox = await stack.enter_async_context(Sandbox(timing=Timing(talk=2.0)))
            client = AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url)
        app.state.client = await stack.enter_async_context(client)
        app.state.hub = await stack.enter_async_context(client.transcripts.hub())
        yield


def main() -> None:
    """Serve on this machine."""
    parser = argparse.ArgumentParser(prog="python -m examples.live_to_websocket")
    parser.add_argument("--port", type=int, default=8000)
    routes = [Route("/", page), Route("/calls", call, methods=["POST"]), WebSocketRoute("/calls/{id}", watch)]
    app = Starlette(routes=routes, lifespan=lifespan)
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
