"""A backend that sends live transcripts to browsers: ``python -m examples.live_to_websocket`` (Starlette and uvicorn).

Each call is followed once, however many browsers watch it. A browser that joins late first gets the transcript so far. A
browser that is too slow is disconnected, so that its messages do not fill the memory; it can join again. Without
AJOXI_API_KEY it runs on the sandbox.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import anyio
import uvicorn
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ajoxi_async import AjoxiError, AsyncAjoxi, LiveTranscript, Sandbox, Segment
from ajoxi_async.sandbox import Timing

#: Most messages that wait for one browser.
BEHIND = 200

PAGE = """<!doctype html><meta charset=utf-8><title>Live</title><pre id=out></pre><script>
const lines = new Map()
async function watch() {
  const call = await (await fetch("/calls", {method: "POST"})).json()
  const socket = new WebSocket(`ws://${location.host}/calls/${call.id}`)
  socket.onmessage = ({data}) => {
    const line = JSON.parse(data)
    if (line.sequence) lines.set(line.sequence, `${line.speaker}: ${line.text}${line.is_final ? "" : " ..."}`)
    out.textContent = [...lines].sort((a, b) => a[0] - b[0]).map(pair => pair[1]).join("\\n")
  }
}
watch()
</script>"""


def as_message(segment: Segment) -> dict[str, Any]:
    """A segment as browsers get it. A higher revision of a sequence replaces a lower one."""
    return {
        "sequence": segment.sequence,
        "revision": segment.revision,
        "speaker": segment.speaker,
        "text": segment.text,
        "is_final": segment.is_final,
    }


class Room:
    """One call and the browsers that watch it."""

    def __init__(self, live: LiveTranscript) -> None:
        self.live = live
        self._end: dict[str, Any] | None = None
        self._watching: set[MemoryObjectSendStream[dict[str, Any]]] = set()

    async def follow(self) -> None:
        """Send every segment to the browsers, until the call is over."""
        end: dict[str, Any] = {"done": True}
        try:
            async with self.live:
                async for segment in self.live:
                    self._send_to_all(as_message(segment))
        except AjoxiError as error:
            end = {"error": str(error)}
        self._end = end
        self._send_to_all(end)
        for browser in self._watching:
            browser.close()

    def _send_to_all(self, message: dict[str, Any]) -> None:
        for browser in list(self._watching):
            try:
                browser.send_nowait(message)
            except anyio.WouldBlock:
                self._watching.discard(browser)
                browser.close()

    async def watch(self, socket: WebSocket) -> None:
        """Send one browser the transcript so far, and then each new segment."""
        send, receive = anyio.create_memory_object_stream[dict[str, Any]](BEHIND)
        # Nothing is awaited from here until the browser is registered, so that no segment is missed in between.
        now, end = self.live.snapshot(), self._end
        self._watching.add(send)
        with receive:
            try:
                for segment in (*now.finals, *now.interims):
                    await socket.send_json(as_message(segment))
                if end is not None:
                    await socket.send_json(end)
                else:
                    async for message in receive:
                        await socket.send_json(message)
            finally:
                self._watching.discard(send)
                send.close()


class Backend:
    """The calls that are followed."""

    def __init__(self, client: AsyncAjoxi, tasks: TaskGroup) -> None:
        self._client = client
        self._tasks = tasks
        self._rooms: dict[str, Room] = {}

    async def call(self, _: Request) -> Response:
        """Place a call."""
        call = await self._client.calls.create(to="+14155551234", from_="+14155550100", ai_receptionist=True)
        return JSONResponse({"id": call.id})

    async def watch(self, socket: WebSocket) -> None:
        """Let a browser watch a call."""
        await socket.accept()
        call_id = socket.path_params["id"]
        room = self._rooms.get(call_id)
        if room is None:
            room = self._rooms[call_id] = Room(self._client.transcripts.stream(call_id))
            self._tasks.start_soon(room.follow)
        with suppress(WebSocketDisconnect):
            await room.watch(socket)
            await socket.close()


def create_app() -> Starlette:
    """The application. The client and the tasks that follow calls end with it."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            if os.environ.get("AJOXI_API_KEY"):
                client = AsyncAjoxi()
            else:
                sandbox = await stack.enter_async_context(Sandbox(timing=Timing(talk=2.0)))
                client = AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url)
            await stack.enter_async_context(client)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            app.state.backend = Backend(client, tasks)
            yield
            tasks.cancel_scope.cancel()

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    async def call(request: Request) -> Response:
        response: Response = await request.app.state.backend.call(request)
        return response

    async def watch(socket: WebSocket) -> None:
        await socket.app.state.backend.watch(socket)

    routes = [Route("/", page), Route("/calls", call, methods=["POST"]), WebSocketRoute("/calls/{id}", watch)]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Serve on this machine."""
    parser = argparse.ArgumentParser(prog="python -m examples.live_to_websocket")
    parser.add_argument("--port", type=int, default=8000)
    uvicorn.run(create_app(), host="127.0.0.1", port=parser.parse_args().port, log_level="warning")


if __name__ == "__main__":
    main()
