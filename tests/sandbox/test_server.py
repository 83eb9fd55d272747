"""The sandbox behind a real socket, which is asyncio's alone."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import urllib.request
from contextlib import suppress
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession, TraceConfig, web

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.sandbox import Timing
from ajoxi_async.webhooks.aiohttp import webhook_handler

pytestmark = pytest.mark.asyncio

TO, FROM = "+14155551234", "+14155550100"

RAW = [
    b"GARBAGE\r\n\r\n",
    b"GET /v1/calls HTTP/9.9\r\n\r\n",
    b"POST /v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /v1/calls HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    b"POST /v1/calls HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /v1/calls HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
]


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
async def test_raw_bytes(raw: bytes) -> None:
    """What is no HTTP gets a 400 or a closed connection, shows no trace, and harms nobody else."""
    async with Sandbox() as sandbox:
        port = int(sandbox.base_url.rpartition(":")[2])

        def talk(data: bytes) -> bytes:
            answer = b""
            # A connection that is closed before everything was read is reset.
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, suppress(ConnectionError):
                connection.sendall(data)
                if not data.endswith(b"close\r\n\r\n"):
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    answer += piece
            return answer

        answer = await anyio.to_thread.run_sync(talk, raw)
        assert not answer or answer.split()[1] == b"400"
        assert not answer or set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"error"}
        assert b"Traceback" not in answer
        good = b"GET /v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer AJX_TEST_x\r\nConnection: close\r\n\r\n"
        assert b" 200 " in await anyio.to_thread.run_sync(talk, good)


async def test_body_over_the_limit() -> None:
    """A body of more than a megabyte is refused before it is read to its end."""
    headers = {"Authorization": "Bearer AJX_TEST_x"}
    async with Sandbox() as sandbox, ClientSession() as session:
        async with session.post(
            f"{sandbox.base_url}/v1/calls", data=io.BytesIO(b"x" * 2_000_000), headers=headers
        ) as response:
            assert response.status == 400
            assert (await response.json())["error"]["code"] == "invalid_parameter"


async def test_a_long_answer_is_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is longer than a piece is whole, says its length, and leaves the connection open."""
    monkeypatch.setattr("ajoxi_async.sandbox.server.http._AT_ONCE", 1_000)
    opened = 0

    async def count(*_: object) -> None:
        nonlocal opened
        opened += 1

    trace = TraceConfig()
    trace.on_connection_create_end.append(count)
    async with Sandbox(clock="manual") as sandbox, ClientSession(trace_configs=[trace]) as session:
        sandbox.seed_calls(50)
        url, headers = f"{sandbox.base_url}/v1/calls?limit=50", {"Authorization": f"Bearer {sandbox.api_key}"}
        for _ in range(2):
            async with session.get(url, headers=headers) as response:
                body = await response.read()
                assert response.headers["Content-Length"] == str(len(body))
                assert len(body) > 10_000
                assert len(json.loads(body)["data"]) == 50
        assert opened == 1


async def test_over_real_http() -> None:
    """Client, sandbox and receiver over real sockets: the event arrives and its signature is right."""
    events: list[Any] = []
    arrived = anyio.Event()
    secret = ""

    async def take(event: Any) -> None:
        events.append(event)
        arrived.set()

    async def receive(request: web.Request) -> web.StreamResponse:
        return await webhook_handler(secret, take)(request)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    async with Sandbox(timing=Timing(ring=0.01, talk=0.01)) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            secret = str((await client.webhooks.create(url=url, events=["call.completed"])).secret)
            call = await client.calls.create(to=TO, from_=FROM)
            with anyio.fail_after(5):
                await arrived.wait()
    await runner.cleanup()
    assert events[0].data.id == call.id


async def test_the_references_curl() -> None:
    """The reference's first request works word for word but for the base URL, with any live or test key."""

    def curl(base_url: str, key: str) -> tuple[int, dict[str, Any]]:
        data = b'{ "to": "+14155551234", "from": "+14155550100", "ai_receptionist": true }'
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{base_url}/v1/calls", data, headers)
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, json.load(response)

    async with Sandbox() as sandbox:
        for key in ("AJX_LIVE_XXXXX", "AJX_TEST_anything", sandbox.api_key):
            status, call = await anyio.to_thread.run_sync(curl, sandbox.base_url, key)
            assert (status, call["status"], call["ai_handler"]) == (201, "ringing", "receptionist_v2")
            assert call["id"].startswith("call_")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_bodies_that_are_not_encoded_as_they_say(method: str, encoding: str) -> None:
    """A body with a Content-Encoding that it does not have is a 400 on POST, and never a 500."""
    sent = {"Authorization": "Bearer AJX_TEST_x", "Content-Encoding": encoding}
    async with Sandbox() as sandbox, ClientSession() as session:
        url = f"{sandbox.base_url}/v1/calls"
        async with session.request(method, url, data=io.BytesIO(b"nope"), headers=sent) as response:
            assert response.status in ({200, 400} if method == "GET" else {400})
            assert "error" in await response.json() or response.status == 200


async def test_a_path_that_is_no_url() -> None:
    """A target that no URL parser takes is not found."""
    async with Sandbox() as sandbox:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.base_url.rpartition(":")[2]))
        writer.write(b"GET //[/v1/calls HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 40" in (await reader.read()).splitlines()[0]
        writer.close()
        await writer.wait_closed()


async def test_a_reader_that_leaves() -> None:
    """Leaving a live transcript in the middle frees its connection and harms nobody."""
    async with Sandbox(timing=Timing(ring=0.01, talk=60)) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            call = await client.calls.create(to=TO, from_=FROM)
            for _ in range(5):
                async with client.transcripts.stream(call.id, idle_timeout=1):
                    pass
            assert (await client.calls.retrieve(call.id)).id == call.id


async def test_port_in_use() -> None:
    """A port that is taken is an OSError, as it is."""
    async with Sandbox() as sandbox:
        with pytest.raises(OSError, match="in use"):
            async with Sandbox(port=int(sandbox.base_url.rpartition(":")[2])):
                pass
