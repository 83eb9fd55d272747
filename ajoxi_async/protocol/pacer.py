"""Keeping requests apart (GCRA), for an exact log admits bursts that buckets and pairs of windows refuse. Pure.

Rules:
1. Requests leave one interval apart; `_BURST` may go at once while no slot is taken, shrinking to two when all are, for
   timers are late, and who is late is not to delay the next one as well.
2. The interval is longer by twice the mean excess of the round trips, at most by 1 %: slots come free that much later
   anyway. At that pace requests seldom wait for a slot, and leave evenly instead of in the rhythm in which a jittering
   network answered a second ago. Servers that weigh two windows against each other refuse some of that rhythm at 98 %
   of the limit already, and admit even requests at 99 %.
3. What a frozen network held up arrives in a bunch, and its slots come free together a second later. A gap of more than
   `_GAP` intervals for want of slots is made up for by `_BURST` requests at most: fewer lose rate, and more, together
   with what the next freeze bunches, are too many for a bucket of ten.
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
#: Intervals without a slot after which it is a freeze and no jitter.
_GAP: Final = 4
#: Most by which the interval is longer than the limit asks for, in seconds for each period.
_SPARE: Final = 0.01
#: How fast the mean excess forgets: by one part in so many with each round trip.
_SMOOTH: Final = 1 / 128
#: Sums of hundredths are not exact.
TICK: Final = 1e-9


@define
class Pacer:
    """Times are seconds on the caller's clock.

    Attributes:
        slots: requests a second, by the limit and our part of it.
        interval: seconds between requests at present.
    """

    slots: int = field(init=False, default=1)
    interval: float = field(init=False, default=0.0)
    #: GCRA's theoretical arrival time.
    _next: float = field(init=False, default=float("-inf"))
    #: Requests go at half the pace until then.
    _ramp_until: float = field(init=False, default=float("-inf"))
    _excess: float = field(init=False, default=0.0)
    #: Whether the last that asked found no slot.
    _starved: bool = field(init=False, default=False)
    #: Requests to make up for.
    _owed: float = field(init=False, default=0.0)

    def resize(self, slots: int) -> None:
        """So many requests a second from now on."""
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
                self._owe((now - expected) / interval)
            elif now - expected > interval:
                self._owed = 0.0  # nobody asked
            expected = now
        self._starved = False
        if self._owed >= 1:
            self._owed -= 1
            self._next = expected
        else:
            self._next = expected + (interval if now >= self._ramp_until else 2 * interval)
        return True

    def starve(self) -> None:
        """Somebody asked, and there was no slot."""
        self._starved = True

    def _owe(self, intervals: float) -> None:
        if intervals > self.slots:
            self._owed = 0.0  # no slot takes longer than a period to come free: who asked has given up
        elif self._owed > 0 or intervals > _GAP:
            self._owed = min(_BURST, self._owed + intervals)

    def wait(self, now: float, free: int) -> float:
        """Seconds until the pace lets a request go; may be negative."""
        return self._next - self._tolerance(free) - now

    def give_back(self) -> None:
        """A request was counted and not sent."""
        self._next -= self.interval

    def restart(self, at: float, *, gently: bool = False) -> None:
        """Begin anew at that time; `gently`: at half the pace for a second."""
        self._next, self._owed, self._starved = at, 0.0, False
        if gently:
            self._ramp_until = at + PERIOD

    def note(self, excess: float) -> None:
        """A round trip took so many seconds longer than the shortest of its route."""
        self._excess += (excess - self._excess) * _SMOOTH
        self._lengthen()

    def _lengthen(self) -> None:
        self.interval = (PERIOD + min(_SPARE, 2 * self._excess)) / self.slots

    def _tolerance(self, free: int) -> float:
        more = free - 1
        return self.interval * (_FULL_BURST + (_BURST - _FULL_BURST) * more / self.slots if more > 0 else _FULL_BURST)
