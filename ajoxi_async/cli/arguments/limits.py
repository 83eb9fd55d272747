"""The arguments of ``ajoxi limits``."""

from __future__ import annotations

import argparse

from ajoxi_async.cli.arguments.account import add_account

__all__ = ["add"]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the parser of the command."""
    parser.description = "Show the rate limit as the server and the client see it. It makes one request for each line, which counts like any other."
    parser.add_argument("--every", type=float, metavar="SECONDS", help="go on, and ask again after so many seconds")
    parser.add_argument(
        "--format", choices=("table", "json", "jsonl"), help="(default: table on a terminal, else jsonl)"
    )
    add_account(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.live.limits import run

    return run(options)
