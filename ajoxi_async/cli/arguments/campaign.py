"""The arguments of ``ajoxi campaign``."""

from __future__ import annotations

import argparse
from typing import Final

__all__ = ["DOES", "add"]

#: The commands, and what each does.
DOES: Final = {
    "load": "add the people of a CSV file to a campaign, or make the campaign",
    "check": "send nothing, and say: the first hour, the last call, who can never be called and why",
    "run": "dial until nothing more can be dialled; Ctrl-C settles what is away",
    "status": "show where a campaign stands, or which campaigns a ledger has",
    "pause": "send no further call, in whichever process the campaign runs",
    "resume": "go on after a pause",
    "unknown": "list who is in doubt, or record what you found out about them",
    "report": "write a row for each row that was loaded",
}
_LEDGER: Final = "an SQLite file, or the URL of a PostgreSQL database"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the commands below ``campaign``."""
    parser.description = "Dial a list of people. See docs/dialer.md."
    parser.set_defaults(run=_run)
    does = parser.add_subparsers(dest="does", required=True)
    made = {}
    for name, what in DOES.items():
        made[name] = one = does.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        one.add_argument("ledger", metavar="LEDGER", help=_LEDGER)
        if name == "load":
            one.add_argument("csv", metavar="CSV", help="a file with a header line")
        default = "" if name == "load" else " (default: the only one of the ledger)"
        one.add_argument("--name", required=name == "load", help=f"name of the campaign{default}")
    _add_load(made["load"])
    run = made["run"]
    run.add_argument("--rate", type=float, metavar="N", help="most calls a second (default: what the account allows)")
    run.add_argument("--concurrency", type=int, metavar="N", help="most calls at a time, those in doubt included")
    run.add_argument(
        "--until-settled", type=float, metavar="SECONDS", default=1860.0,
        help="how long to look for calls in doubt, and for the ends of open ones, when nothing more can be dialled"
        " (default: %(default)g)",
    )  # fmt: skip
    run.add_argument("--allow-live", action="store_true", help="permit a live key where CI is set")
    made["check"].add_argument("--rate", type=float, metavar="N", help="calls a second (default: that of the campaign)")
    for name in ("pause", "resume"):
        made[name].add_argument("--reason", default="", help="is kept in the ledger's journal")
    unknown = made["unknown"].add_mutually_exclusive_group()
    unknown.add_argument(
        "--release", nargs="+", metavar="REFERENCE", help="no call was placed: they may be dialled again"
    )
    unknown.add_argument("--done", nargs="+", metavar="REFERENCE", help="they were called: they are not dialled again")
    report = made["report"]
    report.add_argument("--csv", metavar="FILE", help="the rows")
    report.add_argument("--html", metavar="FILE", help="a page with counts and plots")


def _add_load(load: argparse.ArgumentParser) -> None:
    load.add_argument(
        "--from", nargs="+", action="extend", metavar="NUMBER", dest="from_",
        help="your numbers to call from, in E.164; needed for a new campaign",
    )  # fmt: skip
    load.add_argument("--phone", metavar="COLUMN", help="column of the numbers (default: phone, number or mobile)")
    load.add_argument("--zone", metavar="COLUMN", help="column of the time zone, such as America/Denver")
    load.add_argument("--key", metavar="COLUMN", help="column of a key of yours, which the report repeats")
    load.add_argument("--dnc", metavar="FILE", help="numbers that are not to be called, one a line")
    load.add_argument(
        "--windows", choices=("always", "us_strict"), help="calling hours, in each zone that a number may be in"
    )
    load.add_argument("--attempts", type=int, metavar="N", help="most attempts for each contact")
    load.add_argument(
        "--retry", nargs="+", action="extend", metavar="OUTCOME=DELAY[,DELAY]",
        help="after which outcomes to call again, and when: busy=10m,1h no_answer=4h voicemail=1d",
    )  # fmt: skip
    load.add_argument(
        "--unknown", choices=("hold", "release"),
        help="what becomes of who is in doubt: wait for a person, or release with evidence that no call was placed",
    )  # fmt: skip
    load.add_argument("--ring-timeout", type=int, metavar="SECONDS", help="how long a phone rings")
    load.add_argument("--ai-receptionist", action="store_true", default=None, help="let the AI receptionist talk")


def _run(options: argparse.Namespace) -> int:
    from ajoxi_async.cli.campaign import run

    return run(options)
