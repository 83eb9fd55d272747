"""A pytest plugin: a sandbox and a client for each test.

    @pytest.mark.anyio                                   # or pytest.mark.asyncio
    @pytest.mark.ajoxi(clock="auto", seed=7)             # optional
    async def test_my_code(ajoxi_sandbox, ajoxi_client): ...

Rules:
1. It does not slow down other test runs: until a test uses a fixture, only pytest is imported.
2. It has no event loop of its own. anyio's plugin or pytest-asyncio runs the test, and the fixtures run on the same loop,
   whatever its ``loop_scope`` is.
3. Each test has a sandbox of its own, with a manual clock and without a rate limit, which listens on a free port of this
   machine; on trio it is in memory only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from ajoxi_async.testing.opening import open_client, open_sandbox

if TYPE_CHECKING:
    from ajoxi_async.client import AsyncAjoxi
    from ajoxi_async.sandbox import Sandbox

__all__ = ["ajoxi_client", "ajoxi_sandbox", "open_client", "open_sandbox"]

_ON_ASYNCIO = "ajoxi_async.testing.on_asyncio"
_MARK = (
    "ajoxi(seed, clock, faults, **options): the sandbox of a test: any option of `Sandbox`, and `faults`, a list of "
    "parameters of `faults.add`"
)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and, if pytest-asyncio is installed, the fixtures for it."""
    config.addinivalue_line("markers", _MARK)
    if config.pluginmanager.hasplugin("asyncio"):
        from ajoxi_async.testing import on_asyncio

        # If pytest-asyncio is too old, only a test that uses a fixture gets an error.
        with suppress(TypeError):
            config.pluginmanager.register(on_asyncio.fixtures(), _ON_ASYNCIO)


def _fixture(request: pytest.FixtureRequest, name: str) -> Any:
    if "anyio_backend" in request.fixturenames:
        return request.getfixturevalue(f"_{name}_on_anyio")
    mark = request.node.get_closest_marker("asyncio")
    if mark is None or not request.config.pluginmanager.hasplugin("asyncio"):
        raise pytest.UsageError(
            f"{name} is for async tests: mark the test with pytest.mark.anyio or pytest.mark.asyncio, whose plugin has to "
            "be installed and enabled"
        )
    if not request.config.pluginmanager.hasplugin(_ON_ASYNCIO):
        raise pytest.UsageError(f"{name} needs pytest-asyncio 0.24 or newer")
    from ajoxi_async.testing.on_asyncio import loop_scope

    return request.getfixturevalue(f"_{name}_on_{loop_scope(mark, request.config)}")


@pytest.fixture
def ajoxi_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """A running `Sandbox` for this test only; `pytest.mark.ajoxi` gives its options."""
    return _fixture(request, "ajoxi_sandbox")  # type: ignore[no-any-return]


@pytest.fixture
def ajoxi_client(request: pytest.FixtureRequest) -> AsyncAjoxi:
    """An `AsyncAjoxi` that talks to `ajoxi_sandbox`."""
    return _fixture(request, "ajoxi_client")  # type: ignore[no-any-return]


@pytest.fixture
async def _ajoxi_sandbox_on_anyio(request: pytest.FixtureRequest, anyio_backend_name: str) -> AsyncIterator[Sandbox]:
    # The sandbox listens with aiohttp's server, which runs on asyncio only.
    async with open_sandbox(request, listens=anyio_backend_name == "asyncio") as sandbox:
        yield sandbox


@pytest.fixture
async def _ajoxi_client_on_anyio(ajoxi_sandbox: Sandbox) -> AsyncIterator[AsyncAjoxi]:
    async with open_client(ajoxi_sandbox) as client:
        yield client
