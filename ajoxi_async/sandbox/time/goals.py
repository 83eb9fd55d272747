"""The goal of an advance: the arguments are checked, and described in words. Pure."""

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
#: Spans shorter than this are given in hours: "24 h" and not "1 d".
_HOURS = 48 * 3_600


@frozen
class Goal:
    """The goal of an advance. Exactly one of the attributes besides `label` is set.

    Attributes:
        label: the goal in words, such as ``+24 h`` or ``the next call.completed``.
        seconds: advance by this time.
        moment: advance to this moment, in seconds since the epoch.
        accepts: advance until this function returns true for an event.
        idle: advance until nothing is due any more.
        next: advance to the next moment at which something is due.
    """

    label: str
    seconds: float | None = None
    moment: float | None = None
    accepts: Callable[[Fired], bool] | None = None
    idle: bool = False
    next: bool = False

    @property
    def timed(self) -> bool:
        """Whether the goal is a moment, which is reached whatever happens."""
        return self.seconds is not None or self.moment is not None

    def end(self, now: float) -> float:
        """The latest moment at which an advance that begins now ends.

        Raises:
            InvalidParameterError: the moment is past, or later than `LATEST`.
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
    """Check the arguments of an advance and return its goal; see `VirtualClock.advance`.

    Raises:
        InvalidParameterError: not exactly one argument was given, or its value is not valid.
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
    """A span of time in its two largest units, such as ``23 h 52 min``."""
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
