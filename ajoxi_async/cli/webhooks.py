"""``ajoxi webhooks``: test a receiver of webhooks without waiting for a phone to ring.

Rules:
1. Deliveries are posted to this machine only, unless ``--allow-remote`` is given. Redirects are not followed.
2. `listen` forwards the bytes and the signature unchanged, so that the target can verify them, and returns the target's
   answer, so that the sender retries after a failure of the target.
3. `doctor` judges by answers alone. It cannot see from outside whether an event was handled once, and does not claim it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from ajoxi_async.cli.interrupts import interrupts
from ajoxi_async.cli.output import OutputError, say, warn
from ajoxi_async.contract import checks, codec, signing
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.headers import CONTENT_TYPE, JSON, SIGNATURE
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.webhooks.samples import sample_data

__all__ = ["add_parser", "run"]


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Add ``webhooks`` and its commands."""
    does = commands.add_parser("webhooks", help="try a receiver of webhooks").add_subparsers(dest="does", required=True)
    listen = does.add_parser("listen", help="show deliveries, and forward them as they are")
    listen.add_argument("--forward-to", metavar="URL", dest="url", required=True)
    listen.add_argument(
        "--port", type=int, default=8028, help="port on this machine (default: %(default)s, 0: a free one)"
    )
    trigger = does.add_parser("trigger", help="send one signed event")
    trigger.add_argument("type", choices=[event.value for event in EventType])
    trigger.add_argument("--to", metavar="URL", dest="url", required=True)
    doctor = does.add_parser("doctor", help="try what goes wrong with receivers; a verdict for each rule")
    doctor.add_argument("url", metavar="URL")
    for one in (trigger, doctor):
        one.add_argument("--secret", help="the webhook's secret (default: AJOXI_WEBHOOK_SECRET)")
    for one in (listen, trigger, doctor):
        one.add_argument("--allow-remote", action="store_true", help="post to other machines as well")


def _event(kind: str, *, age: timedelta = timedelta()) -> bytes:
    return codec.encode(
        {
            "id": f"evt_{secrets.token_hex(8)}",
            "type": kind,
            "created_at": codec.format_time(datetime.now(UTC) - age),
            "mode": "test",
            "data": sample_data(kind),
        }
    )


class _Target:
    """The receiver under test."""

    def __init__(self, url: str, remote: bool) -> None:
        from ajoxi_async.sandbox.delivery.post import NOT_PERMITTED, HttpPost

        self._url, self._post = url, HttpPost(remote=remote)
        self.slowest = 0.0
        self._why = ""
        self._hints = {NOT_PERMITTED: "; other machines only with --allow-remote"}

    async def send(self, body: bytes, signature: str | None) -> int | None:
        """Post a body; returns the status, or None if there was no answer in time."""
        began = time.monotonic()
        sent = {CONTENT_TYPE: JSON} | ({SIGNATURE: signature} if signature else {})
        answer = await self._post(self._url, sent, body)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self._why = answer.error or ""
        return answer.status

    def shown(self, status: int | None) -> str:
        """A status as text, or that there was no answer."""
        if status is not None:
            return str(status)
        return f"no answer ({self._why}{self._hints.get(self._why, '')})"

    async def aclose(self) -> None:
        await self._post.aclose()


def _taken(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def _refused(status: int | None) -> bool:
    return status is not None and 400 <= status < 500


def _later(status: int | None) -> bool:
    return _taken(status) or status in {409, 503}


@frozen
class _Check:
    """Deliveries, sent one after the other or all at once, and the answer that each must get."""

    rule: str
    deliveries: Sequence[tuple[bytes, str | None]]
    accepts: Callable[[int | None], bool]
    together: bool = False


def _checks(secret: str) -> list[_Check]:
    def signed(body: bytes, *keys: str) -> tuple[bytes, str]:
        return body, signing.sign(body, keys or [secret])

    one, two, other = _event("call.completed"), _event("call.completed"), f"whsec_{secrets.token_hex(16)}"
    again = json.dumps(json.loads(two), indent=1).encode()
    order = [signed(_event(kind)) for kind in ("call.completed", "call.answered", "call.started")]
    types = [signed(_event(event.value)) for event in EventType]
    return [
        _Check("every type of event is taken", types, _taken),
        _Check("a duplicate is acknowledged", [signed(one), signed(one)], _taken),
        _Check("duplicates at the same time are taken or put off", [signed(two)] * 3, _later, together=True),
        _Check("the order of events does not matter", order, _taken),
        _Check("an unknown type is taken", [signed(_event("fax.pondered"))], _taken),
        _Check("a retry of 23 hours later is taken", [signed(_event("call.started", age=timedelta(hours=23)))], _taken),
        _Check("two signatures, as in a rotation", [signed(_event("call.started"), other, secret)], _taken),
        _Check("a wrong signature is refused", [(_event("call.started"), "0" * 64)], _refused),
        _Check("a missing signature is refused", [(_event("call.started"), None)], _refused),
        _Check("the signature of a retired secret is refused", [signed(_event("call.started"), other)], _refused),
        _Check("a body serialised again is refused", [(again, signing.sign(two, [secret]))], _refused),
        _Check("white space around the body is refused", [(two + b"\n", signing.sign(two, [secret]))], _refused),
    ]


async def _doctor(target: _Target, secret: str) -> bool:
    healthy = True
    for number, check in enumerate(_checks(secret)):
        if check.together:
            got = await asyncio.gather(*(target.send(*one) for one in check.deliveries))
        else:
            got = [await target.send(*one) for one in check.deliveries]
        if number == 0 and all(status is None for status in got):
            say(f"FAIL  nothing is answered: {target.shown(None)}; nothing else was tried")
            return False
        passed = all(check.accepts(status) for status in got)
        if check.together:
            passed = passed and any(_taken(status) for status in got)
        healthy = healthy and passed
        answers = ", ".join(target.shown(status) for status in got)
        say(f"{'ok  ' if passed else 'FAIL'}  {check.rule}: {answers}")
    quick = target.slowest < 10
    say(f"{'ok  ' if quick else 'FAIL'}  answers come well within 15 s: the slowest took {target.slowest:.2f} s")
    return healthy and quick


async def _trigger(target: _Target, kind: str, secret: str) -> bool:
    body = _event(kind)
    status = await target.send(body, signing.sign(body, [secret]))
    say(f"{kind} {json.loads(body)['id']}: {target.shown(status)}")
    return _taken(status)


async def _listen(target: _Target, port: int) -> None:
    from aiohttp import web

    unwritten: list[OutputError] = []

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        status = await target.send(body, ",".join(request.headers.getall(SIGNATURE, ())) or None)
        try:
            event = codec.parse_json(body)
            shown = f"{event['type']} {event['id']}"
        except (codec.DecodeError, TypeError, KeyError):
            shown = f"{len(body)} bytes that are no event"
        try:
            say(f"{ascii(shown)[1:-1]}: {target.shown(status)}")
        except OutputError as error:
            # The delivery was forwarded, so it is answered before the command ends.
            unwritten.append(error)
            interrupt.set()
        return web.Response(status=502 if status is None else status)

    app = web.Application()
    app.router.add_post("/{path:.*}", forward)
    runner = web.AppRunner(app)
    with interrupts() as interrupt:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            say(f"Listening on http://127.0.0.1:{runner.addresses[0][1]}/ ; Ctrl-C ends it.")
            await interrupt.wait()
        finally:
            await runner.cleanup()
    if unwritten:
        raise unwritten[0]


async def _run(options: argparse.Namespace, secret: str) -> bool:
    target = _Target(options.url, options.allow_remote)
    try:
        if options.does == "doctor":
            return await _doctor(target, secret)
        if options.does == "trigger":
            return await _trigger(target, options.type, secret)
        await _listen(target, options.port)
        return True
    finally:
        await target.aclose()


def run(options: argparse.Namespace) -> int:
    """Run one of the commands; returns 0 if the receiver passed."""
    secret = getattr(options, "secret", None) or os.environ.get("AJOXI_WEBHOOK_SECRET", "")
    if options.does != "listen" and not secret.strip():
        warn("--secret: expected the webhook's secret, here or in AJOXI_WEBHOOK_SECRET")
        return 2
    try:
        checks.http_url("URL", options.url)
    except InvalidParameterError as error:
        warn(str(error))
        return 2
    if not 0 <= getattr(options, "port", 0) < 65536:
        warn("--port: expected 0 to 65535")
        return 2
    try:
        return 0 if asyncio.run(_run(options, secret)) else 1
    except OSError as error:
        warn(str(error))
        return 1
