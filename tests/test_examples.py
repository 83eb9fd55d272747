"""The examples, run as a user would."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

ROOT = Path(__file__).parent.parent


def test_quickstart() -> None:
    """The tour runs to its end on the embedded sandbox, in well under 15 seconds, and shows no key and no secret."""
    began = time.monotonic()
    run = subprocess.run(
        # By path and not as a module, so that the package installed is the one that runs.
        [sys.executable, "-W", "error", str(ROOT / "examples" / "quickstart.py"), "20"],
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
        "20 rows of the report for 20 people; phones rang 20 times",
    ):
        assert sign in run.stdout
    assert "AJX_TEST_" not in run.stdout
    assert "whsec_" not in run.stdout
    assert time.monotonic() - began < 45


def test_campaign(tmp_path: Path) -> None:
    """Killed in the middle and run again, it calls nobody twice for one attempt, and names who is in doubt."""
    example = (ROOT / "examples" / "campaign.py").read_text()
    # As it stands, except that it takes less time: fewer people, who get one attempt.
    shorter = (
        example.replace("range(300)", "range(60)")
        .replace("attempts=3", "attempts=1")
        .replace("settled=10", "settled=3")
    )
    (tmp_path / "campaign.py").write_text(shorter)
    arguments = [sys.executable, "-W", "error", "campaign.py"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "60 rows: 60 imported, 0 duplicates, 0 refused, 0 do not call\n"
        first.stdout.readline()
        first.kill()
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=55, cwd=tmp_path, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    doubts = run.stdout.count("in doubt: +1212555")
    attempts, rang = map(int, re.findall(r"\d+", run.stdout.splitlines()[-1]))
    assert attempts == 60
    assert attempts - doubts == rang
    assert len((tmp_path / "campaign-example" / "report.csv").read_text().splitlines()) == 61


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


def test_sentiment_router() -> None:
    """The angry customer of the sandbox is transferred, and the contented one is not."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AJOXI_")}
    run = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "sentiment_router.py")],
        capture_output=True, text=True, timeout=50, cwd="/", env=environment, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("transferred to a senior agent after") == 1
    assert run.stdout.count("ended well") == 1


@pytest.mark.asyncio
async def test_web_backend(tmp_path: Path, unused_tcp_port: int) -> None:
    """The application passes its own tests, and serves its page on a sandbox without any settings."""
    # In a folder of its own, so that the package installed is the one that runs.
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AJOXI_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, [environment.get("PYTHONPATH")])])
    environment["PYTHONOPTIMIZE"] = ""  # pytest warns of it, and warnings are errors here
    arguments = {"env": {**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, "cwd": tmp_path}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-q", "-p", "anyio", "-p", "ajoxi_async.testing", "examples"],
        capture_output=True, text=True, timeout=50, check=False, **arguments,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout
    serving = [sys.executable, "-W", "error", "-m", "examples.web_backend", "--port", str(unused_tcp_port)]
    with subprocess.Popen(serving, stdout=subprocess.DEVNULL, **arguments) as server:
        try:
            async with asyncio.timeout(30), aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session:
                while True:
                    with suppress(aiohttp.ClientConnectionError):
                        async with session.get("/") as page:
                            assert "EventSource" in await page.text()
                            break
                    await asyncio.sleep(0.05)
        finally:
            server.terminate()


async def _browser(session: aiohttp.ClientSession, url: str) -> tuple[dict[int, str], dict[str, Any]]:
    """The finals a browser holds at the end, and the last message."""
    held: dict[int, str] = {}
    message: dict[str, Any] = {}
    async with session.ws_connect(url) as socket:
        async for frame in socket:
            message = frame.json()
            if message["event"] == "segment" and message["data"]["is_final"]:
                held[message["data"]["sequence"]] = message["data"]["text"]
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
            assert last["event"] == "completed"
            assert second[0] == third[0] == whole
            unknown, error = await _browser(session, f"ws://{base}/calls/call_unknown")
            assert not unknown
            assert error["data"]["code"] == "not_found"
    finally:
        server.terminate()
        server.wait(10)
