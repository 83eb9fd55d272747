"""Where attempts lie on the timeline of a delivery."""

from __future__ import annotations

import pytest

from ajoxi_async.sandbox.state.deliveries import SCHEDULE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_attempt_has_a_place_of_its_own(call) -> None:
    """On the logarithmic axis all attempts of the schedule are at least 3 % of its length apart; on both, order is kept."""
    log, linear = [
        await call("deliveries/timeline.js", "place", [[seconds, scale] for seconds in [*SCHEDULE, 86_400]])
        for scale in ("log", "linear")
    ]
    assert await call("deliveries/timeline.js", "place", [[-5, "log"], [1e9, "log"], [1e9, "linear"]]) == [0, 1, 1]
    assert log == sorted(log) and linear == sorted(linear)
    assert (log[0], log[-1], linear[0], linear[-1]) == (0, 1, 0, 1)
    assert min(after - before for before, after in zip(log, log[1:-1])) > 0.03


async def test_marks_do_not_cover_one_another(call) -> None:
    """Marks that lie too near are moved apart and stay in order and on the axis, however many there are."""
    rows = [
        [[0, 0, 0], 0.1],
        [[1, 1, 1], 0.1],
        [[0, 0.5, 1], 0.1],
        [[0.95, 0.96, 0.97], 0.1],
        [[0.5] * 21, 0.1],
        [[], 0.1],
        [[0.3], 2],
    ]
    moved = await call("deliveries/timeline.js", "spread", rows)
    assert moved[0] == pytest.approx([0, 0.1, 0.2])
    assert moved[1] == pytest.approx([0.8, 0.9, 1])
    assert moved[2] == [0, 0.5, 1]
    assert moved[3] == pytest.approx([0.8, 0.9, 1])
    assert moved[4] == pytest.approx([number / 20 for number in range(21)])
    assert moved[5:] == [[], [0.3]]


async def test_rounds_of_a_delivery(call) -> None:
    """A round begins an axis of its own; planned attempts are of the present round, and so is a round without an attempt yet."""
    first = {"number": 1, "at": "2026-01-01T00:00:00.000Z", "status": 500}
    again = {"number": 1, "at": "2026-01-02T00:00:00.000Z", "status": 204}
    dead = {
        "round": 1,
        "since": first["at"],
        "attempts": 1,
        "rounds": [{"round": 1, "attempts": [first]}],
        "planned": ["2026-01-01T00:00:05.000Z"],
    }
    replayed = {**dead, "round": 2, "since": again["at"], "attempts": 0, "planned": [again["at"]]}
    done = {**replayed, "attempts": 1, "planned": [], "rounds": [*dead["rounds"], {"round": 2, "attempts": [again]}]}
    shown = [
        [[mark["key"] + " " + mark["state"] for mark in round["marks"]] for round in rounds]
        for rounds in await call("deliveries/timeline.js", "roundsOf", [[dead], [replayed], [done]])
    ]
    assert shown == [
        [["1.1 failed", "1.2 planned"]],
        [["1.1 failed"], ["2.1 planned"]],
        [["1.1 failed"], ["2.1 delivered"]],
    ]
