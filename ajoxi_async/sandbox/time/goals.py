"""What an advance is told to reach, checked, and in words. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attrs import frozen

from ajoxi_async.contract.codec import format_time
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.protocol.callbacks import why_not_plain
from ajoxi_async.sandbox.time.moments import LATEST, at
from ajoxi_async.sandbox.time.timers import Fired

__all__ = ["HORIZON", "Goal", "goal_of", "span_text"]

#: Seconds after which an advance gives up waiting for an event or for idleness: a year.
HORIZON = 366 * 86_400.0
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
#: Up to here a span is told in hours: "24 h" and not "1 d".
_HOURS = 48 * 3_600


@frozen
class Goal:
    """What an advance is told to reach.

    Attributes:
        label: in words, such as ``+24 h`` or ``the next call.completed``.
        seconds: how long time is to pass; ``None`` unless that was told.
        moment: the moment that is to come; ``None`` unless that was told.
        accepts: whether an event is the one that is waited for; ``None`` unless one is.
        idle: whether nothing must be due any more.
        next: whether the next thing that is due is the goal.
    """

    label: str
    seconds: float | None = None
    moment: float | None = None
    accepts: Callable[[Fired], bool] | None = None
    idle: bool = False
    next: bool = False

    @property
    def timed(self) -> bool:
        """Whether the goal is a moment, which comes in any case."""
        return self.seconds is not None or self.moment is not None

    def end(self, now: float) -> float:
        """The moment at which an advance that begins now is over at the latest.

        Raises:
            InvalidParameterError: the moment is past, or beyond what the wire can tell.
        """
        if self.moment is not None:
            if not now <= self.moment:
                raise InvalidParameterError("to", f"expected a moment that is not past, got {self.moment}")
            return self.moment
        end = now + (HORIZON if self.seconds is None else self.seconds)
        if end > LATEST:
            raise InvalidParameterError("seconds", f"expected a moment before {format_time(at(LATEST))}")
        return end


def goal_of(
    seconds: float | None = None,
    *,
    to: float | datetime | None = None,
    until_event: str | Callable[[Fired], bool] | None = None,
    until_idle: bool = False,
    to_next: bool = False,
) -> Goal:
    """Check what an advance is told.

    Raises:
        InvalidParameterError: none or several were given, or one that cannot be.
    """
    given = (seconds is not None) + (to is not None) + (until_event is not None) + bool(until_idle) + bool(to_next)
    if given != 1:
        expected = "expected exactly one of seconds, to, until_event, until_idle and the next that is due"
        raise InvalidParameterError("seconds", expected)
    if seconds is not None:
        if not isinstance(seconds, int | float) or not 0 <= seconds <= LATEST:
            raise InvalidParameterError("seconds", f"expected 0 or more, got {str(seconds)[:40]!r}")
        return Goal(f"+{span_text(seconds)}", seconds=seconds)
    if to is not None:
        if not isinstance(to, int | float) and not (isinstance(to, datetime) and to.tzinfo is not None):
            raise InvalidParameterError("to", "expected seconds since the epoch, or an aware time")
        moment = to.timestamp() if isinstance(to, datetime) else to
        if not 0 <= moment <= LATEST:
            raise InvalidParameterError("to", f"expected a moment that is not past and before the year 9999, got {to}")
        return Goal(format_time(at(moment)), moment=moment)
    if isinstance(until_event, str):
        return Goal(f"the next {until_event[:60]}", accepts=lambda one: one.what == until_event)
    if until_event is not None:
        if why := why_not_plain(until_event):
            raise InvalidParameterError("until_event", f"expected a type of events or a plain function, got {why}")
        return Goal("an event", accepts=until_event)
    return Goal("idle", idle=True) if until_idle else Goal("the next instant", next=True)


def span_text(seconds: float) -> str:
    """A span of time for people: its two largest units, such as ``23 h 52 min``."""
    if seconds < 60:
        return f"{round(seconds, 3):g} s"
    rest, parts = int(seconds), []
    for size, unit in _UNITS:
        if size == 86_400 and rest <= _HOURS - 1:
            continue
        amount, rest = divmod(rest, size)
        parts.append((amount, unit))
    while not parts[0][0]:
        del parts[0]
    return " ".join(f"{amount} {unit}" for amount, unit in parts[:2] if amount)
