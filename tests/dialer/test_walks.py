"""The invariants of the dialer, as walks that hypothesis draws. `AJOXI_WALKS=1000 pytest tests/dialer/test_walks.py` walks for longer."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from .walks import CALM, WILD, play, walks

AMOUNT = int(os.environ.get("AJOXI_WALKS", "8"))
_settings = settings(
    max_examples=AMOUNT,
    deadline=None,
    database=None,
    derandomize="AJOXI_WALKS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.timeout(0 if "AJOXI_WALKS" in os.environ else 180)


def _check(steps: list[tuple[Any, ...]], seed: int, backend: str, *, release: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:

        async def main() -> Any:
            return await play(Path(folder), steps, seed, release=release)

        walk = anyio.run(main, backend=backend)
    for line in walk.log:
        note(line)
    assert not walk.faults


@_settings
@given(walks(CALM), st.integers(0, 50), st.sampled_from(["asyncio", "trio"]), st.booleans())
def test_no_phone_rings_twice_and_nobody_is_lost(steps: Any, seed: int, backend: str, release: bool) -> None:
    """Through crashes, faults, pauses and do-not-call: each reference rings at most once, and every contact comes to an end."""
    _check(steps, seed, backend, release=release)


@_settings
@given(walks([*CALM, *WILD]), st.integers(0, 50), st.sampled_from(["asyncio", "trio"]), st.booleans())
def test_nor_with_restored_ledgers_and_clocks_that_step(steps: Any, seed: int, backend: str, release: bool) -> None:
    """The same with a ledger that is put back to an earlier copy, a clock that is set by a day, and decisions of people."""
    _check(steps, seed, backend, release=release)
