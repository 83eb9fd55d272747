"""Build the source distribution, and from it the wheel: ``python .ci/build.py FOLDER``.

The same commit gives the same bytes, wherever and whenever it is built: hatchling writes entries in order and with one time,
which is the last commit's. Where there is no repository, as in a source distribution, the time is hatchling's constant.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commit_time() -> str | None:
    """When the last commit of this checkout was made, in seconds since the epoch."""
    if not (ROOT / ".git").exists():
        return None
    run = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() or None


def build(folder: Path, root: Path = ROOT) -> None:
    """Build both distributions of a checkout, with the hatchling of this environment."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if time := commit_time():
        environment.setdefault("SOURCE_DATE_EPOCH", time)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder.absolute()), str(root)]
    subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
