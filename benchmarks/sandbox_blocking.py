"""How long the event loop of the sandbox is blocked by each kind of request, at its largest.

    python benchmarks/sandbox_blocking.py                     # a million calls held; about five minutes
    python benchmarks/sandbox_blocking.py --held 100000

The sandbox runs in a process of its own, as `ajoxi sandbox` does, and is asked over HTTP: the largest bodies that are taken,
campaigns, pages, transcripts of calls of ten hours, the control surface, then the same with a file. Every turn of its event
loop is measured, in processor time of its thread and by the clock. Bar: no turn over 15 ms. What other programs take from the
machine is in the clock's figure and not in the other.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

HERE = Path(__file__).resolve().parent.parent
sys.path.append(str(HERE))

HELD, HELD_IN_FILE = 1_000_000, 200_000
FROM = "+14155550100"
CALL = {"to": "+15005550100", "from": FROM, "record": True}
#: Seconds of a call, and the time that is let pass after it.
TALK, AFTERWARDS = 36_000, 40_000
MIB = 1024 * 1024
#: Seconds in which what a request left behind, memory to be freed for instance, is counted for it.
SETTLING = 0.3


def _measure_turns() -> dict[str, float]:
    """Measure each turn of the event loop from now on; the longest ones since they were reset are in the result."""
    longest = {"processor": 0.0, "collector": 0.0, "clock": 0.0}
    run, collected = asyncio.Handle._run, [0.0, 0.0]

    def measured(self: asyncio.Handle) -> None:
        collected[1] = 0.0
        processor, clock = time.thread_time(), time.perf_counter()
        run(self)
        processor, clock = time.thread_time() - processor, time.perf_counter() - clock
        if processor > longest["processor"]:
            longest["processor"], longest["collector"] = processor, collected[1]
        longest["clock"] = max(longest["clock"], clock)

    def collecting(phase: str, _: Any) -> None:
        if phase == "start":
            collected[0] = time.thread_time()
        else:
            collected[1] += time.thread_time() - collected[0]

    asyncio.Handle._run = measured  # type: ignore[method-assign]
    gc.callbacks.append(collecting)
    return longest


def _serve(held: int, db: str | None) -> None:
    from ajoxi_async import Sandbox
    from ajoxi_async.sandbox import Timing

    async def main() -> None:
        longest = _measure_turns()
        async with Sandbox(rate_limit=None, clock="manual", timing=Timing(talk=TALK), db=db) as sandbox:
            sandbox.seed_calls(held)
            await sandbox.world().save()
            gc.collect()
            gc.freeze()
            found = {"url": sandbox.base_url, "key": sandbox.api_key, "token": sandbox.control_token}
            print(json.dumps(found), flush=True)
            while await asyncio.to_thread(sys.stdin.readline):
                print(json.dumps(longest), flush=True)
                longest.update(processor=0.0, collector=0.0, clock=0.0)

    asyncio.run(main())


class _Sandbox:
    """A sandbox in a process of its own, and a connection to it."""

    def __init__(self, held: int, db: str | None) -> None:
        command = [sys.executable, __file__, "--serve", str(held), *(["--db", db] if db else [])]
        env = {**os.environ, "PYTHONPATH": str(HERE)}
        self._process = subprocess.Popen(command, env=env, stdin=-1, stdout=-1, text=True)
        found = json.loads(self._told())
        self._key, self._token = found["key"], found["token"]
        self._connection = http.client.HTTPConnection(found["url"].removeprefix("http://"), timeout=600)

    def _told(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def longest(self) -> dict[str, float]:
        """Seconds of the longest turns since the last time."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._told())  # type: ignore[no-any-return]

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send a request; a body of bytes goes as it is."""
        token = self._token if path.startswith("/_ajoxi/") else self._key
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body, ensure_ascii=False).encode()
        self._connection.request(method, path, sent, {"Authorization": f"Bearer {token}"})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        """End it."""
        self._connection.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _campaign(contacts: int) -> dict[str, Any]:
    numbers = [f"+1212{number:07d}" for number in range(contacts)]
    metadata = {f"key{number}": "a value" for number in range(10)}
    return {"from": FROM, "metadata": metadata, "campaign": {"name": "c", "mode": "power", "contacts": numbers}}


def _filled(unit: bytes) -> bytes:
    """A body of a MiB that is full of something."""
    return b'{"to":[' + unit * (MIB // len(unit) - 4) + b"1]}"


def _bodies() -> Iterator[tuple[str, str, str, Any]]:
    big = {f"key{number:02d}": "\N{GRINNING FACE}" * 500 for number in range(50)}
    yield "POST calls", "POST", "/v1/calls", CALL
    yield "POST calls, the largest metadata", "POST", "/v1/calls", {**CALL, "metadata": big}
    yield "POST calls, 10,000 contacts", "POST", "/v1/calls", _campaign(10_000)
    yield "POST calls, 10,000 contacts and one that is wrong", "POST", "/v1/calls", _campaign(10_001)
    for name, unit in [("arrays", b"[],"), ("objects", b"{},"), ("texts", b'"[",'), ("floats", b"1.5e300,")]:
        yield f"POST calls, a MiB of {name}", "POST", "/v1/calls", _filled(unit)
    yield "POST calls, a MiB of members", "POST", "/v1/calls", {f"key{number}": 1 for number in range(70_000)}
    variables = {f"key{number}": "a value" for number in range(9_900)}
    message = {"to": "+14155551234", "from": FROM, "template_id": "t", "template_variables": variables}
    yield "POST messages, 9,900 variables", "POST", "/v1/messages", message


def _rounds(sandbox: _Sandbox, held: int) -> Iterator[tuple[str, str, str, Any]]:
    yield from _bodies()
    big = {f"key{number:02d}": "\N{GRINNING FACE}" * 500 for number in range(50)}
    for _ in range(200):
        sandbox.ask("POST", "/v1/calls", {**CALL, "metadata": big})
    yield "GET calls, a page of 20 MB", "GET", "/v1/calls?limit=200", None
    yield "GET calls, a page", "GET", "/v1/calls?limit=200&status=completed", None
    middle = json.loads(sandbox.ask("GET", f"/_ajoxi/calls?at={held // 2}&limit=1")[1])["data"][0]["created_at"]
    yield "GET calls, created_before", "GET", f"/v1/calls?limit=200&created_before={quote(middle)}", None
    yield "GET calls, no such", "GET", "/v1/calls?limit=200&status=completed&direction=inbound", None
    yield "GET _ajoxi/calls, rows by number", "GET", f"/_ajoxi/calls?at={held // 3}&limit=200", None
    call = json.loads(sandbox.ask("POST", "/v1/calls", CALL)[1])["id"]
    for _ in range(200):
        sandbox.ask("POST", "/v1/calls", CALL)
    yield "POST clock/advance", "POST", "/_ajoxi/clock/advance", {"seconds": AFTERWARDS}
    recording = json.loads(sandbox.ask("GET", f"/v1/calls/{call}")[1])["recording_id"]
    yield "GET transcripts, ten hours", "GET", f"/v1/transcripts/{call}", None
    yield "GET recordings, ten hours", "GET", f"/v1/recordings/{recording}", None
    yield "GET the audio", "GET", f"/media/{recording}.wav", None
    yield from _snapshots()


def _snapshots() -> Iterator[tuple[str, str, str, Any]]:
    yield "POST snapshots", "POST", "/_ajoxi/snapshots", None
    yield "POST calls, after it", "POST", "/v1/calls", CALL
    yield "POST snapshots, another", "POST", "/_ajoxi/snapshots", None
    yield "POST snapshots/{id}/restore", "POST", "/_ajoxi/snapshots/snap_1/restore", None
    yield "POST reset", "POST", "/_ajoxi/reset", None
    yield "DELETE snapshots/{id}", "DELETE", "/_ajoxi/snapshots/snap_1", None
    yield "DELETE snapshots/{id}, the last", "DELETE", "/_ajoxi/snapshots/snap_2", None


def _rounds_in_file() -> Iterator[tuple[str, str, str, Any]]:
    yield "POST calls", "POST", "/v1/calls", CALL
    yield "POST calls, 10,000 contacts", "POST", "/v1/calls", _campaign(10_000)
    yield from _snapshots()


def _measure(sandbox: _Sandbox, rounds: Iterator[tuple[str, str, str, Any]]) -> list[list[str]]:
    rows = []
    for name, method, path, body in rounds:
        time.sleep(SETTLING)
        sandbox.longest()
        began = time.perf_counter()
        status, answer = sandbox.ask(method, path, body)
        took = time.perf_counter() - began
        time.sleep(SETTLING)
        turns = sandbox.longest()
        times = (turns["processor"], turns["collector"], turns["clock"], took)
        rows.append([name, str(status), *(f"{seconds * 1000:,.1f}" for seconds in times), f"{len(answer):,}"])
        print(".", end="", file=sys.stderr, flush=True)
    return rows


def main(*, held: int = HELD) -> None:
    """Measure and print."""
    from benchmarks.tools import table

    head = ["answer", "longest turn, processor ms", "of it the collector", "by the clock", "answered in ms", "bytes"]
    with tempfile.TemporaryDirectory() as folder:
        for amount, db in [(held, None), (min(held, HELD_IN_FILE), str(Path(folder) / "worlds.db"))]:
            sandbox = _Sandbox(amount, db)
            rows = _measure(sandbox, _rounds_in_file() if db else _rounds(sandbox, amount))
            sandbox.close()
            print(table([f"{amount:,} calls held{', in a file' if db else ''}", *head], rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--held", type=int, default=HELD)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--db", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        _serve(options.serve, options.db)
    else:
        main(held=options.held)
