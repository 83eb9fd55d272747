"""Receivers in their frameworks, under real servers, against the sandbox's own deliveries."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
import pytest_asyncio
import redis
from attrs import frozen

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.contract import signing

HERE = Path(__file__).parent

pytestmark = pytest.mark.asyncio(loop_scope="module")

UVICORN = [sys.executable, "-m", "uvicorn", "--factory", "--host=127.0.0.1", "--port={port}", "--log-level=error"]
HYPERCORN = [sys.executable, "-m", "hypercorn", "--bind=127.0.0.1:{port}", "--log-level=error"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:{port}", "--log-level=error", "--workers=2"]

GEVENT = [*GUNICORN, "--worker-class=gevent"]
WAITRESS = [sys.executable, "-m", "waitress", "--listen=127.0.0.1:{port}", "--threads=8"]

SERVERS = {
    "bare under uvicorn": [*UVICORN, "apps:bare"],
    "starlette under hypercorn": [*HYPERCORN, "apps:starlette()"],
    "fastapi under uvicorn": [*UVICORN, "apps:fastapi"],
    "litestar under uvicorn": [*UVICORN, "apps:litestar"],
    "quart under hypercorn": [*HYPERCORN, "apps:quart()"],
    "django under uvicorn": [*UVICORN, "apps:django_asgi"],
    "django under gunicorn": [*GUNICORN, "apps:django_wsgi()"],
    "flask under gunicorn": [*GUNICORN, "apps:flask()"],
    "django under gevent": [*GEVENT, "apps:django_wsgi()"],
    "django under waitress": [*WAITRESS, "--call", "apps:django_wsgi"],
    "flask under gevent": [*GEVENT, "apps:flask()"],
    "flask under threads, loaded before the fork": [*GUNICORN, "--threads=4", "--preload", "apps:flask()"],
    "flask under waitress": [*WAITRESS, "--call", "apps:flask"],
    "flask under uvicorn": [*UVICORN, "apps:flask_in_a_thread_of_asgi"],
    "flask in a running loop": [*UVICORN, "apps:flask_in_the_loop"],
    "aiohttp": [sys.executable, "apps.py"],
}


@asynccontextmanager
async def serving(
    command: list[str], port: int, secret: str, handled: Path, handling: float = 0, **more: str
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The receiver's process, from the moment it listens; `handling` is how many seconds an event takes, `more` its environment."""
    environment = {**os.environ, "SECRET": secret, "HANDLED": str(handled), "PORT": str(port)}
    environment |= {"HANDLING": str(handling), **more}
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
        yield process
    finally:
        process.terminate()
        try:
            print(process.communicate(timeout=10)[1].decode())  # shown where the test failed
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # gunicorn ends its workers at once
            process.communicate(timeout=10)
            raise


def new_connections() -> httpx.AsyncClient:
    """A client that keeps none: asgiref's adapter for WSGI fails now and then on the second request of a connection."""
    return httpx.AsyncClient(trust_env=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@frozen
class Receiver:
    """A receiver in its framework, and the sandbox that delivers to it.

    Attributes:
        url: where the sandbox delivers to; middlewares and hooks read the body before the receiver does.
        handled: the file of what was handled.
    """

    name: str
    port: int
    url: str
    secret: str
    handled: Path
    process: subprocess.Popen[bytes]
    sandbox: Sandbox


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SERVERS)
async def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    """Each receiver, for all tests that take it: most of a short test would go into its start."""
    name, port, handled = request.param, free_port(), tmp_path_factory.mktemp("receiver") / "handled"
    url = f"http://127.0.0.1:{port}/webhooks/ajoxi?nosy=1"
    async with Sandbox() as sandbox, AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        webhook = await client.webhooks.create(url=url, events=["message.received"])
        secret = str(webhook.secret)
        async with serving(SERVERS[name], port, secret, handled, handling=0.05) as process:
            yield Receiver(name, port, url, secret, handled, process, sandbox)


async def test_deliveries_arrive(receiver: Receiver) -> None:
    """A delivery of the sandbox is handled once; repeated ones are acknowledged; the classic mistakes fail cleanly."""
    url, handled, sandbox = receiver.url, receiver.handled, receiver.sandbox
    handled.write_text("")
    async with new_connections() as http:
        sandbox.inbound_message(from_="+14155551234", body="Grüße, and hello")
        with anyio.fail_after(40):
            while not sandbox.world().find_deliveries(state="delivered"):
                await anyio.sleep(0.01)
        (delivery,) = sandbox.world().find_deliveries()
        assert delivery.attempts == 1
        assert handled.read_text().split() == [delivery.event_id]
        body, signed = event("evt_again", receiver.secret)
        signature = {"X-Ajoxi-Signature": signed}
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


def event(id: str, secret: str) -> tuple[bytes, str]:
    """The body of a delivery, and its signature."""
    body = msgspec.json.encode({"id": id, "type": "message.received", "data": {"id": "msg_1", "body": "Grüße"}})
    return body, signing.sign(body, [secret])


async def deliver_at_once(port: int, handled: Path, secret: str) -> None:
    """Sixteen deliveries that overlap are each handled and answered 204, whatever loops and greenlets the server has."""
    statuses: list[int] = []

    async def deliver(http: httpx.AsyncClient, number: int) -> None:
        body, signature = event(f"evt_{number}", secret)
        url, headers = f"http://127.0.0.1:{port}/webhooks/ajoxi", {"X-Ajoxi-Signature": signature}
        # Delivered again where the connection broke, as the platform does: gunicorn's threaded worker resets one at times.
        for attempt in range(4):
            try:
                statuses.append((await http.post(url, content=body, headers=headers)).status_code)
            except httpx.TransportError:
                if attempt == 3:
                    raise
                await anyio.sleep(0.2)
            else:
                return

    async with new_connections() as http, anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(deliver, http, number)
    assert statuses == [204] * 16
    assert sorted(handled.read_text().split()) == sorted(f"evt_{number}" for number in range(16))
    handled.write_text("")


async def test_a_redis_log_under_gevent(tmp_path: Path, redis_url: str) -> None:
    """Connections that deliveries share belong to one thread: greenlets of another one could not use them."""
    port, handled = free_port(), tmp_path / "handled"
    handled.touch()
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    secret = "whsec_0123456789"
    async with serving(SERVERS["flask under gevent"], port, secret, handled, handling=0.1, REDIS_URL=redis_url):
        await deliver_at_once(port, handled, secret)


async def post(port: int, head: str, *pieces: bytes, half_close: bool = False) -> int | None:
    """Post by hand and return the status, or ``None`` where the server hangs up without one."""
    stream = await anyio.connect_tcp("127.0.0.1", port)
    async with stream:
        answered, received = anyio.Event(), bytearray()

        async def read() -> None:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while b"\r\n" not in received:
                    received.extend(await stream.receive())
            answered.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            with suppress(anyio.BrokenResourceError):
                await stream.send(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
                for piece in pieces:
                    if not answered.is_set():
                        await stream.send(piece)
                if half_close:
                    await stream.send_eof()
            with anyio.fail_after(20):
                await answered.wait()
        return int(received.split()[1]) if received else None


def chunk(piece: bytes) -> bytes:
    """A piece of a chunked body."""
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def most_memory(process: subprocess.Popen[bytes]) -> int:
    """The most bytes that the process or one of its children ever had in memory."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    status = [Path(f"/proc/{pid}/status").read_text() for pid in (str(process.pid), *children)]
    return max(int(re.search(r"VmHWM:\s+(\d+) kB", one)[1]) * 1024 for one in status)  # type: ignore[index]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
async def test_at_once_and_in_odd_bodies(receiver: Receiver) -> None:
    """Overlapping deliveries, chunked bodies and two signature headers are taken; what is cut or too large is not kept."""
    port, handled, secret = receiver.port, receiver.handled, receiver.secret
    handled.write_text("")
    head = f"POST /webhooks/ajoxi HTTP/1.1\nHost: 127.0.0.1:{port}\nContent-Type: application/json"
    in_chunks = f"{head}\nTransfer-Encoding: chunked"
    await deliver_at_once(port, handled, secret)
    if receiver.name == "flask in a running loop":  # whose adapter is the tests' own, and reads the body by itself
        return
    body, signature = event("evt_chunked", secret)
    pieces = [chunk(body[:10]), chunk(body[10:]), b"0\r\n\r\n"]
    assert await post(port, f"{in_chunks}\nX-Ajoxi-Signature: {signature}", *pieces) == 204
    body, signature = event("evt_twice", secret)
    twice = f"{head}\nX-Ajoxi-Signature: {'0' * 64}\nX-Ajoxi-Signature: {signature}\nContent-Length: {len(body)}"
    assert await post(port, twice, body) == 204
    assert sorted(handled.read_text().split()) == ["evt_chunked", "evt_twice"]

    body, signature = event("evt_cut", secret)
    signed = f"{head}\nX-Ajoxi-Signature: {signature}"
    cut = f"{signed}\nContent-Length: {len(body)}"
    assert await post(port, cut, body[:-5], half_close=True) in {None, 400, 500}
    assert await post(port, f"{in_chunks}\nX-Ajoxi-Signature: {signature}", chunk(body[:-5]), half_close=True) in {
        None, 400, 500,
    }  # fmt: skip
    assert await post(port, f"{signed}\nContent-Length: {len(body) - 5}", body[:-5]) == 400
    assert await post(port, f"{head}\nContent-Length: {200 * 2**20}", b"x", half_close=True) in {
        None, 400, 413, 500,
    }  # fmt: skip

    before = most_memory(receiver.process)
    million = chunk(b"x" * 2**20)
    assert await post(port, in_chunks, *[million] * 40, b"0\r\n\r\n") in {413, None}
    grown = most_memory(receiver.process) - before
    body, signature = event("evt_after", secret)
    assert await post(port, f"{head}\nX-Ajoxi-Signature: {signature}\nContent-Length: {len(body)}", body) == 204
    assert handled.read_text().split()[2:] == ["evt_after"]
    assert grown < 16 * 2**20
