"""Receivers in their frameworks, under real servers, against the sandbox's own deliveries."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract import signing

HERE = Path(__file__).parent

pytestmark = pytest.mark.asyncio

UVICORN = [sys.executable, "-m", "uvicorn", "--factory", "--host=127.0.0.1", "--port={port}", "--log-level=error"]
HYPERCORN = [sys.executable, "-m", "hypercorn", "--bind=127.0.0.1:{port}", "--log-level=error"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:{port}", "--log-level=error", "--workers=2"]

SERVERS = {
    "bare under uvicorn": [*UVICORN, "apps:bare"],
    "starlette under hypercorn": [*HYPERCORN, "apps:starlette()"],
    "fastapi under uvicorn": [*UVICORN, "apps:fastapi"],
    "litestar under uvicorn": [*UVICORN, "apps:litestar"],
    "quart under hypercorn": [*HYPERCORN, "apps:quart()"],
    "django under uvicorn": [*UVICORN, "apps:django_asgi"],
    "django under gunicorn": [*GUNICORN, "apps:django_wsgi()"],
    "flask under gunicorn": [*GUNICORN, "apps:flask()"],
    "aiohttp": [sys.executable, "apps.py"],
}


@asynccontextmanager
async def serving(command: list[str], port: int, secret: str, handled: Path) -> AsyncIterator[None]:
    """The receiver's process, from the moment it listens."""
    environment = {**os.environ, "SECRET": secret, "HANDLED": str(handled), "PORT": str(port)}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    process = subprocess.Popen(
        [part.replace("{port}", str(port)) for part in command], cwd=HERE, env=environment, stderr=subprocess.PIPE
    )
    try:
        with anyio.fail_after(20):
            while True:
                try:
                    await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    assert process.poll() is None, process.communicate()[1].decode()
                    await anyio.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("name", SERVERS)
async def test_deliveries_arrive(name: str, tmp_path: Path) -> None:
    """A delivery of the sandbox is handled once; repeated ones are acknowledged; the classic mistakes fail cleanly."""
    port, handled = free_port(), tmp_path / "handled"
    handled.touch()
    url = f"http://127.0.0.1:{port}/webhooks/ajoxi"
    async with Sandbox() as sandbox, AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        webhook = await client.webhooks.create(url=url, events=["message.received"])
        secret = str(webhook.secret)
        async with serving(SERVERS[name], port, secret, handled), httpx.AsyncClient(trust_env=False) as http:
            sandbox.inbound_message(from_="+14155551234", body="Grüße, and hello")
            with anyio.fail_after(10):
                while not handled.read_text():
                    await anyio.sleep(0.01)
            assert handled.read_text().startswith("evt_")
            body = msgspec.json.encode(
                {"id": "evt_again", "type": "message.received", "data": {"id": "msg_1", "body": "Grüße"}}
            )
            signature = {"X-Ajoxi-Signature": signing.sign(body, [secret])}
            for _ in range(2):
                assert (await http.post(url, content=body, headers=signature)).status_code == 204
            assert handled.read_text().split()[1:] == ["evt_again"]
            again = msgspec.json.format(body, indent=2)
            for changed in (again, body + b"\n", body[:-1], b""):
                refused = await http.post(url, content=changed, headers=signature)
                assert refused.status_code == 400
                assert refused.json()["error"]["param"] == "X-Ajoxi-Signature"
            assert (await http.post(url, content=body)).json()["error"]["code"] == "missing_parameter"
            assert (await http.get(url)).status_code == 405
            assert len(handled.read_text().split()) == 2
