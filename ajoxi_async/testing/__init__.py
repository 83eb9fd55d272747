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
4. ``ajoxi_server`` is such a sandbox for tests that are not async, ``event_factory`` makes events, ``ajoxi_cassette`` replays or
   records: see `testing.server`, `testing.events`, `testing.cassettes`.
5. With ``--ajoxi-hold`` the sandbox of a failed test stays open, with its console: see `testing.holding`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from ajoxi_async.testing.opening import open_client, open_sandbox

if TYPE_CHECKING:
    from ajoxi_async.client import AsyncAjoxi
    from ajoxi_async.sandbox import Sandbox
    from ajoxi_async.testing.cassettes import Cassette
    from ajoxi_async.testing.events import EventFactory
    from ajoxi_async.testing.server import AjoxiServer

__all__ = [
    "ajoxi_cassette",
    "ajoxi_client",
    "ajoxi_sandbox",
    "ajoxi_server",
    "event_factory",
    "open_client",
    "open_sandbox",
]

_ON_ASYNCIO = "ajoxi_async.testing.on_asyncio"
_MARK = (
    "ajoxi(seed, clock, faults, **options): the sandbox of a test: any option of `Sandbox`, and `faults`, a list of "
    "parameters of `faults.add`"
)
_CASSETTE_MARK = "ajoxi_cassette(name, speed): the recording of a test, and how many times faster its streams are"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("ajoxi")
    group.addoption(
        "--ajoxi-hold",
        action="store_const",
        const=float("inf"),
        help="leave the sandbox of a failed test open, with its console, until Enter is pressed",
    )
    group.addoption(
        "--ajoxi-hold-seconds",
        dest="ajoxi_hold",
        type=float,
        metavar="SECONDS",
        help="the same, but for so many seconds at most",
    )
    group.addoption(
        "--ajoxi-record",
        choices=("none", "new", "all"),
        default="none",
        help="what ajoxi_cassette records from the API of AJOXI_API_KEY: none (replays), what is new, or all",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and, if pytest-asyncio is installed, the fixtures for it."""
    config.addinivalue_line("markers", _MARK)
    config.addinivalue_line("markers", _CASSETTE_MARK)
    if config.getoption("ajoxi_hold") is not None:
        _check_hold(config)
    if config.getoption("ajoxi_hold") is not None or config.getoption("ajoxi_record") != "none":
        from ajoxi_async.testing import failures

        config.pluginmanager.register(failures, "ajoxi_async.testing.failures")
    if config.pluginmanager.hasplugin("asyncio"):
        from ajoxi_async.testing import on_asyncio

        # If pytest-asyncio is too old, only a test that uses a fixture gets an error.
        with suppress(TypeError):
            config.pluginmanager.register(on_asyncio.fixtures(), _ON_ASYNCIO)


def _check_hold(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError("--ajoxi-hold needs the tests in one process: give -n 0")
    if not config.getoption("ajoxi_hold") > 0:
        raise pytest.UsageError("--ajoxi-hold-seconds: expected seconds above 0")


def _fixture(request: pytest.FixtureRequest, name: str) -> Any:
    mark = request.node.get_closest_marker("asyncio")
    if not request.config.pluginmanager.hasplugin("asyncio"):
        mark = None
    if "anyio_backend" in request.fixturenames:
        if mark is not None:
            raise pytest.UsageError(
                f"{name}: pytest-asyncio runs this test, and anyio its fixtures, in another event loop: mark it with one of"
                " pytest.mark.anyio and pytest.mark.asyncio, and for tests of anyio leave asyncio_mode=auto"
            )
        return request.getfixturevalue(f"_{name}_on_anyio")
    if mark is None:
        raise pytest.UsageError(
            f"{name} is for async tests: mark the test with pytest.mark.anyio or pytest.mark.asyncio, whose plugin has to "
            "be installed and enabled; a test that is not async has ajoxi_server"
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
def ajoxi_server(request: pytest.FixtureRequest) -> Iterator[AjoxiServer]:
    """A sandbox that listens, for tests that are not async; `pytest.mark.ajoxi` gives its options."""
    from ajoxi_async.testing.holding import hold
    from ajoxi_async.testing.server import AjoxiServer

    with AjoxiServer(open_sandbox(request, listens=True)) as server:
        yield server
        hold(request, server.sandbox)


@pytest.fixture
def event_factory() -> EventFactory:
    """Makes events: ``event_factory("call.completed", disposition="busy")``, and signed deliveries of them."""
    from ajoxi_async.testing.events import EventFactory

    return EventFactory()


@pytest.fixture
def ajoxi_cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """The recording of this test: ``async with ajoxi_cassette.client() as client``."""
    from ajoxi_async.testing.cassettes import open_cassette
    from ajoxi_async.testing.failures import has_passed

    cassette = open_cassette(request)
    yield cassette
    cassette.finish(passed=has_passed(request.node))


@pytest.fixture
async def _ajoxi_sandbox_on_anyio(request: pytest.FixtureRequest, anyio_backend_name: str) -> AsyncIterator[Sandbox]:
    # The sandbox listens with aiohttp's server, which runs on asyncio only.
    from ajoxi_async.testing.holding import hold_async

    async with open_sandbox(request, listens=anyio_backend_name == "asyncio") as sandbox:
        yield sandbox
        await hold_async(request, sandbox)


@pytest.fixture
async def _ajoxi_client_on_anyio(ajoxi_sandbox: Sandbox) -> AsyncIterator[AsyncAjoxi]:
    async with open_client(ajoxi_sandbox) as client:
        yield client
