"""``transcripts tail``, ``calls watch`` and ``limits``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest

from ajoxi_async import Sandbox, Segment
from ajoxi_async.cli.live.limits import lines
from ajoxi_async.cli.live.lines import Lines
from ajoxi_async.cli.live.resume_file import ResumeFile, ResumeFileError
from ajoxi_async.cli.live.tail import Conversations
from ajoxi_async.cli.status import status_of
from ajoxi_async.contract.transcripts import Speaker
from ajoxi_async.sandbox import Timing
from ajoxi_async.streaming.live_many import StreamItem

from .conftest import FROM, TO, Server
from .terminal import COMMAND, Terminal

Run = Callable[..., tuple[int, str, str]]
#: A call to this number lasts for hours.
LONG = "+15005550109"


def placed(ajoxi: Run, to: str = TO) -> str:
    """The id of a new call."""
    return str(json.loads(ajoxi("calls", "create", "--to", to, "--from", FROM, "--ai-receptionist")[1])["id"])


def plain(terminal: Terminal) -> str:
    """What a terminal was sent, without codes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", terminal.shown.decode("utf-8", "replace"))


# Transcripts.


def test_tail(server: Server, ajoxi: Run) -> None:
    """Finals are a line each, from the first to the last, and the command ends with the call; interims are not lines."""
    call = placed(ajoxi)
    status, out, errors = ajoxi("transcripts", "tail", call)
    assert (status, errors) == (0, "")
    said = json.loads(ajoxi("transcripts", "retrieve", call)[1])["segments"]
    told = [line.partition(": ")[2] for line in out.splitlines() if "(corrected)" not in line]
    corrected = [line.partition(": ")[2] for line in out.splitlines() if "(corrected)" in line]
    assert len(told) == len(said)
    assert set(told) | set(corrected) >= {one["text"] for one in said}
    assert corrected


def test_tail_of_several(server: Server, ajoxi: Run) -> None:
    """Lines of several calls begin with the call; one that does not exist is an error, and the others go on to their end."""
    calls = [placed(ajoxi), placed(ajoxi)]
    status, out, errors = ajoxi("transcripts", "tail", *calls, "call_none", calls[0])
    assert status == 5
    assert errors.startswith("ajoxi: call_none: no transcript")
    assert errors.count("\n") == 1
    assert {line.split()[0] for line in out.splitlines()} == set(calls)
    assert out.count("the call has ended\n") == 2


def test_tail_as_json(server: Server, ajoxi: Run) -> None:
    """Each segment is a line of JSON, interims included, with the place to resume at; the last line is the end."""
    call = placed(ajoxi)
    items = [json.loads(line) for line in ajoxi("transcripts", "tail", call, "--format", "jsonl")[1].splitlines()]
    assert {item["call_id"] for item in items} == {call}
    assert items[-1]["done"] is True
    assert {item["segment"]["is_final"] for item in items[:-1]} == {True, False}
    finals = [
        json.loads(line)
        for line in ajoxi("transcripts", "tail", call, "--format", "jsonl", "--no-interim")[1].splitlines()
    ]
    assert all(item["segment"]["is_final"] for item in finals[:-1])


def test_resuming(server: Server, ajoxi: Run, tmp_path: Path) -> None:
    """With --resume a second run goes on where the first one was, in each call, and says nothing twice."""
    calls = [placed(ajoxi), placed(ajoxi)]
    whole = sorted(ajoxi("transcripts", "tail", *calls)[1].splitlines())
    items = [json.loads(line) for line in ajoxi("transcripts", "tail", calls[0], "--format", "jsonl")[1].splitlines()]
    middle = items[len(items) // 2]["last_event_id"]
    (tmp_path / "places.json").write_text(json.dumps({calls[0]: middle}))
    said = ajoxi("transcripts", "tail", *calls, "--resume", "places.json")[1].splitlines()
    assert 0 < len(said) < len(whole)
    assert set(json.loads((tmp_path / "places.json").read_text())) == set(calls)
    ends = [f"{call}  the call has ended" for call in calls]
    assert sorted(ajoxi("transcripts", "tail", *calls, "--resume", "places.json")[1].splitlines()) == sorted(ends)
    assert [name.name for name in tmp_path.iterdir()] == ["places.json"]


@pytest.mark.parametrize(("path", "written"), [("places.json", "[]"), ("places.json", '{"a": 1}'), ("places.json", "x"), (".", None), ("none/x", None)])  # fmt: skip
def test_files_that_cannot_be_resumed_from(
    server: Server, ajoxi: Run, tmp_path: Path, path: str, written: str | None
) -> None:
    """It is said before anything is sent, and a file of another kind is left as it is."""
    if written is not None:
        (tmp_path / path).write_text(written)
    before = len(server.sandbox.requests)
    status, out, said = ajoxi("transcripts", "tail", "call_1", "--resume", path)
    assert (status, out, len(server.sandbox.requests)) == (2, "", before)
    assert said.startswith(f"ajoxi: --resume: {path}: ")
    assert written is None or (tmp_path / path).read_text() == written


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and modes of files")
def test_resume_files_that_are_special(
    server: Server, ajoxi: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link stays one; what is no file, or may not be written, is refused before anything is sent and left as it is."""
    call = placed(ajoxi)
    (tmp_path / "link.json").symlink_to("real.json")
    assert ajoxi("transcripts", "tail", call, "--resume", "link.json")[0] == 0
    assert (tmp_path / "link.json").is_symlink()
    assert call in json.loads((tmp_path / "real.json").read_text())
    os.mkfifo(tmp_path / "pipe.json")
    before = len(server.sandbox.requests)
    status, _, said = ajoxi("transcripts", "tail", call, "--resume", "pipe.json")
    assert (status, "expected a file that this command has made" in said) == (2, True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    status, _, said = ajoxi("transcripts", "tail", call, "--resume", "real.json")
    assert (status, said) == (2, "ajoxi: --resume: real.json: Permission denied\n")
    assert len(server.sandbox.requests) == before


def test_a_resume_file_that_cannot_be_written_any_more(tmp_path: Path) -> None:
    """It is status 1, since much was sent and shown by then."""
    folder = tmp_path / "folder"
    folder.mkdir()
    kept = ResumeFile(str(folder / "places.json"))
    shutil.rmtree(folder)
    with pytest.raises(ResumeFileError, match=r"--resume: .*places.json: No such file") as caught:
        kept.reached("call_1", "1", keep=True)
    assert status_of(caught.value) == 1


def test_tail_on_a_terminal(server: Server, ajoxi: Run) -> None:
    """What is being said is replaced in place, and what is final stays, once; the cursor is shown again at the end."""
    call = placed(ajoxi)
    terminal = Terminal(
        [*COMMAND, "transcripts", "tail", call, call, placed(ajoxi)], 80, TERM="xterm", **server.environment
    )
    assert terminal.end() == 0
    text = json.loads(ajoxi("transcripts", "retrieve", call)[1])["segments"][0]["text"]
    shown = plain(terminal)
    assert shown.count(text[:40]) >= 1
    assert terminal.shown.rindex(b"\x1b[?25h") > terminal.shown.rindex(b"\x1b[?25l")
    assert "Traceback" not in shown


def test_ending_tail(tmp_path: Path) -> None:
    """A signal ends it with 130, the place that was reached is in the file, and a terminal has its cursor."""
    sandbox = Sandbox(timing=Timing(ring=0.02, talk=120), rate_limit=None)
    numbers = (signal.SIGTERM, signal.SIGHUP)
    with anyio.from_thread.start_blocking_portal() as portal, portal.wrap_async_context_manager(sandbox):
        call = portal.call(lambda: sandbox.inbound_call(from_=TO)).id
        env = {"AJOXI_API_KEY": sandbox.api_key, "AJOXI_BASE_URL": sandbox.base_url}
        running = [
            Terminal(
                [*COMMAND, "transcripts", "tail", call, "--resume", str(tmp_path / f"{number}.json")],
                80,
                TERM="xterm",
                **env,
            )
            for number in numbers
        ]
        for number, terminal in zip(numbers, running, strict=True):
            terminal.read(b": ")
            terminal.process.send_signal(number)
        for number, terminal in zip(numbers, running, strict=True):
            assert terminal.end() == 130
            assert call in json.loads((tmp_path / f"{number}.json").read_text())
            assert terminal.shown.rindex(b"\x1b[?25h") > terminal.shown.rindex(b"\x1b[?25l")
            assert b"Traceback" not in terminal.shown


def spoken(text: str, sequence: int = 1, revision: int = 1, *, final: bool = True) -> StreamItem:
    """An item of a call."""
    segment = Segment(sequence=sequence, revision=revision, speaker=Speaker.AI, text=text, is_final=final)
    return StreamItem(call_id="call_1", segment=segment)


def test_corrections_and_hostile_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A final that replaces another one is called a correction; control characters are escapes."""
    with Lines() as out:
        shown = Conversations(out, several=False)
        for item in (
            spoken("to"),
            spoken("too", 2),
            spoken("two", 1, 2),
            spoken("\x1b[2J\n", 3),
            spoken("x", 4, final=False),
        ):
            shown.item(item)
    assert capsys.readouterr().out.splitlines() == ["ai: to", "ai: too", "ai (corrected): two", "ai: \\x1b[2J\\n"]


# Calls.


def test_watching_calls_to_their_end(server: Server, ajoxi: Run) -> None:
    """With ids, a line is written for each change, and it ends when these calls have ended."""
    call = placed(ajoxi)
    status, out, errors = ajoxi("calls", "watch", call, "--every", "0.1")
    assert (status, errors) == (0, "")
    assert call in out.splitlines()[-1]
    assert re.search(rf"completed  \{FROM} -> \{TO}  answered  \d s$", out.splitlines()[-1])
    seen = [json.loads(line) for line in ajoxi("calls", "watch", call, "--format", "jsonl")[1].splitlines()]
    assert [one["status"] for one in seen] == ["completed"]
    status, _, errors = ajoxi("calls", "watch", "call_none")
    assert (status, "no call 'call_none'" in errors) == (5, True)


def test_watching_everything(server: Server, ajoxi: Run) -> None:
    """Without ids, open calls and new ones are shown as they change, the open ones at the bottom; Ctrl-C ends it with 0.

    Of calls that had ended before nothing is said.
    """
    server.call(server.sandbox.seed_calls, 5)
    open_one = placed(ajoxi, LONG)
    terminal = Terminal([*COMMAND, "calls", "watch", "--every", "0.1"], 100, TERM="xterm", **server.environment)
    terminal.read(b"1 open")
    later = placed(ajoxi)
    terminal.read(b"completed")
    terminal.type(b"\x03")
    assert terminal.end() == 0
    shown = plain(terminal)
    assert set(re.findall(r"call_\w+", shown)) == {open_one, later}
    assert re.search(rf"{later}  (\w+ -> )?completed", shown)
    assert "Traceback" not in shown


def test_watching_goes_on_after_failures(server: Server, ajoxi: Run) -> None:
    """An API that fails is asked again, and standard error says so."""
    call = placed(ajoxi)
    server.call(
        lambda: server.sandbox.faults.add(match="calls.retrieve", when="times", n=3, action="status", status=503)
    )
    status, out, errors = ajoxi("calls", "watch", call, "--every", "0.1")
    assert status == 0
    assert "completed" in out
    assert errors.endswith("trying again\n")


# The rate limit.


def test_limits(server: Server, ajoxi: Run) -> None:
    """What the server and the client know of the limit, as JSON and as lines."""
    seen = json.loads(ajoxi("limits")[1])
    assert seen["client"]["granted"] >= 1
    assert seen["server"]["request_id"].startswith("req_")
    assert ajoxi("limits", "--format", "table")[1].startswith("server  no limit is named\nclient  ")


def test_lines_of_limits() -> None:
    """A limit is shown with what is left and when it is whole again; odd headers do not end the command."""
    ours = {"limit": None, "pace": None, "in_use": 0, "waiting": {}, "granted": 1, "delayed": 0, "refused": 0}

    def first(**server: Any) -> str:
        return lines({"server": {"remaining": "7", "reset": "1795686452", **server}, "client": ours})[0]

    assert first(limit="100") == "server  100 requests a second, 7 left, the whole limit again at 09:47:32Z"
    assert first(limit="100", reset="\x1b[2J").endswith("at an unknown time")
    assert first(limit="\x1b[2J").startswith("server  \\x1b[2J")
