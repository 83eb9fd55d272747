"""The arguments of the commands that follow something: ``calls watch`` and ``transcripts tail``."""

from __future__ import annotations

import argparse
from typing import Any

from ajoxi_async.cli.arguments.account import add_account

__all__ = ["add_calls", "add_transcripts"]


def add_calls(does: Any) -> None:
    """Add ``calls watch``."""
    one = does.add_parser(
        "watch", help="show calls and how they change", description="Show calls and how they change: a line for each change, and on a"
        " terminal the open ones at the bottom. With ids it ends when these calls have.", allow_abbrev=False,
    )  # fmt: skip
    one.add_argument("ids", metavar="CALL", nargs="*", help="only these (default: the newest)")
    one.add_argument("--campaign-id", metavar="TEXT", help="only calls of this campaign")
    one.add_argument("--direction", choices=("inbound", "outbound"), help="only inbound or only outbound calls")
    one.add_argument(
        "--every", type=float, default=2.0, metavar="SECONDS", help="between two requests (default: %(default)g)"
    )
    one.add_argument("--format", choices=("text", "jsonl"), default="text", help="lines of text, or each call as JSON")
    add_account(one)
    one.set_defaults(run=_watch)


def add_transcripts(does: Any) -> None:
    """Add ``transcripts tail``."""
    one = does.add_parser(
        "tail", help="follow what is said in calls", description="Follow what is said in calls, until they end. On a terminal what"
        " is being said is at the bottom, and replaced as it changes.", allow_abbrev=False,
    )  # fmt: skip
    one.add_argument("ids", metavar="CALL", nargs="+", help="a call, a transcript or a recording")
    one.add_argument("--resume", metavar="FILE", help="keep in this file where each call is, and go on there next time")
    one.add_argument("--no-interim", action="store_true", help="only what is final")
    one.add_argument(
        "--format", choices=("text", "jsonl"), default="text", help="lines of text, or each segment as JSON"
    )
    add_account(one)
    one.set_defaults(run=_tail)


def _watch(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.live.watch import run

    return run(options)


def _tail(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.live.tail import run

    return run(options)
