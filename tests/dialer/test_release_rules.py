"""When an attempt in doubt may be released without a person, and how far back a run begins to read the list."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ajoxi_async.dialer.dialing.sweep import Sweeper
from ajoxi_async.dialer.rules.machine import AttemptState
from ajoxi_async.dialer.storage.statements.looks import Look

from .worlds import stage

pytestmark = pytest.mark.anyio

INTENT, SETTLE = 1_000_000_000, 900.0
SETTLED, WITNESS = INTENT + 900_000, INTENT + 600_000


@pytest.mark.parametrize(
    ("looked", "now", "witness", "unknown", "released"),
    [
        (2, SETTLED, WITNESS, "release", True),
        (1, SETTLED, WITNESS, "release", False),
        (2, SETTLED - 1, WITNESS, "release", False),
        (2, SETTLED, WITNESS - 1, "release", False),
        (2, SETTLED, WITNESS, "hold", False),
    ],
    ids=["all hold", "two looks", "not settled", "an old witness", "held"],
)
async def test_a_release_needs_all_of_its_evidence(
    looked: int, now: int, witness: int, unknown: str, released: bool
) -> None:
    """It needs three looks, the time in which calls settle, and a call of ours from the last third of it that a list has shown."""
    asked: list[Any] = []

    async def listed(**given: Any) -> Any:
        asked.append(given["created_after"])
        return SimpleNamespace(data=[])

    running: Any = SimpleNamespace(
        settings=SimpleNamespace(unknown=unknown, settle=SETTLE, from_=("+14155550100",)),
        witness=witness,
        now=lambda: now,
        bell=lambda: None,
        client=SimpleNamespace(calls=SimpleNamespace(list=listed)),
    )
    one = Look(1, AttemptState.UNKNOWN, 14045560000, 14155550100, 1, None, INTENT, looked, None, now, None, None)
    chunks: Any = None
    assert await Sweeper(running, chunks)._may_release(one) is released
    # A witness is looked for where the ones that are known are too old.
    assert [moment.timestamp() * 1000 for moment in asked] == ([WITNESS] if witness < WITNESS else [])


async def test_a_run_reads_the_list_from_an_hour_before_the_mark(tmp_path: Path) -> None:
    """What a ledger may have lost is looked for from an hour before the moment up to which it knows the list."""
    async with stage(tmp_path, [14045560000]) as here:
        await here.run()
        ((mark,),) = await here.sql("SELECT mark FROM campaign")
        before = len(here.sandbox.requests.find(route="calls.list"))
        await here.run()
        first = here.sandbox.requests.find(route="calls.list")[before]
        (after,) = parse_qs(urlsplit(first.url).query)["created_after"]
        assert datetime.fromisoformat(after).timestamp() == pytest.approx(mark / 1000 - 3600, abs=0.001)
