"""The command ``ajoxi``.

``sandbox`` runs the sandbox until it is interrupted, ``openapi`` prints the contract, ``webhooks`` tries receivers.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import signal
import sys
from collections.abc import Sequence
from importlib.resources import files

from ajoxi_async.cli import webhooks
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ajoxi", description="Tools around the Ajoxi API.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("openapi", help="print the API as an OpenAPI 3.1 document")
    sandbox = commands.add_parser("sandbox", help="run a simulator of the whole API; no phone rings")
    sandbox.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    sandbox.add_argument("--port", type=int, default=8027, help="port, 0 for a free one (default: %(default)s)")
    sandbox.add_argument("--seed", type=int, default=0, help="same seed, same ids and bodies (default: %(default)s)")
    sandbox.add_argument("--rate-limit", type=int, default=100, help="requests a second, 0 for no cap (default: 100)")
    sandbox.add_argument("--speed", type=float, default=1.0, help="seconds that pass in one second (default: 1)")
    sandbox.add_argument("--clock", choices=("real", "manual", "auto"), default="real", help="how time passes")
    sandbox.add_argument("--db", metavar="FILE", help="keep everything in this file (default: memory)")
    sandbox.add_argument("--control-token", help="what opens /_ajoxi/ (default: drawn and printed)")
    sandbox.add_argument("--allow-remote-webhooks", action="store_true", help="deliver to other machines as well")
    sandbox.add_argument("--strict-keys", action="store_true", help="take the printed key only")
    sandbox.add_argument("--allow-remote", action="store_true", help="permit a host that is not loopback")
    webhooks.add_parser(commands)
    return parser


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _sandbox(options: argparse.Namespace) -> None:
    from ajoxi_async.sandbox import RealClock, Sandbox

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Sandbox(
        host=options.host,
        port=options.port,
        seed=options.seed,
        rate_limit=options.rate_limit or None,
        strict_keys=options.strict_keys,
        clock=RealClock(options.speed) if options.clock == "real" else options.clock,
        control_token=options.control_token,
        db=options.db,
        allow_remote_webhooks=options.allow_remote_webhooks,
    ) as sandbox:
        print(f"Ajoxi sandbox on {sandbox.base_url}, key {sandbox.api_key}; Ctrl-C ends it. Try:\n")
        print(
            f"  curl -X POST {sandbox.base_url}/v1/calls \\\n"
            f'    -H "Authorization: Bearer {sandbox.api_key}" -H "Content-Type: application/json" \\\n'
            """    -d '{ "to": "+14155551234", "from": "+14155550100", "ai_receptionist": true }'""",
        )
        print(
            f"\nTime, faults, inbound calls: see docs/sandbox.md; token {sandbox.control_token}. For instance:\n\n"
            f"  curl {sandbox.base_url}/_ajoxi/clock -H 'Authorization: Bearer {sandbox.control_token}'",
            flush=True,
        )
        # This process is the sandbox's own: what was imported stays, and the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        await stop.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "openapi":
        print(files("ajoxi_async").joinpath("openapi.json").read_text("utf-8"), end="")
        return 0
    if options.command == "webhooks":
        return webhooks.run(options)
    if not options.allow_remote and not _is_loopback(options.host):
        parser.error(f"--host {options.host}: the sandbox knows no passwords; --allow-remote permits it all the same")
    if options.speed <= 0 or options.rate_limit < 0 or not 0 <= options.port < 65536:
        parser.error("--speed above 0, --rate-limit 0 or more, --port 0 to 65535")
    try:
        asyncio.run(_sandbox(options))
    except OSError as error:
        print(f"ajoxi: cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    except InvalidParameterError as error:
        print(f"ajoxi: --{error}", file=sys.stderr)
        return 1
    return 0
