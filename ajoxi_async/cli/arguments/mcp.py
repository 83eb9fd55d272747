"""The arguments of ``ajoxi mcp``."""

from __future__ import annotations

import argparse

__all__ = ["add"]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of the command."""
    parser.set_defaults(run=_run)
    parser.add_argument(
        "--profile", metavar="NAME", help="a key that `ajoxi login` keeps (default: AJOXI_API_KEY, else the sandbox)"
    )
    parser.add_argument("--sandbox", action="store_true", help="use the embedded sandbox even if AJOXI_API_KEY is set")
    parser.add_argument("--read-only", action="store_true", help="offer only tools that change nothing")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the sandbox: same seed, same ids (default: %(default)s)"
    )
    parser.add_argument("--allow-live", action="store_true", help="permit a live key where CI is set")


def _run(options: argparse.Namespace) -> int:
    from ajoxi_async.cli import mcp

    return mcp.run(options)
