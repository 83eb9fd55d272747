"""A loopback server that writes canned bytes, in a process of its own.

Rules:
1. The client is what is measured: nothing is parsed but the first line of a request, and every answer is made once.
2. Every SDK gets the object it expects at the path it asks for, and all objects have the same size.
3. Every SDK gets the same headers, the rate limit of the Ajoxi API among them: one so high that nobody waits.
4. It ends with its parent: when its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from benchmarks.tools import pin

__all__ = ["call_body", "page_body", "running"]

#: Bytes of one object, whoever asks for it.
SIZE = 560
PAGES = (50, 200)

CALL: dict[str, Any] = {
    "id": "call_8f2a1b3c",
    "status": "completed",
    "ai_handler": "receptionist",
    "direction": "outbound",
    "from": "+14155550100",
    "to": "+14155551234",
    "created_at": "2026-11-23T09:30:00.000Z",
    "answered_at": "2026-11-23T09:30:04.120Z",
    "ended_at": "2026-11-23T09:31:37.480Z",
    "duration": 93,
    "disposition": "answered",
    "recording_url": "https://api.example.com/v1/recordings/rec_71c0",
    "metadata": {"order": "A-1001", "customer": "cus_5521", "note": ""},
}

#: What the others need besides, for their types to be satisfied.
PEERS: dict[str, dict[str, Any]] = {
    "stripe": {"object": "customer", "created": 1795426200, "livemode": False},
    "openai": {"object": "model", "created": 1795426200, "owned_by": "somebody"},
    "anthropic": {
        "type": "model",
        "display_name": "A model",
        "lifecycle": "active",
        "max_tokens": 4096,
        "created_at": "2026-11-23T09:30:00Z",
    },
    "telnyx": {"record_type": "recording", "channels": "dual", "duration_millis": 93000, "source": "call"},
    "twilio": {
        "sid": "CA" + "0" * 32,
        "account_sid": "AC" + "0" * 32,
        "date_created": "Mon, 23 Nov 2026 09:30:00 +0000",
        "start_time": "Mon, 23 Nov 2026 09:30:04 +0000",
        "end_time": "Mon, 23 Nov 2026 09:31:37 +0000",
    },
}

#: Left out first where an object of another's would grow too large.
SPARE = ("recording_url", "ai_handler", "ended_at", "answered_at", "disposition")


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _object(extra: dict[str, Any]) -> dict[str, Any]:
    body = {**CALL, **extra}
    if "lifecycle" not in extra and "created" in extra:
        del body["created_at"]
    for name in SPARE:
        if len(_dump(body)) > SIZE:
            del body[name]
    note = "x" * max(0, SIZE - len(_dump(body)))
    return {**body, "metadata": {**body["metadata"], "note": note}}


def call_body() -> bytes:
    """One call of the Ajoxi API."""
    return _dump(_object({}))


def page_body(items: int) -> bytes:
    """One page of calls of the Ajoxi API."""
    return _dump({"data": [_object({})] * items, "next_cursor": None, "has_more": False})


def _answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_4d1f0c\r\n"
        b"X-RateLimit-Limit: 1000000\r\nX-RateLimit-Remaining: 999999\r\nX-RateLimit-Reset: 1\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def _answers() -> tuple[dict[bytes, bytes], dict[tuple[bytes, bool], bytes]]:
    """The answers with one object, and those with a page, by path and whether it is the large one."""
    one = {peer: _object(extra) for peer, extra in PEERS.items()}
    objects = {
        b"/v1/calls/call_8f2a1b3c": call_body(),
        b"/v1/customers/cus_1": _dump(one["stripe"]),
        b"/openai/models/one": _dump(one["openai"]),
        b"/anthropic/v1/models/one": _dump(one["anthropic"]),
        b"/telnyx/recordings/one": _dump({"data": one["telnyx"]}),
        b"/2010-04-01/Accounts/AC1/Calls/CA1.json": _dump(one["twilio"]),
    }
    pages = {}
    for size in PAGES:
        large = size == PAGES[-1]
        pages |= {
            (b"/v1/calls", large): page_body(size),
            (b"/v1/customers", large): _dump({"object": "list", "has_more": False, "data": [one["stripe"]] * size}),
            (b"/openai/models", large): _dump({"object": "list", "data": [one["openai"]] * size}),
            (b"/anthropic/v1/models", large): _dump({"has_more": False, "data": [one["anthropic"]] * size}),
            (b"/telnyx/recordings", large): _dump({"data": [one["telnyx"]] * size, "meta": {"total_pages": 1}}),
            (b"/2010-04-01/Accounts/AC1/Calls.json", large): _dump(
                {"calls": [one["twilio"]] * size, "next_page_uri": None, "page_size": size}
            ),
        }
    return {path: _answer(body) for path, body in objects.items()}, {at: _answer(body) for at, body in pages.items()}


class _Canned(asyncio.Protocol):
    objects: dict[bytes, bytes]
    pages: dict[tuple[bytes, bool], bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            path, _, query = request[4 : request.index(b" ", 4)].partition(b"?")
            answer = self.objects.get(path) or self.pages.get((path, b"200" in query))
            self._transport.write(answer or b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def _serve() -> None:
    _Canned.objects, _Canned.pages = _answers()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Canned, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


@contextmanager
def running() -> Iterator[str]:
    """The server's URL, while it runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    pin(1)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve())
    else:  # so that it is never the server that is measured
        uvloop.run(_serve())
