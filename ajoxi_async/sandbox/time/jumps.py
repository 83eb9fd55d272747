"""Reports on advances: the progress of one that runs, and the result of one that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from ajoxi_async.sandbox.time.goals import span_text

__all__ = ["AdvanceProgress", "Jump"]


@frozen
class AdvanceProgress:
    """The progress of an advance that runs.

    Attributes:
        began: the moment at which it began.
        now: the present moment.
        end: the moment at which it will end; ``None`` if it waits for an event, or until nothing is due.
        instants: the number of moments so far at which something was due.
    """

    began: datetime
    now: datetime
    end: datetime | None
    instants: int


@frozen
class Jump:
    """An advance that has reached its goal or was stopped.

    Attributes:
        goal: the goal in words; see `Goal.label`.
        began: the moment at which it began.
        ended: the moment at which it ended.
        instants: the number of moments in between at which something was due.
        fired: how often each kind of event happened, by `Fired.what`.
        dead_letters: the number of deliveries that were given up.
        mark: the id of the mark that was made before it; ``None`` if no marks are kept.
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
        """The result in words, such as ``23 h 52 min passed, 11 attempts, 1 dead letter``."""
        attempts = sum(amount for what, amount in self.fired.items() if what.startswith("delivery."))
        events = sum(self.fired.values()) - attempts
        counted = ((events, "event"), (attempts, "attempt"), (self.dead_letters, "dead letter"))
        parts = [f"{amount} {noun}{'' if amount == 1 else 's'}" for amount, noun in counted if amount]
        return ", ".join([f"{span_text((self.ended - self.began).total_seconds())} passed", *parts])
