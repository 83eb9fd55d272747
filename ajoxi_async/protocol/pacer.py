"""The pacer keeps requests apart (GCRA). The slots of `rate` alone would allow bursts that some servers refuse. Pure.

Rules:
1. Requests are sent one interval apart. While no slot is taken, `_BURST` may be sent at once; while all are taken, two. The
   tolerance exists because timers are late, and a late request must not delay the next one as well.
2. The interval is longer than the limit asks for by twice the mean excess of the round trips, but at most by 1 %: slots
   become free that much later in any case. At that pace requests seldom wait for a slot, and are sent evenly instead of in
   the rhythm of the answers that came a second ago. Servers that weigh two windows against each other refuse some requests
   in that rhythm at 98 % of the limit, and admit all that are sent evenly at 99 %.
3. Requests that a frozen network has held up arrive together, and their slots become free together a second later. After
   more than `_GAP` intervals without a free slot, at most `_BURST` requests make up for the gap. Fewer would lose rate; more,
   together with those of the next freeze, would be too many for a bucket of ten.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

__all__ = ["PERIOD", "TICK", "Pacer"]

#: The server's window, in seconds.
PERIOD: Final = 1.0
#: Requests that may go out at once when no slot is taken.
_BURST: Final = 5
#: Intervals that requests may be ahead of their pace when every slot is taken.
_FULL_BURST: Final = 1.5
#: More intervals than this without a free slot count as a freeze of the network, fewer as jitter.
_GAP: Final = 4
#: Most by which the interval is longer than the limit asks for, in seconds a period.
_SPARE: Final = 0.01
#: Weight of a new round trip in the mean excess.
_SMOOTH: Final = 1 / 128
#: Tolerance for rounding errors of sums of fractions, in seconds.
TICK: Final = 1e-9


@define
class Pacer:
    """Times are seconds on the caller's clock.

    Attributes:
        slots: requests a second: this client's share of the limit.
        interval: seconds between requests at present.
    """

    slots: int = field(init=False, default=1)
    interval: float = field(init=False, default=0.0)
    #: GCRA's theoretical arrival time.
    _next: float = field(init=False, default=float("-inf"))
    #: Until then requests go at half the pace.
    _ramp_until: float = field(init=False, default=float("-inf"))
    _excess: float = field(init=False, default=0.0)
    #: Whether no slot was free at the last attempt to take one.
    _starved: bool = field(init=False, default=False)
    #: How many requests may be sent without an interval, to make up for a freeze.
    _debt: float = field(init=False, default=0.0)

    def resize(self, slots: int) -> None:
        """Set the number of requests a second."""
        self.slots = slots
        self._lengthen()

    def take(self, now: float, free: int) -> bool:
        """Whether a request may go now; if so it is counted.

        Args:
            now: the present moment.
            free: slots that are free, the one for this request among them.
        """
        expected, interval = self._next, self.interval
        if expected > now:
            if expected - now > self._tolerance(free) + TICK:
                return False
        else:
            if self._starved:
                self._add_debt((now - expected) / interval)
            elif now - expected > interval:
                self._debt = 0.0  # no request was waiting, so nothing is made up for
            expected = now
        self._starved = False
        if self._debt >= 1:
            self._debt -= 1
            self._next = expected
        else:
            self._next = expected + (interval if now >= self._ramp_until else 2 * interval)
        return True

    def starve(self) -> None:
        """Note that a request was waiting and no slot was free."""
        self._starved = True

    def _add_debt(self, intervals: float) -> None:
        if intervals > self.slots:
            self._debt = 0.0  # a slot becomes free within a period, so the waiting request must have given up
        elif self._debt > 0 or intervals > _GAP:
            self._debt = min(_BURST, self._debt + intervals)

    def wait(self, now: float, free: int) -> float:
        """Seconds until the pace lets a request go; may be negative."""
        return self._next - self._tolerance(free) - now

    def give_back(self) -> None:
        """Take back a request that was counted and not sent."""
        self._next -= self.interval

    def restart(self, at: float, *, slow_start: bool = False) -> None:
        """Begin again at a time; with `slow_start` at half the pace for a second."""
        self._next, self._debt, self._starved = at, 0.0, False
        if slow_start:
            self._ramp_until = at + PERIOD

    def note(self, excess: float) -> None:
        """Note by how many seconds a round trip was longer than the shortest of its route."""
        self._excess += (excess - self._excess) * _SMOOTH
        self._lengthen()

    def _lengthen(self) -> None:
        self.interval = (PERIOD + min(_SPARE, 2 * self._excess)) / self.slots

    def _tolerance(self, free: int) -> float:
        more = free - 1
        return self.interval * (_FULL_BURST + (_BURST - _FULL_BURST) * more / self.slots if more > 0 else _FULL_BURST)
