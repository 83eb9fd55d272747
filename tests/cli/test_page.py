"""The commands of docs/cli.md, run as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ajoxi_async.cli import status

from .conftest import FROM, TO, Server, until
from .terminal import environment

Run = Callable[..., tuple[int, str, str]]
PAGE = (Path(__file__).parent.parent.parent / "docs" / "cli.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
CAPTURED = re.compile(r"(\w+)=\$\((ajoxi .*) \| tail -1\)")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split()[1])
def test_the_page(server: Server, ajoxi: Run, tmp_path: Path, block: str) -> None:
    """Each command of the page succeeds. Plain ones run in this process, and those with a pipe in bash."""
    ajoxi("calls", "create", "--to", TO, "--from", FROM, "--record")
    until(bool, lambda: ajoxi("recordings", "list")[1])
    variables: dict[str, str] = {}
    for line in block.splitlines():
        for name, value in variables.items():
            line = line.replace(f"${name}", value)
        captured = CAPTURED.fullmatch(line)
        words = shlex.split(captured[2] if captured else line)
        if words[0] != "ajoxi" or "|" in words:
            path = tmp_path / "ajoxi"
            path.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m ajoxi_async "$@"\n')
            path.chmod(0o700)
            env = environment(AJOXI_CONFIG_DIR=str(tmp_path / "settings"), **server.environment)
            env["PATH"] = f"{tmp_path}:{env['PATH']}"
            subprocess.run(
                ["bash", "-o", "pipefail", "-c", line], env=env, check=True, timeout=30, stdout=subprocess.DEVNULL
            )
            continue
        ended, out, errors = ajoxi(*words[1:])
        assert ended == 0, (line, errors)
        if captured:
            variables[captured[1]] = out.split()[-1]


def test_the_table_of_statuses() -> None:
    """The page and the module have the same table."""
    if status.__doc__ is None:
        pytest.skip("-OO takes docstrings away")
    table = [line for line in status.__doc__.splitlines() if line.startswith("| ")]
    assert len(table) > 10
    assert "\n".join(table) in PAGE


def test_the_page_names_every_command() -> None:
    """No command is missing on it."""
    from ajoxi_async.cli.arguments import whole_parser
    from ajoxi_async.cli.completion import commands_of

    bare = PAGE.replace("`", " ").replace(",", " ")
    for path in commands_of(whole_parser()):
        if path.count(" ") == 1:
            assert path.split()[1] in bare, path
