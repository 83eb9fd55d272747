"""``ajoxi mcp``, driven by the client of the package mcp: in memory on asyncio and trio, and as a process."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ajoxi_async
from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.cli import main
from ajoxi_async.cli.mcp.tools import tools_for
from ajoxi_async.contract.routes import ROUTES

if TYPE_CHECKING:
    import mcp_types as types
    from mcp import Client

pytestmark = pytest.mark.anyio

CALL = {"to": "+14155551234", "from": "+14155550100"}
#: Both generations of the protocol: the server asks within the call, or answers that input is required.
GENERATIONS = ["legacy", "2026-07-28"]


class Person:
    """A user who is asked, and answers all questions alike."""

    def __init__(self, action: str = "accept", confirm: bool = True) -> None:
        self.action, self.content = action, {"confirm": confirm} if action == "accept" else None
        self.asked: list[str] = []

    async def __call__(self, _context: Any, params: Any) -> types.ElicitResult:
        import mcp_types as types

        self.asked.append(params.message)
        return types.ElicitResult(action=self.action, content=self.content)


@asynccontextmanager
async def opened(
    mode: str, *, live: bool = False, person: Person | None = None, read_only: bool = False
) -> AsyncIterator[tuple[Client, Sandbox]]:
    """A host that is connected to a server on a sandbox."""
    # The package mcp takes most of a second, and most processes of a run do without.
    from mcp import Client

    from ajoxi_async.cli.mcp.server import make_server

    key = "AJX_LIVE_0123456789" if live else "AJX_TEST_0123456789"
    async with (
        Sandbox(port=None) as sandbox,
        AsyncAjoxi(key, base_url="https://api.example.com", transport=sandbox.transport(), allow_live=True) as client,
        Client(make_server(client, read_only=read_only), mode=mode, elicitation_callback=person) as host,
    ):
        yield host, sandbox


def calls_in(sandbox: Sandbox) -> int:
    """How many calls reached the API."""
    return sum(request.method == "POST" for request in sandbox.requests)


async def text_of(host: Client, name: str, arguments: dict[str, Any]) -> str:
    result = await host.call_tool(name, arguments)
    assert result.content[0].type == "text"
    return ("error: " if result.is_error else "") + result.content[0].text


async def test_every_endpoint_is_a_tool() -> None:
    """Each route that has one answer is a tool; a live key leaves out what answers with a secret, `read_only` what changes."""
    names = {name.replace(".", "_") for name, route in ROUTES.items() if not route.streaming}
    assert tools_for("test").keys() == names
    assert tools_for("live").keys() == names - {"webhooks_create"}
    reading = {name.replace(".", "_") for name, route in ROUTES.items() if route.method == "GET"} - {
        "transcripts_stream"
    }
    assert tools_for("test", read_only=True).keys() == reading


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_tools_in_test_mode(mode: str) -> None:
    """Without a live key nobody is asked: a call is placed, listed and read, and the answers are the API's objects."""
    async with opened(mode) as (host, _):
        listed = {tool.name: tool for tool in (await host.list_tools()).tools}
        assert listed["calls_create"].input_schema["required"] == ["to", "from"]
        assert listed["calls_create"].annotations is not None
        assert listed["calls_create"].annotations.destructive_hint
        made = (await host.call_tool("calls_create", CALL)).structured_content
        assert (await host.call_tool("calls_retrieve", {"id": made["id"]})).structured_content["to"] == CALL["to"]
        page = await host.call_tool("calls_list", {"limit": 1, "created_after": "2020-01-01T00:00:00Z"})
        assert [each["id"] for each in page.structured_content["data"]] == [made["id"]]
        campaign = {"name": "autumn", "mode": "preview", "contacts": ["+14155551234"]}
        queued = await host.call_tool("calls_create_campaign", {"from": CALL["from"], "campaign": campaign})
        assert queued.structured_content["calls_queued"] == 1
        hook = {"url": "https://example.com/hook", "events": ["call.completed"]}
        hook = (await host.call_tool("webhooks_create", hook)).structured_content
        assert (await host.call_tool("webhooks_delete", {"id": hook["id"]})).structured_content == {"done": True}


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("calls_create", {"to": "5551234", "from": "+14155550100"}, "InvalidParameterError: to:"),
        ("calls_create", {**CALL, "voice": "x"}, "InvalidParameterError: voice:"),
        ("calls_retrieve", {}, "InvalidParameterError: id:"),
        ("calls_retrieve", {"id": "call_0", "x": 1}, "InvalidParameterError: x:"),
        ("calls_retrieve", {"id": "call_0"}, "NotFoundError:"),
        ("phones_ring", {}, "there is no tool 'phones_ring'"),
    ],
)
async def test_errors_are_for_the_model(name: str, arguments: dict[str, Any], said: str) -> None:
    """What cannot be right and what the API refuses is a result that says why, and not the end of the connection."""
    async with opened("legacy") as (host, _):
        assert (await text_of(host, name, arguments)).startswith(f"error: {said}")
        assert (await host.call_tool("calls_list", {})).structured_content["data"] == []


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_a_live_key_asks_before_a_change(mode: str) -> None:
    """The user sees the endpoint and the arguments, and the phone rings only afterwards; reading does not ask."""
    person = Person()
    async with opened(mode, live=True, person=person) as (host, sandbox):
        assert (await host.call_tool("calls_list", {})).structured_content["data"] == []
        assert person.asked == []
        assert (await host.call_tool("calls_create", CALL)).structured_content["to"] == CALL["to"]
        assert person.asked == ['Carry out calls.create(from="+14155550100", to="+14155551234") with a live key?']
        assert calls_in(sandbox) == 1
        assert "expected" in await text_of(host, "calls_create", {**CALL, "to": "1"})
        assert len(person.asked) == 1  # nobody is asked about a call that cannot be made


async def test_a_question_shows_what_is_sent() -> None:
    """Marks that change the direction of writing are escapes in the question, so that it cannot read like another one."""
    person = Person()
    async with opened("legacy", live=True, person=person) as (host, _):
        await host.call_tool("messages_send", {**CALL, "body": "\u202eolleh"})
    assert 'body="\\u202eolleh"' in person.asked[0]


@pytest.mark.parametrize("mode", GENERATIONS)
@pytest.mark.parametrize("person", [Person("decline"), Person("cancel"), Person("accept", confirm=False)])
async def test_no_confirmation_no_call(mode: str, person: Person) -> None:
    """A user who declines, closes the form or leaves the box empty has accepted nothing."""
    async with opened(mode, live=True, person=person) as (host, sandbox):
        assert "did not accept" in await text_of(host, "calls_create", CALL)
        assert calls_in(sandbox) == 0


@pytest.mark.parametrize("mode", GENERATIONS)
async def test_a_host_without_forms(mode: str) -> None:
    """A host that cannot ask its user can read with a live key and change nothing."""
    async with opened(mode, live=True) as (host, sandbox):
        assert "this host cannot ask" in await text_of(host, "calls_create", CALL)
        assert (await host.call_tool("calls_list", {})).structured_content["data"] == []
        assert calls_in(sandbox) == 0


async def test_an_acceptance_holds_once_and_for_what_was_shown() -> None:
    """The user's answer counts neither for other arguments, nor a second time, nor without a question of this server."""
    import mcp_types as types

    async with opened("2026-07-28", live=True, person=Person()) as (host, sandbox):
        yes: Any = {"confirm": types.ElicitResult(action="accept", content={"confirm": True})}

        async def ask(arguments: dict[str, Any], state: str | None) -> Any:
            return await host.session.call_tool(
                "calls_create", arguments, input_responses=yes, request_state=state, allow_input_required=True
            )

        first = await host.session.call_tool("calls_create", CALL, allow_input_required=True)
        assert isinstance(first, types.InputRequiredResult)
        for arguments, state in [
            ({**CALL, "to": "+14155559999"}, first.request_state),
            (CALL, first.request_state),  # used up by the line above
            (CALL, "made up"),
            (CALL, None),
        ]:
            assert isinstance(await ask(arguments, state), types.InputRequiredResult)
        assert calls_in(sandbox) == 0
        again = await ask(CALL, None)
        assert not isinstance(await ask(CALL, again.request_state), types.InputRequiredResult)
        assert isinstance(await ask(CALL, again.request_state), types.InputRequiredResult)
        assert calls_in(sandbox) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the process is the same on both
async def test_over_standard_input_and_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program of docs/mcp.md starts the command, which has no key and serves a sandbox, and places a call."""
    root = Path(__file__).parent.parent
    (code,) = re.findall(r"```python\n(.*?)```", (root / "docs" / "mcp.md").read_text(), re.DOTALL)
    page: dict[str, Any] = {"__name__": "mcp"}
    exec(compile(code, "docs/mcp.md", "exec"), page)
    monkeypatch.chdir(
        Path(ajoxi_async.__file__).parent.parent
    )  # whence the process imports the package, installed or not
    assert (await page["place_call"]()).startswith("call_")


def test_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that cannot be right ends the command with a message; it does not fall back to the sandbox."""
    monkeypatch.setenv("AJOXI_API_KEY", "sk_0123456789")
    assert main(["mcp"]) == 3
    assert "api_key: expected AJX_LIVE_" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "status"), [("stdin", 3), ("stdout", 1)])
def test_without_standard_input_or_output(
    name: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is nobody to talk to, the command ends with a message."""
    monkeypatch.setattr(sys, name, None)
    assert main(["mcp", "--sandbox"]) == status
    assert "closed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failed", "status", "said"),
    [
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (
            OSError(28, "No space left on device"),
            1,
            "ajoxi: cannot write to standard output: No space left on device\n",
        ),
    ],
)
def test_a_host_that_has_gone(
    failed: OSError, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Output that cannot be written ends the command as it does any other, without a traceback; other errors are not hidden."""

    async def serve(*_: object) -> None:
        raise ExceptionGroup("", [ExceptionGroup("", [failed])])

    monkeypatch.setattr("ajoxi_async.cli.mcp._serve", serve)
    assert main(["mcp"]) == status
    assert capsys.readouterr().err == said

    async def fail(*_: object) -> None:
        raise ExceptionGroup("", [OSError(5, "x"), KeyError("x")])

    monkeypatch.setattr("ajoxi_async.cli.mcp._serve", fail)
    with pytest.raises(ExceptionGroup):
        main(["mcp"])


def test_a_profile_and_the_sandbox(capsys: pytest.CaptureFixture[str]) -> None:
    """The sandbox has a key of its own, so that a profile beside it is a mistake."""
    assert main(["mcp", "--sandbox", "--profile", "work"]) == 2
    assert "--sandbox" in capsys.readouterr().err


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the package mcp is missing, the command says what to install."""
    monkeypatch.setitem(sys.modules, "mcp.server.lowlevel", None)
    assert main(["mcp"]) == 3
    assert "install 'ajoxi-async[mcp]'" in capsys.readouterr().err
