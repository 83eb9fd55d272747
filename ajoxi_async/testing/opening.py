"""Making the sandbox and the client of a test, for the plugin's fixtures and for fixtures of users.

The package is imported only when a test needs a sandbox, so that the plugin does not slow down other test runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ajoxi_async.client import AsyncAjoxi
    from ajoxi_async.sandbox import Sandbox

__all__ = ["open_client", "open_sandbox"]


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The options of the markers; the marker nearest to the test wins."""
    options: dict[str, Any] = {"clock": "manual", "rate_limit": None}
    for mark in reversed(list(request.node.iter_markers("ajoxi"))):
        if mark.args:
            raise pytest.UsageError("pytest.mark.ajoxi takes keywords only")
        options |= mark.kwargs
    return options


def open_sandbox(request: pytest.FixtureRequest, *, listens: bool) -> Sandbox:
    """Make the sandbox of a test, for fixtures of your own. Enter it with `async with`."""
    from ajoxi_async.sandbox import Sandbox

    options = _options(request)
    faults = options.pop("faults", ())
    if not listens:
        options["port"] = None
    elif request.config.getoption("ajoxi_hold", None) is not None and options.get("port", 0) is not None:
        options.setdefault("console", True)
    try:
        sandbox = Sandbox(**options)
        for fault in faults:
            sandbox.faults.add(**fault)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"pytest.mark.ajoxi: {error}") from None
    return sandbox


def open_client(sandbox: Sandbox) -> AsyncAjoxi:
    """Make a client of a sandbox that was entered."""
    from ajoxi_async.client import AsyncAjoxi

    if sandbox.listens:
        return AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url)
    return AsyncAjoxi(sandbox.api_key, transport=sandbox.transport())
