"""How often a number may be called: caps that roll over 24 hours and 30 days, and a least gap between two attempts.

Rules:
1. Caps belong to the number and not to the contact: the attempts of all campaigns of a ledger count.
2. Every attempt that may have rung counts, those in doubt included. Attempts that were proven unsent do not.
3. An attempt at moment s counts in the period that ends at t if t - period < s <= t. So no half-open period of that length,
   wherever it begins, ever holds more attempts than the cap.
4. The moment of an attempt is that of its intent, which is written before the request is sent. A provider that queues calls can
   make two calls ring closer together than their intents; the cap cannot see this.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from attrs import field, frozen

from ajoxi_async.dialer.rules.durations import DAY, YEAR, seconds
from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["MOST_OF_CAP", "PERIODS", "Caps"]

#: The rolling periods, in seconds, by the name of their cap.
PERIODS: Final = {"per_24h": DAY, "per_30d": 30 * DAY}
#: The largest cap; more is taken for a mistake.
MOST_OF_CAP: Final = 1000


def _check(_: object, attribute: Any, value: object) -> None:
    if value is not None and (type(value) is not int or not 1 <= value <= MOST_OF_CAP):
        raise InvalidParameterError(
            attribute.name, f"expected 1 to {MOST_OF_CAP}, or None for no cap, got {shown(value)}"
        )


def _gap(value: float | str | timedelta | None) -> float:
    return 0.0 if value is None else seconds("min_gap", value, most=YEAR)


@frozen
class Caps:
    """How often a number may be called.

    Args:
        per_24h: the most attempts in any 24 hours; ``None`` for no cap.
        per_30d: the most attempts in any 30 days; ``None`` for no cap.
        min_gap: the least time between two attempts, in seconds or as ``"8h"``.

    Raises:
        InvalidParameterError: a value cannot be right.
    """

    per_24h: int | None = field(default=None, validator=_check)
    per_30d: int | None = field(default=None, validator=_check)
    min_gap: float = field(default=0.0, converter=_gap)

    @property
    def span(self) -> float:
        """For how many seconds an attempt matters: `next_allowed` needs no attempts that are older; 0 if nothing is capped."""
        capped = [period for name, period in PERIODS.items() if getattr(self, name) is not None]
        return max([*capped, self.min_gap])

    @property
    def most(self) -> int:
        """How many of the latest attempts within the `span` `next_allowed` needs at most; 0 if nothing is capped."""
        return max(self.per_24h or 0, self.per_30d or 0, 1 if self.min_gap else 0)

    def next_allowed(self, times: Iterable[float], now: float) -> float:
        """The earliest moment, `now` or later, at which the number may be called again.

        Args:
            times: the moments of earlier attempts that may have rung, in seconds since the epoch, in any order.
            now: a moment. Attempts are earlier, except where a clock was set back; such attempts count too.
        """
        latest = sorted(times, reverse=True)
        found = now
        for name, period in PERIODS.items():
            cap: int | None = getattr(self, name)
            if cap is not None and len(latest) >= cap:
                found = max(found, latest[cap - 1] + period)
        if latest and self.min_gap:
            found = max(found, latest[0] + self.min_gap)
        return found
