"""The command ``ajoxi``.

``sandbox`` runs the sandbox until it is interrupted, ``openapi`` prints the contract, ``webhooks`` tests receivers, ``campaign``
dials lists of people, ``mcp`` serves agents.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import math
import sys
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ajoxi_async.cli import console_link, mcp, output, webhooks
from ajoxi_async.cli.campaign.arguments import add_parser as add_campaign
from ajoxi_async.cli.interrupts import interrupts
from ajoxi_async.cli.output import OutputError, say, warn
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.version import VERSION

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """Prints help and version with `output.say`, because argparse itself ignores errors of the output."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            say(message.removesuffix("\n"), needed=True)
        else:
            super()._print_message(message, file)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ajoxi", description="Tools around the Ajoxi API.")
    parser.add_argument("--version", action="version", version=f"ajoxi-async {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("openapi", help="print the API as an OpenAPI 3.1 document")
    sandbox = commands.add_parser("sandbox", help="run a simulator of the whole API; no phone rings")
    sandbox.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    sandbox.add_argument("--port", type=int, default=8027, help="port, 0 for a free one (default: %(default)s)")
    sandbox.add_argument("--seed", type=int, default=0, help="same seed, same ids and bodies (default: %(default)s)")
    sandbox.add_argument("--rate-limit", type=int, default=100, help="requests a second, 0 for no cap (default: 100)")
    sandbox.add_argument("--speed", type=float, default=1.0, help="seconds that pass in one second (default: 1)")
    sandbox.add_argument(
        "--clock", choices=("real", "live", "manual", "auto"), default="real",
        help="how time passes; live flows, can be paused, and jumps (default: real)",
    )  # fmt: skip
    sandbox.add_argument(
        "--timing", choices=("quick", "human"), default="quick",
        help="how long things take: a call of three seconds, or one that can be watched (default: quick)",
    )  # fmt: skip
    sandbox.add_argument("--marks", type=int, default=10, help="marks to rewind to, one before each jump (default: 10)")
    sandbox.add_argument("--capacity", type=int, metavar="N", help="outbound calls that ring at a time (default: any)")
    sandbox.add_argument("--agents", type=int, metavar="N", help="who talk to the people that campaigns reach")
    sandbox.add_argument("--changing-population", action="store_true", help="who did not answer may answer next time")
    sandbox.add_argument("--public-url", metavar="URL", help="where others reach it, for the URLs of recordings")
    sandbox.add_argument("--db", metavar="FILE", help="keep everything in this file (default: memory)")
    sandbox.add_argument("--control-token", help="what opens /_ajoxi/ (default: drawn and printed)")
    sandbox.add_argument("--allow-remote-webhooks", action="store_true", help="deliver to other machines as well")
    sandbox.add_argument("--strict-keys", action="store_true", help="take the printed key only")
    sandbox.add_argument(
        "--max-worlds", type=int, metavar="N", help="worlds of keys that come unminted (default: 1000)"
    )
    sandbox.add_argument("--allow-remote", action="store_true", help="permit a host that is not loopback")
    sandbox.add_argument("--open", action="store_true", help="open the console in the browser")
    sandbox.add_argument("--ledger", metavar="FILE", help="a ledger of the dialer, for the console to show")
    sandbox.add_argument("--no-console", action="store_true", help="without the console")
    sandbox.add_argument(
        "--console-remote",
        action="store_true",
        help="keep the console with --allow-remote; it answers this machine alone",
    )
    webhooks.add_parser(commands)
    add_campaign(commands)
    mcp.add_parser(commands)
    return parser


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _has_console(options: argparse.Namespace) -> bool:
    """Whether the sandbox has a console: unless it is not wanted, or other machines reach the sandbox."""
    return not options.no_console and (_is_loopback(options.host) or options.console_remote)


async def _sandbox(options: argparse.Namespace) -> None:
    from ajoxi_async.sandbox import Population, RealClock, Sandbox, Settings, Timing
    from ajoxi_async.sandbox.time.clock import Clock

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
        console=_has_console(options),
        ledger=options.ledger,
        allow_remote_webhooks=options.allow_remote_webhooks,
    )
    with interrupts() as interrupt:
        async with sandbox:
            told = _ON_SANDBOX.format(url=sandbox.base_url, key=sandbox.api_key, token=sandbox.control_token)
            if _has_console(options):
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


def _openapi() -> None:
    text = files("ajoxi_async").joinpath("openapi.json").read_text("utf-8")
    say(text.removesuffix("\n"), needed=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    output.prepare()
    try:
        return _run(argv)
    except OutputError as error:
        if str(error):
            warn(str(error))
        return error.status
    except KeyboardInterrupt:
        return 130


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "openapi":
        _openapi()
        return 0
    if options.command == "webhooks":
        return webhooks.run(options)
    if options.command == "mcp":
        return mcp.run(options)
    if options.command == "campaign":
        from ajoxi_async.cli import campaign

        return campaign.run(options)
    if not options.allow_remote and not _is_loopback(options.host):
        parser.error(f"--host {options.host}: the sandbox knows no passwords; --allow-remote permits it all the same")
    if options.ledger is not None and not _has_console(options):
        parser.error("--ledger: there is no console to show it")
    if options.open and not _has_console(options):
        parser.error("--open: there is no console; with --allow-remote, --console-remote keeps it")
    if options.speed != 1 and options.clock in {"manual", "auto"}:
        parser.error("--speed is of --clock real and live, where time passes by itself")
    if not 0 < options.speed < math.inf or options.rate_limit < 0 or options.marks < 0 or not 0 <= options.port < 65536:
        parser.error("--speed above 0, --rate-limit and --marks 0 or more, --port 0 to 65535")
    try:
        asyncio.run(_sandbox(options))
    except OSError as error:
        warn(f"cannot listen on {options.host}:{options.port}: {error}")
        return 1
    except InvalidParameterError as error:
        warn(f"--{error.param.replace('_', '-')}: {error.why}")
        return 1
    return 0
