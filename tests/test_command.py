"""The command ``ajoxi``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ajoxi_async.cli import main


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sandbox(number: signal.Signals) -> None:
    """It serves until it gets a signal to stop, then ends with status 0; the command line that it prints works."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "ajoxi_async", "sandbox", "--port", "0", "--strict-keys"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        first = process.stdout.readline().split()
        url, key = first[3].rstrip(","), first[5].rstrip(";")
        request = urllib.request.Request(f"{url}/v1/calls", headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=5) as response:
            assert json.load(response)["data"] == []
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_a_clock_for_people() -> None:
    """`--clock live --timing human` is a world whose time flows, at the speed that was asked for, and whose calls ring for long."""
    arguments = [
        "sandbox",
        "--port",
        "0",
        "--clock",
        "live",
        "--speed",
        "50",
        "--timing",
        "human",
        "--control-token",
        "t",
    ]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "ajoxi_async", *arguments], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3].rstrip(",")

        def ask(path: str, body: bytes | None = None) -> Any:
            request = urllib.request.Request(f"{url}/_ajoxi/{path}", body, {"Authorization": "Bearer t"})
            with urllib.request.urlopen(request, timeout=5) as response:
                return json.load(response)

        clock = ask("clock")
        assert (clock["mode"], clock["speed"], clock["running"]) == ("live", 50, True)
        assert ask("clock/pause", b"{}")["running"] is False
        ask("inbound/calls", b'{"from": "+15005550100"}')
        fired = ask("clock/advance", b'{"until_event": "call.completed"}')["fired"]
        moments = [datetime.fromisoformat(one["at"]) for one in fired]
        assert (moments[1] - moments[0]).total_seconds() == 60
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--timing", "slow"],
        ["--clock", "never"],
        ["--host", "0.0.0.0"],
        ["--speed", "0"],
        ["--speed", "nan"],
        ["--speed", "inf", "--clock", "live"],
        ["--speed", "5", "--clock", "manual"],
        ["--rate-limit", "-1"],
        ["--port", "70000"],
    ],
    ids=str,
)
def test_options_that_cannot_be(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be is refused with the option named, and nothing is served."""
    with pytest.raises(SystemExit) as caught:
        main(["sandbox", *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken is a message and status 1, not a traceback."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["sandbox", "--port", str(taken.getsockname()[1])]) == 1
    assert "cannot listen" in capsys.readouterr().err


def test_a_file_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not a sandbox's gives a message and status 1, not a traceback."""
    file = tmp_path / "x.db"
    file.write_bytes(b"not a database" * 100)
    assert main(["sandbox", "--port", "0", "--db", str(file)]) == 1
    assert "--db: expected a sandbox's file" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["capacity", "agents"])
def test_a_setting_that_cannot_be(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting out of its range is a message that names the option, and status 1."""
    assert main(["sandbox", "--port", "0", f"--{option}", "-1"]) == 1
    assert f"--{option}: expected" in capsys.readouterr().err
