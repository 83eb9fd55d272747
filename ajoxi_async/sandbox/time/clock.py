"""The interface of clocks, and that of the worlds that they move.

Rules:
1. Everything that takes time in the sandbox takes it from a clock, so that a test can let a day pass in no time.
2. The rate limit and injected latency are not on this clock: they are about the wire, which is real.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypedDict

import anyio

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.sandbox.time.jumps import AdvanceProgress, Jump
from ajoxi_async.sandbox.time.timers import Fired

__all__ = ["AdvanceOptions", "AdvanceStoppedError", "Clock", "NeverHappenedError", "Participant"]


class NeverHappenedError(AjoxiError):
    """`advance` waited for an event that did not come, or until nothing was due, and something still was.

    Attributes:
        fired: what happened instead.
    """

    def __init__(self, message: str, fired: list[Fired]) -> None:
        super().__init__(message)
        self.fired = fired


class AdvanceStoppedError(AjoxiError):
    """`advance` was stopped before it reached its goal, by `stop_advance` or because the world was rewound.

    Attributes:
        fired: what happened until then.
    """

    def __init__(self, message: str, fired: list[Fired]) -> None:
        super().__init__(message)
        self.fired = fired


class AdvanceOptions(TypedDict, total=False):
    """The parameters of `VirtualClock.advance` besides `seconds`."""

    to: float | datetime | None
    until_event: str | Callable[[Fired], bool] | None
    until_idle: bool
    to_next: bool
    progress: Callable[[AdvanceProgress], object] | None


class Participant(Protocol):
    """What a clock moves: a world."""

    @property
    def next_due(self) -> float | None:
        """The moment at which something is due next."""

    @property
    def busy(self) -> bool:
        """Whether something that was started is not over yet, such as the delivery of a webhook."""

    def run_due(self) -> bool:
        """Carry out some of what is due, or start what takes time; return whether nothing more is due now."""

    def wake(self) -> None:
        """Make `Clock.idle` return, since something new may be due."""

    async def quiet(self) -> None:
        """Return once everything that was started is over."""

    def before_jump(self, goal: str) -> str | None:
        """Prepare for an advance that is about to move time, and return the id of the mark that was made."""

    def after_jump(self, jump: Jump, failed: set[str]) -> None:
        """Note an advance that is over; `failed` are the ids of deliveries that failed in it."""


class Clock(Protocol):
    """A source of time: it gives the present moment, in seconds since the epoch, and waits for later ones."""

    mode: str

    def now(self) -> float:
        """The present moment."""

    async def wait_until(self, moment: float) -> None:
        """Return once `moment` has come."""

    def join(self, participant: Participant) -> None:
        """Carry out a participant's timers from now on."""

    def leave(self, participant: Participant) -> None:
        """Carry out a participant's timers no longer."""

    def start_at(self, moment: float) -> None:
        """Set the time, to go on where an earlier clock stood."""

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """Wait until something may be due: until `moment` has come or `woken` is set."""

    async def advance(
        self,
        seconds: float | None = None,
        *,
        to: float | datetime | None = None,
        until_event: str | Callable[[Fired], bool] | None = None,
        until_idle: bool = False,
        to_next: bool = False,
        progress: Callable[[AdvanceProgress], object] | None = None,
    ) -> list[Fired]:
        """Let time pass; see `VirtualClock.advance`."""
