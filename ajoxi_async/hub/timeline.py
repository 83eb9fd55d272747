"""What was said in one call, in the order in which it came, and how far each consumer has got with it.

Rules:
1. Every segment that is added gets the next version, a number from 1. A consumer is given segments in the order of their versions.
2. All finals are kept. A consumer gets each final that comes after it has joined, however far it is behind.
3. Of the interims only the latest of each sequence is kept, until a final of that sequence comes. A consumer that is behind gets
   that one alone, so that what it has yet to get is bounded by the transcript.
4. A consumer that joins gets the finals and interims that count at that moment. A final that was corrected before is left out, because
   the correction may have removed what must not be shown any more.
5. Where a consumer is takes three numbers, whatever it has yet to get: nothing is queued for a consumer.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf

from attrs import define, field

from ajoxi_async.contract.transcripts import Segment

__all__ = ["Cursor", "Entry", "Timeline"]


@define(eq=False)
class Entry:
    """A segment with its version.

    Attributes:
        version: its place among all segments of the call.
        segment: the segment.
        replaced_at: of a final: the version of the final that corrected it; infinite if there is none.
        frame: the segment as an event of an event stream, once it was encoded.
        message: the segment as a message of a WebSocket, once it was encoded.
    """

    version: int
    segment: Segment
    replaced_at: float = inf
    frame: bytes | None = None
    message: str | None = None


@define(eq=False)
class Cursor:
    """How far one consumer has got.

    Attributes:
        joined: the version of the timeline when it joined.
        seen: the version of the last segment that it was given.
        place: the index of the next final.
    """

    joined: int
    seen: int
    place: int


@define(eq=False)
class Timeline:
    """The segments of one call. They have to come without repetitions, as `LiveTranscript` delivers them.

    Attributes:
        version: of the last segment.
    """

    version: int = 0
    _finals: list[Entry] = field(factory=list)
    # By sequence, in the order of their versions.
    _interims: dict[int, Entry] = field(factory=dict)
    _latest_finals: dict[int, Entry] = field(factory=dict)

    def add(self, segment: Segment) -> Entry:
        """Add the next segment."""
        self.version += 1
        entry = Entry(self.version, segment)
        number = segment.sequence
        self._interims.pop(number, None)
        if not segment.is_final:
            self._interims[number] = entry
            return entry
        if (corrected := self._latest_finals.get(number)) is not None:
            corrected.replaced_at = entry.version
        self._latest_finals[number] = entry
        self._finals.append(entry)
        return entry

    def cursor(self, seen: int = 0) -> Cursor:
        """A consumer that joins now.

        Args:
            seen: the version of the last segment that it was given before.
        """
        place = bisect_right(self._finals, seen, key=lambda entry: entry.version)
        return Cursor(joined=self.version, seen=seen, place=place)

    def next(self, cursor: Cursor, *, interim: bool = True) -> Entry | None:
        """The next segment of a consumer; ``None`` if it has all of them.

        Args:
            cursor: of the consumer.
            interim: whether the consumer gets interims.
        """
        if cursor.seen == self.version:
            return None
        finals = self._finals
        while cursor.place < len(finals) and finals[cursor.place].replaced_at <= cursor.joined:
            cursor.place += 1
        following = finals[cursor.place] if cursor.place < len(finals) else None
        if interim:
            for entry in reversed(self._interims.values()):
                if entry.version <= cursor.seen:
                    break
                if following is None or entry.version < following.version:
                    following = entry
        return following

    def take(self, cursor: Cursor, *, interim: bool = True) -> Entry | None:
        """Like `next`, and move the cursor on."""
        entry = self.next(cursor, interim=interim)
        if entry is not None:
            cursor.place += entry.segment.is_final
            cursor.seen = entry.version
        return entry
