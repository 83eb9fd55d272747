"""Completion in bash, zsh and fish."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ajoxi_async.cli.api.operations import operations
from ajoxi_async.cli.arguments.api import WRITTEN_BY_HAND

from .terminal import Terminal

Run = Callable[..., tuple[int, str, str]]

BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ajoxi; printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(shell: str, script: Path, *words: str) -> set[str]:
    """What a shell offers for a line that ends with the last word."""
    if shell == "bash":
        command = ["bash", "-c", BASH, "bash", str(script), *words]
    else:
        command = ["fish", "--no-config", "-c", f"source {script}; complete -C '{' '.join(words)}'"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert run.stderr == ""
    return {line.partition("\t")[0] for line in run.stdout.splitlines() if line}


@pytest.fixture
def script(ajoxi: Run, tmp_path: Path, missing: Callable[[str], None]) -> Callable[[str], Path]:
    """The script of a shell, which has to be installed."""

    def write(shell: str) -> Path:
        if shutil.which(shell) is None:
            missing(shell)
        status, out, errors = ajoxi("completion", shell)
        assert (status, errors) == (0, "")
        (tmp_path / f"_{shell}").write_text(out)
        return tmp_path / f"_{shell}"

    return write


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_completion(script: Callable[[str], Path], shell: str) -> None:
    """Commands, options and the values of options are offered where they fit."""
    path = script(shell)

    def offered(*words: str) -> set[str]:
        return completed(shell, path, "ajoxi", *words)

    assert {"calls", "completion", "campaign", "openapi"} <= offered("")
    assert offered("calls", "cr") == {"create", "create-campaign"}
    assert {"tail", "retrieve"} <= offered("transcripts", "")
    assert offered("calls", "list", "--st") == {"--status"}
    assert offered("calls", "list", "--limit", "5", "--status", "") == {"queued", "ringing", "answered", "completed"}
    assert offered("completion", "z") == {"zsh"}
    assert "--forward-to" in offered("webhooks", "listen", "--f")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_operation_is_in_it(script: Callable[[str], Path], shell: str) -> None:
    """Each operation of the API and each of its options is in the script, which the shell can read."""
    path = script(shell)
    text = path.read_text()
    subprocess.run([shell, "-n", str(path)], check=True, timeout=20)
    for does in operations():
        if does.route not in WRITTEN_BY_HAND:
            assert f"ajoxi {does.resource} {does.word}" in text
            for option in does.options:
                assert option.flag in text or f"-l {option.flag[2:]}" in text


def test_zsh(script: Callable[[str], Path], tmp_path: Path) -> None:
    """In zsh, which completes at a terminal only, Tab writes the rest of a word."""
    path = script("zsh")
    (tmp_path / ".zshrc").write_text(f"autoload -U compinit; compinit -u -D; source {path}; PS1='ready> '\n")
    terminal = Terminal(["zsh", "-i"], 120, TERM="dumb", ZDOTDIR=str(tmp_path), HISTFILE="/dev/null")
    terminal.read(b"ready> ")
    for typed, rest in (
        (b"ajoxi transc\t", b"transcripts"),
        (b"ret\t", b"retrieve"),
        (b"\x15ajoxi calls list --status q\t", b"queued"),
    ):
        terminal.type(typed)
        assert rest in terminal.read(rest).encode()
    terminal.type(b"\x15exit\r")
    terminal.end()
