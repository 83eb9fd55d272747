"""What a live key does not do unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ajoxi_async.cli import main
from ajoxi_async.cli.api.confirmation import ASKS, question
from ajoxi_async.cli.api.operations import operation

from .conftest import FROM, TO, Screen, Server
from .terminal import COMMAND, Terminal

Run = Callable[..., tuple[int, str, str]]
#: How each operation that asks is typed.
TYPED = {
    "calls.create": ["calls", "create", "--to", TO, "--from", FROM],
    "calls.create_campaign": ["calls", "create-campaign", "--from", FROM, "--name", "A", "--mode", "power", "--contacts", TO],
    "calls.transfer": ["calls", "transfer", "call_1", "--to", TO],
    "numbers.provision": ["numbers", "provision", "--phone-number", TO],
    "numbers.release": ["numbers", "release", "num_1"],
    "messages.send": ["messages", "send", "--to", TO, "--from", FROM, "--body", "hi"],
    "webhooks.delete": ["webhooks", "delete", "wh_1"],
}  # fmt: skip


@pytest.fixture
def live(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A sandbox that is asked with a live key."""
    key = server.call(lambda: server.sandbox.mint_key("live"))
    monkeypatch.setenv("AJOXI_API_KEY", key)
    monkeypatch.setattr(Server, "environment", {"AJOXI_API_KEY": key, "AJOXI_BASE_URL": server.sandbox.base_url})
    yield server


@pytest.mark.parametrize("route", sorted(ASKS))
def test_without_a_terminal(live: Server, ajoxi: Run, route: str) -> None:
    """Where nobody can be asked it refuses, and says what would happen and which option permits it; with the option it is done."""
    before = len(live.sandbox.requests)
    status, out, said = ajoxi(*TYPED[route], "--allow-live")
    assert (status, out, said.count("\n")) == (3, "", 1)
    assert "The key is live" in said
    assert "--yes" in said
    assert "nothing was sent" in said
    assert len(live.sandbox.requests) == before
    assert ajoxi(*TYPED[route], "--allow-live", "--yes")[0] in {0, 5, 6}
    assert len(live.sandbox.requests) == before + 1


@pytest.mark.parametrize("route", ["numbers.update", "webhooks.create", "calls.list", "calls.retrieve"])
def test_what_can_be_undone(live: Server, ajoxi: Run, route: str) -> None:
    """What only looks, or can be undone, is not asked."""
    does = operation(route)
    arguments = {
        "numbers.update": ["num_1", "--sms-enabled"],
        "webhooks.create": ["--url", "https://example.com/", "--events", "call.started"],
        "calls.retrieve": ["call_1"],
    }.get(route, [])
    assert ajoxi(does.resource, does.word, *arguments, "--allow-live")[0] in {0, 5}


def test_a_test_key_is_not_asked(server: Server, ajoxi: Run) -> None:
    """With a test key no phone rings, and it does as it is told."""
    assert ajoxi(*TYPED["calls.create"])[0] == 0


@pytest.mark.parametrize(("keys", "status", "rings"), [(b"y\n", 0, 1), (b"\n", 3, 0), (b"no\n", 3, 0), (b"\x04", 3, 0)])
def test_on_a_terminal(live: Server, screen: Callable[..., Screen], keys: bytes, status: int, rings: int) -> None:
    """It asks, and only yes is yes: not an empty line, nor the end of the input."""
    terminal = screen("stdin", "stderr")
    terminal.type(keys)
    assert main([*TYPED["calls.create"], "--allow-live"]) == status
    assert "This rings +14155551234. The key is live. Go on? [y/N] " in terminal.shown()
    world = live.call(live.sandbox.world, live.environment["AJOXI_API_KEY"])
    assert len(world.rings()) == rings


@pytest.mark.parametrize("failing", [OSError(5, "Input/output error"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "")])
def test_an_answer_that_cannot_be_read(live: Server, monkeypatch: pytest.MonkeyPatch, failing: Exception) -> None:
    """A terminal that has gone, or bytes that are no text, are no yes: status 3, and nothing is sent."""

    class Gone:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            raise failing

    monkeypatch.setattr("sys.stdin", Gone())
    monkeypatch.setattr("ajoxi_async.cli.api.run.can_ask", lambda: True)
    before = len(live.sandbox.requests)
    assert main([*TYPED["calls.create"], "--allow-live"]) == 3
    assert len(live.sandbox.requests) == before


def test_interrupting_the_question(live: Server) -> None:
    """Ctrl-C at the question ends it with 130, and nothing is sent."""
    before = len(live.sandbox.requests)
    terminal = Terminal([*COMMAND, *TYPED["calls.create"], "--allow-live"], 80, TERM="xterm", **live.environment)
    terminal.read(b"[y/N] ")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert b"Traceback" not in terminal.shown
    assert len(live.sandbox.requests) == before


def test_questions_are_whole() -> None:
    """Each question is a sentence with what was typed in it; a route that is new has one as well."""
    given = {"to": TO, "id": "call_1", "contacts": [TO] * 1200, "phone_number": TO}
    assert question("calls.create_campaign", given) == "This rings 1,200 people. The key is live."
    assert {route: "{" in question(route, given) for route in ASKS} == dict.fromkeys(ASKS, False)
    assert question("calls.hang_up", {}) == "This is calls.hang_up. The key is live."
