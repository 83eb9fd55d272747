"""The link that `ajoxi sandbox` prints, and when there is none."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
import webbrowser
from typing import Any

import pytest

from ajoxi_async.cli import main
from ajoxi_async.cli.arguments import whole_parser
from ajoxi_async.cli.console_link import offer, show
from ajoxi_async.cli.sandbox import has_console

LINK = re.compile(r"(http://\S+/_ajoxi/console/)#code=(\S+)")


def started(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "ajoxi_async", "sandbox", "--port", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def read_link(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout is not None
    for line in process.stdout:
        if found := LINK.search(line):
            return found[1], found[2]
    raise AssertionError("no link was printed")


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of POSIX")
def test_the_printed_link_signs_in_and_enter_prints_another() -> None:
    """The link's code is exchanged for a session; Enter in the terminal prints a link with another code."""
    ours, theirs = os.openpty()
    with started(stdin=theirs) as process:
        url, code = read_link(process)
        sent = {"X-Ajoxi-Console": "1", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}session", json.dumps({"code": code}).encode(), sent)
        with urllib.request.urlopen(request, timeout=5) as response:
            assert response.status == 201
        os.write(ours, b"\n")
        again, other = read_link(process)
        assert (again, other == code) == (url, False)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=10)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        ([], True),
        (["--no-console"], False),
        (["--host", "0.0.0.0", "--allow-remote"], False),
        (["--host", "0.0.0.0", "--allow-remote", "--console-remote"], True),
        (["--host", "::1"], True),
    ],
    ids=str,
)
def test_when_there_is_a_console(arguments: list[str], offered: bool) -> None:
    """It is off where the user says so, and where other machines reach the sandbox, unless the user keeps it."""
    assert has_console(whole_parser().parse_args(["sandbox", *arguments])) == offered


@pytest.mark.parametrize(
    "arguments", [["--open", "--no-console"], ["--open", "--host", "0.0.0.0", "--allow-remote"]], ids=str
)
def test_there_is_nothing_to_open(arguments: list[str]) -> None:
    """`--open` without a console is refused before anything is started."""
    with pytest.raises(SystemExit):
        main(["sandbox", "--port", "0", *arguments])


@pytest.mark.asyncio
@pytest.mark.parametrize("found", [True, False])
async def test_open(found: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The browser is given a link of its own, so that the printed one still works; without a browser the user is told."""
    opened: list[str] = []
    links = iter(["first", "second"])
    monkeypatch.setattr(webbrowser, "open", lambda link: opened.append(link) or found)
    monkeypatch.setattr(sys, "stdin", None)
    told = offer(lambda: next(links))
    await show(lambda: next(links))
    assert (opened, "first" in told, "Enter" in told) == (["second"], True, False)
    assert ("no browser" in capsys.readouterr().err) != found
