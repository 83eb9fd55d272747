"""``ajoxi limits``: the rate limit as the server and the client see it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from ajoxi_async.cli.interrupts import unless_interrupted
from ajoxi_async.cli.keys.choice import open_client
from ajoxi_async.cli.output import check_open, say
from ajoxi_async.cli.show.formats import default_format, json_line, json_text
from ajoxi_async.cli.show.text import printable
from ajoxi_async.cli.status import UsageError, report
from ajoxi_async.client import AsyncAjoxi
from ajoxi_async.contract import headers
from ajoxi_async.contract.errors import AjoxiError

__all__ = ["lines", "run"]

_SHORTEST: Final = 0.1


def run(options: argparse.Namespace) -> int:
    """Show the rate limit; return the exit status."""
    try:
        if options.every is not None and not _SHORTEST <= options.every <= 3600:
            raise UsageError(f"--every: expected {_SHORTEST:g} to 3600 seconds")
        check_open()
        client = open_client(options)
        return asyncio.run(unless_interrupted(_show(client, options), 0))
    except AjoxiError as error:
        return report(error)


async def _show(client: AsyncAjoxi, options: argparse.Namespace) -> int:
    format = options.format or default_format(listing=True)
    call_options = {} if options.timeout is None else {"timeout": options.timeout}
    async with client:
        while True:
            raw = await client.with_raw_response(client.calls.list)(limit=1, **call_options)
            seen = _seen(client, raw.headers, raw.request_id)
            if format == "table":
                say("\n".join(lines(seen)), needed=True)
            elif format == "json":
                say(json_text(seen, indent=2), needed=True)
            else:
                json_line(seen)
            if options.every is None:
                return 0
            await asyncio.sleep(options.every)


def _seen(client: AsyncAjoxi, answered: Mapping[str, str], request_id: str | None) -> dict[str, Any]:
    now = client.limiter.snapshot()
    return {
        "server": {
            "limit": answered.get(headers.RATE_LIMIT),
            "remaining": answered.get(headers.RATE_REMAINING),
            "reset": answered.get(headers.RATE_RESET),
            "request_id": request_id,
        },
        "client": {
            "limit": now.limit,
            "pace": now.pace if isfinite(now.pace) else None,
            "in_use": now.in_use,
            "waiting": dict(now.waiting),
            "next_free": now.next_free if isfinite(now.next_free) else None,
            "granted": now.granted,
            "delayed": now.delayed,
            "refused": now.refused,
        },
    }


def lines(seen: Mapping[str, Any]) -> list[str]:
    """What was seen, as lines for people."""
    server, ours = seen["server"], seen["client"]
    if server["limit"] is None:
        told = "no limit is named"
    else:
        told = f"{server['limit']} requests a second, {server['remaining']} left, the whole limit again at {_time(server['reset'])}"
    limit = "no limit" if ours["limit"] is None else f"{ours['limit']} a second"
    pace = "" if ours["pace"] is None else f", {ours['pace']:.1f} may go out now"
    return [
        printable(f"server  {told}"),
        f"client  {limit}{pace}; {ours['in_use']} in use, {sum(ours['waiting'].values())} waiting",
        f"so far  {ours['granted']} sent, {ours['delayed']} of them had to wait, {ours['refused']} were refused with 429",
    ]


def _time(reset: str | None) -> str:
    try:
        return f"{datetime.fromtimestamp(float(reset or ''), UTC):%H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
