"""The examples, run as a user would."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parent.parent


def test_quickstart() -> None:
    """The tour runs to its end on the embedded sandbox, in well under 15 seconds, and shows no key and no secret."""
    began = time.monotonic()
    run = subprocess.run(
        # By path and not as a module, so that the package installed is the one that runs.
        [sys.executable, "-W", "error", str(ROOT / "examples" / "quickstart.py")],
        capture_output=True, text=True, timeout=50, cwd="/",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for sign in (
        "is ringing",
        "customer",
        "bytes of audio/wav",
        "delivered",
        "answered,",
        "signature verified",
        "paced",
    ):
        assert sign in run.stdout
    assert "AJX_TEST_" not in run.stdout
    assert "whsec_" not in run.stdout
    assert time.monotonic() - began < 45


def test_live_dashboard() -> None:
    """Three calls are shown to their ends; those whose connection was cut say so and come back."""
    run = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "live_dashboard.py")],
        capture_output=True, text=True, timeout=50, cwd="/", env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.count(": reconnecting") == 2
    assert run.stdout.count(": ended") == 3
    assert run.stdout.count("1 reconnects") == 2
    assert run.stdout.count("customer: ") >= 9


async def _browser(session: aiohttp.ClientSession, url: str) -> tuple[dict[int, str], dict[str, object]]:
    """The finals a browser holds at the end, and the last message."""
    held: dict[int, str] = {}
    message: dict[str, object] = {}
    async with session.ws_connect(url) as socket:
        async for frame in socket:
            message = frame.json()
            if message.get("is_final"):
                held[int(str(message["sequence"]))] = str(message["text"])
    return held, message


@pytest.mark.asyncio
async def test_live_to_websocket(unused_tcp_port: int) -> None:
    """Browsers that join at once, in the middle and after the end all have the whole transcript."""
    base = f"127.0.0.1:{unused_tcp_port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AJOXI_")}
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "live_to_websocket.py"), "--port", str(unused_tcp_port)],
        env=environment, cwd="/",
    )  # fmt: skip
    try:
        async with asyncio.timeout(40), aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"http://{base}/") as page:
                        assert "WebSocket" in await page.text()
                        break
                await asyncio.sleep(0.05)
            async with session.post(f"http://{base}/calls") as response:
                watched = f"ws://{base}/calls/{(await response.json())['id']}"
            first = asyncio.ensure_future(_browser(session, watched))
            await asyncio.sleep(1.5)
            second, (whole, last) = await _browser(session, watched), await first
            third = await _browser(session, watched)
            assert len(whole) >= 5
            assert last == {"done": True}
            assert second[0] == third[0] == whole
            unknown, error = await _browser(session, f"ws://{base}/calls/call_unknown")
            assert not unknown
            assert "error" in error
    finally:
        server.terminate()
        server.wait(10)
