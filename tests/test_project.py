"""The project as a whole: its public face, its floors, and that both ends cover every endpoint."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tarfile
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import attrs
import pytest

import ajoxi_async
from ajoxi_async.contract.routes import ROUTES
from ajoxi_async.contract.wire import Response
from ajoxi_async.sandbox.server.handlers import HANDLERS

from .contract.published import Contract

ROOT = Path(__file__).parent.parent

PUBLIC = """
APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError AjoxiDeprecationWarning
AjoxiError AsyncAjoxi AudioStream AuthenticationError BadRequestError Call CallAnswered CallCompleted CallStarted CallStatus
CallerId Campaign Capability Channel ClientClosedError ClientCredentials ConfigurationError Direction Disposition DownloadError DownloadFileError
Event EventLogError EventStream EventType Hooks InternalServerError InvalidParameterError Limiter LimiterSnapshot LiveTranscript LiveTranscripts
LocalLimiter MaskingFilter Media Message MessageDelivered MessageReceived MessageStatus NotFoundError Number NumberStatus NumberType
OutcomeUnknownError Page Pager PaginationError PermissionDeniedError Permit Port RateLimitError RateLimitedEvent
RawResponse Reconciliation Recording RecordingReady ReplayError RequestEvent ResponseEvent RetryEvent RetryPolicy
Routing RoutingKind Sandbox Segment SignedEvent SmsConfig Speaker StreamError StreamInterruptedError StreamItem
StreamProtocolError StreamStats Transcript TranscriptEvents TranscriptGapError TranscriptHub TranscriptReady
TranscriptSnapshot TranscriptStatus TranscriptWatcher Transport Turn UnknownEvent UnprocessableEntityError
WaitTimeoutError Webhook WebhookRouter WebhookSignatureError WebhookStatus Word count_segments parse_event
parse_unverified_event sign_event verify_webhook
""".split()


def test_public_names_are_pinned() -> None:
    """What users import changes only together with this list."""
    assert ajoxi_async.__all__ == PUBLIC


@pytest.mark.skipif(sys.flags.optimize > 1, reason="-OO takes the docstrings away")
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


def test_a_sandbox_that_posts_nothing_starts_without_httpx() -> None:
    """A sandbox opens and closes without the library that posts webhooks, whose import takes a third of its start."""
    code = (
        "import asyncio, sys\nfrom ajoxi_async import Sandbox\n"
        "async def main():\n    async with Sandbox():\n        pass\n"
        "asyncio.run(main())\nprint([name for name in ('httpx', 'httpcore', 'trio') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout == "[]\n"


#: What their fields show is no secret and nobody's number.
SHOWN_WHOLE = {"Console", "Feed", "Feeds", "Key", "Profile", "StaticFile"}


def test_rich_shows_no_more_than_the_reprs() -> None:
    """A class that chooses what its repr shows says the same to rich, which otherwise shows all fields, also in tracebacks."""
    for found in pkgutil.walk_packages(ajoxi_async.__path__, "ajoxi_async."):
        if found.name.rpartition(".")[2] != "__main__" and "_pyinstaller" not in found.name:
            importlib.import_module(found.name)
    classes = {
        one
        for name, module in list(sys.modules.items())
        if name.startswith("ajoxi_async")
        for one in vars(module).values()
        if isinstance(one, type) and attrs.has(one) and one.__module__ == name
    }
    own = {
        one
        for one in classes
        if not getattr(getattr(one.__repr__, "__code__", None), "co_filename", "").startswith("<attrs")
    }
    assert len(own) > 50
    assert {one.__name__ for one in own if not hasattr(one, "__rich_repr__")} == SHOWN_WHOLE


SKILL = ".agents/skills/ajoxi-async/SKILL.md"
DIST = os.environ.get("AJOXI_TEST_DIST")  # where `make test` has built what is tested
built = pytest.mark.skipif(not DIST, reason="`make test` sets AJOXI_TEST_DIST")


def files_under(*folders: str) -> set[str]:
    """The files of the checkout, without caches."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = [path.relative_to(ROOT) for path in paths]
    hidden = (".", "__pycache__")
    # `.agents` is where tools look for the skills of a package.
    return {str(name) for name in names if not any(p.startswith(hidden) for p in name.parts if p != ".agents")}


@built
def test_the_wheel_is_what_is_tested() -> None:
    """`make test` tests the installed wheel, not the checkout."""
    home = Path(ajoxi_async.__file__).parent
    assert home.parent.name == "site-packages"
    assert metadata.version("ajoxi-async")


@built
def test_the_wheel_has_the_package_and_nothing_else() -> None:
    """The wheel holds every file of the package, with its type marker, script and document, and no tests."""
    (wheel,) = Path(str(DIST)).glob("*.whl")
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == files_under("ajoxi_async")
    assert {f"ajoxi_async/{name}" for name in ("py.typed", "limits/schedule.lua", "openapi.json", SKILL)} <= names


@built
def test_the_source_distribution_can_be_tested() -> None:
    """The source distribution holds the package, its tests and all that they read, and no caches or environments."""
    (sdist,) = Path(str(DIST)).glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files_under("ajoxi_async", "tests", "docs", "examples", "benchmarks") | {"Makefile", "README.md"} <= names
    hidden = {name.partition("/")[0] for name in names if name.startswith(".")}
    assert hidden <= {".ci", ".github", ".gitignore", ".oxlintrc.json"}
    assert not [name for name in names if "__pycache__" in name or name.startswith(("dist/", "build/"))]


def test_the_supported_pythons_are_tested() -> None:
    """The versions that the classifiers name are those that CI looks for."""
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    tried = re.search(r"^for version in (.*); do$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert tried is not None
    assert tried[1].split() == named


def test_the_constraints_pin_everything_with_hashes() -> None:
    """Each requirement of .ci/constraints.txt is one version with its hashes, and the file names no index and no path."""
    text = (ROOT / ".ci/constraints.txt").read_text()
    pins = re.findall(
        r"^(\w[\w.-]*)==[\w.]+( ; [^\\\n]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+$", text, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^\w", text, re.MULTILINE)) > 50
    assert not re.search(r"://|^-|file:|@ ", text, re.MULTILINE)


def named(requirements: list[Any]) -> set[str]:
    """The names of requirements, as indexes compare them; groups that are included are left out."""
    texts = [text for text in requirements if isinstance(text, str)]
    return {re.sub(r"[-_.]+", "-", str(re.match(r"[\w.-]+", text)[0])).lower() for text in texts}  # type: ignore[index]


def test_the_constraints_are_those_of_the_project() -> None:
    """What pyproject.toml names is in .ci/constraints.txt, for the purpose that names it; a new dependency needs `make constraints`."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = told["dependency-groups"]
    wanted = {group: named(groups[group]) for group in ("pip", "build", "release", "bench", "constraints")}
    wanted |= {group: named(groups[group] + groups["test"]) for group in ("lint", "coverage", "mutation")}
    wanted |= {"test": named(groups["test"]), "demo": named(told["project"]["optional-dependencies"]["cli"])}
    for purpose in ("test", "demo", "lint", "bench", "coverage", "mutation"):
        wanted[purpose] |= named(told["project"]["dependencies"])
    for purpose, names in wanted.items():
        command = [sys.executable, str(ROOT / ".ci/constraints.py"), "for", purpose]
        got = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        assert names <= named(re.findall(r"^\w[\w.-]*==.*", got, re.MULTILINE)), purpose


def test_workflows_run_only_pinned_actions() -> None:
    """Each action that a workflow uses is named by its commit, since a tag can be moved; CI has every supported Python."""
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        text = path.read_text()
        uses = re.findall(r"uses: (\S+)", text)
        assert uses
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in uses), path.name
        named_pythons = re.findall(
            r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text()
        )
        assert sorted(set(re.findall(r"^ +(3\.\d+)$", text, re.MULTILINE))) == named_pythons, path.name


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_parity(name: str) -> None:
    """Every route has a documented method, a handler in the sandbox, and a test through both ends."""
    resource, _, method = name.partition(".")
    client = ajoxi_async.AsyncAjoxi("AJX_TEST_x")
    assert inspect.getdoc(getattr(getattr(client, resource), method)) or sys.flags.optimize > 1
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
    # As a file of its own: not with the future annotations of this one.
    exec(compile(code, page.name, "exec", dont_inherit=True), {"__name__": page.stem})


def test_the_first_example_shows_a_transcript(capsys: pytest.CaptureFixture[str]) -> None:
    """What the README begins with places a call and prints what is said."""
    page, code = BLOCKS[0].values
    assert page == PAGES[0]
    exec(compile(str(code), "README.md", "exec"), {"__name__": "README"})
    assert "ai: " in capsys.readouterr().out


def test_asserts_are_executed() -> None:
    """The asserts of tests and of what they share fail where they should, under `python -OO` too."""
    with pytest.raises(AssertionError):
        assert not sys.argv
    with pytest.raises(AssertionError):
        Contract().check(None, Response(200, {}, b""))


def test_nothing_is_left_unfinished() -> None:
    """No marker of unfinished work stands in the package."""
    for path in Path(ajoxi_async.__file__).parent.rglob("*.py"):
        assert not re.search(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b", path.read_text()), path


PACKAGE = Path(ajoxi_async.__file__).parent


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports_of(name: str, modules: set[str]) -> set[str]:
    """The modules that a module imports, inside of functions and for type checkers too. The package has absolute imports only."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, name
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in modules else str(node.module))
    return (found & modules) - {name}


def circles(graph: dict[str, set[str]]) -> set[str]:
    """The nodes of a graph from which a path leads into a circle."""
    left = {name: set(targets) for name, targets in graph.items()}
    while ends := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in ends}
    return set(left)


def test_no_import_circles() -> None:
    """No file of the package imports itself by way of others, not even for type checkers."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}
    # The package's own `__init__` names what is public for type checkers; nothing below it imports from there.
    modules = set(MODULES) - {"ajoxi_async"}
    assert not circles({name: imports_of(name, modules) for name in modules})


#: Private names of other libraries that the package uses, by module, and why there is no other way.
FOREIGN_PRIVATE_NAMES = {
    "cli.completion": (
        "_SubParsersAction _actions _choices_actions",
        "argparse does not say otherwise what a parser takes",
    ),
    "contract.open_enum": ("_name_ _value_ _value2member_map_", "the documented way to make members of an enum"),
    "protocol.callbacks": ("_is_coroutine", "the mark of asyncio before Python 3.12, which has a public one"),
    "runtime.loops": ("_get_running_loop", "documented by asyncio for such use; it does not raise, which is slower"),
    "transports.engines": ("_get_running_loop", "as in runtime.loops"),
    "webhooks.blocking": ("_get_running_loop", "as in runtime.loops"),
    "transports.aiohttp": (
        "_retry_connection _body _conns _acquired _sock _ssl_protocol",
        "aiohttp cannot be told otherwise not to send twice, nor to close its sockets without their event loop",
    ),
    "transports.exchange": (
        "_payload _body _ajoxi_poll",
        "aiohttp does not say what it has read of an answer; `_ajoxi_poll` is an attribute of ours on its connection",
    ),
    "transports.httpx": (
        "_stream _ssl_object _incoming _read_bio _pool _httpcore_stream _connection _h11_state _network_stream _mounts _sock",
        "httpx and httpcore hide the state of a connection and its socket",
    ),
}


def private_names_from_outside() -> dict[str, set[str]]:
    """The private names that each module uses and that no module of its own package defines.

    `_replace` is the documented method of named tuples.
    """
    defined: dict[Path, set[str]] = {}
    used: dict[str, set[str]] = {}
    for module, tree in TREES.items():
        names = defined.setdefault(MODULES[module].parent, set())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
                if of_self and isinstance(node.ctx, ast.Store):
                    names.add(node.attr)
                used.setdefault(module, set()).add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                used.setdefault(module, set()).update(alias.name for alias in node.names)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                by_name = node.args[1] if node.func.id in {"getattr", "setattr"} else None
                if isinstance(by_name, ast.Constant):
                    used.setdefault(module, set()).add(str(by_name.value))
    found = {
        module: {name for name in names if re.match(r"_(?!_|replace$)", name)} - defined[MODULES[module].parent]
        for module, names in used.items()
    }
    return {module.removeprefix("ajoxi_async."): names for module, names in found.items() if names}


def test_private_names_stay_in_their_package() -> None:
    """No private attribute, function or class is used outside of the package that defines it; other libraries' are listed."""
    listed = {module: set(names.split()) for module, (names, _) in FOREIGN_PRIVATE_NAMES.items()}
    assert private_names_from_outside() == listed
