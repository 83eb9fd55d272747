"""Real time, or real time at another speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime

import anyio

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.time.clock import Participant
from ajoxi_async.sandbox.time.jumps import AdvanceProgress
from ajoxi_async.sandbox.time.timers import Fired

__all__ = ["RealClock"]


class RealClock:
    """The time of the machine, at its speed or another.

    Args:
        speed: how many seconds pass in the sandbox in one second.

    Raises:
        InvalidParameterError: the speed is not above 0, or is infinite.
    """

    mode = "real"

    def __init__(self, speed: float = 1.0) -> None:
        if not 0 < speed < math.inf:
            raise InvalidParameterError("speed", f"expected above 0, got {speed!r}")
        self._speed = speed
        self._wall, self._monotonic = time.time(), time.monotonic()

    @property
    def speed(self) -> float:
        """How many seconds pass in one real second."""
        return self._speed

    def now(self) -> float:
        """See `Clock`."""
        return self._wall + (time.monotonic() - self._monotonic) * self._speed

    async def wait_until(self, moment: float) -> None:
        """See `Clock`."""
        await anyio.sleep(max(0.0, (moment - self.now()) / self._speed))

    def join(self, participant: Participant) -> None:
        """See `Clock`. Nothing to do, since real time passes by itself."""

    def leave(self, participant: Participant) -> None:
        """See `Clock`."""

    def start_at(self, moment: float) -> None:
        """See `Clock`. The time is never set back; it is set forward if an earlier, faster clock was ahead."""
        self._wall += max(0.0, moment - self.now())

    async def idle(self, moment: float | None, woken: anyio.Event) -> None:
        """See `Clock`."""
        delay = math.inf if moment is None else max(0.0, (moment - self.now()) / self._speed)
        with anyio.move_on_after(delay):
            await woken.wait()

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
        """Refuse: real time cannot be moved.

        Raises:
            InvalidParameterError: real time passes by itself.
        """
        expected = "expected clock='live', clock='manual' or clock='auto'"
        raise InvalidParameterError("clock", f"real time cannot be advanced; {expected}")
