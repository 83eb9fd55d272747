"""``ajoxi webhooks``: listen, trigger, doctor."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest

from ajoxi_async import Event, WebhookRouter
from ajoxi_async.cli import main

SECRET = "whsec_0123456789"


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[bytes, str | None], int]], str]]:
    """Serve a function of body and signature; its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[bytes, str | None], int]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(answer(body, self.headers["X-Ajoxi-Signature"]))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/hook"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def right() -> Callable[[bytes, str | None], int]:
    """A receiver that does right."""
    router = WebhookRouter(SECRET)

    @router.fallback
    async def take(event: Event) -> None:
        """Handled."""

    router.unknown(take)
    return lambda body, signature: anyio.run(router.receive, body, signature).status


def test_doctor_of_a_good_receiver(serve: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    """A router passes every rule, and the secret is not shown."""
    assert main(["webhooks", "doctor", serve(right()), "--secret", SECRET]) == 0
    out = capsys.readouterr().out
    assert out.count("ok  ") == 13
    assert "FAIL" not in out
    assert SECRET not in out


@pytest.mark.parametrize(("status", "failing"), [(200, 5), (400, 7), (500, 12), (302, 12)])
def test_doctor_of_bad_receivers(
    status: int, failing: int, serve: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that takes everything fails what must be refused; one that refuses everything, what must be taken."""
    assert main(["webhooks", "doctor", serve(lambda body, signature: status), "--secret", SECRET]) == 1
    assert capsys.readouterr().out.count("FAIL") == failing


def test_trigger(
    serve: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event, signed with the secret of the environment; the status of the command is the receiver's verdict."""
    url = serve(right())
    monkeypatch.setenv("AJOXI_WEBHOOK_SECRET", SECRET)
    assert main(["webhooks", "trigger", "call.completed", "--to", url]) == 0
    assert capsys.readouterr().out.startswith("call.completed evt_")
    assert main(["webhooks", "trigger", "call.completed", "--to", url, "--secret", "whsec_other"]) == 1
    capsys.readouterr()
    assert main(["webhooks", "trigger", "call.completed", "--to", "http://192.0.2.1/", "--secret", SECRET]) == 1
    assert "no answer (" in capsys.readouterr().out
    monkeypatch.delenv("AJOXI_WEBHOOK_SECRET")
    assert main(["webhooks", "trigger", "call.completed", "--to", url]) == 2
    assert "--secret" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["doctor", "nowhere"], "URL"),
        (["trigger", "call.completed", "--to", "ftp://127.0.0.1/"], "--to"),
        (["listen", "--forward-to", ""], "--forward-to"),
        (["listen", "--public-url", "nowhere"], "--public-url"),
    ],
)
def test_a_url_that_cannot_be(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused as it is typed, before anything is sent or listened for."""
    secret = [] if arguments[0] == "listen" else ["--secret", SECRET]
    assert main(["webhooks", *arguments, *secret]) == 2
    assert capsys.readouterr().err.startswith(f"ajoxi: {named}: expected an absolute http or https URL")


@pytest.mark.parametrize("arguments", [["doctor", "http://127.0.0.1:9/"], ["listen"]])
def test_a_secret_that_is_no_text(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no text in the encoding of the system are refused as the option."""
    assert main(["webhooks", *arguments, "--secret", "\udcff"]) == 2
    assert capsys.readouterr().err.startswith("ajoxi: --secret: expected the webhook's secret")


def test_doctor_where_nobody_is(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says that nothing is answered, and why, instead of a failure for each rule."""
    assert main(["webhooks", "doctor", "http://192.0.2.1/", "--secret", SECRET]) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAIL  nothing is answered: no answer (the address is not permitted; ")
    assert "--allow-remote" in out
    assert out.count("\n") == 1


def test_a_port_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused with the option named."""
    assert main(["webhooks", "listen", "--forward-to", "http://127.0.0.1:9/", "--port", "70000"]) == 2
    assert "--port" in capsys.readouterr().err


def test_listen(serve: Callable[..., str]) -> None:
    """What comes is shown and forwarded with its bytes and signature, and the target's answer is the answer."""
    url = serve(right())
    command = [sys.executable, "-m", "ajoxi_async", "webhooks", "listen", "--forward-to", url, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        here = process.stdout.readline().split()[2]
        assert main(["webhooks", "trigger", "message.received", "--to", here, "--secret", SECRET]) == 0
        assert main(["webhooks", "trigger", "message.received", "--to", here, "--secret", "whsec_other"]) == 1
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert [line.split()[0::2] for line in out.splitlines()] == [
        ["message.received", "204"],
        ["message.received", "400"],
    ]
