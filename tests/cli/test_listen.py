"""``ajoxi webhooks listen``: filter, verdict, body, history and resending, subscribing by itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ajoxi_async.cli import main
from ajoxi_async.cli.status import UsageError
from ajoxi_async.cli.webhooks.deliveries import History, chosen_types, judge, read
from ajoxi_async.cli.webhooks.subscription import subscribed
from ajoxi_async.contract import signing

from .conftest import FROM, TO, Server
from .terminal import COMMAND, Terminal, environment

Run = Callable[..., tuple[int, str, str]]
SECRET = "whsec_0123456789"


class Receiver:
    """A target that notes what it gets and answers what it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str | None]] = []
        self.answer = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.got.append(
                    (self.rfile.read(int(self.headers["Content-Length"])), self.headers["X-Ajoxi-Signature"])
                )
                self.send_response(receiver.answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A target on a port of this machine."""
    one = Receiver()
    threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield one
    one.server.shutdown()
    one.server.server_close()


def trigger(to: str, kind: str = "call.completed", secret: str = SECRET) -> int:
    """Send an event; the status of the command."""
    return main(["webhooks", "trigger", kind, "--to", to, "--secret", secret])


def listening(*arguments: str, command: list[str] = COMMAND, **env: str) -> subprocess.Popen[str]:
    """Start the command, off a terminal."""
    return subprocess.Popen(
        [*command, "webhooks", "listen", "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(**env),
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Its output and errors, after it was told to end."""
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return out, errors


def address(process: subprocess.Popen[str]) -> str:
    """The address of its first line."""
    assert process.stdout is not None
    return process.stdout.readline().split()[2]


def test_without_a_target() -> None:
    """Everything is answered 204 here. The verdict says whether it was signed with the secret, and the body is shown if asked for.

    What --events does not name is not shown.
    """
    with listening("--secret", SECRET, "--body", "--events", "message.*,call.start") as process:
        here = address(process)
        assert trigger(here, "call.started") == 0
        assert trigger(here, "call.completed") == 0
        assert trigger(here, "message.received", secret="whsec_other") == 0
        out, _ = ended(process)
    heads = [line for line in out.splitlines() if not line.startswith(" ")]
    assert [line.split()[0] for line in heads] == ["call.started", "message.received"]
    assert heads[0].endswith(": 204  signature ok")
    assert ": 204  SIGNATURE WRONG: no signature matches" in heads[1]
    bodies = "".join(line for line in out.splitlines() if line.startswith(" "))
    assert bodies.count('"type": "call.started"') == bodies.count('"type": "message.received"') == 1
    assert SECRET not in out


def test_a_sender_that_goes_away() -> None:
    """A body that breaks off is no delivery, and no traceback."""
    with listening() as process:
        here = address(process)
        with socket.create_connection(("127.0.0.1", int(here.split(":")[2].strip("/")))) as sender:
            sender.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{}")
        assert trigger(here) == 0
        out, errors = ended(process)
    assert (len(out.splitlines()), errors) == (1, "")


def test_lines_of_json(receiver: Receiver) -> None:
    """With --print-json, standard output has a line of JSON for each delivery and nothing else.

    What --events does not name is acknowledged and not forwarded.
    """
    receiver.answer = 500
    with listening("--forward-to", receiver.url, "--print-json", "--events", "call.completed") as process:
        assert process.stderr is not None
        here = process.stderr.readline().split()[2]
        assert (trigger(here, "message.received"), trigger(here)) == (0, 1)
        out, errors = ended(process)
    (one,) = [json.loads(line) for line in out.splitlines()]
    assert (one["number"], one["type"], one["answer"], one["signature"]) == (2, "call.completed", "500", "not checked")
    assert len(receiver.got) == 1
    assert one["body"]["data"]["id"] == "call_8f2a1b3c"
    assert errors == ""


def webhooks_of(server: Server) -> list[Any]:
    """The subscriptions of the account, as they are listed."""
    from ajoxi_async import AsyncAjoxi

    async def ask() -> list[Any]:
        async with AsyncAjoxi(server.sandbox.api_key, base_url=server.sandbox.base_url) as client:
            return [one async for one in client.webhooks.list()]

    return server.call(ask)


def started(columns: int, *arguments: str, **env: str) -> tuple[Terminal, str]:
    """The command on a terminal, and its address."""
    terminal = Terminal([*COMMAND, "webhooks", "listen", "--port", "0", *arguments], columns, TERM="xterm", **env)
    shown = terminal.read(b"? this")
    return terminal, shown.split()[2]


def test_it_subscribes_and_unsubscribes(server: Server, ajoxi: Run, unused_tcp_port: int) -> None:
    """With a key and a public URL it is subscribed to the events until it ends, and knows the secret by itself."""
    here = f"http://127.0.0.1:{unused_tcp_port}/"
    arguments = ["--port", str(unused_tcp_port), "--public-url", here, "--events", "call.*"]
    with listening(*arguments, **server.environment) as process:
        address(process)
        assert process.stdout is not None
        id = process.stdout.readline().split()[1]
        (made,) = webhooks_of(server)
        assert (made.id, made.url) == (id, here)
        assert list(made.events) == ["call.started", "call.answered", "call.completed"]
        ajoxi("calls", "create", "--to", TO, "--from", FROM)
        seen = [process.stdout.readline() for _ in range(3)]
        out, errors = ended(process)
    assert {line.split()[0] for line in seen} == {"call.started", "call.answered", "call.completed"}
    assert all(line.endswith("signature ok\n") for line in seen)
    assert errors == ""
    assert webhooks_of(server) == []


def test_subscribing_that_fails(server: Server, ajoxi: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a key nothing is listened for. A subscription to the same URL is named, and one that cannot be removed."""
    url = "http://127.0.0.1:9/"
    assert ajoxi("webhooks", "listen", "--port", "0", "--public-url", "nowhere")[0] == 2
    assert ajoxi("webhooks", "listen", "--port", "0", "--public-url", url, "--profile", "none")[0] == 3
    other = json.loads(ajoxi("webhooks", "create", "--url", url, "--events", "call.started")[1])["id"]
    server.call(lambda: server.sandbox.faults.add(match="webhooks.delete", action="status", status=403))

    async def subscribe() -> str:
        options = argparse.Namespace(profile=None, allow_live=False, public_url=url)
        async with subscribed(options, None) as made:
            return made.id

    id = asyncio.run(subscribe())
    first, last = capfd.readouterr().err.splitlines()
    assert first == f"ajoxi: {other} delivers to {url} as well, so that what comes may come twice"
    assert last.startswith(f"ajoxi: {id} is still subscribed, remove it with `ajoxi webhooks delete {id}`: ")


def test_keys(receiver: Receiver) -> None:
    """r sends the last one again, 1r the first one, b shows a body, h the history; what is sent again is the same."""
    terminal, here = started(200, "--forward-to", receiver.url, "--secret", SECRET)
    terminal.type(b"rh")
    terminal.read(b"nothing has come yet\r\nnothing has come yet\r\n")
    receiver.answer = 500
    assert trigger(here) == 1
    receiver.answer = 204
    assert trigger(here, "message.received") == 0
    terminal.read(b"#2 ")
    terminal.type(b"1r")
    terminal.read(b"again: 204")
    terminal.type(b"1b2\x1b[Ar")  # the arrow forgets the 2
    terminal.read(b"again: 204  signature ok\r\n")
    terminal.type(b"77b")
    terminal.read(b"there is no #77 any more, or not yet")
    terminal.type(b"h")
    terminal.read(b"#2 message.received")
    end = time.monotonic() + 30
    while len(receiver.got) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    first, second, *again = receiver.got
    assert sorted(again) == sorted([first, second])
    terminal.type(b"q")
    assert terminal.end() == 0
    assert terminal.shown.count(b'"type": "call.completed"') == 1
    assert b"Traceback" not in terminal.shown


REFUSING = """
import asyncio, sys
from ajoxi_async.cli import main

def refuse(self, *_):
    raise NotImplementedError

for name in ("add_signal_handler", "remove_signal_handler", "add_reader", "remove_reader"):
    setattr(asyncio.SelectorEventLoop, name, refuse)
sys.exit(main(sys.argv[1:]))
"""


def test_a_loop_that_refuses(receiver: Receiver) -> None:
    """As on Windows: where the loop has neither signal handlers nor readers, keys and Ctrl-C work; the terminal is set back."""
    import termios

    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)[3]
    process = subprocess.Popen(
        ["setsid", "-c", "-w", sys.executable, "-W", "error", "-c", REFUSING, "webhooks", "listen", "--port", "0", "--forward-to",
         receiver.url], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="xterm"),
    )  # fmt: skip
    shown = b""

    def until(sign: bytes) -> None:
        nonlocal shown
        while sign not in shown:
            shown += os.read(ours, 4096)

    until(b"? this")
    assert not termios.tcgetattr(theirs)[3] & termios.ECHO
    assert trigger(shown.split()[2].decode()) == 0
    os.write(ours, b"r")
    until(b"again: 204")
    os.write(ours, b"\x03")
    assert process.wait(30) == 0
    assert termios.tcgetattr(theirs)[3] == before
    assert b"Traceback" not in shown
    os.close(ours)
    os.close(theirs)


def test_in_the_background() -> None:
    """In the background of a terminal it does not stop, because it leaves the terminal alone."""
    line = f"set -m; {' '.join(COMMAND)} webhooks listen --port 0 & read x; jobs; kill %1; wait; exit 0"
    terminal = Terminal(["bash", "-c", line], 200, TERM="xterm")
    terminal.read(b"Ctrl-C ends it.")
    terminal.type(b"\n")
    assert terminal.end() == 0
    assert b"Running" in terminal.shown
    assert b"Stopped" not in terminal.shown


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        (None, None),
        (["call.start"], {"call.started"}),
        (["message.*"], {"message.received", "message.delivered"}),
        (
            ["recording.ready,transcript.ready", "call.completed"],
            {"recording.ready", "transcript.ready", "call.completed"},
        ),
    ],
)
def test_types(typed: list[str] | None, chosen: set[str] | None) -> None:
    """Types are named with commas or spaces, all of a kind with a star, and by the alias of the API."""
    assert chosen_types(typed) == chosen


@pytest.mark.parametrize("typed", ["fax.pondered", "call", ",", "call.*x", ""])
def test_types_that_are_none(typed: str) -> None:
    """A type that nobody sends is refused, since nothing would ever be shown."""
    with pytest.raises(UsageError, match=r"^--events: expected some of call.started"):
        chosen_types([typed])


def test_verdicts() -> None:
    """A signature is right, wrong with a reason, missing, or not checked without a secret."""
    body = b'{"id": "evt_1", "type": "call.started"}'
    assert judge(body, signing.sign(body, [SECRET]), SECRET) == ("ok", "")
    assert judge(body, "0" * 64, SECRET)[0] == "wrong"
    assert "white space" in judge(body + b"\n", signing.sign(body, [SECRET]), SECRET)[1]
    assert judge(body, None, SECRET)[0] == "missing"
    assert judge(body, None, None) == ("not checked", "")


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'{"id": 1, "type": "x"}', b"[" * 100_000, b'"\x1b[2J"'])
def test_bodies_that_are_no_event(body: bytes) -> None:
    """They are shown as what they are, without an effect on the terminal, and can be sent again like any other."""
    one = read(1, body, None, SECRET)
    assert f"{len(body)} bytes that are no event" in one.line(numbered=True)
    assert "\x1b" not in "\n".join(one.body_lines())
    json.dumps(one.to_dict())


def test_the_history_is_bounded() -> None:
    """At most 200 deliveries and 32 MiB of bodies are remembered, the newest ones."""
    history = History()
    for _ in range(300):
        history.keep(read(history.next_number(), b"x", None, None))
    assert [one.number for one in (history.latest(1000)[0], history.latest(1)[0])] == [101, 300]
    assert history.find(100) is None
    assert history.find(None) == history.find(300)
    large = bytes(1024 * 1024)
    for _ in range(40):
        history.keep(read(history.next_number(), large, None, None))
    assert len(history.latest(1000)) == 32
