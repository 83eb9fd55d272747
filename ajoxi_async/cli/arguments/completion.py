"""The arguments of ``ajoxi completion``."""

from __future__ import annotations

import argparse
from collections.abc import Callable

__all__ = ["of"]


def of(whole: Callable[[], argparse.ArgumentParser]) -> Callable[[argparse.ArgumentParser], None]:
    """What adds the arguments to the parser of the command.

    Args:
        whole: makes the parser with the arguments of all commands.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
        parser.set_defaults(run=run)

    def run(options: argparse.Namespace) -> int:
        from ajoxi_async.cli.completion import run

        return run(options.shell, whole())

    return add
