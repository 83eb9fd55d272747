"""Steps of the clock: whether time has passed that this process has not seen, or is said to come again.

Rules:
1. Time that was not seen: the system's clock is further ahead of the boot clock than before, or the API's clock, as the moments of
   calls in its answers tell, is further ahead of the campaign's. The machine may have been rolled back to a snapshot, memory and
   ledger and all, so that calls exist of which neither knows. So may a machine be that stood still, or whose clock was corrected.
2. Time that comes again: the campaign's clock shows an earlier moment than before, or the system's clock is less far ahead of the
   boot clock. The clock was set back, and what was written by it meanwhile is later than now.
3. A machine that was rolled back and whose clock has not been set since looks as it did before. Only the API's answer to the first
   request shows it, and that request has left.
"""

from __future__ import annotations

import enum
from typing import Final

from attrs import define, field

from ajoxi_async.dialer import clock as clocks
from ajoxi_async.dialer.clock import Clock

__all__ = ["STEP", "ClockStep", "ClockWatch"]

#: Seconds by which clocks may differ from what they showed before.
STEP: Final = 10.0


class ClockStep(enum.Enum):
    """How time has gone on."""

    #: Time has passed that was not seen (rule 1).
    AHEAD = "ahead"
    #: The clock was set back (rule 2).
    BACK = "back"


@define(eq=False)
class ClockWatch:
    """Compares the clocks of a run. Does no I/O.

    Attributes:
        clock: of the campaign.
    """

    clock: Clock
    #: See `clock.clock_offset`, when it was last relied on.
    _offset: float = field(init=False)
    #: The latest moment that the campaign's clock has shown.
    _latest: float = field(init=False)
    #: By how many seconds the API's clock is ahead of the campaign's at most, as the latest answer told.
    _api_ahead: float | None = field(default=None, init=False)
    _missed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._offset, self._latest = clocks.clock_offset(), self.clock.now()

    def step(self) -> ClockStep | None:
        """Whether the clocks show a step since `rely`; ``None`` for none."""
        now, moved = self.clock.now(), clocks.clock_offset() - self._offset
        self._latest = max(self._latest, now)
        if self._missed or moved > STEP:
            return ClockStep.AHEAD
        if moved < -STEP or now < self._latest - STEP:
            return ClockStep.BACK
        return None

    def answered(self, created: float, sent: float) -> None:
        """Compare the clocks by a call that the API has just made.

        Args:
            created: when the call was made, by the API's clock, in seconds since the epoch.
            sent: when its request was let through, by the campaign's clock.
        """
        least, most = created - self.clock.now(), created - sent
        if self._api_ahead is not None and least > self._api_ahead + STEP:
            self._missed = True
        else:
            self._api_ahead = most

    def offset(self) -> float:
        """What `rely` takes, before a sweep is begun that makes up for a step."""
        return clocks.clock_offset()

    def rely(self, offset: float) -> None:
        """Take the clocks as they are now, after the API's list was swept.

        Args:
            offset: what `offset` returned before the sweep, so that a step during the sweep is not taken for granted.
        """
        self._offset, self._latest, self._api_ahead, self._missed = offset, self.clock.now(), None, False
