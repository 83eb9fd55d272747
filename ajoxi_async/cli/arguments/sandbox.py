"""The arguments of ``ajoxi sandbox``."""

from __future__ import annotations

import argparse

__all__ = ["add"]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of the command."""
    parser.set_defaults(run=_run, parser=parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8027, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same ids and bodies (default: %(default)s)")
    parser.add_argument("--rate-limit", type=int, default=100, help="requests a second, 0 for no cap (default: 100)")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds that pass in one second (default: 1)")
    parser.add_argument(
        "--clock", choices=("real", "live", "manual", "auto"), default="real",
        help="how time passes; live flows, can be paused, and jumps (default: real)",
    )  # fmt: skip
    parser.add_argument(
        "--timing", choices=("quick", "human"), default="quick",
        help="how long things take: a call of three seconds, or one that can be watched (default: quick)",
    )  # fmt: skip
    parser.add_argument("--marks", type=int, default=10, help="marks to rewind to, one before each jump (default: 10)")
    parser.add_argument("--capacity", type=int, metavar="N", help="outbound calls that ring at a time (default: any)")
    parser.add_argument("--agents", type=int, metavar="N", help="who talk to the people that campaigns reach")
    parser.add_argument("--changing-population", action="store_true", help="who did not answer may answer next time")
    parser.add_argument("--public-url", metavar="URL", help="where others reach it, for the URLs of recordings")
    parser.add_argument("--db", metavar="FILE", help="keep everything in this file (default: memory)")
    parser.add_argument("--control-token", help="what opens /_ajoxi/ (default: drawn and printed)")
    parser.add_argument("--allow-remote-webhooks", action="store_true", help="deliver to other machines as well")
    parser.add_argument("--strict-keys", action="store_true", help="take the printed key only")
    parser.add_argument("--max-worlds", type=int, metavar="N", help="worlds of keys that come unminted (default: 1000)")
    parser.add_argument("--allow-remote", action="store_true", help="permit a host that is not loopback")
    parser.add_argument("--open", action="store_true", help="open the console in the browser")
    parser.add_argument("--ledger", metavar="FILE", help="a ledger of the dialer, for the console to show")
    parser.add_argument("--no-console", action="store_true", help="without the console")
    parser.add_argument(
        "--console-remote",
        action="store_true",
        help="keep the console with --allow-remote; it answers this machine alone",
    )


def _run(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.sandbox import run

    return run(options)
