"""Machine instructions of one typed GET beside raw aiohttp, as callgrind counts them. Needs valgrind; takes some minutes.

A processor time depends on what else the machine does, and a count of instructions hardly does: two runs differ by less than one
per cent. A process makes N requests with 32 tasks, another one more of them, and the difference of their counts is divided by the
difference of their requests, so that imports, connecting and warming up cancel out. Hashes are not random.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress

from benchmarks import server
from benchmarks.peers import PEERS
from benchmarks.tools import versions

__all__ = ["main"]

TASKS = 32
FEW, MANY = 160, 480
MEASURED = ("raw aiohttp + orjson", "ajoxi_async", "raw aiohttp + orjson, uvloop", "ajoxi_async, uvloop")


async def _requests(name: str, url: str, count: int) -> None:
    (peer,) = (peer for peer in PEERS if peer.name == name)
    async with peer.open(url) as operations:

        async def work() -> None:
            for _ in range(count // TASKS):
                await operations.one()

        await asyncio.gather(*(work() for _ in range(TASKS)))


def _count(name: str, url: str, requests: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", sys.executable, "-m"]
        command += [__spec__.name, name, url, str(requests)]
        run = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True, timeout=600
        )
    found = re.search(r"Collected : (\d+)", run.stderr)
    assert found is not None, run.stderr
    return int(found[1])


def main() -> None:
    """Count and print the table."""
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed")
        return
    floor = 0.0
    print("one object, 32 at once, instructions each:")
    with server.running() as url:
        for name in MEASURED:
            each = (_count(name, url, MANY) - _count(name, url, FEW)) / (MANY - FEW)
            floor = floor or each
            print(f"  {name}: {each:,.0f}, ratio {each / floor:.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1].endswith("uvloop"):
            import uvloop as loops
        else:
            loops = asyncio
        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            runner.run(_requests(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    else:
        with suppress(KeyboardInterrupt):
            print(versions())
            main()
