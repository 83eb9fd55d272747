"""Commands drawn by a seed, and everything that goes over the wires meanwhile: to compare a world that is watched with one that is not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.lowlevel

from ajoxi_async import Sandbox
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import Fired

TO, FROM = "+15005550100", "+14155550100"

Wires = dict[str, list[Any]]
#: Watches a sandbox for as long as the block lasts.
Watch = Callable[[Sandbox], AbstractAsyncContextManager[None]]


async def played(seed: int, watch: Watch) -> Wires:
    """What goes over each wire, of commands drawn by a seed, while somebody watches: answers, streams, deliveries."""
    rng = random.Random(seed)
    wires: Wires = {"answers": [], "fired": []}

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        wire = wires.setdefault(url, [])
        wire.append((dict(headers), body))
        # Decided by what came over this wire: which of two endpoints is asked first may differ from run to run.
        drawn = random.Random(f"{seed}/{url}/{len(wire)}")
        for _ in range(drawn.randrange(3)):
            await anyio.lowlevel.checkpoint()
        return drawn.choice((200, 200, 500))

    def happened(fired: list[Fired]) -> None:
        wires["fired"].append([(one.at, one.what, one.id) for one in fired])

    async with (
        Sandbox(port=None, clock="manual", seed=seed, rate_limit=None, post=post) as sandbox,
        watch(sandbox),
    ):
        sent = {"Authorization": f"Bearer {sandbox.api_key}", "Content-Type": "application/json"}

        async def ask(method: str, path: str, body: Any = None) -> Any:
            encoded = json.dumps(body).encode() if body is not None else None
            answer = await sandbox.transport().send(Request(method, f"http://x/v1/{path}", sent, encoded))
            wires["answers"].append((method, path, answer.status, dict(answer.headers), answer.body))
            return json.loads(answer.body) if answer.status < 300 else None

        async def read(path: str, wire: list[Any]) -> None:
            request = Request("GET", f"http://x/v1/{path}", {**sent, "Accept": "text/event-stream"})
            async with sandbox.transport().stream(request) as stream:
                wire.append((stream.status, b"".join([chunk async for chunk in stream.chunks()])))

        async with anyio.create_task_group() as readers:
            for name in ("a", "b"):
                events = ["call.started", "call.completed", "message.delivered"]
                await ask("POST", "webhooks", {"url": f"http://127.0.0.1:9/{name}", "events": events})
            calls: list[str] = []
            for number in range(25):
                to = f"+1500555{rng.choice((100, 101, 102, 104, 122, 143, 161)):04d}"
                match rng.randrange(9):
                    case 0 | 1:
                        body = {"to": to, "from": FROM, "record": True, "ai_receptionist": True}
                        made = await ask("POST", "calls", body)
                        calls.extend([made["id"]] if made else [])
                    case 2:
                        await ask("POST", "messages", {"to": to, "from": FROM, "body": "hi"})
                    case 3:
                        campaign = {"name": "c", "mode": "power", "contacts": [to, TO]}
                        await ask("POST", "calls", {"from": FROM, "campaign": campaign})
                    case 4:
                        await ask("GET", f"calls?limit={rng.randrange(1, 9)}")
                    case 5:
                        happened(await sandbox.clock.advance(rng.choice((0, 0.4, 1, 60))))
                    case 6 if calls:
                        path = f"transcripts/{rng.choice(calls)}"
                        readers.start_soon(read, path, wires.setdefault(f"{path}, {number}", []))
                    case 7:
                        sandbox.faults.add(action="status", when="probability", p=0.3, match="calls.*")
                    case 8:
                        sandbox.inbound_message(from_=to, body=rng.choice(("STOP", "hi")))
            happened(await sandbox.clock.advance(until_idle=True))
        await ask("GET", "calls?limit=200")
        await ask("GET", "messages?limit=200")
    return wires
