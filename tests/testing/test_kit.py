"""What the pytest plugin has for tests that are not async, for events, recordings and failures, in pytest runs of its own."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from ajoxi_async import CallCompleted, CallStarted, InvalidParameterError, UnknownEvent, parse_event
from ajoxi_async.contract.codec import DecodeError
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.testing.events import EventFactory
from ajoxi_async.testing.server import AjoxiServer

from .test_plugin import NAMED, environment


def run(path: Path, code: str, *options: str) -> tuple[int, str]:
    """Run a test file within this process, which is several times as fast as a process of its own."""
    (path / "test_it.py").write_text(code)
    (path / "pytest.ini").write_text("[pytest]\n")
    others = ("asyncio", "cacheprovider", "faker", "hypothesispytest", "schemathesis", "timeout")
    # Under -O pytest warns that it cannot rewrite the asserts of modules that are no tests; and here that some were imported before.
    expected = (
        "ignore:assertions not in test modules:pytest.PytestConfigWarning",
        "ignore:Module already imported:pytest.PytestAssertRewriteWarning",
    )
    arguments = ["--import-mode=importlib", "-p", "ajoxi_async.testing", *(f"-pno:{name}" for name in others)]
    shutil.rmtree(path / "__pycache__", ignore_errors=True)
    out, current = io.StringIO(), os.environ["PYTEST_CURRENT_TEST"]
    with redirect_stdout(out), redirect_stderr(out):
        status = pytest.main(
            [
                *arguments,
                "-W",
                "error",
                *(part for each in expected for part in ("-W", each)),
                "--strict-markers",
                "-q",
                *options,
                f"--rootdir={path}",
                str(path),
            ]
        )
    os.environ["PYTEST_CURRENT_TEST"] = current
    # The next run has another file of this name.
    for name in [
        name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(path / "test_it.py")
    ]:
        del sys.modules[name]
    return int(status), out.getvalue()


SYNC = """
import http.server, json, subprocess, sys, threading, urllib.request

import pytest

def post(url, body, key):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

def test_a_server(ajoxi_server):
    call = post(ajoxi_server.base_url + "/v1/calls", {"to": "+15005550102", "from": "+14155550100"}, ajoxi_server.api_key)
    fired = ajoxi_server.advance(until_event="call.completed")
    assert fired
    world = ajoxi_server.sandbox.world()
    assert len(ajoxi_server.call(world.rings)) == 1
    assert ajoxi_server.inbound_message(from_="+14155551234", body="hi").status == "received"
    assert ajoxi_server.inbound_call(from_="+14155551234").status == "ringing"
    assert ajoxi_server.advance(1) is not None

@pytest.mark.ajoxi(seed=7, rate_limit=3)
def test_options(ajoxi_server):
    key = ajoxi_server.api_key
    for _ in range(3):
        post(ajoxi_server.base_url + "/v1/calls", {"to": "+15005550102", "from": "+14155550100"}, key)
    with pytest.raises(urllib.error.HTTPError, match="429"):
        post(ajoxi_server.base_url + "/v1/calls", {"to": "+15005550102", "from": "+14155550100"}, key)

def test_deliveries_come_while_time_advances(ajoxi_server):
    seen = []
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["type"])
            self.send_response(204)
            self.end_headers()
        def log_message(self, *args): pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        post(ajoxi_server.base_url + "/v1/webhooks",
             {"url": f"http://127.0.0.1:{server.server_port}/x", "events": ["call.completed"]}, ajoxi_server.api_key)
        post(ajoxi_server.base_url + "/v1/calls", {"to": "+15005550100", "from": "+14155550100"}, ajoxi_server.api_key)
        ajoxi_server.advance(until_event="call.completed")
        ajoxi_server.advance(1)
        server.shutdown()
    assert seen == ["call.completed"]

CLIENT = '''
import anyio
from ajoxi_async import AsyncAjoxi

async def main():
    async with AsyncAjoxi() as client:
        print(len(await client.calls.list()))

anyio.run(main)
'''

def test_another_process(ajoxi_server):
    import os
    env = {**os.environ, **ajoxi_server.environ}
    assert subprocess.run([sys.executable, "-c", CLIENT], env=env, capture_output=True, text=True).stdout == "0\\n"

def test_events(event_factory):
    event = event_factory("call.completed", disposition="busy", from_="+14155550100")
    assert (event.id, event.data.disposition, event.data.from_) == ("evt_00000001", "busy", "+14155550100")
    assert event_factory.signed("message.received", body="hi").headers["X-Ajoxi-Signature"]
"""


def test_tests_that_are_not_async(tmp_path: Path) -> None:
    """A server, its portal, its deliveries, another process, and events, in a run without any plugin of event loops."""
    status, said = run(tmp_path, SYNC, "-p", "no:anyio")
    assert status == 0, said
    assert "5 passed" in said


def test_a_server_without_pytest() -> None:
    """It is a context manager, for `unittest`; closed, it says so; what a function raises comes out unchanged."""
    with AjoxiServer() as server:
        assert urllib.request.urlopen(f"{server.base_url}/openapi.json").status == 200
        with pytest.raises(ZeroDivisionError):
            server.call(lambda: 1 / 0)
        with pytest.raises(InvalidParameterError):
            server.advance(-1)
    with pytest.raises(ConfigurationError, match="with block"):
        server.advance(1)


def test_event_factory() -> None:
    """Events of every type, with ids in order and fields by their names in Python; what does not fit is refused."""
    factory = EventFactory("whsec_x")
    for number, kind in enumerate(EventType, 1):
        event = factory(kind.value)
        assert (event.id, event.type) == (f"evt_{number:08d}", kind.value)
        assert not isinstance(event, UnknownEvent)
        signed = factory.signed(kind.value, data_id="x_1")
        assert parse_event(signed.body, signed.signature, "whsec_x").data.id == "x_1"  # type: ignore[attr-defined]
        factory._made = number
    started = factory("call.started", from_="+14155559999", to=None)
    assert isinstance(started, CallStarted)
    assert (started.data.status, started.data.from_, started.data.to) == ("ringing", "+14155559999", None)
    assert isinstance(factory("fax.pondered", pages=3), UnknownEvent)
    completed = factory(id="evt_same")
    assert isinstance(completed, CallCompleted)
    assert completed.id == "evt_same"
    with pytest.raises(DecodeError):
        factory("call.completed", duration="long")
    with pytest.raises(InvalidParameterError):
        factory("call.completed", duration=object())
    with pytest.raises(
        InvalidParameterError, match=r"^type: expected the type of an event such as 'call.completed', got type"
    ):
        factory(CallCompleted)  # type: ignore[arg-type]


def test_a_server_that_is_not_open() -> None:
    """It has no address yet, or any more, and says so instead of leading a client nowhere."""
    server = AjoxiServer()
    with pytest.raises(ConfigurationError, match="server: it is not open"):
        _ = server.environ
    with server:
        assert server.environ["AJOXI_BASE_URL"].startswith("http://127.0.0.1:")
    with pytest.raises(ConfigurationError, match="server: it is not open"):
        _ = server.base_url


RECORDED = """
import pytest

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_calls(ajoxi_cassette):
    async with ajoxi_cassette.client() as client:
        call = await client.calls.create(to="+14155551234", from_="+14155550100")
        assert call.status in {"ringing", "queued"}
        assert len(await client.calls.list()) == 1
"""


def test_cassettes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a recording the test says how to make one; `new` records it once, from then on it needs no API."""
    assert "--ajoxi-record=new" in run(tmp_path, RECORDED)[1]
    with AjoxiServer() as server:
        assert "set AJOXI_API_KEY" in run(tmp_path, RECORDED, "--ajoxi-record=new")[1]
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        assert "1 failed" in run(tmp_path, RECORDED.replace("== 1", "== 7"), "--ajoxi-record=new")[1]
        server.call(server.sandbox.reset)
        interrupted = RECORDED + "        raise KeyboardInterrupt\n"
        assert "KeyboardInterrupt" in run(tmp_path, interrupted, "--ajoxi-record=new")[1]
        # A test that fails or is interrupted leaves no recording, not even a part of one.
        assert not list(tmp_path.rglob("*.json*"))
        server.call(server.sandbox.reset)
        status, said = run(tmp_path, RECORDED, "--ajoxi-record=new")
        assert status == 0, said
        key = server.api_key
    (path,) = tmp_path.rglob("*.json*")
    assert path == tmp_path / "cassettes/test_it/test_calls-asyncio.json"
    assert len(json.loads(path.read_text())["exchanges"]) == 2
    assert key not in path.read_text()
    # The server is gone.
    assert run(tmp_path, RECORDED, "--ajoxi-record=new")[0] == 0
    assert "another body" in run(tmp_path, RECORDED.replace("+14155551234", "+13105551299"))[1]
    marked = RECORDED.replace(
        "async def", '@pytest.mark.ajoxi_cassette("test_it/test_calls-asyncio.json", speed=9)\nasync def'
    )
    assert run(tmp_path, marked)[0] == 0
    assert "takes a file name" in run(tmp_path, marked.replace("speed", "colour"))[1]


ALIKE = """
import pytest

@pytest.mark.parametrize("number", ["+1", "1", "a/b", "a b"])
class TestNames:
    def test_alike(self, ajoxi_cassette, number):
        print(ajoxi_cassette.path.name)
        assert ajoxi_cassette.path.parent.name == "test_it"
"""


def test_tests_with_like_parameters_have_recordings_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters that differ in their punctuation alone do not share a file, which each would record over the other's."""
    monkeypatch.setenv("AJOXI_API_KEY", "AJX_TEST_unused")
    status, said = run(tmp_path, ALIKE, "--ajoxi-record=all", "-s")
    assert status == 0, said
    names = {line.removeprefix(".") for line in said.split() if line.endswith(".json")}
    assert names == {f"TestNames-test_alike-{name}.json" for name in ("%2B1", "1", "a%2Fb", "a%20b")}


HELD = """
import pytest

def test_sync(ajoxi_server):
    assert ajoxi_server.base_url == "somewhere else"

@pytest.mark.asyncio
async def test_async(ajoxi_sandbox, ajoxi_client):
    await ajoxi_client.calls.create(to="+15005550100", from_="+14155550100")
    assert ajoxi_sandbox.base_url == "somewhere else"

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_anyio(ajoxi_sandbox):
    assert ajoxi_sandbox.base_url == "somewhere else"

@pytest.mark.asyncio
async def test_passes(ajoxi_sandbox):
    pass
"""


def test_a_failing_test_leaves_its_sandbox_open(tmp_path: Path) -> None:
    """Its console and API answer until Enter is pressed; a test that passes is not held, and no timeout ends the hold."""
    (tmp_path / "test_it.py").write_text(HELD)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    plugins = ["-p", "ajoxi_async.testing", *NAMED, "-p", "timeout", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *plugins, "-q", "--timeout=40", "--ajoxi-hold"],
        cwd=tmp_path, env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as held:  # fmt: skip
        assert held.stdin is not None
        assert held.stdout is not None
        try:
            for name, calls in (
                ("test_sync", 0),
                ("test_async", 1),
                ("test_anyio[asyncio]", 0),
                ("test_anyio[trio]", None),
            ):
                lines = []
                while not (line := held.stdout.readline()).startswith("Press Enter"):
                    assert line, "".join(lines)
                    lines.append(line)
                said = "".join(lines)
                assert f"test_it.py::{name} failed; its sandbox stays open" in said
                if calls is None:
                    assert "It has no console" in said
                else:
                    found = re.search(r"Console: (\S+)\nAPI: (\S+)  key: (\S+)", said)
                    assert found is not None
                    with urllib.request.urlopen(found[1], timeout=5) as page:
                        assert page.status == 200
                    asked = urllib.request.Request(
                        f"{found[2]}/v1/calls", headers={"Authorization": f"Bearer {found[3]}"}
                    )
                    with urllib.request.urlopen(asked, timeout=5) as answer:
                        assert len(json.load(answer)["data"]) == calls
                held.stdin.write("\n")
                held.stdin.flush()
            rest = held.communicate(timeout=30)[0]
        finally:
            held.kill()
    assert "4 failed, 1 passed" in rest


def test_holding_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the seconds given, or at once where nobody can press a key; not in several processes."""
    code = HELD[: HELD.index("@pytest.mark.asyncio")]
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for option in ("--ajoxi-hold-seconds=0.1", "--ajoxi-hold"):
        said = run(tmp_path, code, option, "-s")[1]
        assert "stays open" in said
        assert "1 failed" in said
    assert "expected seconds above 0" in run(tmp_path, code, "--ajoxi-hold-seconds=0")[1]
    if importlib.util.find_spec("xdist") is not None:
        assert "one process" in run(tmp_path, code, "--ajoxi-hold", "-n", "2")[1]


def test_the_pages_tests(tmp_path: Path) -> None:
    """The application and the tests of docs/testing.md pass as they stand."""
    page = (Path(__file__).parents[2] / "docs/testing.md").read_text()
    status, said = run(tmp_path, "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[:2]))
    assert status == 0, said
    assert "2 passed" in said
