"""What a clock offers, and what it needs of the worlds it moves.

Rules:
1. Everything that takes time in the sandbox takes it from a clock, so that a test can let a day pass in no time.
2. The rate limit and injected latency are not on this clock: they are about the wire, which is real.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import anyio

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.sandbox.time.timers import Fired

__all__ = ["Clock", "NeverHappenedError", "Participant"]


class NeverHappenedError(AjoxiError):
    """`advance` was told to wait for an event that did not come, or until nothing was due, which did not happen.

    Attributes:
        fired: what happened instead.
    """

    def __init__(self, message: str, fired: list[Fired]) -> None:
        super().__init__(message)
        self.fired = fired


class Participant(Protocol):
    """What a clock moves: a world."""

    @property
    def next_due(self) -> float | None:
        """The moment of the next thing to do."""

    @property
    def busy(self) -> bool:
        """Whether something that was started is under way."""

    def run_due(self) -> None:
        """Carry out what is due, or start it where it takes time."""

    def wake(self) -> None:
        """Make `Clock.idle` return, since something new may be due."""

    async def quiet(self) -> None:
        """Return once nothing that was started is under way."""


class Clock(Protocol):
    """Tells the moment (seconds since the epoch) and waits for one."""

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
    ) -> list[Fired]:
        """Let time pass; see `VirtualClock.advance`."""
