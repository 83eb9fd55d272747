"""How far an advance is, and what one that is over brought about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from ajoxi_async.sandbox.time.goals import span_text

__all__ = ["AdvanceProgress", "Jump"]


@frozen
class AdvanceProgress:
    """How far an advance is.

    Attributes:
        began: the moment at which it began.
        now: the present moment.
        end: the moment at which it is over; ``None`` where it waits for an event, or until nothing is due.
        instants: the moments so far at which something was due.
    """

    began: datetime
    now: datetime
    end: datetime | None
    instants: int


@frozen
class Jump:
    """An advance that is over, or was stopped.

    Attributes:
        goal: what it was told to reach, in words.
        began: the moment at which it began.
        ended: the moment at which it ended.
        instants: the moments between at which something was due.
        fired: how often each thing happened, by the names that `Fired.what` has.
        dead_letters: deliveries that were given up.
        mark: the id of the mark that was made before it; ``None`` where marks are off.
        stopped: whether it ended before its goal was reached.
    """

    goal: str
    began: datetime
    ended: datetime
    instants: int
    fired: Mapping[str, int]
    dead_letters: int = 0
    mark: str | None = None
    stopped: bool = False

    @property
    def summary(self) -> str:
        """In words, such as ``23 h 52 min passed, 11 attempts, 1 dead letter``."""
        attempts = sum(amount for what, amount in self.fired.items() if what.startswith("delivery."))
        events = sum(self.fired.values()) - attempts
        counted = ((events, "event"), (attempts, "attempt"), (self.dead_letters, "dead letter"))
        parts = [f"{amount} {noun}{'' if amount == 1 else 's'}" for amount, noun in counted if amount]
        return ", ".join([f"{span_text((self.ended - self.began).total_seconds())} passed", *parts])
