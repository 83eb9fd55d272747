"""``ajoxi completion``: what a shell needs to complete the commands, their options and the values of these.

The script is made from the parser, so that it knows every command, and it does not run Python when a key is pressed. Where nothing
fits, the shell completes names of files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from ajoxi_async.cli.output import say

__all__ = ["commands_of", "run"]


@frozen
class _Words:
    """What may follow a command.

    Attributes:
        path: the command, such as ``ajoxi calls list``.
        commands: the commands below it, and their help.
        options: its options, and their help.
        values: the values of options and arguments, where there are a few; those of arguments under the empty name.
        takes: the options that a value follows.
    """

    path: str
    commands: Mapping[str, str]
    options: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]]
    takes: frozenset[str]


def _walk(parser: argparse.ArgumentParser, path: str) -> Iterator[_Words]:
    commands: dict[str, str] = {}
    below: dict[str, argparse.ArgumentParser] = {}
    options: dict[str, str] = {}
    values: dict[str, tuple[str, ...]] = {}
    takes: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            below = dict(action.choices)
            commands = {one.dest: _plain(one.help) for one in action._choices_actions}
            continue
        choices = tuple(str(choice) for choice in action.choices or ())
        for name in action.option_strings or [""]:
            if name:
                options[name] = _plain(action.help)
            if choices:
                values[name] = choices
            if name and action.nargs != 0:
                takes.add(name)
    yield _Words(path, commands, options, values, frozenset(takes))
    for name, one in below.items():
        yield from _walk(one, f"{path} {name}")


def _plain(help: str | None) -> str:
    """The help as one line without what shells and argparse read as signs of theirs."""
    text = " ".join((help or "").replace("%%", "%").split())
    return "".join(one if one.isalnum() or one in " .,;()/-+=@_" else " " for one in text).partition("; ")[0]


_BASH: Final = """\
# bash: eval "$(ajoxi completion bash)", or put it into a file that is read when bash starts.
_ajoxi() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} path=ajoxi word words= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case "$path $word" in
{paths}
        esac
    done
    case "$path:$prev" in
{values}
    esac
    if [ -z "$words" ]; then
        case "$path" in
{words}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _ajoxi ajoxi"""


def _bash(tree: list[_Words]) -> str:
    paths = "\n".join(f"            '{one.path}') path='{one.path}' ;;" for one in tree[1:])
    values = "\n".join(
        f"        '{one.path}:{name}') words='{' '.join(choices)}' ;;"
        for one in tree
        for name, choices in one.values.items()
        if name
    )
    words = "\n".join(
        f"            '{one.path}') words='{' '.join([*one.commands, *one.values.get('', ()), *one.options])}' ;;"
        for one in tree
    )
    return _BASH.format(paths=paths, values=values, words=words)


_ZSH: Final = """\
#compdef ajoxi
# zsh: eval "$(ajoxi completion zsh)" after compinit, or put it as _ajoxi into a folder of $fpath.
_ajoxi() {{
    local path_=ajoxi word i
    local -a found
    for ((i = 2; i < CURRENT; i++)); do
        word=$words[i]
        case "$path_ $word" in
{paths}
        esac
    done
    case "$path_:$words[CURRENT-1]" in
{values}
    esac
    case "$path_" in
{words}
    esac
    _describe ajoxi found || _files
}}
if [ "$funcstack[1]" = _ajoxi ]; then _ajoxi "$@"; else compdef _ajoxi ajoxi; fi"""


def _zsh(tree: list[_Words]) -> str:
    paths = "\n".join(f"            '{one.path}') path_='{one.path}' ;;" for one in tree[1:])
    values = "\n".join(
        f"        '{one.path}:{name}') compadd -- {' '.join(choices)}; return ;;"
        for one in tree
        for name, choices in one.values.items()
        if name
    )
    words = "\n".join(
        "        '{}') found=({}) ;;".format(
            one.path,
            " ".join(
                f"'{name}:{help}'"
                for name, help in {**one.commands, **dict.fromkeys(one.values.get("", ()), ""), **one.options}.items()
            ),
        )
        for one in tree
    )
    return _ZSH.format(paths=paths, values=values, words=words)


_FISH: Final = """\
# fish: ajoxi completion fish | source, or put it into ~/.config/fish/completions/ajoxi.fish.
function __ajoxi_at
    set -l path ajoxi
    for word in (commandline -opc)[2..]
        switch "$path $word"
            case {paths}
                set path "$path $word"
        end
    end
    test "$path" = "$argv[1]"
end
{lines}"""


def _fish(tree: list[_Words]) -> str:
    lines = []
    for one in tree:
        at = f"complete -c ajoxi -n '__ajoxi_at \"{one.path}\"'"
        if one.commands:
            lines.append(f"{at} -f")
        lines += [f"{at} -f -a '{name}' -d '{help}'" for name, help in one.commands.items()]
        lines += [f"{at} -f -a '{choice}'" for choice in one.values.get("", ())]
        for name, help in one.options.items():
            kind = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            value = (
                f" -x -a '{' '.join(one.values[name])}'" if name in one.values else " -r" if name in one.takes else ""
            )
            lines.append(f"{at} {kind}{value} -d '{help}'")
    paths = " ".join(f"'{one.path}'" for one in tree[1:])
    return _FISH.format(paths=paths, lines="\n".join(lines))


_SHELLS: Final[Mapping[str, Callable[[list[Any]], str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def commands_of(parser: argparse.ArgumentParser) -> list[str]:
    """Every command, such as ``ajoxi calls list``."""
    return [one.path for one in _walk(parser, "ajoxi")][1:]


def run(shell: str, parser: argparse.ArgumentParser) -> int:
    """Print the script of a shell; return the exit status.

    Args:
        shell: bash, zsh or fish.
        parser: with the arguments of all commands.
    """
    say(_SHELLS[shell](list(_walk(parser, "ajoxi"))), needed=True)
    return 0
