"""argparse, as the commands use it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ajoxi_async.cli.output import say

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """Prints help and version with `output.say`, because argparse itself ignores errors of the output."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            say(message.removesuffix("\n"), needed=True)
        else:
            super()._print_message(message, file)
