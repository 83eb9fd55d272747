"""What becomes of calls: by attempt, by population, by the settings of a world."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from ajoxi_async import AsyncAjoxi, InvalidParameterError, Sandbox
from ajoxi_async.sandbox import Population, Settings, zone_of
from ajoxi_async.sandbox.conversation import script
from ajoxi_async.sandbox.outcomes.population import ATTEMPTS, disposition_of

FROM = "+14155550100"
NUMBERS = [f"+1212{number:07d}" for number in range(1000)]
CHANGING = Population(changes=True)


async def dial(sandbox: Sandbox, to: str) -> str | None:
    """Call a number, let the call end, and see how it ended."""
    async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        call = await client.calls.create(to=to, from_=FROM)
        await sandbox.clock.advance(60)
        return (await client.calls.retrieve(call.id)).disposition


def test_who_did_not_answer_may_answer_the_next_time() -> None:
    """The first attempt is as ever; answered and failed stay; the others are drawn anew, by seed and attempt."""

    def ends(seed: int, attempt: int, population: Population = CHANGING) -> list[str]:
        return [disposition_of(number, seed, attempt, population) for number in NUMBERS]

    steady = ends(0, 1, Population())
    assert ends(0, 1) == steady == ends(0, 5, Population())
    second, third = ends(0, 2), ends(0, 3)
    for first, later in zip(steady, second, strict=True):
        assert first not in {"answered", "failed"} or later == first
        assert (later == "failed") == (first == "failed")
    unanswered = [place for place, first in enumerate(steady) if first not in {"answered", "failed"}]
    reached = [place for place in unanswered if second[place] == "answered"]
    assert 0.6 < len(reached) / len(unanswered) < 0.8
    assert second != third
    assert second == ends(0, 2) != ends(1, 2)
    assert ends(0, ATTEMPTS) == ends(0, ATTEMPTS + 7)


def test_an_outcome_mix_of_ones_own() -> None:
    """The shares are those given; shares that make no hundred, or none at all, are refused by name."""
    mix = Population(answered=20, voicemail=0, no_answer=50, busy=30, failed=0)
    share = Counter(disposition_of(number, 0, 1, mix) for number in NUMBERS)
    assert set(share) == {"answered", "no_answer", "busy"}
    assert 150 < share["answered"] < 250
    given: dict[str, Any]
    for given, param in (
        ({"answered": 71}, "population"), ({"busy": -5, "answered": 80}, "population.busy"),
        ({"busy": 5.0}, "population.busy"), ({"changes": 1}, "population.changes"),
    ):  # fmt: skip
        with pytest.raises(InvalidParameterError) as caught:
            Population(**given)
        assert caught.value.param == param


@pytest.mark.anyio
async def test_attempts_are_counted_in_each_world_and_survive_a_restart(tmp_path: Path) -> None:
    """0108 is busy twice in a world, whatever another world does, and over restarts of the file."""
    file = tmp_path / "worlds.db"
    for expected in ("busy", "busy", "answered", "answered"):
        async with Sandbox(port=None, clock="manual", db=file) as sandbox:
            other = sandbox.world(sandbox.mint_key())
            other.inbound_call(from_="+15005550108")
            assert await dial(sandbox, "+15005550108") == expected


@pytest.mark.anyio
async def test_two_calls_at_once_are_two_attempts() -> None:
    """Each call keeps the attempt that it was when it rang, whatever rings later."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            placed = [(await client.calls.create(to="+15005550108", from_=FROM)).id for _ in range(4)]
            await sandbox.clock.advance(60)
            ends = [(await client.calls.retrieve(id)).disposition for id in placed]
    assert ends == ["busy", "busy", "answered", "answered"]


@pytest.mark.anyio
async def test_a_changing_population_answers_in_the_end() -> None:
    """Of the numbers that exist, all are reached after some attempts; the same seed reaches them in the same way."""

    async def history(number: str, sandbox: Sandbox) -> list[str | None]:
        ends = [await dial(sandbox, number)]
        while ends[-1] not in {"answered", "failed"}:
            ends.append(await dial(sandbox, number))
        return ends

    runs = []
    settings = Settings(population=Population(answered=20, no_answer=62, changes=True))
    for _ in range(2):
        async with Sandbox(port=None, clock="manual", rate_limit=None, settings=settings) as sandbox:
            runs.append([await history(number, sandbox) for number in NUMBERS[:12]])
    assert runs[0] == runs[1]
    assert max(map(len, runs[0])) > 3


@pytest.mark.anyio
async def test_settings_of_a_world(tmp_path: Path) -> None:
    """A world is configured by itself; snapshots have its settings, a reset forgets them, and a restart keeps them."""
    file = tmp_path / "worlds.db"
    given = Settings(population=Population(answered=60, failed=13))
    async with Sandbox(port=None, clock="manual", settings=given, db=file) as sandbox:
        world = sandbox.world()
        assert world.settings == given
        before = world.snapshot()
        world.configure(population={"changes": True})
        assert world.settings.population == Population(answered=60, failed=13, changes=True)
        assert sandbox.world(sandbox.mint_key()).settings == given
        configured = world.snapshot()
        world.restore(before)
        assert world.settings == given
        world.restore(configured)
    async with Sandbox(port=None, clock="manual", settings=given, db=file) as sandbox:
        world = sandbox.world()
        assert world.settings.population == Population(answered=60, failed=13, changes=True)
        for wrong, param in (
            ({"volume": 11}, "volume"), ({"population": {"bus": 1}}, "population.bus"), ({"population": 3}, "population")
        ):  # fmt: skip
            with pytest.raises(InvalidParameterError) as caught:
                world.configure(**wrong)
            assert caught.value.param == param
        world.reset()
        assert world.settings == given
    async with Sandbox(port=None, clock="manual", settings=given, db=file) as sandbox:
        assert sandbox.world().settings == given


@pytest.mark.anyio
async def test_a_call_under_way_keeps_its_sense_when_the_population_changes() -> None:
    """Who has answered has answered, and who has not is no answer, whatever the new population would have done."""
    nobody = Population(answered=0, voicemail=0, no_answer=100, busy=0, failed=0)
    everybody = Population(answered=100, voicemail=0, no_answer=0, busy=0, failed=0)
    async with Sandbox(port=None, clock="manual", settings=Settings(population=everybody)) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            for seconds, then, expected in ((1.0, nobody, "answered"), (0.1, everybody, "no_answer")):
                call = await client.calls.create(to=NUMBERS[0], from_=FROM)
                await sandbox.clock.advance(seconds)
                sandbox.world().configure(population=then)
                await sandbox.clock.advance(60)
                assert (await client.calls.retrieve(call.id)).disposition == expected


@given(st.text(min_size=1, max_size=12), st.floats(0.1, 600), st.booleans())
def test_sentiment_moves(call_id: str, talk: float, angry: bool) -> None:
    """It starts neutral, moves in small steps, ends as the whole conversation does, and falls where somebody is angry."""
    moods = [segment.sentiment for segment in script.segments(call_id, talk, ai=False, angry=angry)]
    final = script.sentiment(call_id, angry=angry)
    assert (moods[0], moods[-1]) == (0.0, final)
    steps = [later - earlier for earlier, later in zip(moods, moods[1:], strict=False)]
    assert all(abs(step) <= 1.7 / (len(moods) - 1) + 0.011 for step in steps)
    assert not angry or all(step <= 0 for step in steps)
    assert all(mood == round(mood, 2) for mood in moods)


@pytest.mark.asyncio
async def test_settings_over_http() -> None:
    """`GET` and `PUT settings` show and change what the Python face does, with the same errors."""
    async with Sandbox(clock="manual") as sandbox, aiohttp.ClientSession() as session:
        url = f"{sandbox.base_url}/_ajoxi/settings"
        headers = {"Authorization": f"Bearer {sandbox.control_token}"}
        async with session.put(url, headers=headers, json={"population": {"changes": True}}) as answer:
            shown = await answer.json()
        async with session.get(url, headers=headers) as answer:
            assert await answer.json() == shown
        assert shown["population"]["changes"] is sandbox.world().settings.population.changes is True
        async with session.put(url, headers=headers, json={"population": {"answered": 1}}) as answer:
            assert answer.status == 400
            assert json.loads(await answer.text())["error"]["param"] == "population"


@pytest.mark.asyncio
async def test_zones_of_a_world(tmp_path: Path) -> None:
    """A world's test numbers keep their zones, whatever time passes, over restarts, in Python and over HTTP."""
    file = tmp_path / "worlds.db"
    names = []
    for _ in range(2):
        async with Sandbox(clock="manual", db=file) as sandbox, aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {sandbox.control_token}"}
            url = f"{sandbox.base_url}/_ajoxi/zones/"
            for number in ("+15005550102", "%2B15005550102"):
                async with session.get(URL(url + number, encoded=True), headers=headers) as answer:
                    names.append((await answer.json())["zone"])
            async with session.get(url + "nobody", headers=headers) as answer:
                assert (answer.status, (await answer.json())["error"]["param"]) == (400, "number")
            names.append(sandbox.world().zone_of("+15005550102"))
            assert sandbox.world().zone_of("+442055512345") is None
            await sandbox.clock.advance(5 * 3600)
    assert set(names) == {"Pacific/Tarawa"}
    assert zone_of("+15005550102", datetime(2026, 1, 1, tzinfo=UTC)) == names[0]
