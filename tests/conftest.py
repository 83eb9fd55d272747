"""What every test has: both backends of anyio, and a network that ends at this machine."""

from __future__ import annotations

import gc
import importlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

# pytest rewrites the asserts of whole distributions that have a plugin. For these it takes over a second in each process, and the package
# is to be tested as it is. If pytest calls this set otherwise one day, the tests only start more slowly.
for finder in sys.meta_path:
    getattr(finder, "_must_rewrite", set()).difference_update({"ajoxi_async", "anyio", "hypothesis"})

# Processes that tests start load the trust store once or twice each, which takes as long as the import of a large module. A file of one
# authority will do: tests stay on this machine.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "authority.pem")

import hypothesis  # noqa: E402

from ajoxi_async.contract.wire import Response  # noqa: E402
from ajoxi_async.sandbox.server import app  # noqa: E402

# pytest rewrites the asserts of test files only. The modules that tests share are registered here, before the first import,
# so that their asserts are executed under `-OO` as well.
pytest.register_assert_rewrite(
    *(f"tests.{folder.name}" for folder in Path(__file__).parent.iterdir() if folder.is_dir())
)

from .contract.published import Contract  # noqa: E402

# A shell ignores SIGINT in what it starts in the background, and nohup SIGHUP. Processes inherit what is ignored, but not a
# handler, so that those that tests start can be ended by these signals.
for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, lambda *_: None)

# How long an example takes depends on the machine.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector out of what collection made, which lasts as long as the run.

    It would go through thousands of tests again and again while they are collected, and in every full collection later.
    """
    gc.disable()
    try:
        if session.config.args == session.config.getini("testpaths"):
            _import_share(session.config)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _import_share(config: pytest.Config) -> None:
    """Import the test files whose turn is this worker's, so that the other workers find their bytecode.

    Rewriting the asserts of all files takes a worker longer than importing and collecting them.
    """
    worker: dict[str, Any] = getattr(config, "workerinput", {"workerid": "gw0", "workercount": 1})
    folder = Path(__file__).parent
    files = sorted(folder.rglob("test_*.py"))
    for file in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        with suppress(Exception, pytest.skip.Exception):  # pytest reports them when it collects the file
            importlib.import_module(".".join(file.relative_to(folder.parent).with_suffix("").parts))


@pytest.fixture(
    params=[pytest.param(("asyncio", {}), id="asyncio"), pytest.param(("trio", {}), id="trio")],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Every test of the `anyio` mark runs on both."""
    return request.param


@pytest.fixture(scope="session")
def missing() -> Callable[[str], None]:
    """Skip a test for what is not installed; fail it where nothing may be skipped, as in CI."""

    def end(what: str) -> None:
        if os.environ.get("AJOXI_NO_SKIP"):
            pytest.fail(f"needs {what}", pytrace=False)
        pytest.skip(f"needs {what}")

    return end


def _refuse_strangers(sock: socket.socket, address: Any) -> None:
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    host = str(address[0]).partition("%")[0]
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        pytest.fail(f"a test tried to reach {host}: tests stay on the loopback interface", pytrace=False)


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that leaves this machine fails the test."""

    def connect(self: socket.socket, address: Any) -> None:
        _refuse_strangers(self, address)
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_strangers(self, address)
        return _connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)


@pytest.fixture(scope="session", autouse=True)
def _every_answer_is_as_published() -> Iterator[None]:
    """Whatever the sandbox answers in any test is valid by the published OpenAPI document."""
    contract = Contract()
    respond, refused = app.App._respond, app._refused

    async def check_response(self: Any, world: Any, asked: Any, parts: Any, answer: Any) -> Any:
        response = await respond(self, world, asked, parts, answer)
        if isinstance(response, Response):
            contract.check(asked.route, response)
        return response

    def check_refusal(error: Any, answer: Any) -> Any:
        response = refused(error, answer)
        contract.check(None, response)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.App, "_respond", check_response)
        patch.setattr(app, "_refused", check_refusal)
        yield
