"""``ajoxi sandbox``: run the sandbox until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import math

from ajoxi_async.cli import console_link
from ajoxi_async.cli.interrupts import interrupts
from ajoxi_async.cli.output import say, warn
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox import Population, RealClock, Sandbox, Settings, Timing
from ajoxi_async.sandbox.time.clock import Clock

__all__ = ["has_console", "run"]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_console(options: argparse.Namespace) -> bool:
    """Whether the sandbox has a console: unless it is not wanted, or other machines reach the sandbox."""
    return not options.no_console and (_is_loopback(options.host) or options.console_remote)


async def _sandbox(options: argparse.Namespace) -> None:
    clocks: dict[str, Clock | str] = {"real": RealClock(options.speed), "live": f"live={options.speed}"}
    sandbox = Sandbox(
        **({"max_worlds": options.max_worlds} if options.max_worlds is not None else {}),
        host=options.host,
        port=options.port,
        seed=options.seed,
        rate_limit=options.rate_limit or None,
        strict_keys=options.strict_keys,
        settings=Settings(
            population=Population(changes=options.changing_population),
            capacity=options.capacity,
            agents=options.agents,
        ),
        clock=clocks.get(options.clock, options.clock),
        timing=Timing.human() if options.timing == "human" else Timing(),
        control_token=options.control_token,
        marks=options.marks,
        public_url=options.public_url,
        db=options.db,
        console=has_console(options),
        ledger=options.ledger,
        allow_remote_webhooks=options.allow_remote_webhooks,
    )
    with interrupts() as interrupt:
        async with sandbox:
            told = _ON_SANDBOX.format(url=sandbox.base_url, key=sandbox.api_key, token=sandbox.control_token)
            if has_console(options):
                told += console_link.offer(lambda: sandbox.console_url)
            # Printed at once: whoever reads the first line may have closed the pipe before a second print.
            say(told)
            if options.open:
                await console_link.show(lambda: sandbox.console_url)
            # Only the sandbox runs in this process. The imported modules stay, so the garbage collector need not visit them.
            gc.collect()
            gc.freeze()
            await interrupt.wait()


_ON_SANDBOX = """\
Ajoxi sandbox on {url}, key {key}; Ctrl-C ends it. Try:

  curl -X POST {url}/v1/calls \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{ "to": "+14155551234", "from": "+14155550100", "ai_receptionist": true }}'

Time, faults, inbound calls: see docs/sandbox.md; token {token}. For instance:

  curl {url}/_ajoxi/clock -H 'Authorization: Bearer {token}'"""


def run(options: argparse.Namespace) -> int:
    """Run the sandbox; return the exit status."""
    refuse = options.parser.error
    if not options.allow_remote and not _is_loopback(options.host):
        refuse(f"--host {options.host}: the sandbox knows no passwords; --allow-remote permits it all the same")
    if options.ledger is not None and not has_console(options):
        refuse("--ledger: there is no console to show it")
    if options.open and not has_console(options):
        refuse("--open: there is no console; with --allow-remote, --console-remote keeps it")
    if options.speed != 1 and options.clock in {"manual", "auto"}:
        refuse("--speed is of --clock real and live, where time passes by itself")
    if not 0 < options.speed < math.inf or options.rate_limit < 0 or options.marks < 0 or not 0 <= options.port < 65536:
        refuse("--speed above 0, --rate-limit and --marks 0 or more, --port 0 to 65535")
    try:
        asyncio.run(_sandbox(options))
    except OSError as error:
        warn(f"cannot listen on {options.host}:{options.port}: {error}")
        return 1
    except InvalidParameterError as error:
        warn(f"--{error.param.replace('_', '-')}: {error.why}")
        return 1
    return 0
