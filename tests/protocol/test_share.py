"""This client's part of the limit, window by window."""

from __future__ import annotations

import pytest

from ajoxi_async.protocol.share import Share

LIMIT = 100


def windows(share: Share, first: int, many: int, used: int, ours: float) -> None:
    """So many windows of the server in which it counted `used` requests, `ours` of them our own."""
    for reset in range(first, first + many):
        share.count(reset, used, ours, LIMIT, float(reset))


def test_three_windows_of_others_are_others() -> None:
    """What others use lowers our part once it has lasted for three windows, and not before."""
    share = Share()
    windows(share, 1, 3, used=100, ours=50)
    assert share.left == 1.0
    windows(share, 4, 1, used=100, ours=50)
    assert share.left == pytest.approx(0.9)


def test_a_crowded_key_is_left_faster_than_it_is_taken_back() -> None:
    """While the key is full our part shrinks by a tenth a window; while others leave room it grows by half a hundredth."""
    share = Share()
    windows(share, 1, 8, used=100, ours=50)
    crowded = share.left
    windows(share, 9, 1, used=60, ours=30)
    assert share.left < crowded
    crowded = share.left
    windows(share, 10, 4, used=60, ours=30)
    assert share.left == pytest.approx(crowded + 4 * 0.005)
    windows(share, 14, 60, used=30, ours=30)
    assert share.left == 1.0


def test_a_late_answer_changes_nothing() -> None:
    """An answer of a window that is closed says nothing about the one that is open, nor does it end that."""
    share = Share()
    windows(share, 10, 3, used=30, ours=30)
    assert not share.count(11, 100, 0, LIMIT, 12.5)
    assert not share.count(10, 100, 0, LIMIT, 12.6)
    assert share._window.reset == 12
    assert share._window.foreign == 0
    windows(share, 13, 3, used=30, ours=30)
    assert share.left == 1.0


def test_a_server_clock_that_was_set_back() -> None:
    """When the server's clock is set back, its new windows are followed."""
    share = Share()
    windows(share, 1000, 3, used=100, ours=50)
    assert not share.count(500, 100, 50, LIMIT, 1003.0)
    assert share._window.reset == 500
    windows(share, 501, 4, used=100, ours=50)
    assert share.left < 1.0


def test_within_a_window_the_most_counts() -> None:
    """Answers come in any order: of a window the highest count is the count."""
    share = Share()
    for reset in range(1, 6):
        for used in (90, 100, 10):
            share.count(reset, used, 50, LIMIT, float(reset))
    assert share.left == pytest.approx(0.9**2)


@pytest.mark.parametrize(("apart", "part"), [(10.0, 0.99**2), (3.9, 0.99 * 0.92)])
def test_refusals_in_a_row_take_more(apart: float, part: float) -> None:
    """A refusal takes a hundredth of the part, and eight when the one before was less than four seconds ago."""
    share = Share()
    share.refused(100.0, 101.0)
    share.refused(100.0 + apart, 101.0 + apart)
    assert share.part == pytest.approx(part)


def test_the_ceiling_has_a_floor_and_comes_back() -> None:
    """Refusals never take more than nine tenths; the ceiling waits for the pause to end, then only rises, to the whole."""
    share = Share()
    for second in range(200):
        share.refused(float(second), second + 50.0)
    assert share.ceiling == pytest.approx(0.1)
    windows(share, 200, 40, used=5, ours=5)
    assert share.ceiling == pytest.approx(0.1), "the pause lasts until 249"
    seen = [share.ceiling]
    for second in range(249, 3000):
        share.count(second, 5, 5, LIMIT, float(second))
        seen.append(share.ceiling)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_ceiling_never_falls_by_waiting() -> None:
    """Right after the floor was reached the curve begins below it, and the ceiling stays where it is."""
    share = Share(ceiling=0.101)
    share.refused(0.0, 1.0)
    share.refused(1.5, 2.5)
    windows(share, 3, 2, used=5, ours=5)
    assert share.ceiling >= 0.1
