"""The commands of the API where the output breaks: pipes, full disks, closed files."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from .conftest import Server
from .terminal import shell

Run = Callable[..., tuple[int, str, str]]
FULL = "ajoxi: cannot write to standard output: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_a_full_disk(server: Server, format: str) -> None:
    """One line says what is wrong, and the status is 1."""
    server.call(server.sandbox.seed_calls, 3)
    run = shell(f"$AJOXI calls list --all --format {format} > /dev/full", **server.environment)
    assert (run.returncode, run.stderr) == (1, FULL)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_while_following(server: Server) -> None:
    """Likewise where the command waits for something, and when a recording is written to standard output."""
    line = (
        "for does in 'limits' 'calls watch' 'completion bash' 'transcripts tail call_1 --resume /dev/full/x';"
        " do $AJOXI $does > /dev/full; echo $?; done"
    )
    server.call(server.sandbox.seed_calls, 1)
    server.call(lambda: server.sandbox.inbound_call(from_="+15005550109"))
    run = shell(line, **server.environment)
    assert run.stdout.split() == ["1", "1", "1", "2"]
    assert run.stderr == FULL * 3 + "ajoxi: --resume: /dev/full/x: Not a directory\n"


def test_a_reader_that_went_away(server: Server) -> None:
    """A list of which `head` has read enough ends quietly."""
    server.call(server.sandbox.seed_calls, 1500)
    run = shell("$AJOXI calls list --all | head -2 | wc -l; echo ${PIPESTATUS[0]}", **server.environment)
    assert run.stdout.split() == ["2", "141"]
    assert run.stderr == ""


def test_standard_output_closed(server: Server) -> None:
    """What could not show its answer does nothing: no call is placed."""
    line = "$AJOXI calls create --to +14155551234 --from +14155550100 >&-; echo $? >&2; $AJOXI calls list <&- 2>&-"
    run = shell(line, **server.environment)
    assert run.stderr == "ajoxi: cannot write to standard output: it is closed\n1\n"
    assert (run.returncode, run.stdout) == (0, "")
    assert not server.sandbox.world().rings()
