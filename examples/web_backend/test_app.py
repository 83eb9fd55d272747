"""Tests of the application by the pytest plugin of ajoxi_async: ``pytest examples/web_backend``.

The application talks to a sandbox, whose webhooks come back to it over a socket.
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import httpx
import pytest
import uvicorn

from ajoxi_async import AsyncAjoxi, Sandbox
from examples.web_backend.app import create_app

# Time passes by itself here, as fast as the application allows.
pytestmark = [pytest.mark.anyio, pytest.mark.ajoxi(clock="auto")]


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests where uvicorn runs."""
    return "asyncio"


@pytest.fixture
async def http(ajoxi_client: AsyncAjoxi, tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser of the application, which is served on a free port and has subscribed to webhooks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        webhook = await ajoxi_client.webhooks.create(url=f"{url}/webhooks/ajoxi", events=["call.completed"])
        app = create_app(ajoxi_client, secret=webhook.secret, events=str(tmp_path / "events.db"))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            async with httpx.AsyncClient(base_url=url, trust_env=False) as browser:
                yield browser
            server.should_exit = True


async def test_a_call_is_shown(http: httpx.AsyncClient, ajoxi_client: AsyncAjoxi) -> None:
    """The page is sent everything that is said, as it is said."""
    assert "EventSource" in (await http.get("/")).text
    call = (await http.post("/calls", json={"to": "+15005550100"})).json()
    said: dict[int, str] = {}
    async with http.stream("GET", f"/calls/{call['id']}/transcript") as response:
        event = ""
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "segment":
                segment = json.loads(value)
                said[segment["sequence"]] = segment["text"]
    assert event == "completed"
    transcript = await ajoxi_client.transcripts.retrieve(call["id"])
    assert said == {segment.sequence: segment.text for segment in transcript.segments}
    assert (await http.get(f"/calls/{call['id']}")).json()["disposition"] == "answered"


async def test_who_was_not_reached_gets_one_message(
    http: httpx.AsyncClient, ajoxi_sandbox: Sandbox, ajoxi_client: AsyncAjoxi
) -> None:
    """A customer who did not answer gets a text message, and no second one when the event is delivered again."""
    await http.post("/calls", json={"to": "+15005550101"})
    world = ajoxi_sandbox.world()
    with anyio.fail_after(10):
        while not world.find_deliveries(state="delivered"):
            await anyio.sleep(0.01)
    world.resend(world.find_deliveries()[0].id)
    with anyio.fail_after(10):
        while len(world.deliveries()) < 2:
            await anyio.sleep(0.01)
    assert [attempt.status for attempt in world.deliveries()] == [204, 204]
    messages = (await ajoxi_client.messages.list()).data
    assert [message.to for message in messages] == ["+15005550101"]


async def test_what_is_refused(http: httpx.AsyncClient) -> None:
    """Wrong numbers, unknown calls and forged webhooks are refused."""
    assert (await http.post("/calls", json={"to": "five"})).status_code == 422
    assert (await http.post("/calls", json={"to": "+15005550130"})).status_code == 422
    assert (await http.get("/calls/call_unknown")).status_code == 404
    assert (await http.get("/calls/call_unknown/transcript")).status_code == 404
    forged = {"id": "evt_1", "type": "call.completed", "data": {"id": "call_1"}}
    answer = await http.post("/webhooks/ajoxi", json=forged, headers={"X-Ajoxi-Signature": "0" * 64})
    assert answer.status_code == 400
