"""Assembling a transcript from segments that may be repeated, overlap and be missing.

Rules:
1. A segment is new if its sequence is new or its revision is higher than the known one. A final segment is also new if the
   known one is an interim of the same revision. Any other segment is a repetition and is dropped.
2. Final segments have contiguous sequences from 1. ``last_sequence`` of the completed event says how many there are; a final
   segment that is missing then is a gap. Gaps are kept as ranges, since a server may claim millions.
3. A higher revision of a final segment is a correction. Until the correction is final itself, the earlier final counts.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from ajoxi_async.contract.transcripts import Segment, Speaker

__all__ = ["Assembly", "TranscriptSnapshot", "Turn", "in_words", "turns_of"]


@frozen
class Turn:
    """Consecutive final segments of one speaker.

    Attributes:
        speaker: who speaks.
        segments: the final segments.
    """

    speaker: Speaker | None
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        """The segments as one line."""
        return " ".join(segment.text for segment in self.segments)

    @property
    def start(self) -> float | None:
        """Seconds from the answer."""
        return self.segments[0].start

    @property
    def end(self) -> float | None:
        """Seconds from the answer."""
        return self.segments[-1].end


@frozen
class TranscriptSnapshot:
    """A live transcript at one moment.

    Attributes:
        finals: the final segments, in the order of the conversation.
        interims: segments that are still being spoken, and corrections that are not final yet.
        last_event_id: where a stream that continues this snapshot resumes.
        completed: whether no more segments come.
    """

    finals: tuple[Segment, ...]
    interims: tuple[Segment, ...]
    last_event_id: str | None
    completed: bool


@define
class Assembly:
    """The segments of a transcript so far. Final segments are kept in order, so that reading them needs no sorting."""

    duplicates: int = 0
    _finals: dict[int, Segment] = field(factory=dict)
    _interims: dict[int, Segment] = field(factory=dict)
    _order: list[int] = field(factory=list)
    _finals_in_order: tuple[Segment, ...] | None = None

    def accept(self, segment: Segment) -> bool:
        """Add a segment; returns False if it is a repetition."""
        number, revision = segment.sequence, segment.revision
        final, interim = self._finals.get(number), self._interims.get(number)
        if (final is not None and revision <= final.revision) or (
            interim is not None and revision < interim.revision + (not segment.is_final)
        ):
            self.duplicates += 1
            return False
        if segment.is_final:
            self.settle(segment)
        else:
            self._interims[number] = segment
        return True

    def settle(self, segment: Segment) -> None:
        """Add a final segment, and replace the one with the same sequence."""
        number = segment.sequence
        if number not in self._finals:
            if not self._order or number > self._order[-1]:
                self._order.append(number)
            else:
                insort(self._order, number)
        self._finals[number] = segment
        self._interims.pop(number, None)
        self._finals_in_order = None

    def settle_missing(self, segment: Segment) -> bool:
        """Add a final segment if there is none with its sequence; returns whether it was added."""
        missing = segment.sequence not in self._finals
        if missing:
            self.settle(segment)
        return missing

    def finals(self) -> tuple[Segment, ...]:
        """The final segments in the order of the conversation."""
        if self._finals_in_order is None:
            self._finals_in_order = tuple(self._finals[number] for number in self._order)
        return self._finals_in_order

    def interims(self) -> tuple[Segment, ...]:
        """The segments that are not final yet, in the order of the conversation."""
        return tuple(self._interims[number] for number in sorted(self._interims))

    def gaps(self, last_sequence: int | None) -> list[range]:
        """Ranges of sequences that should be final and are not.

        Args:
            last_sequence: of the completed event; ``None`` for the highest sequence so far.
        """
        last = last_sequence
        if last is None:
            last = max(self._order[-1] if self._order else 0, max(self._interims, default=0))
        found, expected = [], 1
        for number in self._order:
            if number > last:
                break
            if number > expected:
                found.append(range(expected, number))
            expected = max(expected, number + 1)
        if expected <= last:
            found.append(range(expected, last + 1))
        return found


def turns_of(finals: Iterable[Segment]) -> tuple[Turn, ...]:
    """Group final segments into turns: a turn ends where another speaker or channel begins."""
    turns: list[list[Segment]] = []
    for segment in finals:
        before = turns[-1][-1] if turns else None
        if before is not None and (before.speaker, before.channel) == (segment.speaker, segment.channel):
            turns[-1].append(segment)
        else:
            turns.append([segment])
    return tuple(Turn(turn[0].speaker, tuple(turn)) for turn in turns)


def in_words(gaps: Sequence[range]) -> str:
    """The first few gaps as text, such as ``3, 7-9``."""
    shown = [str(gap.start) if gap.stop - gap.start == 1 else f"{gap.start}-{gap.stop - 1}" for gap in gaps[:5]]
    return ", ".join(shown) + (" and more" if len(gaps) > 5 else "")
