"""A hub's responses in each framework, under real servers, with the sandbox as the API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import aiohttp
import anyio
import pytest

from ajoxi_async import AsyncAjoxi, Sandbox, TranscriptHub
from ajoxi_async.protocol.sse import Frame, SSEDecoder
from ajoxi_async.sandbox import Timing
from tests.client.fakes import client_on
from tests.hub.apps import APPS, serving, serving_aiohttp
from tests.hub.upstream import Calls
from tests.streaming.wire import completed, connection, segment

pytestmark = pytest.mark.asyncio

FRAMEWORKS = [*APPS, "aiohttp"]


def serve(framework: str, hub: TranscriptHub) -> AbstractAsyncContextManager[str]:
    """The framework's application, served."""
    if framework == "aiohttp":
        return serving_aiohttp(hub)
    server, make = APPS[framework]
    return serving(server, make(hub))


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[tuple[Sandbox, AsyncAjoxi, TranscriptHub]]:
    """A sandbox whose calls talk for half a second, a client and a hub."""
    async with (
        Sandbox(timing=Timing(ring=0.05, talk=0.6), port=None) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
        client.transcripts.hub(**settings) as hub,
    ):
        yield sandbox, client, hub


async def place(client: AsyncAjoxi) -> str:
    """The id of a new call."""
    return (await client.calls.create(to="+14155551234", from_="+14155550100")).id


async def frames(response: aiohttp.ClientResponse) -> AsyncIterator[Frame]:
    """The events of an event stream."""
    decoder = SSEDecoder()
    async for chunk in response.content.iter_any():
        for frame in decoder.feed(chunk):
            yield frame


def finals(sent: list[Frame]) -> dict[int, str]:
    """What a page holds after it was sent these events."""
    segments = [json.loads(frame.data) for frame in sent if frame.event == "segment"]
    return {segment["sequence"]: segment["text"] for segment in segments if segment["is_final"]}


async def no_consumers(hub: TranscriptHub) -> None:
    """Wait until the hub has noticed that everybody is gone."""
    with anyio.fail_after(20):
        while any(hub.consumers.values()):
            await anyio.sleep(0.01)


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_in_a_framework(framework: str) -> None:
    """Browsers that come early, late, again and over a WebSocket all hold the whole transcript, from one stream of the API."""
    async with opened(keep_alive=0.2) as (sandbox, client, hub), serve(framework, hub) as address:
        call_id = await place(client)
        url = f"http://{address}/calls/{call_id}/events"
        async with aiohttp.ClientSession() as session:
            # The first one is cut off in the middle, and resumes where it was.
            before: list[Frame] = []
            async with session.get(url) as response, aclosing(frames(response)) as events:
                assert response.status == 200
                assert response.headers["Content-Type"].startswith("text/event-stream")
                assert "no-cache" in response.headers["Cache-Control"]
                async for frame in events:
                    before.append(frame)
                    if len(finals(before)) == 2:
                        break
            assert before[0].event == "snapshot"
            await no_consumers(hub)

            messages: list[dict[str, Any]] = []
            async with session.ws_connect(f"ws://{address}/calls/{call_id}/live") as socket:
                async with session.get(url, headers={"Last-Event-ID": before[-1].id}) as response:
                    after = [frame async for frame in frames(response)]
                async for message in socket:
                    messages.append(message.json())
                assert socket.close_code == 1000
            assert messages[0] == {"event": "snapshot", "data": {"call_id": call_id}}
            assert messages[-1]["event"] == "completed"
            assert [frame.event for frame in after if frame.event != "segment"] == ["completed"]
            assert not {frame.id for frame in before} & {frame.id for frame in after}

            async with session.get(url) as response:
                late = [frame async for frame in frames(response)]
            whole = {s.sequence: s.text for s in (await client.transcripts.retrieve(call_id)).segments}
            by_socket = {m["data"]["sequence"]: m["data"]["text"] for m in messages if m["event"] == "segment"}
            assert finals(before + after) == finals(late) == by_socket == whole

            # An EventSource connects again when its stream has ended, and is told not to.
            async with session.get(url, headers={"Last-Event-ID": after[-1].id}) as response:
                assert response.status == 204
            async with session.get(f"{url}?last_event_id={late[-1].id}") as response:
                assert response.status == 204
            async with session.head(url) as response:
                assert response.status in {200, 405}
            async with session.get(f"http://{address}/calls/call_unknown/events") as response:
                assert response.status == 404
                assert (await response.json())["error"]["code"] == "not_found"
            async with session.ws_connect(f"ws://{address}/calls/call_unknown/live") as socket:
                kinds = [message.json() async for message in socket]
                assert socket.close_code == 4404
            assert kinds[-1]["data"]["code"] == "not_found"
            await no_consumers(hub)
        streams = [one for one in sandbox.requests if one.route == "transcripts.stream" and call_id in one.path]
        assert len(streams) == 1


@pytest.mark.parametrize("framework", ["aiohttp", "bare ASGI under uvicorn"])
async def test_a_browser_that_stalls(framework: str) -> None:
    """A browser that reads nothing of a large transcript delays no other, and is disconnected after a while."""
    text = "x" * 20_000
    said = [segment(n, n, text=text) for n in range(1, 301)]
    client = client_on(Calls(call_1=connection(*said, completed(301, 300))))
    async with (
        client.transcripts.hub(keep_alive=0.5, send_timeout=2) as hub,
        serve(framework, hub) as address,
        aiohttp.ClientSession() as session,
    ):
        port = int(address.rpartition(":")[2])
        stalls = await anyio.connect_tcp("127.0.0.1", port)
        request = b"GET /calls/call_1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        await stalls.send(request)
        socket = await session.ws_connect(f"ws://{address}/calls/call_1/live")
        async with session.get(f"http://{address}/calls/call_1/events") as response:
            assert len(finals([frame async for frame in frames(response)])) == 300
        await no_consumers(hub)
        received = b""
        with anyio.fail_after(20):
            while True:
                try:
                    received += await stalls.receive(2**20)
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    break
        # It was not sent the end of the transcript, nor the end of a response.
        assert b"event: completed" not in received
        assert not received.endswith(b"0\r\n\r\n")
        await stalls.aclose()
        await socket.close()
