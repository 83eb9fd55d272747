"""The clocks of a campaign.

Rules:
1. Windows, due times, caps and look-ups are on the campaign's `Clock`: the system's, or the clock of an embedded sandbox, on which
   three days pass in seconds.
2. Commands of other processes are looked for by real time, on whatever clock the campaign runs.
3. Whether this process was suspended is seen on the boot clock, which goes on meanwhile (``CLOCK_BOOTTIME`` on Linux).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import anyio

__all__ = ["Clock", "SystemClock", "VirtualClock", "boot_time", "milliseconds"]

_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    async def sleep_until(self, moment: float) -> None:
        """Return once `moment` has come, in seconds since the epoch; at once if it has."""


class SystemClock:
    """The time of the operating system."""

    def now(self) -> float:
        """See `Clock`."""
        return time.time()

    async def sleep_until(self, moment: float) -> None:
        """See `Clock`. A step of the system's clock is noticed within a minute."""
        while (left := moment - time.time()) > 0:
            await anyio.sleep(min(left, 60.0))
        await anyio.lowlevel.checkpoint()


class _SandboxTime(Protocol):
    """What a campaign uses of a clock of the sandbox."""

    def now(self) -> float: ...

    async def wait_until(self, moment: float) -> None: ...


class VirtualClock:
    """The clock of an embedded sandbox: ``Campaign.open(..., clock=VirtualClock(sandbox.clock))``.

    A clock of the sandbox is also accepted as it is; see `of`.
    """

    def __init__(self, clock: _SandboxTime) -> None:
        self._clock = clock

    def now(self) -> float:
        """See `Clock`."""
        return self._clock.now()

    async def sleep_until(self, moment: float) -> None:
        """See `Clock`."""
        await self._clock.wait_until(moment)


def boot_time() -> float:
    """Seconds since the machine started, those included in which it was suspended."""
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)


def milliseconds(moment: float) -> int:
    """A moment in seconds as whole milliseconds."""
    return round(moment * 1000)


#: The type of a function that gives the present moment.
Now = Callable[[], float]
