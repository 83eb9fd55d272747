"""``ajoxi webhooks trigger`` and ``doctor``: events are sent to a receiver.

Rule: `doctor` judges by answers alone. It cannot see from outside whether an event was handled once, and does not claim it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from attrs import frozen

from ajoxi_async.cli.output import say, warn
from ajoxi_async.cli.status import UsageError, report
from ajoxi_async.cli.webhooks.target import Target, check_secret, taken
from ajoxi_async.contract import checks, codec, signing
from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.webhooks.samples import sample_data

__all__ = ["run"]


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


def _refused(status: int | None) -> bool:
    return status is not None and 400 <= status < 500


def _later(status: int | None) -> bool:
    return taken(status) or status in {409, 503}


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
        _Check("every type of event is taken", types, taken),
        _Check("a duplicate is acknowledged", [signed(one), signed(one)], taken),
        _Check("duplicates at the same time are taken or put off", [signed(two)] * 3, _later, together=True),
        _Check("the order of events does not matter", order, taken),
        _Check("an unknown type is taken", [signed(_event("fax.pondered"))], taken),
        _Check("a retry of 23 hours later is taken", [signed(_event("call.started", age=timedelta(hours=23)))], taken),
        _Check("two signatures, as in a rotation", [signed(_event("call.started"), other, secret)], taken),
        _Check("a wrong signature is refused", [(_event("call.started"), "0" * 64)], _refused),
        _Check("a missing signature is refused", [(_event("call.started"), None)], _refused),
        _Check("the signature of a retired secret is refused", [signed(_event("call.started"), other)], _refused),
        _Check("a body serialised again is refused", [(again, signing.sign(two, [secret]))], _refused),
        _Check("white space around the body is refused", [(two + b"\n", signing.sign(two, [secret]))], _refused),
    ]


async def _doctor(target: Target, secret: str) -> bool:
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
            passed = passed and any(taken(status) for status in got)
        healthy = healthy and passed
        answers = ", ".join(target.shown(status) for status in got)
        say(f"{'ok  ' if passed else 'FAIL'}  {check.rule}: {answers}")
    quick = target.slowest < 10
    say(f"{'ok  ' if quick else 'FAIL'}  answers come well within 15 s: the slowest took {target.slowest:.2f} s")
    return healthy and quick


async def _trigger(target: Target, kind: str, secret: str) -> bool:
    body = _event(kind)
    status = await target.send(body, signing.sign(body, [secret]))
    say(f"{kind} {json.loads(body)['id']}: {target.shown(status)}")
    return taken(status)


async def _carry_out(options: argparse.Namespace, secret: str) -> bool:
    target = Target(options.url, options.allow_remote)
    try:
        if options.does == "doctor":
            return await _doctor(target, secret)
        return await _trigger(target, options.type, secret)
    finally:
        await target.aclose()


def run(options: argparse.Namespace) -> int:
    """Run one of the commands; returns 0 if the receiver passed."""
    secret = (options.secret or os.environ.get("AJOXI_WEBHOOK_SECRET", "")).strip()
    try:
        if not secret:
            raise UsageError("--secret: expected the webhook's secret, here or in AJOXI_WEBHOOK_SECRET")
        check_secret(secret)
        checks.http_url("url", options.url)
    except AjoxiError as error:
        return report(error, {"url": "URL" if options.does == "doctor" else "--to"})
    try:
        return 0 if asyncio.run(_carry_out(options, secret)) else 1
    except OSError as error:
        warn(str(error))
        return 1
