"""The arguments of every command.

Rules:
1. Nothing here imports more than argparse and JSON, so that ``--help`` is quick. A command is imported when it runs.
2. Only the arguments of the command that was typed are made. `parser_for` with ``None`` in place of it makes all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ajoxi_async.cli.api.operations import resources
from ajoxi_async.cli.arguments import api, campaign, completion, keys, limits, mcp, openapi, sandbox, webhooks
from ajoxi_async.cli.arguments.parser import Parser
from ajoxi_async.cli.arguments.watching import add_calls, add_transcripts
from ajoxi_async.version import VERSION

__all__ = ["parser_for", "whole_parser"]


class _Command(NamedTuple):
    """What a command is for, what adds its arguments, and what adds commands below it."""

    help: str
    add: Callable[[Any], None] | None = None
    below: Sequence[Callable[[Any], None]] = ()


def _commands() -> dict[str, _Command]:
    #: The commands of a resource besides those of the API.
    more: dict[str, list[Callable[[Any], None]]] = {
        "calls": [add_calls],
        "transcripts": [add_transcripts],
        "recordings": [api.add_download],
        "webhooks": [webhooks.add],
    }
    return {
        **{
            name: _Command(what, below=[api.of_resource(name), *more.get(name, [])])
            for name, what in resources().items()
        },
        "limits": _Command("show the rate limit as the server and the client see it", limits.add),
        "login": _Command("keep an API key, as a profile", keys.add_login),
        "logout": _Command("forget the key of a profile", keys.add_logout),
        "profiles": _Command("list the profiles", keys.add_profiles),
        "campaign": _Command("dial a list of people: nobody twice for one attempt, and nobody lost", campaign.add),
        "sandbox": _Command("run a simulator of the whole API; no phone rings", sandbox.add),
        "mcp": _Command("offer the API to an agent as tools, over standard input and output", mcp.add),
        "openapi": _Command("print the API as an OpenAPI 3.1 document", openapi.add),
        "completion": _Command("print the completion for bash, zsh or fish", completion.of(whole_parser)),
    }


def parser_for(argv: Sequence[str] | None) -> Parser:
    """The parser with the arguments of the command that was typed.

    Args:
        argv: what was typed; ``None`` for the arguments of the process.
    """
    typed = sys.argv[1:] if argv is None else argv
    word = next((word for word in typed if not word.startswith("-")), "")
    return _parser(lambda name: name == word)


def whole_parser() -> Parser:
    """The parser with the arguments of all commands."""
    return _parser(lambda _: True)


def _parser(wanted: Callable[[str], bool]) -> Parser:
    parser = Parser(prog="ajoxi", description="The Ajoxi API, and tools around it. See docs/cli.md.")
    parser.add_argument("--version", action="version", version=f"ajoxi-async {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _commands().items():
        one = commands.add_parser(name, help=command.help, description=command.help[0].upper() + command.help[1:] + ".")
        if not wanted(name):
            continue
        if command.add is not None:
            command.add(one)
        if command.below:
            does = one.add_subparsers(dest="does", required=True, metavar="COMMAND")
            for add in command.below:
                add(does)
    return parser
