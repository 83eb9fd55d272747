"""argparse, as the commands use it."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from ajoxi_async.cli.output import say

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """Prints help and version with `output.say`, because argparse itself ignores errors of the output; errors go to standard error only."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and end with status 2."""
        if sys.stderr is None:
            # argparse would print the usage to standard output, where others expect the answer.
            self.exit(2)
        super().error(message)

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            say(message.removesuffix("\n"), needed=True)
        else:
            super()._print_message(message, file)
