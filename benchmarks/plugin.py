"""What the pytest plugin costs a run that uses none of its fixtures.

Rules:
1. Each sample is a pytest process with one empty test, with the plugin and without it, in turns. Processor time, because others
   use the machine as well.
2. With pytest-asyncio the plugin also defines fixtures for each of its scopes, so it is measured with and without.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.tools import average, pin, table, versions

__all__ = ["main"]

PLUGIN = "ajoxi_async.testing"
#: Of others, which take longer than what is measured.
OTHERS = [f"-pno:{name}" for name in ("schemathesis", "hypothesispytest", "faker", "timeout", "cacheprovider", "xdist")]
SETTINGS = {"pytest alone": ["-pno:asyncio", "-pno:anyio"], "with pytest-asyncio and anyio": []}
REPORT = "import sys, time, pytest\nstatus = pytest.main(sys.argv[1:])\nprint(time.process_time())\nsys.exit(status)"


def _sample(folder: str, *options: str) -> float:
    command = [sys.executable, "-W", "ignore", "-c", REPORT, "-q", *OTHERS, *options, folder]
    run = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True, cwd=folder)
    return float(run.stdout.split()[-1]) * 1e3


def main(*, quick: bool = False) -> None:
    """Measure and print the table."""
    rounds = 2 if quick else 15
    pin(0)
    rows = []
    with TemporaryDirectory() as folder:
        (Path(folder) / "test_nothing.py").write_text("def test_nothing(): pass\n")
        for name, options in SETTINGS.items():
            samples: dict[str, list[float]] = {"with": [], "without": []}
            for _ in range(rounds):
                samples["with"].append(_sample(folder, *options, "-p", PLUGIN))
                samples["without"].append(_sample(folder, *options, f"-pno:{PLUGIN}"))
            whole, bare = average(samples["with"]), average(samples["without"])
            rows.append([name, f"{bare:.0f}", f"{whole:.0f}", f"{whole - bare:.0f}"])
    print(f"A pytest run that uses no fixture of the plugin, medians of {rounds} processes")
    print(table(["", "CPU ms without", "with", "plugin"], rows), end="\n\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        print(versions())
        main(quick="--quick" in sys.argv)
