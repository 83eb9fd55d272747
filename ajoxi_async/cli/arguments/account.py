"""The arguments of every command that asks the API: whose key, for how long, and how the answer is shown."""

from __future__ import annotations

import argparse

__all__ = ["add_account", "add_output", "add_yes"]


def _seconds(typed: str) -> float:
    try:
        number = float(typed)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        # Here and not by the client, where the time that a call rings is called `timeout` as well.
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {typed[:40]!r}")
    return number


def add_account(parser: argparse.ArgumentParser) -> None:
    """Add the options that say with which key the API is asked."""
    group = parser.add_argument_group("account")
    group.add_argument(
        "--profile", metavar="NAME", help="a key that `ajoxi login` keeps (default: AJOXI_API_KEY, else AJOXI_PROFILE)"
    )
    group.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, help="for the whole command (default: 30 for each attempt)"
    )
    group.add_argument("--allow-live", action="store_true", help="permit a live key where CI is set")


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add the option that answers the question before something that cannot be undone."""
    parser.add_argument("-y", "--yes", action="store_true", help="with a live key: do it without asking")


def add_output(parser: argparse.ArgumentParser, *, listing: bool) -> None:
    """Add the options that say how the answer is shown."""
    group = parser.add_argument_group("output")
    piped = "jsonl" if listing else "json"
    group.add_argument(
        "--format", choices=("table", "json", "jsonl", "csv"),
        help=f"how the answer is written (default: table on a terminal, else {piped})",
    )  # fmt: skip
    group.add_argument("--fields", metavar="A,B", help="these fields only; routing.kind is a field of a field")
