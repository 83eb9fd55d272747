"""The clocks of a campaign.

Rules:
1. Windows, due times, caps and look-ups are on the campaign's `Clock`: the system's, or the clock of an embedded sandbox, on which
   three days pass in seconds.
2. Commands of other processes are looked for by real time, on whatever clock the campaign runs.
3. Whether this process was suspended is seen on the boot clock, which goes on meanwhile (``CLOCK_BOOTTIME`` on Linux).
4. A virtual clock does not go on while a task of the campaign is at work, so that what happens at a moment does not depend on how
   fast the machine is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, Protocol

import anyio
import anyio.lowlevel

from ajoxi_async.dialer.activity import Activity, Bell
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["Clock", "SandboxClock", "SystemClock", "boot_time", "clock_of", "clock_offset", "milliseconds"]

_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", None)
#: Seconds after which the system's clock is read again by a task that waits for a moment, because it may have been set.
_CHECK: Final = 30.0


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    async def wait(self, bell: Bell, until: float | None) -> None:
        """Wait until a bell is rung or a moment has come, in seconds since the epoch; with ``None`` only for the bell."""

    def joined(self, activity: Activity) -> AbstractContextManager[object]:
        """A block in which the clock does not go on while the activity is busy."""


class SystemClock:
    """The time of the operating system."""

    def now(self) -> float:
        """See `Clock`."""
        return time.time()

    async def wait(self, bell: Bell, until: float | None) -> None:
        """See `Clock`. A step of the system's clock is noticed within half a minute."""
        with bell.heard():
            if until is None:
                await bell.event.wait()
                return
            await anyio.lowlevel.checkpoint()
            while (left := until - time.time()) > 0 and not bell.event.is_set():
                with anyio.move_on_after(min(left, _CHECK)):
                    await bell.event.wait()

    def joined(self, activity: Activity) -> AbstractContextManager[object]:
        """See `Clock`. Real time does not wait."""
        return nullcontext()


class _SandboxTime(Protocol):
    """What a campaign uses of a clock of the sandbox."""

    def now(self) -> float: ...

    async def wait_until(self, moment: float) -> None: ...

    def join(self, participant: Any) -> None: ...

    def leave(self, participant: Any) -> None: ...


class _Participant:
    """A run, as a clock of the sandbox sees it: time stops at each moment that a task of it waits for, and while it is busy."""

    def __init__(self, activity: Activity, clock: _SandboxTime) -> None:
        self._activity, self._clock = activity, clock
        self._waits: list[tuple[float, Bell]] = []

    @property
    def next_due(self) -> float | None:
        return min((moment for moment, _ in self._waits), default=None)

    @property
    def busy(self) -> bool:
        return self._activity.busy

    @contextmanager
    def waiting(self, moment: float, bell: Bell) -> Iterator[None]:
        """A block in which a bell is to be rung at a moment."""
        entry = (moment, bell)
        self._waits.append(entry)
        try:
            yield
        finally:
            if entry in self._waits:
                self._waits.remove(entry)

    def run_due(self) -> bool:
        """Ring the bells of this moment, so that their tasks count as at work before time can go on."""
        now = self._clock.now()
        due, self._waits = [one for one in self._waits if one[0] <= now], [one for one in self._waits if one[0] > now]
        for _, bell in due:
            bell.ring()
        return True

    def wake(self) -> None: ...

    async def quiet(self) -> None:
        await self._activity.quiet()

    def before_jump(self, goal: str) -> str | None:
        return None

    def after_jump(self, jump: object, failed: set[str]) -> None: ...


class SandboxClock:
    """The clock of an embedded sandbox.

    Args:
        clock: ``sandbox.clock``.
    """

    def __init__(self, clock: _SandboxTime) -> None:
        self._clock = clock
        self._participant: _Participant | None = None

    def now(self) -> float:
        """See `Clock`."""
        return self._clock.now()

    async def wait(self, bell: Bell, until: float | None) -> None:
        """See `Clock`."""
        participant = self._participant
        if until is None or participant is None:
            with bell.heard():
                await bell.event.wait()
            return
        # The moment is known to the clock before the task counts as waiting, so that time cannot pass it meanwhile.
        with participant.waiting(until, bell), bell.heard():
            if bell.event.is_set():
                await anyio.lowlevel.checkpoint()
                return
            async with anyio.create_task_group() as group:
                group.start_soon(self._clock.wait_until, until)  # Wakes a clock that waits for something to be due.
                await bell.event.wait()
                group.cancel_scope.cancel()

    @contextmanager
    def joined(self, activity: Activity) -> Iterator[None]:
        """See `Clock`."""
        participant = self._participant = _Participant(activity, self._clock)
        self._clock.join(participant)
        try:
            yield
        finally:
            self._clock.leave(participant)
            self._participant = None


def clock_of(given: object) -> Clock:
    """The clock for what a caller gave: nothing, a `Clock`, or the clock of a sandbox.

    Raises:
        InvalidParameterError: it is none of them.
    """
    if given is None:
        return SystemClock()
    if hasattr(given, "joined") and hasattr(given, "now") and hasattr(given, "wait"):
        return given
    if hasattr(given, "wait_until") and hasattr(given, "join"):
        return SandboxClock(given)  # type: ignore[arg-type]
    raise InvalidParameterError("clock", f"expected a clock such as sandbox.clock, got {type(given).__name__}")


def boot_time() -> float:
    """Seconds since the machine started, those included in which it was suspended."""
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)


def clock_offset() -> float:
    """The time of the system's clock when the machine started. It changes when the clock is set, or a machine is rolled back."""
    return time.time() - boot_time()


def milliseconds(moment: float) -> int:
    """A moment in seconds as whole milliseconds, rounded down: a moment that has not come is not reached."""
    # The product of a moment that was whole milliseconds may be a little below them.
    return math.floor(moment * 1000 + 0.001)
