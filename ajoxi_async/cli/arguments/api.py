"""The arguments of the operations of the API, made from ``operations.json``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from ajoxi_async.cli.api.confirmation import ASKS
from ajoxi_async.cli.api.operations import Operation, Option, operations
from ajoxi_async.cli.arguments.account import add_account, add_output, add_yes

__all__ = ["WRITTEN_BY_HAND", "add_download", "of_resource"]

#: Routes whose command is not made here, and the command.
WRITTEN_BY_HAND: Final = {"transcripts.stream": ("transcripts", "tail")}
_TIME_HELP: Final = "; a time such as 2026-11-23T09:30:00Z, a day, or an age such as 90m, 2h, 7d"
_KINDS_HELP: Final = {
    "time": _TIME_HELP,
    "map": "; several are allowed",
    "list": "; several are allowed, @FILE has one a line",
}


def of_resource(resource: str) -> Callable[[Any], None]:
    """What adds the operations of a resource below its command."""

    def add(does: Any) -> None:
        for operation in operations(resource):
            if operation.route not in WRITTEN_BY_HAND:
                _add_operation(does, operation)

    return add


def _add_operation(does: Any, operation: Operation) -> None:
    summary = _escaped(operation.summary)
    one = does.add_parser(
        operation.word, help=summary[0].lower() + summary[1:].rstrip("."), description=summary, allow_abbrev=False
    )
    if operation.takes_id:
        one.add_argument("id", metavar="ID", help=f"such as {_example_id(operation.resource)}")
    for option in operation.options:
        _add_option(one, option)
    if operation.listing:
        one.add_argument("--all", action="store_true", help="the whole list, and not one page of it")
        one.add_argument("--max-items", type=int, metavar="N", help="the list, up to so many")
    if operation.route in ASKS:
        add_yes(one)
    if operation.returns:
        add_output(one, listing=operation.listing)
    add_account(one)
    one.set_defaults(run=_run, route=operation.route)


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    what = _escaped(option.help + _KINDS_HELP.get(option.kind, ""))
    settings: dict[str, Any] = {
        "dest": f"given_{option.keyword}_{option.key}",
        "help": what,
        "required": option.required,
    }
    if option.kind == "boolean":
        settings["action"] = argparse.BooleanOptionalAction
    elif option.kind in {"list", "map"}:
        settings |= {"nargs": "+", "action": "extend", "metavar": option.metavar}
        if option.choices:
            settings["help"] += f": {', '.join(option.choices)}"
    elif option.choices:
        settings["choices"] = option.choices
    else:
        settings["metavar"] = option.metavar
    parser.add_argument(option.flag, **settings)


def _escaped(text: str) -> str:
    # argparse puts its own values in place of "%(...)s".
    return text.replace("%", "%%")


def _example_id(resource: str) -> str:
    prefixes = {"calls": "call", "numbers": "num", "recordings": "rec", "transcripts": "call", "webhooks": "wh"}
    return f"{prefixes.get(resource, resource)}_8f2a1b3c"


def add_download(does: Any) -> None:
    """Add ``recordings download``."""
    one = does.add_parser(
        "download", help="save the audio of a recording", description="Save the audio of a recording. After a lost connection it goes"
        " on where it was, and the file appears when it is whole.", allow_abbrev=False,
    )  # fmt: skip
    one.add_argument("id", metavar="ID", help="such as rec_8f2a1b3c")
    one.add_argument(
        "-o", "--output", metavar="FILE", help="where to (default: the id and .wav; - for standard output)"
    )
    one.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    add_account(one)
    one.set_defaults(run=_download)


def _run(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.api.run import run

    return run(options)


def _download(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.api.download import run

    return run(options)
