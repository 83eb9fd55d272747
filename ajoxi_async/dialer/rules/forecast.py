"""What a campaign would do from a moment on, without sending anything: the first call, the first hour, the last call. Pure.

Rules:
1. Contacts with the same zones are looked at together, so that the work does not grow with their number.
2. While several sets of zones are open, they share the rate in proportion to who is left in them.
3. Each contact counts one attempt. How many retries there will be depends on people, and is not guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import frozen

__all__ = ["Forecast", "forecast"]

_HOUR: Final = 3600.0
#: Steps after which the forecast ends. Each is an opening, a closing or a set of zones that is done: years of them.
_MOST_STEPS: Final = 100_000

Zones = tuple[str, ...]


@frozen
class Forecast:
    """What a campaign would do.

    Attributes:
        first: when the first call could be placed, in seconds since the epoch; ``None`` if none can be.
        first_hour: how many calls could be placed in the hour from then on.
        last: when the last call could be placed, in seconds since the epoch.
        waiting: for each set of zones that is closed now, when it opens and how many contacts it has; the first to open first.
        never: for each set of zones without a lawful minute, how many contacts it has.
    """

    first: float | None
    first_hour: int
    last: float | None
    waiting: Sequence[tuple[float, Zones, int]]
    never: Mapping[Zones, int]


def forecast(
    contacts: Mapping[Zones, int],
    opening: Callable[[Zones, float], tuple[float, float] | None],
    now: float,
    rate: float,
) -> Forecast:
    """Work out what a campaign would do.

    Args:
        contacts: how many contacts wait in each set of zones.
        opening: the first span of time at or after a moment in which calls to a set of zones may begin, both ends included;
            ``None`` for never.
        now: seconds since the epoch.
        rate: calls a second.
    """
    left: dict[Zones, float] = {zones: amount for zones, amount in contacts.items() if amount}
    spans: dict[Zones, tuple[float, float]] = {}
    never: dict[Zones, int] = {}
    first: float | None = None
    last: float | None = None
    hour = 0.0
    waiting: list[tuple[float, Zones, int]] = []
    at = now
    for step in range(_MOST_STEPS):
        for zones in list(left):
            if zones not in spans or spans[zones][1] < at:
                span = opening(zones, at)
                if span is None:
                    never[zones] = math.ceil(left.pop(zones))
                else:
                    spans[zones] = span
        if not left:
            break
        if step == 0:
            waiting = sorted((spans[zones][0], zones, contacts[zones]) for zones in left if spans[zones][0] > at)
        open_now = [zones for zones in left if spans[zones][0] <= at]
        if not open_now:
            at = min(spans[zones][0] for zones in left)
            continue
        first = at if first is None else first
        amount = sum(left[zones] for zones in open_now)
        ends = min(spans[zones][1] for zones in open_now)
        changes = min([ends, *(spans[zones][0] for zones in left if spans[zones][0] > at)])
        until = min(at + amount / rate, changes)
        hour += max(0.0, min(until, first + _HOUR) - min(at, first + _HOUR)) * rate
        share = (until - at) * rate / amount
        for zones in open_now:
            left[zones] *= 1 - share
            if left[zones] < 0.5 or share >= 1:
                del left[zones]
        last = until
        # The end of a span belongs to it; the moment after it is the next one that is looked at.
        at = math.nextafter(until, math.inf) if until == ends else until
    total = sum(contacts.values()) - sum(never.values())
    return Forecast(first, min(round(hour), total), last, waiting, never)
