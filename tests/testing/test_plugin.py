"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import ajoxi_async

ASYNC_TESTS = """
import anyio
import pytest

pytestmark = pytest.mark.{mark}
TO, FROM = "+15005550100", "+14155550100"
seen = []

async def test_defaults(ajoxi_sandbox, ajoxi_client):
    call = await ajoxi_client.calls.create(to=TO, from_=FROM)
    await ajoxi_sandbox.clock.advance(until_event="call.completed")
    assert (await ajoxi_client.calls.retrieve(call.id)).disposition == "answered"
    for _ in range(150):
        ajoxi_sandbox.inbound_message(from_=TO, body="hi")

async def test_each_test_has_its_own(ajoxi_client):
    assert (await ajoxi_client.calls.list()).data == ()

@pytest.mark.ajoxi(seed=5, clock="auto", faults=[{{"action": "status", "match": "calls.list", "when": "nth", "status": 500}}])
class TestMarked:
    async def test_seed_clock_and_faults(self, ajoxi_sandbox, ajoxi_client):
        assert ajoxi_sandbox.clock.mode == "auto"
        await ajoxi_client.calls.list()
        assert [fault.fired for fault in ajoxi_sandbox.faults] == [1]
        seen.append(ajoxi_sandbox.api_key)

    @pytest.mark.ajoxi(seed=6, port=None)
    async def test_the_nearest_wins(self, ajoxi_sandbox, ajoxi_client):
        assert not ajoxi_sandbox.listens
        assert ajoxi_sandbox.clock.mode == "auto"
        assert ajoxi_sandbox.api_key not in seen
        await ajoxi_client.calls.list()

async def test_an_exception_is_the_tests_own(ajoxi_sandbox):
    with pytest.raises(ZeroDivisionError):
        1 / 0
"""


#: pytest-asyncio warns where it is not set.
LOOP_SCOPE = "asyncio_default_fixture_loop_scope = function\n"


#: Writes down how long each test's fixtures take.
STOPWATCH = """
import time
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    began = time.process_time()
    yield
    with open("took.txt", "a") as file:
        print(time.process_time() - began, file=file)
"""


#: Plugins by their names. Of all that pytest finds by entry points it rewrites every module of the distribution, the whole SDK as well,
#: which takes longer than these tests.
NAMED = (
    "-p",
    "anyio.pytest_plugin",
    "-p",
    "asyncio",
    "-W",
    "ignore:Module already imported:pytest.PytestAssertRewriteWarning",
)
#: Plugins by their entry points, without those of others, which take seconds to import.
FOUND = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:faker")


def environment(**more: str) -> dict[str, str]:
    """With the package under test, also where another one is installed, and without a key or address of the caller's."""
    # Under -O pytest warns, and warnings are errors here.
    return {**os.environ, "PYTHONPATH": str(Path(ajoxi_async.__file__).parents[1]), "PYTHONOPTIMIZE": "", **more}


def run(
    path: Path, code: str, *options: str, ini: str = LOOP_SCOPE, plugins: tuple[str, ...] = NAMED
) -> subprocess.CompletedProcess[str]:
    """Run a test file with the plugin, warnings being errors, and without this project's own settings."""
    (path / "pytest.ini").write_text("[pytest]\n" + ("" if "no:asyncio" in options else ini))
    (path / "conftest.py").write_text(STOPWATCH)
    (path / "test_it.py").write_text(code)
    arguments = ["-W", "error", "-p", "ajoxi_async.testing", *plugins, "--strict-markers", "-q", *options]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=path,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="" if plugins is FOUND else "1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize(
    ("mark", "options", "passed"),
    [("anyio", (), 10), ("asyncio", (), 5), ("asyncio", ("-o", "asyncio_mode=auto"), 5)],
    ids=["anyio", "asyncio", "asyncio auto"],
)
def test_fixtures(tmp_path: Path, mark: str, options: tuple[str, ...], passed: int) -> None:
    """Sandbox and client under anyio's plugin (both backends) and pytest-asyncio, each test with its own, in no time."""
    done = run(tmp_path, ASYNC_TESTS.format(mark=mark), *options)
    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr
    took = sorted(float(line) for line in (tmp_path / "took.txt").read_text().split())
    assert len(took) == passed
    # Of the processor, for others use the machine as well; the median, since the first one also imports.
    assert took[passed // 2] < 0.01, took


#: Tests of every scope of loop, whose fixtures are the test's own all the same.
SCOPES = """
import asyncio
import pytest

async def use(sandbox, client):
    assert (await client.calls.list()).data == ()
    call = await client.calls.create(to="+15005550100", from_="+14155550100")
    await sandbox.clock.advance(until_event="call.completed")
    assert (await client.calls.retrieve(call.id)).disposition == "answered"
    async with client.transcripts.stream_many([call.id]) as lives:
        assert [item async for item in lives]
    loops.append(asyncio.get_running_loop())

loops = []
"""
ONE_SCOPE = """
@pytest.mark.asyncio(loop_scope="{scope}")
class Test{scope}:
    async def test_one(self, ajoxi_sandbox, ajoxi_client):
        await use(ajoxi_sandbox, ajoxi_client)

    async def test_two(self, ajoxi_client, ajoxi_sandbox):
        await use(ajoxi_sandbox, ajoxi_client)
        assert (loops[-1] is loops[-2]) == {same}
"""


@pytest.mark.parametrize(
    ("mode", "default"), [("strict", "function"), ("strict", "session"), ("auto", "module"), ("auto", "session")]
)
def test_loop_scopes(tmp_path: Path, mode: str, default: str) -> None:
    """Fixtures run on the loop of the test that asks for them, whatever `loop_scope` it or the settings name, at once."""
    ini = f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = {default}\nasyncio_default_test_loop_scope = {default}\n"
    plain = "@pytest.mark.asyncio\n" if mode == "strict" else ""
    code = SCOPES + "".join(
        ONE_SCOPE.format(scope=scope, same=scope != "function")
        for scope in ("function", "class", "module", "package", "session")
    )
    code += (
        f"\n{plain}async def test_default(ajoxi_sandbox, ajoxi_client):\n    await use(ajoxi_sandbox, ajoxi_client)\n"
    )
    began = time.monotonic()
    (tmp_path / "__init__.py").touch()
    done = run(tmp_path, code, ini=ini)
    assert "11 passed" in done.stdout, done.stdout + done.stderr
    assert time.monotonic() - began < 30


OWN_FIXTURES = """
import pytest
import pytest_asyncio
from ajoxi_async import AsyncAjoxi, Sandbox, WebhookRouter

@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def sandbox():
    async with Sandbox(rate_limit=None) as sandbox:
        yield sandbox

@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def client(sandbox):
    async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client, WebhookRouter("whsec_x"):
        yield client

@pytest_asyncio.fixture(loop_scope="session")
async def lives(client):
    call = await client.calls.create(to="+15005550100", from_="+14155550100")
    async with client.transcripts.stream_many([call.id]) as lives:
        yield lives

@pytest_asyncio.fixture(loop_scope="session")
async def live(client):
    call = await client.calls.create(to="+15005550100", from_="+14155550100")
    async with client.transcripts.stream(call.id) as live:
        yield live

@pytest.mark.asyncio(loop_scope="session")
async def test_one(client, live):
    assert await anext(live)

@pytest.mark.asyncio(loop_scope="session")
async def test_two(lives):
    async for item in lives:
        break
"""


def test_fixtures_of_ones_own(tmp_path: Path) -> None:
    """Fixtures of pytest-asyncio that hold what this package has to enter, and leave it in another task."""
    done = run(tmp_path, OWN_FIXTURES)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_on_several_workers(tmp_path: Path, missing: Callable[[str], None]) -> None:
    """Under pytest-xdist as without it."""
    if importlib.util.find_spec("xdist") is None:
        missing("pytest-xdist")
    done = run(tmp_path, ASYNC_TESTS.format(mark='asyncio(loop_scope="session")'), "-n", "2", plugins=FOUND)
    assert "5 passed" in done.stdout, done.stdout + done.stderr


def test_both_plugins_in_one_run(tmp_path: Path) -> None:
    """Tests of anyio's plugin and of pytest-asyncio stand side by side in one file."""
    code = SCOPES + (
        "@pytest.mark.anyio\nasync def test_anyio(ajoxi_sandbox, ajoxi_client):\n"
        "    assert (await ajoxi_client.calls.list()).data == ()\n"
        "@pytest.mark.asyncio\nasync def test_asyncio(ajoxi_sandbox, ajoxi_client):\n"
        "    await use(ajoxi_sandbox, ajoxi_client)\n"
    )
    done = run(tmp_path, code)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_a_test_of_anyio_in_the_auto_mode_of_pytest_asyncio(tmp_path: Path) -> None:
    """pytest-asyncio would run it and anyio its fixtures, on two event loops: it says so, and does not hang until a timeout."""
    code = (
        "import pytest\n\n@pytest.mark.anyio\nasync def test_it(ajoxi_client):\n    await ajoxi_client.calls.list()\n"
    )
    done = run(tmp_path, code, "-o", "asyncio_mode=auto", "-k", "not trio")
    assert "1 error" in done.stdout
    assert "leave asyncio_mode=auto" in done.stdout


@pytest.mark.parametrize("without", [("-p", "no:asyncio"), ()], ids=["alone", "with pytest-asyncio"])
def test_unrelated_runs(tmp_path: Path, without: tuple[str, ...]) -> None:
    """A run that asks for no fixture imports neither client nor sandbox nor engines."""
    code = """
import sys

def test_nothing_is_imported():
    heavy = {"aiohttp", "httpx", "attrs", "msgspec", "ajoxi_async.client", "ajoxi_async.sandbox"}
    assert not heavy & set(sys.modules)
"""
    done = run(tmp_path, code, "-p", "no:anyio", *without, plugins=FOUND)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


MISTAKES = """
import pytest

def test_sync(ajoxi_sandbox): pass

@pytest.mark.anyio
@pytest.mark.ajoxi(colour=1)
async def test_option(ajoxi_sandbox): pass

@pytest.mark.anyio
@pytest.mark.ajoxi(7)
async def test_positional(ajoxi_sandbox): pass

@pytest.mark.anyio
@pytest.mark.ajoxi(clock="x")
async def test_clock(ajoxi_sandbox): pass

@pytest.mark.anyio
@pytest.mark.ajoxi(faults=[{"action": "x"}])
async def test_fault(ajoxi_sandbox): pass

@pytest.mark.anyio
@pytest.mark.asyncio
async def test_both(ajoxi_client): pass
"""


def test_what_cannot_be(tmp_path: Path) -> None:
    """A test that cannot be is an error that says why."""
    done = run(tmp_path, MISTAKES, "-k", "not trio")
    assert "6 errors" in done.stdout
    for said in (
        "in another event loop",
        "is for async tests",
        "argument 'colour'",
        "keywords only",
        "clock: expected",
        "action: expected",
    ):
        assert said in done.stdout


def test_the_entry_point_is_the_module() -> None:
    """It is named like its module, so that it is never registered twice."""
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\n"ajoxi_async.testing" = "ajoxi_async.testing"' in text


def test_the_guides_tests(tmp_path: Path) -> None:
    """The code and the tests that the guide shows pass as they stand."""
    page = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]
    done = run(tmp_path, "\n".join(blocks))
    assert "6 passed" in done.stdout, done.stdout + done.stderr
