"""Leaving the sandbox of a failed test open, with its console: ``pytest --ajoxi-hold``.

Rules:
1. The sandbox stays open until Enter is pressed, or for the seconds of ``--ajoxi-hold-seconds`` at most. A closed standard
   input, as in CI, ends a hold without seconds at once.
2. Time in a sandbox with a manual clock stands still; the console moves it on.
3. Only the tests of one process can be held, so not with pytest-xdist.
4. pytest-timeout's timer of the test is stopped.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ajoxi_async.testing.failures import has_failed

if TYPE_CHECKING:
    from ajoxi_async.sandbox import Sandbox

__all__ = ["hold", "hold_async"]


def _is_held(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("ajoxi_hold") is not None and has_failed(request.node)


def _say(config: pytest.Config, line: str) -> None:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(line)
        reporter.flush()


@contextmanager
def _shown(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Callable[[], object]]:
    """Say where the sandbox is. Yields what waits until it may close; any thread may call it."""
    from ajoxi_async.protocol.errors import ConfigurationError

    config, item = request.config, request.node
    if config.pluginmanager.hasplugin("timeout"):
        item.ihook.pytest_timeout_cancel_timer(item=item)
    seconds = config.getoption("ajoxi_hold")
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend(in_=True)
    try:
        _say(config, "")
        _say(config, f"{item.nodeid} failed; its sandbox stays open.")
        try:
            _say(config, f"Console: {sandbox.console_url}")
        except ConfigurationError as error:
            _say(config, f"It has no console: {error}")
        _say(config, f"API: {sandbox.base_url}  key: {sandbox.api_key}")
        _say(config, "Press Enter to close it.")
        entered = threading.Event()
        threading.Thread(target=_read_line, args=(entered, seconds), daemon=True).start()
        yield partial(entered.wait, None if seconds == float("inf") else seconds)
    finally:
        if capture is not None:
            capture.resume()


def _read_line(entered: threading.Event, seconds: float) -> None:
    try:
        line = sys.stdin.readline()
    except (OSError, ValueError):
        line = ""
    if line or seconds == float("inf"):
        entered.set()


def hold(request: pytest.FixtureRequest, sandbox: Sandbox) -> None:
    """Wait with a sandbox whose loop runs in another thread."""
    if _is_held(request):
        with _shown(request, sandbox) as wait:
            wait()


async def hold_async(request: pytest.FixtureRequest, sandbox: Sandbox) -> None:
    """Wait with a sandbox of this loop, which runs meanwhile."""
    if _is_held(request):
        import anyio.to_thread

        with _shown(request, sandbox) as wait:
            await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)
