"""Loading a campaign: contacts a second from a CSV file to a durable ledger, deduplicated and with their zones, and the memory of it.

    python -m benchmarks.dialer_import                     # a million contacts
    python -m benchmarks.dialer_import --contacts 10000000 --folder /var/tmp

Numbers are of random area codes of North America; one row in a hundred repeats a number, and one in a thousand is no number. The
load runs in a process of its own, and its rate is by the clock, from the first byte of the file to the last commit. Beside it stands
the processor time, which says what the rate is on a core that nobody else uses, and the peak of resident memory, interpreter and
imports included. ``--columns`` adds a name and an id to each row, which are kept as variables and key.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.tools import table, versions

__all__ = ["main"]


def write_csv(path: Path, contacts: int, *, columns: bool) -> None:
    """A file of so many rows."""
    from ajoxi_async.dialer.rules.zones import prefixes

    draw = random.Random(1)
    areas = [prefix for prefix in prefixes() if len(prefix) == 4 and prefix[0] == "1"]
    recent = ["+12125660000"]
    with path.open("w") as file:
        file.write("phone,name,id\n" if columns else "phone\n")
        for row in range(contacts):
            if row % 1000 == 999:
                number = "4.41E+11"
            elif row % 100 == 50:
                number = draw.choice(recent)
            else:
                number = f"+{draw.choice(areas)}{draw.randrange(2_000_000, 10_000_000)}"
                if row % 1000 == 0:
                    recent.append(number)
            file.write(f"{number},Person {row},{row}\n" if columns else f"{number}\n")


def resident() -> float:
    """MB of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def load(csv: str, ledger: str, key: str | None) -> None:
    """Load a file and print what it took."""
    import anyio

    from ajoxi_async.dialer.loading.load import load as load_contacts
    from ajoxi_async.dialer.loading.rows import from_csv
    from ajoxi_async.dialer.rules.windows import Windows
    from ajoxi_async.dialer.storage.ledger import Ledger
    from ajoxi_async.dialer.storage.statements import campaigns

    peaks = [0.0]

    def watch() -> None:
        while True:
            peaks[0] = max(peaks[0], resident())
            time.sleep(0.02)

    async def run() -> None:
        async with Ledger(ledger) as book:
            await book.own("bench")
            row = await book.write(lambda db: campaigns.create(db, "bench", "{}", 1))
            before = resident()
            threading.Thread(target=watch, daemon=True).start()
            wall, cpu = time.perf_counter(), time.process_time()
            report = await load_contacts(
                book, row, from_csv(csv, key=key), now=time.time(), windows=Windows("8-21"), ring=25.0
            )
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            told = {
                "report": str(report),
                "rows": report.rows,
                "wall": wall,
                "cpu": cpu,
                "before": before,
                "peak": peaks[0],
            }
            print(json.dumps(told))

    anyio.run(run)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialer_import")
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", help="where the file and the ledger are made and removed; a temporary folder by default"
    )
    parser.add_argument("--columns", action="store_true", help="with a name and an id in each row")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    print(versions(), end="\n\n")
    lines = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        csv = Path(folder, "contacts.csv")
        write_csv(csv, given.contacts, columns=given.columns)
        for round_ in range(given.rounds):
            ledger = Path(folder, f"{round_}.db")
            code = f"from benchmarks.dialer_import import load; load({str(csv)!r}, {str(ledger)!r}, {'id' if given.columns else None!r})"
            run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
            told = json.loads(run.stdout)
            print(told["report"])
            size = ledger.stat().st_size
            lines.append(
                [
                    f"{told['rows']:,}",
                    f"{told['rows'] / told['wall']:,.0f}",
                    f"{told['cpu'] / told['rows'] * 1e6:.1f}",
                    f"{told['rows'] / told['cpu']:,.0f}",
                    f"{told['before']:.0f}",
                    f"{told['peak']:.0f}",
                    f"{size / told['rows']:.0f}",
                ]
            )
            for end in ("", "-wal", "-shm", "-inbox", ".lock"):
                Path(f"{ledger}{end}").unlink(missing_ok=True)
    head = ["rows", "a second", "CPU, µs each", "a second of CPU", "MB before", "MB at most", "bytes on disk each"]
    print(table(head, lines))


if __name__ == "__main__":
    main()
