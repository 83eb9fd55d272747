"""How a live transcript is put together from events that may repeat, overlap and be cut.

Rules:
1. A segment is new when its sequence is, or when its revision is higher than the one known. Anything else is a replay
   and is dropped.
2. Finals have contiguous sequences from 1. ``last_sequence`` of the completed event says how many there are; a final
   missing then is a gap.
3. A higher revision above a final is a correction, and a final again.
"""

from __future__ import annotations

from attrs import define, field

from ajoxi_async.contract.transcripts import Segment

__all__ = ["Assembly", "reconnect_delay", "standard_delay"]


@define
class Assembly:
    """What is known of a transcript so far."""

    segments: dict[int, Segment] = field(factory=dict)
    duplicates: int = 0

    def accept(self, segment: Segment) -> bool:
        """Take a segment in; False when it is a replay."""
        known = self.segments.get(segment.sequence)
        if known is not None and segment.revision <= known.revision:
            self.duplicates += 1
            return False
        self.segments[segment.sequence] = segment
        return True

    def finals(self) -> tuple[Segment, ...]:
        """The final segments in the order of the conversation."""
        return tuple(self.segments[number] for number in sorted(self.segments) if self.segments[number].is_final)

    def missing(self, last_sequence: int | None) -> list[int]:
        """Sequences that should be final by now and are not."""
        finals = {segment.sequence for segment in self.finals()}
        last = last_sequence if last_sequence is not None else max(finals, default=0)
        return [number for number in range(1, last + 1) if number not in finals]


def reconnect_delay(failures: int, server_retry_ms: int | None, jitter: float, *, cap: float = 8.0) -> float:
    """Seconds before a live transcript is opened again.

    The server's ``retry`` (1 s where it gave none) doubles with each failure up to `cap`, with full jitter; the first
    attempt after progress goes at once, within a tenth of a second, since a cut is most often a restart.

    Args:
        failures: since the last progress, 1 or more.
        server_retry_ms: the stream's ``retry`` in milliseconds.
        jitter: a draw from [0, 1).
        cap: seconds.
    """
    base = 1.0 if server_retry_ms is None else server_retry_ms / 1000
    return jitter * (0.1 if failures <= 1 else min(cap, base * 2.0 ** min(failures - 2, 16)))


def standard_delay(failures: int, server_retry_ms: int | None, jitter: float, *, cap: float = 30.0) -> float:
    """Seconds before any event stream is opened again, as the HTML standard has it (9.2.3).

    The server's ``retry`` (1 s where it gave none) is waited in full, and a fifth of it more by jitter, so that a
    thousand readers do not come back at once; failures to connect double it up to `cap`.

    Args:
        failures: since a connection was last open, 1 or more.
        server_retry_ms: the stream's ``retry`` in milliseconds.
        jitter: a draw from [0, 1).
        cap: seconds; a ``retry`` above it is waited nevertheless.
    """
    base = 1.0 if server_retry_ms is None else server_retry_ms / 1000
    return max(base, min(cap, base * 2.0 ** min(failures - 1, 16))) * (1 + 0.2 * jitter)
