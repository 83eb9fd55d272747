"""A sandbox on a socket, for commands that run in this process and in others."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from attrs import define

from ajoxi_async import Sandbox
from ajoxi_async.cli import main
from ajoxi_async.cli.show import styles
from ajoxi_async.sandbox import Timing

TO, FROM = "+14155551234", "+14155550100"
QUICK = Timing(ring=0.02, talk=0.1, processing=0.02, sms_sent=0.01, sms_delivered=0.01, porting=0.05)


@define
class Server:
    """A sandbox that runs in a thread of its own."""

    sandbox: Sandbox
    call: Callable[..., Any]

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to ask it."""
        return {"AJOXI_API_KEY": self.sandbox.api_key, "AJOXI_BASE_URL": self.sandbox.base_url}


@pytest.fixture(scope="module")
def serving() -> Iterator[Server]:
    """A sandbox for the tests of a file."""
    sandbox = Sandbox(timing=QUICK, rate_limit=None, seed=7)
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(sandbox):
        yield Server(sandbox, portal.call)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings of whoever runs the tests do not count."""
    for name in list(os.environ):
        if name.startswith("AJOXI_") and name != "AJOXI_NO_SKIP":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AJOXI_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(serving: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """An empty account in that sandbox, with its key in the environment."""
    serving.call(serving.sandbox.reset)
    for name, value in serving.environment.items():
        monkeypatch.setenv(name, value)
    return serving


@pytest.fixture
def ajoxi(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: its status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            status = main(arguments)
        except SystemExit as ended:  # argparse ends so
            status = int(ended.code or 0)
        out, errors = capfd.readouterr()
        return status, out, errors

    return run


def until(condition: Callable[[Any], bool], ask: Callable[[], Any]) -> Any:
    """Ask again, for a few seconds at most."""
    end = time.monotonic() + 30
    while not condition(seen := ask()):
        assert time.monotonic() < end, seen
        time.sleep(0.02)
    return seen


class Screen:
    """A pseudo-terminal that takes the place of this process's own files."""

    def __init__(self, patch: pytest.MonkeyPatch, *names: str, columns: int = 80, **env: str) -> None:
        self._master, self._slave = os.openpty()
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
            patch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": str(columns), **env}.items():
            patch.setenv(name, value)
        encoding = env.get("PYTHONIOENCODING", "utf-8")
        self._files = [
            os.fdopen(os.dup(self._slave), "r" if name == "stdin" else "w", encoding=encoding) for name in names
        ]
        for name, file in zip(names, self._files, strict=True):
            patch.setattr(sys, name, file)
        styles._console.cache_clear()

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def shown(self) -> str:
        """What is on it; it is closed."""
        os.set_blocking(self._master, False)
        pieces = []
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._master, 65536):
                pieces.append(piece)
        for file in self._files:
            file.close()
        os.close(self._slave)
        os.close(self._master)
        styles._console.cache_clear()
        return b"".join(pieces).decode("utf-8", "replace").replace("\r\n", "\n")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Screen]:
    """Make a pseudo-terminal of files of this process."""
    return functools.partial(Screen, monkeypatch)
