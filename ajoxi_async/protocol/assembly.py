"""How a transcript is put together from events that may repeat, overlap and be cut.

Rules:
1. A segment is new when its sequence is, or when its revision is higher than the one known; a final is also new above an
   interim of the same revision. Anything else is a replay and is dropped.
2. Finals have contiguous sequences from 1. ``last_sequence`` of the completed event says how many there are; a final
   missing then is a gap. Gaps are ranges, since a server may claim millions.
3. A higher revision above a final is a correction. Until it is final itself, the final before it stands.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

from ajoxi_async.contract.transcripts import Segment, Speaker

__all__ = ["Assembly", "TranscriptSnapshot", "Turn", "in_words", "turns_of"]


@frozen
class Turn:
    """What one speaker said before another one did.

    Attributes:
        speaker: who.
        segments: the finals it is made of.
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
    """A live transcript as it stands at one moment.

    Attributes:
        finals: in the order of the conversation.
        interims: what is being said, and corrections that are not final yet.
        last_event_id: where a stream that begins with this snapshot resumes.
        completed: whether nothing more comes.
    """

    finals: tuple[Segment, ...]
    interims: tuple[Segment, ...]
    last_event_id: str | None
    completed: bool


@define
class Assembly:
    """What is known of a transcript so far. Finals are kept in order rather than sorted when they are asked for."""

    duplicates: int = 0
    _finals: dict[int, Segment] = field(factory=dict)
    _interims: dict[int, Segment] = field(factory=dict)
    _order: list[int] = field(factory=list)
    _told: tuple[Segment, ...] | None = None

    def accept(self, segment: Segment) -> bool:
        """Take a segment in; False when it is a replay."""
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
        """Take a final in from whoever knows best, whatever was known of it."""
        number = segment.sequence
        if number not in self._finals:
            if not self._order or number > self._order[-1]:
                self._order.append(number)
            else:
                insort(self._order, number)
        self._finals[number] = segment
        self._interims.pop(number, None)
        self._told = None

    def settle_missing(self, segment: Segment) -> bool:
        """As `settle`, where there is no final of its sequence; says whether there was none."""
        missing = segment.sequence not in self._finals
        if missing:
            self.settle(segment)
        return missing

    def finals(self) -> tuple[Segment, ...]:
        """The final segments in the order of the conversation."""
        if self._told is None:
            self._told = tuple(self._finals[number] for number in self._order)
        return self._told

    def interims(self) -> tuple[Segment, ...]:
        """What is not final yet, in the order of the conversation."""
        return tuple(self._interims[number] for number in sorted(self._interims))

    def gaps(self, last_sequence: int | None) -> list[range]:
        """Sequences that should be final by now and are not.

        Args:
            last_sequence: of the completed event; ``None`` for the last one heard of.
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
    """Finals in order, those of one speaker on one channel together until another one speaks."""
    turns: list[list[Segment]] = []
    for segment in finals:
        before = turns[-1][-1] if turns else None
        if before is not None and (before.speaker, before.channel) == (segment.speaker, segment.channel):
            turns[-1].append(segment)
        else:
            turns.append([segment])
    return tuple(Turn(turn[0].speaker, tuple(turn)) for turn in turns)


def in_words(gaps: Sequence[range]) -> str:
    """The first few gaps, as a reader would write them."""
    shown = [str(gap.start) if len(gap) == 1 else f"{gap.start}-{gap.stop - 1}" for gap in gaps[:5]]
    return ", ".join(shown) + (" and more" if len(gaps) > 5 else "")
