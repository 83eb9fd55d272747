"""How a transcript is put together from what may repeat and overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.contract.transcripts import Segment
from ajoxi_async.protocol.resume import Assembly, reconnect_delay, standard_delay


def test_replays_are_dropped() -> None:
    """The same revision, or a lower one, is told once."""
    assembly = Assembly()
    assert assembly.accept(Segment(sequence=1, revision=2, text="b"))
    assert not assembly.accept(Segment(sequence=1, revision=2, text="b"))
    assert not assembly.accept(Segment(sequence=1, revision=1, text="a"))
    assert assembly.duplicates == 2
    assert assembly.finals()[0].text == "b"


def test_corrections_replace_finals() -> None:
    """A higher revision above a final takes its place."""
    assembly = Assembly()
    assembly.accept(Segment(sequence=1, revision=1, text="my card is 4111"))
    assert assembly.accept(Segment(sequence=1, revision=2, text="my card is [redacted]"))
    assert [segment.text for segment in assembly.finals()] == ["my card is [redacted]"]


def test_missing() -> None:
    """A sequence without a final is missing, an interim notwithstanding."""
    assembly = Assembly()
    for sequence, final in ((1, True), (3, False), (4, True)):
        assembly.accept(Segment(sequence=sequence, is_final=final))
    assert assembly.missing(5) == [2, 3, 5]
    assert assembly.missing(None) == [2, 3]


@given(st.permutations([(s, r) for s in range(1, 6) for r in range(1, 4)]))
def test_order_of_arrival_does_not_matter(arrivals: list[tuple[int, int]]) -> None:
    """Whatever the order, the highest revision of each sequence remains."""
    assembly = Assembly()
    for sequence, revision in arrivals:
        assembly.accept(Segment(sequence=sequence, revision=revision))
    assert [(segment.sequence, segment.revision) for segment in assembly.finals()] == [(n, 3) for n in range(1, 6)]


def test_reconnect_delay() -> None:
    """The server's retry doubles up to the cap; the first attempt after progress goes almost at once."""
    assert reconnect_delay(1, 1000, 0.99) < 0.1
    assert [reconnect_delay(n, 1000, 1.0) for n in (2, 3, 4, 5, 6, 50)] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert reconnect_delay(2, None, 1.0) == 1.0
    assert reconnect_delay(9, 86_400_000, 1.0) == 8.0


def test_standard_delay() -> None:
    """The server's retry is waited in full and not much longer; it doubles up to the cap, never below itself."""
    assert standard_delay(1, 3000, 0.0) == 3.0
    assert 3.5 < standard_delay(1, 3000, 1.0) < 3.7
    assert standard_delay(1, None, 0.0) == 1.0
    assert [standard_delay(n, 2000, 0.0) for n in (1, 2, 3, 4, 5, 60)] == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert standard_delay(4, 60_000, 0.0) == 60.0
    assert standard_delay(1, 0, 1.0) == 0.0
