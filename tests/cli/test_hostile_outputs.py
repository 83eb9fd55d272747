"""The commands of the API where the output breaks: pipes, full disks, closed files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from ajoxi_async.cli import main

from .conftest import Server
from .terminal import shell

Run = Callable[..., tuple[int, str, str]]
FULL = "ajoxi: cannot write to standard output: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments",
    ["calls list --all --format table", "calls list --all --format json", "calls list --format csv", "limits", "calls watch",
     "transcripts tail {call}", "transcripts tail {call} --format jsonl", "completion zsh", "profiles --help"],
)  # fmt: skip
def test_a_full_disk(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    """One line says what is wrong, and the status is 1; a command that goes on ends."""
    server.call(server.sandbox.seed_calls, 3)
    call = server.call(lambda: server.sandbox.inbound_call(from_="+14155551234")).id
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(arguments.format(call=call).split()) == 1
    assert capsys.readouterr().err == FULL


def test_a_reader_that_went_away(server: Server) -> None:
    """A list of which `head` has read enough ends quietly."""
    server.call(server.sandbox.seed_calls, 1500)
    run = shell("$AJOXI calls list --all | head -2 | wc -l; echo ${PIPESTATUS[0]}", **server.environment)
    assert run.stdout.split() == ["2", "141"]
    assert run.stderr == ""


def test_standard_output_closed(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not show its answer does nothing: no call is placed."""
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["calls", "create", "--to", "+14155551234", "--from", "+14155550100"]) == 1
    assert capsys.readouterr().err == "ajoxi: cannot write to standard output: it is closed\n"
    assert not server.sandbox.world().rings()
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["calls", "retrieve", "call_none"]) == 1


def test_standard_error_closed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A usage that cannot be shown is not written to standard output, and the status is that of a usage error."""
    monkeypatch.setattr(sys, "stderr", None)
    for stdout in (sys.stdout, None):
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as ended:
            main(["calls", "list", "--bogus"])
        assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_standard_input_closed(server: Server, ajoxi: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is needed for what is read from it, and for nothing else."""
    monkeypatch.setattr(sys, "stdin", None)
    assert ajoxi("calls", "list") == (0, "", "")
    assert ajoxi("login")[::2] == (3, "ajoxi: expected the key on standard input, which is closed\n")
    campaign = (
        "calls",
        "create-campaign",
        "--from",
        "+14155550100",
        "--name",
        "A",
        "--mode",
        "power",
        "--contacts",
        "@-",
    )
    assert ajoxi(*campaign)[::2] == (2, "ajoxi: --contacts: @-: it cannot be read as text\n")
