"""The examples, run as a user would."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_quickstart() -> None:
    """The tour runs to its end on the embedded sandbox, in well under 15 seconds, and shows no key and no secret."""
    began = time.monotonic()
    run = subprocess.run(
        # By path and not as a module, so that the package installed is the one that runs.
        [sys.executable, "-W", "error", str(ROOT / "examples" / "quickstart.py")],
        capture_output=True, text=True, timeout=50, cwd="/",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    for sign in (
        "is ringing",
        "customer",
        "bytes of audio/wav",
        "delivered",
        "answered,",
        "signature verified",
        "paced",
    ):
        assert sign in run.stdout
    assert "AJX_TEST_" not in run.stdout
    assert "whsec_" not in run.stdout
    assert time.monotonic() - began < 45
