"""How many calls may begin now. Pure: what the campaign knows comes in as `Seen`, a number of calls comes out.

Modes:
- ``rate``: at most so many calls begin in a second.
- ``concurrency``: at most so many calls are away. A call in doubt counts for as long as a call can last, since it may be ringing.
- ``seats``: answered calls are talked to by so many AI receptionists or agents, and more calls than seats are dialled because not
  all are answered. By Little's law, ``rate x answer rate x talking time`` seats are in use, so that the rate is
  ``seats / (answer rate x talking time)``. The answer rate is an upper bound (Wilson, 95 %), since believing in too few answers
  would put callers through to nobody. As long as few calls have ended, one call is dialled for each free seat.
- ``power``: so many lines for each agent that is free.
- ``predictive``: as many lines as a budget of abandoned calls allows.

Rules:
1. The smallest limit wins. Where several limits are given, each is a limit of its own.
2. Calls that are being placed or are in doubt count as ringing.
3. The budget (`Abandonment`): each live answer earns `cap`, 0.03 for instance, and each abandoned call costs 1. More lines than
   free agents are dialled only while the budget covers the worst case: that all calls away are answered at the same moment. So
   ``abandoned <= cap x answered`` holds at every moment of a period, and not only in the mean. It holds as long as agents who leave
   do so when no call that was dialled for them is away.
4. The first calls of a period earn nothing yet: they are dialled one for one. When a period ends, calls must not be away that only
   the budget of the old one covers, so that one for one holds again for `tail` seconds before its end.

The cap of 3 % of the calls answered live, for a campaign and successive periods of 30 days, is that of 47 CFR 64.1200(a)(7) and 16 CFR
310.4(b)(4), read in November 2025. This is no legal advice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, Literal, Protocol

from attrs import define, field, frozen

from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = [
    "MOST_CALLS",
    "PERIOD",
    "Abandonment",
    "Concurrency",
    "Pacing",
    "Power",
    "Predictive",
    "Rate",
    "Seats",
    "Seen",
    "Smallest",
    "pacing_of",
    "wilson_upper",
]

#: Seconds for which abandoned calls are counted.
PERIOD: Final = 30 * 86400.0
#: Calls that have to have ended before the answer rate is believed.
_COLD: Final = 20
#: Live answers that have to have been counted before the brake of `Seats` looks at the share of abandoned ones.
_JUDGED: Final = 30
_Z: Final = 1.96
#: The talking time in seconds that is assumed as long as no call has ended.
_TALK: Final = 60.0
#: The most calls at a time and in a second; more is taken for a mistake.
MOST_CALLS: Final = 100_000
#: Seconds of lateness that `Rate` makes up for.
_LATE: Final = 0.05


@frozen(kw_only=True)
class Seen:
    """What a campaign knows of its calls at a moment.

    Attributes:
        dialing: calls whose request is away.
        open: calls that were placed and have not ended.
        unknown: attempts in doubt whose calls may not have ended.
        ringing: of the open ones, those that were not answered yet.
        talking: of the open ones, those that were answered.
        agents: agents who are free now.
        answered: calls answered live, in this period.
        abandoned: those of them for which nobody was there, in this period.
        completed: calls that have ended, answered or not, since the campaign began.
        connected: those of them that were answered.
        talked: the talking time of `connected`, in seconds.
        begun: calls begun since the campaign began, those included that have ended.
        left: seconds until the period of `answered` and `abandoned` ends.
    """

    dialing: int = 0
    open: int = 0
    unknown: int = 0
    ringing: int = 0
    talking: int = 0
    agents: int = 0
    answered: int = 0
    abandoned: int = 0
    completed: int = 0
    connected: int = 0
    talked: float = 0.0
    begun: int = 0
    left: float = math.inf

    @property
    def away(self) -> int:
        """Calls that exist or may exist."""
        return self.dialing + self.open + self.unknown

    @property
    def may_be_answered(self) -> int:
        """Calls that may be answered from now on."""
        return self.dialing + self.ringing + self.unknown


class Pacing(Protocol):
    """How many calls may begin, by one mode."""

    def room(self, now: float, seen: Seen) -> int:
        """How many calls may begin now.

        Args:
            now: seconds since the epoch; never earlier than in the call before.
            seen: what is known now.
        """

    def next_change(self, now: float, seen: Seen) -> float | None:
        """The moment at which there is room though nothing else has happened; ``None`` if only a fact can make room."""


def _check(param: str, value: Any, least: float, most: float, *, whole: bool = False) -> None:
    right = isinstance(value, int) if whole else isinstance(value, int | float)
    if isinstance(value, bool) or not right or not least <= value <= most:
        kind = "an integer " if whole else ""
        raise InvalidParameterError(param, f"expected {kind}from {least:g} to {most:g}, got {shown(value)}")


def wilson_upper(successes: int, trials: int, z: float = _Z) -> float:
    """The upper bound of Wilson's interval for a share; 1 if nothing was tried.

    There may be more successes than trials: a call counts as answered before it counts as ended.
    """
    if trials <= 0 or successes >= trials:
        return 1.0
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return min(1.0, (share + z * z / (2 * trials) + spread) / (1 + z * z / trials))


@define
class Rate:
    """Calls begin evenly spaced, `per_second` in each second.

    A call that begins up to 50 ms late is made up for, because timers are late and the rate would be lower otherwise; longer pauses
    are not.

    Raises:
        InvalidParameterError: the rate cannot be right.
    """

    per_second: float
    #: The earliest moment of the next call, the moment of the latest look, and the calls begun by then.
    _next: float = field(default=-math.inf, init=False)
    _looked: float = field(default=-math.inf, init=False)
    _begun: int | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        _check("rate", self.per_second, 0.001, MOST_CALLS)

    def room(self, now: float, seen: Seen) -> int:
        """See `Pacing`."""
        if self._begun is None:
            self._begun = seen.begun
        if seen.begun > self._begun:
            # The calls began at the look before this one, or after it.
            late = self._looked - self._next
            began = self._next if late <= _LATE else self._looked
            self._next = began + (seen.begun - self._begun) / self.per_second
            self._begun = seen.begun
        self._looked = now
        return int(now >= self._next)

    def next_change(self, now: float, seen: Seen) -> float | None:
        """See `Pacing`."""
        return self._next if self._next > now else None


@frozen
class Concurrency:
    """At most `most` calls are away.

    Raises:
        InvalidParameterError: the number cannot be right.
    """

    most: int

    def __attrs_post_init__(self) -> None:
        _check("concurrency", self.most, 1, MOST_CALLS, whole=True)

    def room(self, now: float, seen: Seen) -> int:
        """See `Pacing`."""
        return max(0, self.most - seen.away)

    def next_change(self, now: float, seen: Seen) -> float | None:
        """See `Pacing`."""
        return None


@define
class Seats:
    """Keeps `seats` AI receptionists or agents busy, by Little's law.

    Args:
        seats: how many calls can be talked to at the same time.
        talk: the mean talking time in seconds, as long as fewer than 20 calls have ended.
        cap: the share of abandoned calls above which it slows down; at 5/3 of it, it dials one for one.

    Raises:
        InvalidParameterError: a value cannot be right.
    """

    seats: int
    talk: float = _TALK
    cap: float = 0.03
    _spacing: Rate | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        _check("seats", self.seats, 1, MOST_CALLS, whole=True)
        _check("talk", self.talk, 1, 86400)
        _check("cap", self.cap, 0.0001, 1)

    def room(self, now: float, seen: Seen) -> int:
        """See `Pacing`."""
        free = self.seats - seen.talking
        one_for_one = max(0, free - seen.may_be_answered)
        if free <= 0 or seen.completed < _COLD or self._brake(seen) == 0:
            self._spacing = None
            return one_for_one
        # Beyond one for one, calls are spaced by the rate that keeps the seats in use.
        answer_rate = wilson_upper(seen.connected, seen.completed)
        rate = min(MOST_CALLS, max(0.001, self.seats / (answer_rate * self._talking(seen)))) * self._brake(seen)
        if self._spacing is None:
            self._spacing = Rate(max(rate, 0.001))
        self._spacing.per_second = max(rate, 0.001)
        # By Little's law again: in the steady state so many calls may be answered from now on, of which `free` will be.
        if seen.may_be_answered >= math.ceil(free / answer_rate):
            return 0
        return max(one_for_one, self._spacing.room(now, seen))

    def next_change(self, now: float, seen: Seen) -> float | None:
        """See `Pacing`."""
        return None if self._spacing is None else self._spacing.next_change(now, seen)

    def _talking(self, seen: Seen) -> float:
        return max(1.0, seen.talked / seen.connected) if seen.connected >= _COLD else self.talk

    def _brake(self, seen: Seen) -> float:
        """1 while few calls are abandoned; 0 from 5/3 of the cap on; in proportion between."""
        if seen.answered < _JUDGED:
            return 1.0
        over = (seen.abandoned / seen.answered - self.cap) / (self.cap * 2 / 3)
        return min(1.0, max(0.0, 1.0 - over))


@frozen
class Power:
    """Dials `lines` calls for each agent that is free, without a budget of abandonment.

    Raises:
        InvalidParameterError: the number cannot be right.
    """

    lines: float

    def __attrs_post_init__(self) -> None:
        _check("lines", self.lines, 1, 100)

    def room(self, now: float, seen: Seen) -> int:
        """See `Pacing`."""
        return max(0, math.floor(seen.agents * self.lines) - seen.may_be_answered)

    def next_change(self, now: float, seen: Seen) -> float | None:
        """See `Pacing`."""
        return None


@frozen
class Abandonment:
    """A budget of abandoned calls; see rule 3.

    Args:
        cap: the share of live answers that may be abandoned.
        period: seconds after which the counts begin anew, 30 days by default.
        tail: seconds at the end of a period in which nothing is dialled that only the budget covers: as long as a call can be away
            before it is answered.

    Raises:
        InvalidParameterError: a value cannot be right.
    """

    cap: float = 0.03
    period: float = PERIOD
    tail: float = 300.0
    _share: Fraction = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        _check("abandonment", self.cap, 0, 1)
        _check("period", self.period, 60, 366 * 86400)
        _check("tail", self.tail, 0, self.period)
        # Exact, because a rounded product can allow a call too many.
        object.__setattr__(self, "_share", Fraction(str(self.cap)))

    def covered(self, answered: int, abandoned: int) -> int:
        """How many more calls may be abandoned, with so many answers and abandoned calls in the period; not below 0."""
        return max(0, math.floor(self._share * answered) - abandoned)


@frozen
class Predictive:
    """Dials ahead of the agents, as far as a budget of abandoned calls covers the worst case.

    It dials what is expected to be needed, and no more: the agents who are free, and those who will be within the ring time by the mean
    talking time, divided by the answer rate (an upper bound). Until 20 calls have ended it dials one for one.

    Args:
        budget: see `Abandonment`.
        most: lines for each agent, busy or free, that are never exceeded, whatever the budget.
        ring: how long a phone rings before it is answered, in seconds.

    Raises:
        InvalidParameterError: a value cannot be right.
    """

    budget: Abandonment = field(factory=Abandonment)
    most: float = 4.0
    ring: float = 15.0

    def __attrs_post_init__(self) -> None:
        _check("lines", self.most, 1, 100)
        _check("ring", self.ring, 1, 600)

    def room(self, now: float, seen: Seen) -> int:
        """See `Pacing`."""
        spare = self.budget.covered(seen.answered, seen.abandoned) if seen.left > self.budget.tail else 0
        covered = seen.agents + spare
        limit = math.floor((seen.agents + seen.talking) * self.most)
        return max(0, min(covered, limit, self._needed(seen)) - seen.may_be_answered)

    def next_change(self, now: float, seen: Seen) -> float | None:
        """See `Pacing`."""
        return now + seen.left if seen.left <= self.budget.tail else None

    def _needed(self, seen: Seen) -> int:
        if seen.completed < _COLD:
            return seen.agents
        talk = max(1.0, seen.talked / seen.connected) if seen.connected else _TALK
        soon_free = seen.talking * min(1.0, self.ring / talk)
        return math.ceil((seen.agents + soon_free) / wilson_upper(seen.connected, seen.completed))


@frozen
class Smallest:
    """Several limits at once: the smallest room wins."""

    parts: tuple[Pacing, ...]

    def room(self, now: float, seen: Seen) -> int:
        """See `Pacing`."""
        return min(part.room(now, seen) for part in self.parts)

    def next_change(self, now: float, seen: Seen) -> float | None:
        """See `Pacing`."""
        # Room comes when the last limit that is waited for gives way.
        changes = [change for part in self.parts if (change := part.next_change(now, seen)) is not None]
        return max(changes, default=None)


Mode = Literal["auto", "preview", "power", "predictive"]


def pacing_of(
    mode: str = "auto",
    *,
    rate: float | None = None,
    concurrency: int | None = None,
    seats: int | None = None,
    lines: float | None = None,
    abandonment: float | Abandonment | None = None,
) -> Pacing:
    """The pacing of a campaign by its settings.

    Args:
        mode: ``auto`` dials by the limits that are given, ``power`` and ``predictive`` by the agents as well; ``preview`` leaves the
            moment to the caller, and has the same limits.
        rate: calls a second.
        concurrency: calls that are away.
        seats: calls that can be talked to at the same time; for ``auto``.
        lines: for each free agent: exactly in mode ``power`` (2 by default), at most in mode ``predictive`` (4 by default).
        abandonment: the share of abandoned calls, or the budget itself, for ``predictive``; 0.03 by default.

    Raises:
        InvalidParameterError: a value cannot be right, or does not belong to the mode.
    """
    parts: list[Pacing] = []
    if mode == "power":
        parts.append(Power(2.0 if lines is None else lines))
    elif mode == "predictive":
        budget = abandonment if isinstance(abandonment, Abandonment) else Abandonment(*_given(abandonment))
        parts.append(Predictive(budget, *_given(lines)))
    elif mode not in {"auto", "preview"}:
        raise InvalidParameterError("mode", f"expected auto, preview, power or predictive, got {shown(mode)}")
    for name, value, modes in (("seats", seats, {"auto"}), ("lines", lines, {"power", "predictive"})):
        if value is not None and mode not in modes:
            raise InvalidParameterError(name, f"expected only with mode {' or '.join(sorted(modes))}, got mode {mode}")
    if abandonment is not None and mode != "predictive":
        raise InvalidParameterError("abandonment", f"expected only with mode predictive, got mode {mode}")
    if seats is not None:
        parts.append(Seats(seats))
    if rate is not None:
        parts.append(Rate(rate))
    if concurrency is not None:
        parts.append(Concurrency(concurrency))
    if not parts:
        return Concurrency(MOST_CALLS)
    return parts[0] if len(parts) == 1 else Smallest(tuple(parts))


def _given(value: Any) -> Sequence[Any]:
    return () if value is None else (value,)
