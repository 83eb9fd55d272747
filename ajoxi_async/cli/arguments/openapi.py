"""The arguments of ``ajoxi openapi``: none."""

from __future__ import annotations

import argparse
from importlib.resources import files

from ajoxi_async.cli.output import say

__all__ = ["add"]


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command runs."""
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    text = files("ajoxi_async").joinpath("openapi.json").read_text("utf-8")
    say(text.removesuffix("\n"), needed=True)
    return 0
