"""The same fixtures for tests that pytest-asyncio runs. Imported only if pytest-asyncio is installed.

pytest-asyncio gives each test the event loop of a scope (``loop_scope``: a function, a class, up to the session), and the
scope of a fixture is fixed in its definition. A sandbox works only on the loop on which it was opened, so there are fixtures
for each scope, and a test uses those of its own scope.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any, Literal

import pytest
import pytest_asyncio

from ajoxi_async.testing.opening import open_client, open_sandbox

__all__ = ["fixtures", "loop_scope"]

_Scope = Literal["function", "class", "module", "package", "session"]
_SCOPES: tuple[_Scope, ...] = ("function", "class", "module", "package", "session")


def loop_scope(mark: pytest.Mark, config: pytest.Config) -> str:
    """The scope of the loop that a test runs on, found as pytest-asyncio does it."""
    given = mark.kwargs.get("loop_scope") or mark.kwargs.get("scope")
    try:
        return str(given or config.getini("asyncio_default_test_loop_scope") or "function")
    except (KeyError, ValueError):  # pytest-asyncio before 0.26 has no such setting
        return "function"


def _pair(scope: _Scope) -> dict[str, Any]:
    @pytest_asyncio.fixture(loop_scope=scope)
    async def sandbox(request: pytest.FixtureRequest) -> Any:
        from ajoxi_async.testing.holding import hold_async

        async with open_sandbox(request, listens=True) as opened:
            yield opened
            await hold_async(request, opened)

    @pytest_asyncio.fixture(loop_scope=scope)
    async def client(ajoxi_sandbox: Any) -> AsyncIterator[Any]:
        async with open_client(ajoxi_sandbox) as opened:
            yield opened

    return {f"_ajoxi_sandbox_on_{scope}": sandbox, f"_ajoxi_client_on_{scope}": client}


def fixtures() -> ModuleType:
    """A plugin with the fixtures of every scope.

    Raises:
        TypeError: pytest-asyncio is older than 0.24, which has no scopes of loops.
    """
    plugin = ModuleType("ajoxi_async.testing.fixtures")
    for scope in _SCOPES:
        vars(plugin).update(_pair(scope))
    return plugin
