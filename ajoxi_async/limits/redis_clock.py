"""The difference between Redis's clock and the local one, from the answers of Redis. Pure; times are seconds.

Rules:
1. Redis reads its clock at some moment between the request and its answer, so the difference of the clocks is known within
   half a round trip. The fastest of the last answers gives it most exactly.
2. If an answer contradicts that one, one of the clocks was set, or the local one stopped while the machine was suspended.
   Then the earlier answers are forgotten.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

__all__ = ["RedisClock"]

#: How many answers are remembered, and by how many seconds the clocks may drift apart meanwhile.
_ANSWERS: Final = 64
_DRIFT: Final = 0.002


@define
class RedisClock:
    """Redis's clock minus the local one, by the fastest of the last answers."""

    #: Round trips, and the differences of the clocks that they show.
    _samples: deque[tuple[float, float]] = field(init=False, factory=lambda: deque(maxlen=_ANSWERS))

    @property
    def round_trip(self) -> float:
        """The shortest round trip so far, or 10 ms before the first answer."""
        return min(self._samples)[0] if self._samples else 0.01

    @property
    def offset(self) -> float:
        """Seconds to subtract from a time of Redis; 0 before the first answer."""
        return min(self._samples)[1] if self._samples else 0.0

    def note(self, redis_time: float, asked: float, answered: float) -> bool:
        """Note an answer; returns whether a clock has jumped since the answers before it.

        Args:
            redis_time: the time by Redis's clock in the answer.
            asked: when the request was sent, by the local clock.
            answered: when the answer came, by the local clock.
        """
        trip, offset = answered - asked, redis_time - (asked + answered) / 2
        jumped = False
        if self._samples:
            best_trip, best = min(self._samples)
            jumped = abs(offset - best) > (trip + best_trip) / 2 + _DRIFT
            if jumped:
                self._samples.clear()
        self._samples.append((trip, offset))
        return jumped
