"""``ajoxi campaign``, as a user types it: against a sandbox over a socket, in processes that are killed, interrupted and cut off."""

from __future__ import annotations

import csv
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from ajoxi_async import Sandbox
from ajoxi_async.cli import main
from ajoxi_async.dialer import Campaign, Ledger, Stop
from ajoxi_async.dialer.dialing import running, sweep
from ajoxi_async.sandbox import Timing

FROM = "+14155550100"
COMMAND = [sys.executable, "-W", "error", "-m", "ajoxi_async", "campaign"]
#: The command where calls are looked up after a fifth of a second, as in the process of the test.
QUICK = """
import sys
from ajoxi_async.cli import main
from ajoxi_async.dialer import Campaign, Ledger, Stop
from ajoxi_async.dialer.dialing import running, sweep
from ajoxi_async.dialer import Campaign, Ledger, Stop
from ajoxi_async.dialer.dialing import running, sweep
running.Running.first_look = 0.2
sweep._COLLECT = 0.1
sys.exit(main(["campaign", *sys.argv[1:]]))
"""
#: An answered call, one that is busy, one that is not answered; the others are of the population.
MAGIC = ["+15005550100", "+15005550102", "+15005550101"]


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AJOXI_API_KEY", raising=False)
    monkeypatch.delenv("AJOXI_BASE_URL", raising=False)
    monkeypatch.setattr(running.Running, "first_look", 0.2)
    monkeypatch.setattr(sweep, "_COLLECT", 0.1)
    return tmp_path


@pytest.fixture
def sandbox(here: Path, portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox in a thread, and its key and address in the environment."""
    made = Sandbox(port=0, timing=Timing(ring=0.02, talk=0.05), marks=0)
    with portal.wrap_async_context_manager(made):
        monkeypatch.setenv("AJOXI_API_KEY", made.api_key)
        monkeypatch.setenv("AJOXI_BASE_URL", made.base_url)
        yield made


def people(path: Path, numbers: list[str], head: str = "phone,name") -> str:
    path.write_text(head + "\n" + "".join(f"{number},P{place}\n" for place, number in enumerate(numbers)))
    return str(path)


def test_numbers(amount: int) -> list[str]:
    """Numbers of the sandbox that are always answered."""
    return [f"+1415555{place:04d}" for place in range(amount)]


test_numbers.__test__ = False


def load(here: Path, numbers: list[str], *more: str) -> None:
    assert (
        main(["campaign", "load", "a.db", people(here / "p.csv", numbers), "--name", "autumn", "--from", FROM, *more])
        == 0
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_from_a_file_to_a_report(here: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Load, check, run, status and report of one campaign: each says what it did, and every row of the file has its row."""
    numbers = [*MAGIC, *test_numbers(5), "4.41E+11", "+15005550100"]
    load(here, numbers, "--attempts", "2", "--retry", "busy=1s", "no_answer=1s")
    assert "10 rows: 8 imported, 1 duplicates, 1 refused, 0 do not call" in (told := capsys.readouterr().out)
    assert "line 10: " in told
    assert main(["campaign", "check", "a.db"]) == 0
    assert "8 contacts wait. Nothing was sent." in (told := capsys.readouterr().out)
    assert "first hour  8 calls" in told
    assert not sandbox.world().rings()
    assert main(["campaign", "run", "a.db", "--name", "autumn"]) == 0
    assert "Ended. 10 dialled | 0.0/s | done 6  not reached 2" in capsys.readouterr().out
    assert main(["campaign", "status", "a.db"]) == 0
    assert "8 of 8 ended" in capsys.readouterr().out
    assert main(["campaign", "report", "a.db", "--csv", "out.csv", "--html", "out.html"]) == 0
    assert "10 rows for 10 that were loaded: done 6  duplicate 1  exhausted 2  refused 1" in capsys.readouterr().out
    found = rows(here / "out.csv")
    assert [int(row["line"]) for row in found] == list(range(2, 12))
    assert [row["number"] for row in found] == numbers
    assert [row["attempts"] for row in found] == ["1", "2", "2", "1", "1", "1", "1", "1", "0", "0"]
    assert (
        Counter(ring.number for ring in sandbox.world().rings())
        == Counter(
            {row["number"]: int(row["attempts"]) for row in found if row["state"] != "duplicate"} | {"+15005550100": 1}
        )
        - Counter()
    )
    assert "add up to them" in (here / "out.html").read_text()


def test_no_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything but `run` works without a key; `run` says which variable is missing and how to try it without one."""
    load(here, ["+12125550123"])
    for does in (["check"], ["status"], ["pause"], ["resume"], ["unknown"], ["report", "--csv", "out.csv"]):
        assert main(["campaign", does[0], "a.db", *does[1:]]) == 0
    capsys.readouterr()
    assert main(["campaign", "run", "a.db"]) == 1
    assert capsys.readouterr().err.startswith("ajoxi: AJOXI_API_KEY: expected your key in the environment.")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["status", "none.db"], 2, "LEDGER: none.db is no ledger yet"),
        (["status", "a.db", "--name", "spring"], 2, "--name: expected a campaign of this ledger: autumn"),
        (["status", "p.csv"], 1, "p.csv"),
        (["report", "a.db"], 2, "report: expected --csv FILE, --html FILE, or both"),
        (["report", "a.db", "--csv", "none/out.csv"], 1, "cannot write out.csv: No such file or directory"),
        (["unknown", "a.db", "--release", "autumn.x.1"], 2, "--release: expected references"),
        (["load", "a.db", "none.csv", "--name", "autumn"], 2, "none.csv"),
        (["load", "a.db", "p.csv", "--name", "autumn", "--phone", "tel"], 2, "--phone: expected the name of a column"),
        (["load", "a.db", "p.csv", "--name", "autumn", "--from", "4155550100"], 2, "--from: expected"),
        (["load", "a.db", "p.csv", "--name", "autumn", "--attempts", "0"], 2, "--attempts: expected"),
        (["load", "a.db", "p.csv", "--name", "autumn", "--retry", "busy"], 2, "--retry: expected OUTCOME=DELAY"),
        (["load", "a.db", "p.csv", "--name", "autumn", "--retry", "bussy=1h"], 2, "--retry: expected dispositions"),
        (["load", "a.db", "p.csv", "--name", "autumn", "--dnc", "none.txt"], 2, "--dnc: none.txt cannot be read"),
        (["load", "none/a.db", "p.csv", "--name", "autumn"], 1, "LEDGER: the folder"),
        (["status", "."], 1, "LEDGER: expected the path of a file, and . is a folder"),
        (["check", "a.db", "--rate", "nan"], 2, "--rate: expected 0.001 to"),
        (["check", "a.db", "--rate", "-1"], 2, "--rate: expected 0.001 to"),
        (["report", "a.db", "--csv", "out", "--html", "./out"], 2, "--csv, --html: expected each file once"),
    ],
    ids=lambda value: " ".join(value[:2] + value[-2:]) if isinstance(value, list) else "",
)
def test_arguments_that_cannot_be(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, said: str
) -> None:
    """What cannot be is one line on standard error that names the option as it was typed, and nothing is changed."""
    load(here, ["+12125550123"])
    capsys.readouterr()
    assert main(["campaign", *arguments]) == status
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert main(["campaign", "report", "a.db", "--csv", "out.csv"]) == 0
    assert len(rows(here / "out.csv")) == 1


def test_calling_hours(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` and `status` say until when contacts wait; who can never be called lawfully is refused at load, with the reason."""
    load(here, ["+12125550123", "+16175550123", "+18005550199"], "--windows", "us_strict")
    assert "2 imported, 0 duplicates, 1 refused" in (told := capsys.readouterr().out)
    assert "zone" in told
    assert main(["campaign", "check", "a.db"]) == 0
    told = capsys.readouterr().out
    assert "2 contacts wait" in told
    assert re.search(r"never: 1, refused when loaded, the first in line 4: .*give a zone", told)
    opens_later = re.search(r"waiting until .*10:00 America/New_York: 2", told)
    assert opens_later or "first call  " in told


def test_a_limit_was_reached(
    here: Path, sandbox: Sandbox, portal: BlockingPortal, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that ends because of a limit, with contacts that wait, says which limit, and ends with status 1."""
    load(here, test_numbers(6))

    async def limit() -> None:
        async with Ledger("a.db") as ledger:
            await Campaign.open(ledger, None, "autumn", stop=Stop(spend=4))

    portal.call(limit)
    assert main(["campaign", "run", "a.db"]) == 1
    assert re.match(r"ajoxi: \d contacts wait, and the run has ended: 4 is spent", capsys.readouterr().err)


def test_counts_that_do_not_add_up(here: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A ledger from which a contact was lost ends `report` and `run` with status 1 and a sentence that says so."""
    import sqlite3

    load(here, test_numbers(3))
    with sqlite3.connect("a.db") as database:
        database.execute("DELETE FROM contact WHERE id = 2")
        database.execute("UPDATE count SET n = 2 WHERE what = 'waiting'")
    database.close()
    capsys.readouterr()
    assert main(["campaign", "report", "a.db", "--csv", "out.csv"]) == 1
    assert "ajoxi: 3 rows were loaded, and the report has 2." in capsys.readouterr().err
    assert main(["campaign", "run", "a.db"]) == 1
    assert "do not add up" in capsys.readouterr().err


class Running:
    """`ajoxi campaign run` in a process of its own."""

    def __init__(self, *more: str, stdout: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", QUICK, "run", "a.db", *more],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until_rings(self, sandbox: Sandbox, amount: int) -> None:
        """Wait until so many phones have rung."""
        end = time.monotonic() + 40
        while len(sandbox.world().rings()) < amount:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        """Send a signal, if one is given, and wait for the end: status, output, errors."""
        if number is not None:
            self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=45)
        return self.process.returncode, out or "", errors


def rang_once(sandbox: Sandbox, numbers: list[str]) -> bool:
    return Counter(ring.number for ring in sandbox.world().rings()) == Counter(numbers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name)
def test_ended_in_the_middle_and_run_again(
    here: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    """After SIGTERM, SIGHUP or kill -9 in mid-run the same command goes on: each phone rings once, and who is in doubt is named."""
    numbers = test_numbers(150)
    # With a second attempt, who was released by a person is dialled again.
    load(here, numbers, "--attempts", "2")
    first = Running()
    first.until_rings(sandbox, 20)
    status, out, errors = first.end(number)
    rung = len(sandbox.world().rings())
    assert rung < 150
    if number is signal.SIGKILL:
        assert status == -signal.SIGKILL
    else:
        assert (status, errors) == (130, "")
        assert "Interrupted: no further call is placed, and answers that are away are awaited." in out
        assert "Settled; the same command goes on." in out
        assert "in doubt" not in out
    assert main(["campaign", "run", "a.db", "--until-settled", "3"]) == 0
    capsys.readouterr()
    # Killed between the intent and the request: nobody but a person, who looks at the phones, can know that it was not sent.
    assert main(["campaign", "unknown", "a.db"]) == 0
    doubts = dict(re.findall(r"(\+\d+)  (autumn\.\w+\.1)", capsys.readouterr().out))
    assert not doubts or number is signal.SIGKILL
    assert not doubts.keys() & {ring.number for ring in sandbox.world().rings()}
    if doubts:
        assert main(["campaign", "unknown", "a.db", "--release", *doubts.values()]) == 0
        assert main(["campaign", "run", "a.db"]) == 0
    assert rang_once(sandbox, numbers)
    assert main(["campaign", "report", "a.db", "--csv", "out.csv"]) == 0
    states = Counter(row["state"] for row in rows(here / "out.csv"))
    assert states == {"done": 150}


def test_a_reader_that_went_away(here: Path, sandbox: Sandbox) -> None:
    """If nobody reads the output any more, what is away is settled, and the command ends as SIGPIPE would end it."""
    numbers = test_numbers(150)
    load(here, numbers)
    reading, writing = os.pipe()
    running = Running(stdout=writing)
    os.close(writing)
    os.close(reading)
    status, _, errors = running.end()
    assert (status, errors) == (141, "")
    assert len(sandbox.world().rings()) < 150
    assert main(["campaign", "run", "a.db"]) == 0
    assert rang_once(sandbox, numbers)


def test_paused_by_another_process(here: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """`pause` in one terminal stops the run in another before the next call, `run` is refused there, `resume` lets it go on."""
    numbers = test_numbers(150)
    load(here, numbers)
    running = Running()
    running.until_rings(sandbox, 20)
    assert main(["campaign", "pause", "a.db", "--reason", "lunch"]) == 0
    until_carried_out(["+14155550198"])
    until_nothing_is_on_the_wire()
    sent = len(sandbox.requests.find(route="calls.create"))
    # The process goes on looking, and one that is not paused would have sent by then.
    until_carried_out(["+14155550199"])
    assert len(sandbox.requests.find(route="calls.create")) == sent
    assert len(sandbox.world().rings()) < 150
    capsys.readouterr()
    assert main(["campaign", "status", "a.db"]) == 0
    assert "paused" in (told := capsys.readouterr().out)
    assert "lunch" in told
    assert main(["campaign", "run", "a.db"]) == 1
    assert "the ledger belongs to process" in capsys.readouterr().err
    assert main(["campaign", "resume", "a.db"]) == 0
    status, out, errors = running.end()
    assert (status, errors) == (0, "")
    assert "paused" in out
    assert rang_once(sandbox, numbers)


def until_carried_out(numbers: list[str]) -> None:
    """Give the process that runs a command that changes nothing for it, and wait until it is in the journal."""
    before = len(journal("do_not_call"))
    assert main(["campaign", "do-not-call", "a.db", *numbers, "--name", "autumn", "--reason", "asked to"]) == 0
    end = time.monotonic() + 20
    while len(journal("do_not_call")) == before:
        assert time.monotonic() < end
        time.sleep(0.005)


def until_nothing_is_on_the_wire() -> None:
    """Wait for the answers to the requests that had passed the gate when the campaign was paused."""
    end = time.monotonic() + 20
    with closing(sqlite3.connect("file:a.db?mode=ro", uri=True)) as db:
        while db.execute("SELECT n FROM count WHERE what = 'dialing'").fetchone()[0]:
            assert time.monotonic() < end
            time.sleep(0.005)


def journal(what: str) -> list[str]:
    """What the journal of the ledger says of one kind of command."""
    with closing(sqlite3.connect("file:a.db?mode=ro", uri=True)) as db:
        return [detail for (detail,) in db.execute("SELECT detail FROM journal WHERE what = ?", (what,))]


def test_stopped_for_good(here: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """`stop` in another terminal ends the run: who waits is canceled, and the reason is kept."""
    load(here, test_numbers(150))
    running = Running()
    running.until_rings(sandbox, 10)
    assert main(["campaign", "stop", "a.db", "--reason", "enough"]) == 0
    assert "autumn is stopped for good: no further call is placed." in capsys.readouterr().out
    status, out, errors = running.end()
    assert (status, errors) == (0, "")
    assert "stopped" in out
    assert len(sandbox.world().rings()) < 150
    assert main(["campaign", "report", "a.db", "--csv", "out.csv"]) == 0
    states = Counter(row["state"] for row in rows(here / "out.csv"))
    assert set(states) == {"done", "canceled"}
    assert '"reason": "enough"' in journal("stop")[0]


def test_stopped_before_it_ran(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a process that runs it, `stop` needs no key, and says that those who wait are canceled by the next run."""
    load(here, test_numbers(3))
    assert main(["campaign", "stop", "a.db"]) == 0
    assert "3 wait, and are canceled" in capsys.readouterr().out


@pytest.mark.parametrize("does", ["pause", "resume"])
def test_stopped_is_for_good(here: Path, capsys: pytest.CaptureFixture[str], does: str) -> None:
    """A campaign that was stopped can be neither paused nor resumed, and nothing else is said."""
    load(here, test_numbers(1))
    assert main(["campaign", "stop", "a.db"]) == 0
    capsys.readouterr()
    assert main(["campaign", does, "a.db"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("stopped for good")) == ("", 1)


def test_numbers_to_call_from_are_needed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new campaign without numbers to call from is refused when it is loaded."""
    people(here / "p.csv", ["+12125550123"])
    assert main(["campaign", "load", "a.db", "p.csv", "--name", "autumn"]) == 2
    assert "--from: expected" in capsys.readouterr().err


def test_do_not_call(here: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers that are typed or in a file are not called, each counted once; the journal has the reason and no number."""
    numbers = test_numbers(6)
    load(here, numbers)
    (here / "no.txt").write_text(f"number\n{numbers[1]}\n# nobody\n\n{numbers[2]};asked twice\n{numbers[0]}\n")
    assert main(["campaign", "do-not-call", "a.db", numbers[0], "--file", "no.txt", "--reason", "by mail"]) == 0
    assert "3 numbers are never called again in any campaign of this ledger." in capsys.readouterr().out
    assert main(["campaign", "do-not-call", "a.db", numbers[3], "--here"]) == 0
    assert "1 number is never called again in this campaign." in capsys.readouterr().out
    assert "by mail" in journal("do_not_call")[0]
    assert numbers[0][1:] not in "".join(journal("do_not_call"))
    assert main(["campaign", "run", "a.db"]) == 0
    assert {ring.number for ring in sandbox.world().rings()} == set(numbers[4:])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "do-not-call: expected NUMBER, --file FILE, or both"),
        (["4155550100"], "NUMBER: "),
        (["+14155550111", "nobody"], "NUMBER: "),
        (["--file", "wrong.txt"], "--file: nothing was changed, because line 2: "),
        (["--file", "missing.txt"], "--file: missing.txt cannot be read"),
    ],
)
def test_do_not_call_that_cannot_be_right(
    here: Path, capsys: pytest.CaptureFixture[str], more: list[str], told: str
) -> None:
    """What is no number is named with its line, and nothing is changed."""
    load(here, test_numbers(2))
    (here / "wrong.txt").write_text("+14155550111\n4.41E+11\n")
    capsys.readouterr()
    assert main(["campaign", "do-not-call", "a.db", *more]) == 2
    assert told in capsys.readouterr().err
    with closing(sqlite3.connect("file:a.db?mode=ro", uri=True)) as db:
        assert db.execute("SELECT count(*) FROM dnc").fetchall() == [(0,)]


def test_doubt(here: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Who is in doubt is counted at the end of a run and listed with a reference, and `--release` or `--done` settles them."""
    load(here, test_numbers(2))
    sandbox.faults.add(match="calls.create", when="times", n=2, action="commit_late", seconds=3600)
    assert main(["campaign", "run", "a.db", "--until-settled", "0"]) == 0
    assert "2 in doubt; `ajoxi campaign unknown` lists them" in capsys.readouterr().out
    assert main(["campaign", "unknown", "a.db"]) == 0
    told = capsys.readouterr().out
    assert "2 in doubt." in told
    references = re.findall(r"autumn\.\w{10}\.1", told)
    assert main(["campaign", "unknown", "a.db", "--done", references[0]]) == 0
    assert main(["campaign", "unknown", "a.db", "--release", references[1]]) == 0
    assert main(["campaign", "report", "a.db", "--csv", "out.csv"]) == 0
    assert Counter(row["state"] for row in rows(here / "out.csv")) == {"done": 1, "exhausted": 1}


@pytest.mark.parametrize("columns", [12, 100])
def test_on_a_terminal(here: Path, sandbox: Sandbox, columns: int) -> None:
    """On a terminal the progress is live and no line is longer than the terminal is wide; Ctrl-C settles there, too."""
    from tests.test_terminals import Terminal

    load(here, test_numbers(150))
    keys = {"AJOXI_API_KEY": sandbox.api_key, "AJOXI_BASE_URL": sandbox.base_url, "TERM": "xterm-256color"}
    terminal = Terminal([*COMMAND, "run", "a.db"], columns, **keys)
    terminal.read(b"dialled" if columns > 12 else b"autumn")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.shown.decode())
    assert "Traceback" not in shown
    assert "Settled" in shown.replace("\r\n", "")
    live = shown[: shown.index("Interr")].replace("^C", "")
    assert max(len(line) for line in re.split(r"[\r\n]+", live)) <= columns
