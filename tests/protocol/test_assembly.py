"""How a transcript is put together from what may repeat and overlap."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ajoxi_async.contract.transcripts import Segment, Speaker
from ajoxi_async.protocol.assembly import Assembly, Turn, in_words, turns_of


def test_replays_are_dropped() -> None:
    """A segment with the same or a lower revision is not new."""
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


def test_gaps() -> None:
    """A sequence without a final counts as missing, even with an interim, up to the announced or the highest sequence."""
    assembly = Assembly()
    for sequence, final in ((4, True), (1, True), (3, False), (5, False)):
        assembly.accept(Segment(sequence=sequence, is_final=final))
    assert assembly.gaps(6) == [range(2, 4), range(5, 7)]
    assert assembly.gaps(4) == [range(2, 4)]
    assert assembly.gaps(3) == [range(2, 4)]
    assert assembly.gaps(None) == [range(2, 4), range(5, 6)]
    assert Assembly().gaps(None) == Assembly().gaps(0) == []
    assert in_words([range(2, 4), range(5, 6)]) == "2-3, 5"
    assert in_words([range(n, n + 1) for n in range(9)]).endswith("4 and more")
    # A range of more numbers than a list can have knows no length.
    assert in_words(Assembly().gaps(10**40)) == f"1-{10**40}"
    assert in_words([range(10**40, 10**40 + 1)]) == str(10**40)


def test_a_claim_of_millions() -> None:
    """A server that claims ten million segments costs no more than the ones it sent."""
    assembly = Assembly()
    assembly.accept(Segment(sequence=5_000_000))
    began = time.perf_counter()
    assert assembly.gaps(10**18) == [range(1, 5_000_000), range(5_000_001, 10**18 + 1)]
    assert time.perf_counter() - began < 0.1


def test_finals_are_not_sorted_anew() -> None:
    """The finals are the same tuple until something changes."""
    assembly = Assembly()
    for sequence in (3, 1, 2):
        assembly.accept(Segment(sequence=sequence))
    told = assembly.finals()
    assert [segment.sequence for segment in told] == [1, 2, 3]
    assembly.accept(Segment(sequence=9, is_final=False))
    assert assembly.finals() is told
    assembly.accept(Segment(sequence=4))
    assert [segment.sequence for segment in assembly.finals()] == [1, 2, 3, 4]


def test_a_final_stands_until_the_next_one() -> None:
    """A correction that is not final yet does not take the final before it away."""
    assembly = Assembly()
    assembly.accept(Segment(sequence=1, revision=1, text="four"))
    assert assembly.accept(Segment(sequence=1, revision=2, text="fo", is_final=False))
    assert [segment.text for segment in assembly.finals()] == ["four"]
    assert [segment.text for segment in assembly.interims()] == ["fo"]
    assert not assembly.accept(Segment(sequence=1, revision=2, text="fo", is_final=False))
    assert assembly.accept(Segment(sequence=1, revision=2, text="for"))
    assert [segment.text for segment in assembly.finals()] == ["for"]
    assert assembly.interims() == ()


def test_turns() -> None:
    """Finals of one speaker on one channel are one turn until another one speaks."""
    said = [("agent", 0), ("agent", 0), ("customer", 1), ("agent", 0), ("agent", 1)]
    finals = [
        Segment(sequence=n, speaker=Speaker(who), channel=channel, text=f"t{n}", start=float(n), end=n + 0.5)
        for n, (who, channel) in enumerate(said, start=1)
    ]
    turns = turns_of(finals)
    assert [(turn.speaker, turn.text, turn.start, turn.end) for turn in turns] == [
        ("agent", "t1 t2", 1.0, 2.5),
        ("customer", "t3", 3.0, 3.5),
        ("agent", "t4", 4.0, 4.5),
        ("agent", "t5", 5.0, 5.5),
    ]
    assert turns_of([]) == ()
    assert isinstance(turns[0], Turn)


@given(st.permutations([(s, r) for s in range(1, 6) for r in range(1, 4)]))
def test_order_of_arrival_does_not_matter(arrivals: list[tuple[int, int]]) -> None:
    """Whatever the order, the highest revision of each sequence remains."""
    assembly = Assembly()
    for sequence, revision in arrivals:
        assembly.accept(Segment(sequence=sequence, revision=revision))
    assert [(segment.sequence, segment.revision) for segment in assembly.finals()] == [(n, 3) for n in range(1, 6)]
