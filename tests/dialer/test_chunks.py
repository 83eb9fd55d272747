"""Campaigns of the API, in chunks of contacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from ajoxi_async.dialer import Retry, Windows
from ajoxi_async.resources.calls import Calls

from .worlds import MAGIC, stage

pytestmark = pytest.mark.anyio
NUMBERS = [14045560000 + each for each in range(25)]


async def test_contacts_are_called_by_campaigns_of_the_api(tmp_path: Path) -> None:
    """Chunks have the size that was asked for; each contact is called once, and its outcome is learnt from the list."""
    async with stage(tmp_path, NUMBERS, engine="api", chunk=10, rate=10.0) as here:
        last = await here.run()
        assert last.contacts["done"] == len(NUMBERS)
        assert sorted(here.rings()) == sorted(f"+{number}" for number in NUMBERS)
        made = here.sandbox.requests.find(route="calls.create_campaign")
        assert len(made) == 3 and not here.sandbox.requests.find(route="calls.create")


async def test_contacts_of_a_chunk_are_called_again_in_another_one(tmp_path: Path) -> None:
    """A busy number of a chunk gets its retry when it is due, in a chunk of its own."""
    async with stage(tmp_path, [MAGIC + 8, NUMBERS[0]], engine="api", retry={"busy": Retry(600)}, attempts=3) as here:
        last = await here.run()
        assert last.contacts["done"] == 2 and last.counts["disposition.busy"] == 2
        assert len(here.rings(MAGIC + 8)) == 3 and len(here.rings(NUMBERS[0])) == 1


async def test_a_chunk_whose_answer_is_lost_is_in_doubt_as_a_whole_and_is_adopted(tmp_path: Path) -> None:
    """No contact of such a chunk is called a second time."""
    async with stage(tmp_path, NUMBERS[:5], engine="api", rate=10.0) as here:
        here.sandbox.faults.add(action="drop_after_commit", match="calls.create_campaign")
        last = await here.run()
        assert last.contacts["done"] == 5 and len(here.rings()) == 5
        assert await here.sql("SELECT count(*) FROM attempt WHERE via = 2") == [(5,)]


@pytest.mark.parametrize("told", ["", "the first one's"])
async def test_a_chunk_that_is_answered_with_another_campaign_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    """An answer without an id, or with an earlier campaign's, ends no run: the chunk is in doubt, and its calls are adopted."""
    create = Calls.create_campaign

    async def answered(calls: Calls, **options: Any) -> Any:
        return evolve(await create(calls, **options), id=told)

    monkeypatch.setattr(Calls, "create_campaign", answered)
    async with stage(tmp_path, NUMBERS[:4], engine="api", chunk=2, rate=10.0) as here:
        last = await here.run()
        assert last.contacts["done"] == 4 and len(here.rings()) == 4
        assert await here.sql("SELECT count(*) FROM attempt WHERE via = 2") == [(2 if told else 4,)]


async def test_a_chunk_that_is_refused_is_taken_apart(tmp_path: Path) -> None:
    """The contact at fault is refused, and the others of its chunk are called."""
    async with stage(tmp_path, [*NUMBERS[:4], MAGIC + 30], engine="api", rate=10.0) as here:
        last = await here.run()
        assert last.contacts["refused"] == 1 and last.contacts["done"] == 4
        assert sorted(here.rings()) == [f"+{number}" for number in NUMBERS[:4]]


async def test_a_chunk_fits_into_the_window(tmp_path: Path) -> None:
    """A chunk is begun only if its last phone stops ringing before the window closes."""
    # By the sandbox's clock it is midnight in UTC, and the window is open until 0:01 and from 9:00.
    windows = Windows({"mon-sun": "0:00-0:01, 9-10"})
    async with stage(tmp_path, NUMBERS, zone="Africa/Abidjan", engine="api", chunk=40, windows=windows) as here:
        began = here.sandbox.clock.now()
        last = await here.run()
        assert last.contacts["done"] == len(NUMBERS)
        first = here.sandbox.world().rings()[0].at.timestamp()
        assert first - began == pytest.approx(9 * 3600, abs=1)


async def test_a_ledger_that_has_lost_a_chunk_adopts_its_calls(tmp_path: Path) -> None:
    """A copy of the ledger from before the chunk calls nobody again."""
    from ajoxi_async.dialer import Campaign, Ledger

    async with stage(tmp_path, NUMBERS[:5], engine="api", rate=10.0) as here:
        await here.ledger.read(lambda db: db.execute("VACUUM INTO ?", (str(tmp_path / "old.db"),)))
        await here.run()
        async with Ledger(tmp_path / "old.db") as old, here.another_client() as client:
            again = await Campaign.open(old, client, "autumn", clock=here.sandbox.clock)
            async for last in again.run(every=0.05):
                pass
        assert last.contacts["done"] == last.counts["adopted"] == len(here.rings()) == 5
