"""What an import costs in time and memory, net of a bare interpreter; every sample is a new process."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from contextlib import suppress
from typing import NamedTuple

from benchmarks.tools import average, pin, rotated, table, versions

__all__ = ["main"]

BARE = "pass"
#: What is run -> the package it needs.
STATEMENTS = {
    "import ajoxi_async": "ajoxi_async",
    "from ajoxi_async import AsyncAjoxi": "ajoxi_async",
    "import aiohttp": "aiohttp",
    "import stripe": "stripe",
    "import twilio": "twilio",
    "from twilio.rest import Client": "twilio",
    "import openai": "openai",
    "import telnyx": "telnyx",
    "import anthropic": "anthropic",
}

# The peak of `getrusage` is inherited from the parent across fork, the pages resident now are not.
REPORT = """
import time
cpu = time.process_time()
try:
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
except OSError:
    pages = 0
print(cpu, pages)
"""


class Sample(NamedTuple):
    """Seconds from start to end, seconds of processor time, and resident pages."""

    wall: float
    cpu: float
    pages: float


def _sample(statement: str) -> Sample:
    # The report costs the bare interpreter the same.
    command = [sys.executable, "-c", f"{statement}\n{REPORT}"]
    began = time.perf_counter()
    out = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout.split()
    return Sample(time.perf_counter() - began, float(out[0]), float(out[1]))


def _megabytes(pages: float) -> str:
    try:
        import resource
    except ImportError:
        return "-"
    return f"{pages * resource.getpagesize() / 2**20:.1f}" if pages else "-"


def main(*, quick: bool = False) -> None:
    """Measure and print the table."""
    rounds = 2 if quick else 15
    print(f"Imports, net of a bare interpreter, medians of {rounds} processes")
    pin(0)
    statements = [BARE]
    for statement, package in STATEMENTS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{statement}: skipped, {package} not installed")
        else:
            statements.append(statement)
    for statement in statements:  # bytecode is written, files are in the cache
        _sample(statement)
    samples: dict[str, list[Sample]] = {}
    for turn in range(rounds):
        for statement in rotated(statements, turn):
            samples.setdefault(statement, []).append(_sample(statement))
    middle = {at: Sample(*(average(column) for column in zip(*all_, strict=True))) for at, all_ in samples.items()}
    bare = middle.pop(BARE)
    rows = [
        [
            statement,
            f"{(one.wall - bare.wall) * 1e3:.0f}",
            f"{(one.cpu - bare.cpu) * 1e3:.0f}",
            _megabytes(one.pages - bare.pages),
        ]
        for statement, one in middle.items()
    ]
    print("\n" + table(["", "ms", "CPU ms", "MB"], rows), end="\n\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        print(versions())
        main(quick="--quick" in sys.argv)
