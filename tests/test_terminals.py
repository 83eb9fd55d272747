"""Commands and examples on what they write to: terminals of all kinds, pipes that break, full disks, closed files."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from ajoxi_async import Segment
from ajoxi_async.cli import main
from ajoxi_async.protocol.assembly import TranscriptSnapshot

from .cli.terminal import COMMAND, Terminal, environment, shell

ROOT = Path(__file__).parent.parent
EXAMPLES = {
    "quickstart": ("signature verified", "* What the limiter did", "429 answers", "phones rang 5 times"),
    "live_dashboard": ("ended", "customer: "),
}
#: What each is started with: the tour calls five people instead of 300.
ARGUMENTS = {"quickstart": ["5"], "live_dashboard": []}
#: A terminal that knows ASCII only, in the ways that Python is told so.
POOR = [
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]
TERMINALS: list[tuple[int, dict[str, str]]] = [
    (80, {"TERM": "xterm-256color"}),
    (200, {"TERM": "xterm-256color", "NO_COLOR": "1"}),
    (80, {"TERM": "dumb"}),
    (200, {"TERM": "xterm", "PYTHONIOENCODING": "cp1252"}),
]


# Examples.


@pytest.fixture(scope="module")
def shown() -> Iterator[dict[tuple[str, int], Terminal]]:
    """Every example on every terminal, all at the same time."""
    running = {
        (example, number): Terminal(
            [sys.executable, "-W", "error", str(ROOT / "examples" / f"{example}.py"), *ARGUMENTS[example]],
            columns,
            **env,
        )
        for example in EXAMPLES
        for number, (columns, env) in enumerate(TERMINALS)
    }
    yield running
    for terminal in running.values():
        terminal.process.kill()
        terminal.process.wait()


@pytest.mark.parametrize("number", range(len(TERMINALS)))
@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_on_a_terminal(shown: dict[tuple[str, int], Terminal], example: str, number: int) -> None:
    """Each runs to its end at 80 and 200 columns, without colours, and where the terminal is dumb."""
    terminal = shown[example, number]
    status = terminal.end()
    text = terminal.shown.decode("utf-8", "replace")
    assert status == 0, text
    assert "Traceback" not in text
    for sign in EXAMPLES[example]:
        assert sign in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    columns, env = TERMINALS[number]
    if "NO_COLOR" in env:
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)
    if env["TERM"] == "dumb":
        assert "\x1b[3" not in text


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_where_characters_lack(example: str) -> None:
    """Terminals of little encodings: the text is shown with signs for what they lack."""
    arguments = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{example}.py"), *ARGUMENTS[example]]
    runs = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**env), cwd="/")
        for env in POOR
    ]
    for run in runs:
        out, errors = run.communicate(timeout=45)
        assert (run.returncode, errors) == (0, b"")
        assert EXAMPLES[example][0].encode() in out


def load(example: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{example}", ROOT / "examples" / f"{example}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


#: What somebody may say or be called.
HOSTILE = ["[/]", "[red]x[/red]", "[/bold", "a\\", "\\[/]", "[link=http://x]y", "\x1b[2J\x07x", "[:smile:]", "é😀[]"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("terminal", [True, False])
def test_the_dashboard_shows_markup_as_text(text: str, terminal: bool) -> None:
    """Markup in what was said, and in names, is text; control characters do nothing."""
    from rich.console import Console

    dashboard, out = load("live_dashboard"), io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80, height=60, color_system=None)
    for badge in (None, *dashboard.BADGES):
        pane = dashboard.Pane(console, f"call_1{text}")
        if badge is not None:
            pane.on_state(badge)
        said = Segment(sequence=1, speaker="customer", text=text, is_final=True)
        pane.live = Live(TranscriptSnapshot(finals=(said,), interims=(), last_event_id=None, completed=None))
        console.print(pane)
    visible = text.replace("\x1b", " ").replace("\x07", " ")
    assert f"customer: {visible}" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


class Live:
    """A live transcript with something said in it."""

    reconnects = 1

    def __init__(self, snapshot: Any) -> None:
        self.snapshot = lambda: snapshot


@pytest.mark.parametrize("text", HOSTILE)
def test_the_quickstart_shows_markup_as_text(text: str) -> None:
    """Likewise in the tour."""
    from rich.console import Console

    tour = load("quickstart")
    tour.out = Console(file=io.StringIO(), width=80, highlight=False)
    tour.say(text, (text, "bold"))
    visible = text.replace("\x1b", " ").replace("\x07", " ")
    assert tour.out.file.getvalue() == f"{visible * 2}\n"


# Commands.


@pytest.mark.parametrize(("columns", "env"), [TERMINALS[0], TERMINALS[-1]])
@pytest.mark.parametrize(
    ("arguments", "status", "sign"),
    [
        (["openapi"], 0, '"openapi": "3.1.0"'),
        (["--version"], 0, "ajoxi-async 0."),
        (["--help"], 0, "usage: ajoxi"),
        (["sandbox", "--help"], 0, "--rate-limit"),
        (
            ["webhooks", "trigger", "call.completed", "--to", "http://127.0.0.1:1/", "--secret", "whsec_x"],
            1,
            "no answer",
        ),
        (["webhooks", "doctor", "http://127.0.0.1:1/", "--secret", "whsec_x"], 1, "FAIL  nothing is answered"),
        (["sandbox", "--db", "/proc/é😀"], 1, "--db"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_commands_on_a_terminal(
    arguments: list[str], status: int, sign: str, columns: int, env: dict[str, str]
) -> None:
    """Each says what it has to say and ends with its status."""
    terminal = Terminal([*COMMAND, *arguments], columns, **env)
    assert terminal.end() == status
    # Python 3.14 colours what argparse prints.
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown.decode("utf-8", "replace"))
    assert sign in text
    assert "Traceback" not in text


@pytest.mark.parametrize("arguments", [["sandbox", "--port", "0"], ["webhooks", "listen", "--forward-to", "http://127.0.0.1:1/", "--port", "0"]], ids=lambda a: a[0])  # fmt: skip
def test_control_c(arguments: list[str]) -> None:
    """A serving command ends with status 0 after Ctrl-C."""
    terminal = Terminal([*COMMAND, *arguments], 80, TERM="xterm")
    terminal.read(b"Ctrl-C ends it")
    terminal.type(b"\x03")
    assert terminal.end() == 0
    assert b"Traceback" not in terminal.shown


@pytest.fixture(scope="module")
def utf8() -> Any:
    """The contract where nothing lacks."""
    run = subprocess.run([*COMMAND, "openapi"], capture_output=True, env=environment(), timeout=30, check=True)
    return json.loads(run.stdout)


@pytest.mark.parametrize("env", POOR, ids=str)
def test_commands_where_characters_lack(env: dict[str, str], utf8: Any) -> None:
    """The contract is the same document in every encoding."""
    run = subprocess.run([*COMMAND, "openapi"], capture_output=True, env=environment(**env), timeout=30, check=True)
    assert json.loads(run.stdout) == utf8
    assert utf8["openapi"] == "3.1.0"


@pytest.mark.parametrize("arguments", ["openapi", "--help", "--version", "sandbox --help", "sandbox --port 0"])
def test_a_reader_that_went_away(arguments: str) -> None:
    """`ajoxi openapi | true` ends quietly with 141, as programs that SIGPIPE ended; `head` gets its lines."""
    run = shell(f"{{ sleep 0.1; $AJOXI {arguments}; echo $? >&2; }} | true")
    assert run.stderr == "141\n"


def test_a_reader_that_read_enough() -> None:
    """`head -1` gets its line, and the rest is no error."""
    run = shell("$AJOXI openapi | head -1; echo ${PIPESTATUS[0]}")
    assert run.stdout.splitlines()[0] == "{"
    assert run.stdout.splitlines()[1] in {"0", "141"}
    assert run.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments",
    ["openapi", "--help", "--version", "sandbox --port 0", "webhooks listen --forward-to http://127.0.0.1:1/ --port 0"],
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_full_disk(arguments: str, unbuffered: str) -> None:
    """One line says what is wrong, and the status is 1."""
    run = shell(f"$AJOXI {arguments} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert run.returncode == 1
    assert run.stderr == "ajoxi: cannot write to standard output: No space left on device\n"


def test_standard_output_closed() -> None:
    """A command that only prints says that it cannot."""
    run = shell("$AJOXI openapi >&-")
    assert run.returncode == 1
    assert run.stderr == "ajoxi: cannot write to standard output: it is closed\n"
    assert shell("$AJOXI openapi >&- 2>&-").returncode == 1
    assert shell("$AJOXI openapi <&-").returncode == 0


@pytest.mark.parametrize("closed", [">&-", "<&-", "<&- >&- 2>&-", "2>&-"])
def test_a_server_with_closed_files(closed: str, unused_tcp_port: int) -> None:
    """What serves goes on without them."""
    line = f"exec $AJOXI sandbox --port {unused_tcp_port} {closed}"
    process = subprocess.Popen(
        ["bash", "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(AJOXI=f"{sys.executable} -W error -m ajoxi_async"),
    )  # fmt: skip
    with process:
        answered, end = None, time.monotonic() + 30
        while answered is None and time.monotonic() < end:
            time.sleep(0.05)
            with suppress(URLError), urlopen(f"http://127.0.0.1:{unused_tcp_port}/openapi.json", timeout=30) as answer:
                answered = answer.status
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert answered == 200
    assert process.returncode == 0
    assert b"Traceback" not in errors


REFUSING = """
import asyncio, sys
from ajoxi_async.cli import main

def refuse(self, *_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = asyncio.SelectorEventLoop.remove_signal_handler = refuse
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [["sandbox", "--port", "0"], ["webhooks", "listen", "--forward-to", "http://127.0.0.1:1/", "--port", "0"]], ids=lambda a: a[0])  # fmt: skip
def test_loops_without_signal_handlers(arguments: list[str], number: signal.Signals) -> None:
    """As on Windows: Ctrl-C and SIGTERM end what serves all the same, with status 0."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", REFUSING, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert "Ctrl-C ends it" in process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`ajoxi --version` says the version of the project, and so does the package."""
    import tomllib

    import ajoxi_async

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"ajoxi-async {version}\n"
    assert ajoxi_async.__version__ == version
