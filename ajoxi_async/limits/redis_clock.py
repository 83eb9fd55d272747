"""Redis's clock mapped to ours by the answers it gives. Pure; times are seconds.

Rules:
1. Redis read its clock at some moment between our question and its answer, so the difference of the clocks is known to half
   a round trip. The fastest of the last answers says it best.
2. An answer that contradicts that one means that one of the clocks was set, or that ours stood still while the machine was
   suspended: what was known before is forgotten.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

__all__ = ["RedisClock"]

#: Answers that are remembered, and seconds by which the clocks may drift apart while they are.
_ANSWERS: Final = 64
_DRIFT: Final = 0.002


@define
class RedisClock:
    """Redis's clock less ours, by the fastest of the last answers."""

    #: Round trips, and the differences they show.
    _samples: deque[tuple[float, float]] = field(init=False, factory=lambda: deque(maxlen=_ANSWERS))

    @property
    def round_trip(self) -> float:
        """The shortest seen; a guess while none was."""
        return min(self._samples)[0] if self._samples else 0.01

    @property
    def offset(self) -> float:
        """What to take off Redis's time; nothing while it is not known, for then nothing was given."""
        return min(self._samples)[1] if self._samples else 0.0

    def note(self, theirs: float, asked: float, answered: float) -> bool:
        """Learn from an answer; returns whether a clock has jumped since the ones before.

        Args:
            theirs: what Redis's clock said.
            asked: when we asked, by ours.
            answered: when we had the answer.
        """
        trip, offset = answered - asked, theirs - (asked + answered) / 2
        jumped = False
        if self._samples:
            best_trip, best = min(self._samples)
            jumped = abs(offset - best) > (trip + best_trip) / 2 + _DRIFT
            if jumped:
                self._samples.clear()
        self._samples.append((trip, offset))
        return jumped
