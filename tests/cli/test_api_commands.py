"""The commands of the API, against the sandbox over a socket."""

from __future__ import annotations

import csv
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ajoxi_async.cli import main
from ajoxi_async.cli.api.download import size
from ajoxi_async.cli.api.operations import operations
from ajoxi_async.cli.api.values import moment
from ajoxi_async.cli.arguments import parser_for
from ajoxi_async.cli.arguments.api import WRITTEN_BY_HAND
from ajoxi_async.cli.status import UsageError, status_of
from ajoxi_async.protocol import errors

from .conftest import FROM, TO, Screen, Server, until
from .terminal import COMMAND

#: A call to this number lasts for hours.
LONG = "+15005550109"

Run = Callable[..., tuple[int, str, str]]


def answer(ran: tuple[int, str, str]) -> Any:
    """The JSON of a command that succeeded."""
    status, out, errors = ran
    assert (status, errors) == (0, "")
    return json.loads(out)


def test_calls(server: Server, ajoxi: Run) -> None:
    """calls create, list, retrieve, transfer and create-campaign do what the methods do, with every option."""
    made = answer(
        ajoxi(
            "calls", "create", "--to", TO, "--from", FROM, "--ai-receptionist", "--no-record", "--ring-timeout", "30",
            "--metadata", "team=blue", "ref=a=b", "--agent-id", "agent_1",
        )
    )  # fmt: skip
    assert (made["ai_handler"], made["metadata"]) == ("receptionist_v2", {"team": "blue", "ref": "a=b"})
    other = answer(ajoxi("calls", "create", "--to", LONG, "--from", FROM))
    listed = [json.loads(line) for line in ajoxi("calls", "list")[1].splitlines()]
    assert [call["id"] for call in listed] == [other["id"], made["id"]]
    mine = answer(
        ajoxi("calls", "list", "--metadata", "team=blue", "--direction", "outbound", "--created-after", "2000-01-01")
    )
    assert mine["id"] == made["id"]
    assert ajoxi("calls", "list", "--created-before", "2000-01-01T00:00:00Z") == (0, "", "")
    until(lambda call: call["status"] == "answered", lambda: answer(ajoxi("calls", "retrieve", other["id"])))
    moved = answer(ajoxi("calls", "transfer", other["id"], "--extension", "204"))
    assert moved["id"] == other["id"]
    campaign = answer(
        ajoxi(
            "calls",
            "create-campaign",
            "--from",
            FROM,
            "--name",
            "Autumn",
            "--mode",
            "power",
            "--contacts",
            TO,
            "+14155551235",
        )
    )
    assert campaign["calls_queued"] == 2


def test_contacts_of_a_file(server: Server, ajoxi: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`@FILE` stands for the lines of a file, `@-` for those of standard input; one that cannot be read is named."""
    (tmp_path / "people.txt").write_text("\ufeff+14155551234\n\n +14155551235 \n", "utf-8")
    arguments = ("calls", "create-campaign", "--from", FROM, "--name", "A", "--mode", "power", "--contacts")
    assert answer(ajoxi(*arguments, "@people.txt", "+14155551236"))["calls_queued"] == 3
    monkeypatch.setattr(sys, "stdin", io.StringIO("\ufeff+14155551234\n"))
    assert answer(ajoxi(*arguments, "@-"))["calls_queued"] == 1
    status, _, said = ajoxi(*arguments, "@none.txt")
    assert (status, said) == (2, "ajoxi: --contacts: @none.txt: No such file or directory\n")


def test_numbers(server: Server, ajoxi: Run) -> None:
    """numbers search, provision, update and release, with objects as options."""
    found = json.loads(ajoxi("numbers", "search", "--type", "toll_free", "--capability", "sms", "--limit", "1")[1])
    taken = answer(ajoxi("numbers", "provision", "--phone-number", found["phone_number"], "--sms-enabled"))
    assert taken["sms"] == {"enabled": True, "forward_to": None}
    changed = answer(
        ajoxi(
            "numbers",
            "update",
            taken["id"],
            "--routing-kind",
            "forward",
            "--routing-target",
            TO,
            "--caller-id-name",
            "N",
        )
    )
    assert (changed["routing"]["target"], changed["caller_id"]["name"], changed["sms"]["enabled"]) == (TO, "N", True)
    assert ajoxi("numbers", "release", taken["id"]) == (0, "", f"ajoxi: done: numbers release {taken['id']}\n")
    ported = ajoxi(
        "numbers", "provision", "--phone-number", "+12125550123", "--port-carrier", "Oldtel", "--port-account-number", "42",
        "--port-authorized-by", "J. Doe",
    )  # fmt: skip
    assert answer(ported)["status"] == "porting"


def test_messages(server: Server, ajoxi: Run) -> None:
    """messages send and list; a template has its variables."""
    sent = answer(ajoxi("messages", "send", "--to", TO, "--from", FROM, "--body", "Grüße"))
    assert sent["body"] == "Grüße"
    ajoxi(
        "messages",
        "send",
        "--to",
        TO,
        "--from",
        FROM,
        "--media-urls",
        "https://a.example/1.jpg",
        "https://a.example/2.jpg",
    )
    ajoxi("messages", "send", "--to", TO, "--from", FROM, "--template-id", "t_1", "--template-variables", "name=Ann")
    assert len(ajoxi("messages", "list", "--channel", "sms")[1].splitlines()) == 2
    assert len(answer(ajoxi("messages", "list", "--channel", "mms"))["media"]) == 2


def test_recordings_and_transcripts(server: Server, ajoxi: Run, tmp_path: Path) -> None:
    """recordings list, retrieve and download, transcripts retrieve; the file is the audio, and its path is the output."""
    call = answer(ajoxi("calls", "create", "--to", TO, "--from", FROM, "--record"))
    (line,) = until(bool, lambda: ajoxi("recordings", "list")[1].splitlines())
    id = json.loads(line)["id"]
    recording = answer(ajoxi("recordings", "retrieve", id))
    assert answer(ajoxi("transcripts", "retrieve", call["id"]))["id"] == recording["transcript"]["id"]
    assert ajoxi("recordings", "download", id) == (0, f"{id}.wav\n", "")
    audio = (tmp_path / f"{id}.wav").read_bytes()
    assert len(audio) == recording["size"]
    assert ajoxi("recordings", "download", id, "--output", "é.wav", "--quiet")[0] == 0
    assert (tmp_path / "é.wav").read_bytes() == audio
    assert not [name for name in tmp_path.iterdir() if name.name.startswith(".")]
    piped = subprocess.run(
        [*COMMAND, "recordings", "download", id, "--output", "-"], capture_output=True, check=True, timeout=30
    )
    assert piped.stdout == audio
    status, out, said = ajoxi("recordings", "download", id, "--output", "none/a.wav")
    assert (status, out) == (1, "")
    assert "none" in said
    assert ajoxi("recordings", "download", "../x")[::2] == (
        2, "ajoxi: --output: expected the name of a file, because the id cannot be one\n",
    )  # fmt: skip


def test_progress(server: Server, ajoxi: Run, screen: Callable[..., Screen]) -> None:
    """On a terminal the progress of a download is one line, which ends with the whole; --quiet and a pipe have none."""
    ajoxi("calls", "create", "--to", TO, "--from", FROM, "--record")
    recording = json.loads(until(bool, lambda: ajoxi("recordings", "list")[1]))
    terminal = screen("stderr")
    assert main(["recordings", "download", recording["id"]]) == 0
    whole = size(recording["size"])
    assert terminal.shown().split("\r")[-1] == f"{recording['id']}.wav  {whole} of {whole}, 100 %\n"
    terminal = screen("stderr")
    assert main(["recordings", "download", recording["id"], "--quiet"]) == 0
    assert terminal.shown() == ""


@pytest.mark.parametrize(
    ("amount", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (24_044, "24.0 kB"), (5 * 10**12, "5000.0 GB")]
)
def test_sizes(amount: int, shown: str) -> None:
    """Bytes are shown in the unit that fits."""
    assert size(amount) == shown


def test_interrupting_a_download(server: Server, ajoxi: Run, tmp_path: Path) -> None:
    """After Ctrl-C the status is 130, and neither the file nor a part of it is there."""
    ajoxi("calls", "create", "--to", TO, "--from", FROM, "--record")
    recording = json.loads(until(bool, lambda: ajoxi("recordings", "list")[1]))
    server.call(lambda: server.sandbox.faults.add(match="recordings.retrieve", action="latency", seconds=20))
    with subprocess.Popen(
        [*COMMAND, "recordings", "download", recording["id"]], stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        until(lambda fault: fault.fired, lambda: next(iter(server.sandbox.faults)))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, b"")
    assert not list(tmp_path.iterdir())


def test_webhooks(server: Server, ajoxi: Run) -> None:
    """webhooks create, list and delete; events are separated by spaces or commas, and the secret is shown once."""
    made = answer(ajoxi("webhooks", "create", "--url", "https://example.com/hook", "--events", "call.start,call.completed", "message.received"))  # fmt: skip
    assert made["events"] == ["call.started", "call.completed", "message.received"]
    assert made["secret"].startswith("whsec_")
    assert answer(ajoxi("webhooks", "list"))["secret"] is None
    assert ajoxi("webhooks", "delete", made["id"])[0] == 0
    assert ajoxi("webhooks", "list", "--format", "json") == (0, "[]\n", "")


def test_every_operation_was_asked_for(server: Server, ajoxi: Run) -> None:
    """The tests of this file use every command: an operation that is added has to be tried as well."""
    text = " ".join(Path(__file__).read_text("utf-8").split())
    for does in operations():
        assert does.route in WRITTEN_BY_HAND or f'ajoxi("{does.resource}", "{does.word}"' in text.replace(
            "ajoxi( ", "ajoxi("
        ), does


def test_lists(server: Server, ajoxi: Run) -> None:
    """A list is one page, and says how to go on; --all is everything, --max-items so many, in every format."""
    server.call(server.sandbox.seed_calls, 250)
    status, out, said = ajoxi("calls", "list", "--limit", "3", "--fields", "id")
    assert (status, len(out.splitlines())) == (0, 3)
    cursor = said.split()[-1]
    assert said == f"ajoxi: there is more: --all, or --cursor {cursor}\n"
    status, following, _ = ajoxi("calls", "list", "--limit", "3", "--cursor", cursor, "--fields", "id")
    assert not set(out.splitlines()) & set(following.splitlines())
    everything = ajoxi("calls", "list", "--all", "--fields", "id,from")[1].splitlines()
    assert len(set(everything)) == 250
    assert everything[:3] == ajoxi("calls", "list", "--max-items", "3", "--fields", "id,from")[1].splitlines()
    assert [
        json.dumps(one)
        for one in json.loads(ajoxi("calls", "list", "--all", "--fields", "id,from", "--format", "json")[1])
    ] == everything
    rows = list(
        csv.DictReader(io.StringIO(ajoxi("calls", "list", "--all", "--fields", "id,from", "--format", "csv")[1]))
    )
    assert [json.dumps(row) for row in rows] == everything
    table = ajoxi("calls", "list", "--all", "--fields", "id,from", "--format", "table")[1].splitlines()
    assert [line.split() for line in table[1:]] == [list(row.values()) for row in rows]
    assert ajoxi("calls", "list", "--all", "--max-items", "3")[0] == 2
    assert ajoxi("calls", "list", "--max-items", "0") == (0, "", "")


def test_a_list_that_ends_early(server: Server, ajoxi: Run) -> None:
    """What came before a failure is written, and standard error says how to go on; nothing is missing after that."""
    server.call(server.sandbox.seed_calls, 7)
    whole = ajoxi("calls", "list", "--all", "--fields", "id")[1]
    arguments = ("calls", "list", "--all", "--fields", "id", "--limit", "3")
    server.call(lambda: server.sandbox.faults.add(match="calls.list", when="nth", n=2, action="status", status=403))
    status, begun, said = ajoxi(*arguments)
    assert (status, begun) == (4, "".join(whole.splitlines(keepends=True)[:3]))
    hint = said.splitlines()[0]
    assert hint.startswith("ajoxi: the list is not whole; to go on where it ends: --cursor ")
    assert begun + ajoxi(*arguments, "--cursor", hint.split()[-1])[1] == whole
    server.call(lambda: server.sandbox.faults.add(match="calls.list", when="nth", n=1, action="status", status=403))
    assert "--cursor" not in ajoxi(*arguments)[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("calls create --to 12 --from +14155550100", "--to: expected an E.164 phone number"),
        ("calls create --to +14155551234 --from 1", "--from: expected an E.164"),
        ("calls create --to +14155551234 --from +14155550100 --ring-timeout 601", "--ring-timeout: expected 1 to 600"),
        ("calls create --to +14155551234 --from +14155550100 --ring-timeout 1e3", "--ring-timeout: expected a whole number"),
        ("calls create --to +14155551234 --from +14155550100 --metadata a", "--metadata: expected KEY=VALUE, got 'a'"),
        ("calls create --to +14155551234 --from +14155550100 --metadata a=\udcff", "--metadata: expected text in the encoding"),
        ("messages send --to +14155551234 --from +14155550100 --body \udcff", "--body: expected text in the encoding"),
        ("calls retrieve \udcff", "ID: expected an id"),
        ("calls create --to +14155551234 --from +14155550100 --metadata a=1 a=2", "--metadata: expected 'a' once"),
        ("calls create --to +14155551234 --from +14155550100 --fields nope", "--fields: expected some of id, status"),
        ("calls create --to +14155551234 --from +14155550100 --fields ,", "--fields: expected names"),
        ("calls create --to +14155551234", "the following arguments are required: --from"),
        ("calls create-campaign --from +14155550100 --name A --mode power --contacts 1", "--contacts: expected an E.164"),
        ("calls create-campaign --from +14155550100 --name A --mode loud --contacts 1", "invalid choice: 'loud'"),
        ("calls transfer call_1", "--agent-id: expected exactly one of"),
        ("calls retrieve ..", "ID: expected an id"),
        ("calls list --limit 201", "--limit: expected 1 to 200"),
        ("calls list --created-after 09:30", "--created-after: expected a time"),
        ("calls list --created-after 2026-11-23T09:30:00", "--created-after: expected a time"),
        ("calls list --sta completed", "unrecognized arguments: --sta"),
        ("numbers provision --phone-number +12125550123 --port-carrier X", "--port-account-number: required"),
        ("numbers update num_1", "--routing-kind"),
        ("numbers update num_1 --routing-kind forward", "--routing-target: expected a target"),
        ("webhooks create --url nowhere --events call.started", "--url: expected an absolute http or https URL"),
        ("webhooks create --url http://a.example/ --events call.pondered", "--events: expected one of"),
        ("transcripts tail", "the following arguments are required: CALL"),
        ("transcripts tail call_1 --timeout 3", "--timeout: expected none"),
        ("calls watch --every 0", "--every: expected"),
        ("calls watch call_1 --direction inbound", "CALL: expected either"),
        ("calls create --to +14155551234 --from +14155550100 --timeout nan", "argument --timeout: expected seconds above 0, got 'nan'"),
        ("calls list --timeout -1", "argument --timeout: expected seconds above 0, got '-1'"),
        ("limits --timeout inf", "argument --timeout: expected seconds above 0, got 'inf'"),
        ("limits --every nan", "--every: expected"),
        ("nothing", "invalid choice: 'nothing'"),
    ],
)  # fmt: skip
def test_what_cannot_be_right(server: Server, ajoxi: Run, arguments: str, said: str) -> None:
    """It is status 2 with the option named as it is typed, and nothing is sent."""
    before = len(server.sandbox.requests)
    status, out, told = ajoxi(*arguments.split())
    assert (status, out) == (2, "")
    assert said in told
    assert "Traceback" not in told
    assert len(server.sandbox.requests) == before


def test_errors_of_the_api(server: Server, ajoxi: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of error is a status of its own, and one line with the id of the request."""

    def refused(*arguments: str) -> tuple[int, str]:
        status, out, said = ajoxi(*arguments)
        assert out == ""
        assert said.startswith("ajoxi: ")
        return status, said

    create = ("calls", "create", "--to", TO, "--from", FROM)
    status, said = refused("calls", "retrieve", "call_none")
    assert (status, said.count("\n")) == (5, 1)
    assert "code not_found" in said
    assert "request req_" in said
    assert refused("calls", "create", "--to", "+9995551234", "--from", FROM)[0] == 6
    faults = server.sandbox.faults
    server.call(lambda: faults.add(match="calls.create", when="nth", n=1, action="drop_after_commit"))
    status, said = refused(*create)
    assert status == 10
    assert said.endswith("ajoxi: it may have been done: look before you do it again\n")
    assert len(server.sandbox.world().rings()) == 1
    placed = json.loads(ajoxi("calls", "list")[1])["id"]
    assert said.startswith(f"ajoxi: the list of calls has it: {placed}\n")
    server.call(lambda: faults.add(match="calls.create", when="nth", n=1, action="commit_late", seconds=60))
    status, said = refused("calls", "create", "--to", "+14155551239", "--from", FROM)
    assert (status, said.startswith("ajoxi: the list of calls does not have it so far, which does not mean")) == (
        10,
        True,
    )
    monkeypatch.setenv("AJOXI_API_KEY", server.call(lambda: server.sandbox.mint_key(deny={"calls.create"})))
    assert refused(*create)[0] == 4
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("AJOXI_BASE_URL", address)
    status, said = refused(*create, "--timeout", "0.3")
    assert (status, "request" in said) == (9, False)


def test_the_status_of_every_error() -> None:
    """Each error of the package has the status that the table of docs/cli.md gives it."""
    expected = {
        "AuthenticationError": 4, "PermissionDeniedError": 4, "NotFoundError": 5, "BadRequestError": 6, "UnprocessableEntityError": 6,
        "APIStatusError": 6, "RateLimitError": 7, "InternalServerError": 8, "APIConnectionError": 9, "APITimeoutError": 9,
        "ClientClosedError": 9, "OutcomeUnknownError": 10, "StreamError": 11, "StreamInterruptedError": 11,
        "StreamProtocolError": 11, "TranscriptGapError": 11, "DownloadError": 11, "DownloadFileError": 1, "ConfigurationError": 3,
    }  # fmt: skip
    made = {
        name: getattr(errors, name)("x")
        for name in errors.__all__
        if name.endswith("Error") and name != "InvalidParameterError"
    }
    assert {name: status_of(error) for name, error in made.items() if name in expected} == expected
    assert {status_of(error) for name, error in made.items() if name not in expected} == {1}
    assert status_of(errors.InvalidParameterError("to", "x")) == 2


def test_interrupted_while_it_rings(server: Server) -> None:
    """After Ctrl-C in a call whose answer has not come, standard error says that the call may have been placed."""
    server.call(lambda: server.sandbox.faults.add(match="calls.create", action="latency", seconds=20))
    with subprocess.Popen(
        [*COMMAND, "calls", "create", "--to", TO, "--from", FROM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until(lambda fault: fault.fired, lambda: next(iter(server.sandbox.faults)))
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert said.startswith("ajoxi: interrupted: ")
    assert "look before you do it again" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("90m", "2026-11-23T08:00:00+00:00"),
        ("2h", "2026-11-23T07:30:00+00:00"),
        ("7d", "2026-11-16T09:30:00+00:00"),
        ("2026-11-20", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20T01:00:00+01:00", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20T00:00:00.5Z", "2026-11-20T00:00:00.500000+00:00"),
    ],
)
def test_times(typed: str, meant: str) -> None:
    """A time with its zone, a day in UTC, an age."""
    now = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert moment("--x", typed, now) == datetime.fromisoformat(meant)


@pytest.mark.parametrize(
    "typed", ["", "2h ", "h", "-2h", "2026-13-01", "2026-02-30", "999999w", "２h", "2026-11-20 00:00:00Z"]
)
def test_times_that_are_none(typed: str) -> None:
    """Anything else is refused, and does not end in a traceback."""
    with pytest.raises(UsageError, match=r"^--x: expected a time"):
        moment("--x", typed, datetime(2026, 11, 23, tzinfo=UTC))


def test_an_option_of_argparse_can_hold_percent_signs() -> None:
    """Help that comes from docstrings is shown as it is."""
    for does in ("calls", "numbers", "messages", "recordings", "transcripts", "webhooks"):
        parser_for([does]).format_help()
