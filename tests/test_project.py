"""The project as a whole: its public face, its floors, and that both ends cover every endpoint."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import ajoxi_async
from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.sandbox.handlers import HANDLERS

ROOT = Path(__file__).parent.parent

PUBLIC = """
APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError AjoxiDeprecationWarning
AjoxiError AsyncAjoxi AuthenticationError BadRequestError Call CallAnswered CallCompleted CallStarted CallStatus
CallerId Campaign Capability Channel ClientCredentials ConfigurationError Direction Disposition Event EventLogError EventStream
EventType Hooks InternalServerError InvalidParameterError Limiter LimiterSnapshot LiveTranscript LiveTranscripts
LocalLimiter Media Message MessageDelivered MessageReceived MessageStatus NotFoundError Number NumberStatus NumberType
OutcomeUnknownError Page Pager PaginationError PermissionDeniedError Permit Port RateLimitError RateLimitedEvent
RawResponse Reconciliation Recording RecordingReady RequestEvent ResponseEvent RetryEvent RetryPolicy Routing
RoutingKind Sandbox Segment SmsConfig Speaker StreamError StreamInterruptedError StreamItem StreamProtocolError
StreamStats Transcript TranscriptEvents TranscriptGapError TranscriptReady TranscriptSnapshot TranscriptStatus
Transport Turn UnknownEvent UnprocessableEntityError Webhook WebhookRouter WebhookSignatureError WebhookStatus Word
parse_event verify_webhook
""".split()


def test_public_names_are_pinned() -> None:
    """What users import changes only together with this list."""
    assert ajoxi_async.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    """Each public name resolves, and says what it is."""
    assert inspect.getdoc(getattr(ajoxi_async, name))


def test_type_checkers_see_what_runs() -> None:
    """The imports for type checkers and the table of lazy imports say the same."""
    tree = ast.parse(Path(ajoxi_async.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.asname: (statement.module or "").removeprefix("ajoxi_async.")
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert told == ajoxi_async._HOME


def test_unknown_names_are_attribute_errors() -> None:
    """A name that is not there is missed in the ordinary way."""
    with pytest.raises(AttributeError, match="Ajoxi"):
        ajoxi_async.Ajoxi  # noqa: B018


def test_importing_is_cheap() -> None:
    """`import ajoxi_async` brings in no engine, no codec and no server; a client brings in no server and no engine."""
    code = (
        "import sys, ajoxi_async\n"
        "heavy = ('aiohttp', 'httpx', 'anyio', 'cattrs', 'msgspec', 'trio', 'rich')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "ajoxi_async.AsyncAjoxi\n"
        "print([name for name in ('aiohttp', 'httpx', 'trio', 'rich', 'ajoxi_async.sandbox') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout.splitlines() == ["[]", "[]"]


@pytest.mark.skipif(not os.environ.get("AJOXI_TEST_WHEEL"), reason="`make test` sets AJOXI_TEST_WHEEL")
def test_the_wheel_is_what_is_tested() -> None:
    """`make test` tests the installed wheel, not the checkout, and it ships its type marker."""
    home = Path(ajoxi_async.__file__).parent
    assert home.parent.name == "site-packages"
    assert (home / "py.typed").exists()
    assert metadata.version("ajoxi-async")


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_parity(name: str) -> None:
    """Every route has a documented method, a handler in the sandbox, and a test through both ends."""
    resource, _, method = name.partition(".")
    client = ajoxi_async.AsyncAjoxi("AJX_TEST_x")
    assert inspect.getdoc(getattr(getattr(client, resource), method))
    assert name in HANDLERS
    tests = (ROOT / "tests/both_ends/test_endpoints.py").read_text()
    assert f"client.{name}(" in tests


def test_no_handler_without_a_route() -> None:
    """The sandbox answers no endpoint that is not declared."""
    assert HANDLERS.keys() == ROUTES.keys()


def test_the_readmes_commands_exist() -> None:
    """The commands that the README names are targets of the Makefile."""
    commands = set(re.findall(r"make (\w+)", (ROOT / "README.md").read_text()))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= commands <= targets


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(page, code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize(("page", "code"), BLOCKS)
def test_the_documentations_code_runs(page: Path, code: str) -> None:
    """Each block of Python in the README and the pages of docs runs as it stands."""
    exec(compile(code, page.name, "exec"), {"__name__": page.stem})


def test_the_first_example_shows_a_transcript(capsys: pytest.CaptureFixture[str]) -> None:
    """What the README begins with places a call and prints what is said."""
    page, code = BLOCKS[0].values
    assert page == PAGES[0]
    exec(compile(str(code), "README.md", "exec"), {"__name__": "README"})
    assert "ai: " in capsys.readouterr().out


def test_nothing_is_left_unfinished() -> None:
    """No marker of unfinished work stands in the package."""
    for path in Path(ajoxi_async.__file__).parent.rglob("*.py"):
        assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", path.read_text()), path
