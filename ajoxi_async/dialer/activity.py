"""Whether a run is at work, and the bells that wake its tasks.

Rules:
1. A virtual clock goes on only while no task of the run is at work: see `clock.Clock.joined`. Each task counts as at work except while
   it waits for a bell or for a moment.
2. Whoever rings a bell counts the waiting task as at work from this moment on, so that time cannot go on before the task runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from attrs import define, field

__all__ = ["Activity", "Bell"]


@define(eq=False)
class Activity:
    """Counts the tasks of a run that are at work."""

    _working: int = 0
    _quiet: anyio.Event | None = None

    @property
    def busy(self) -> bool:
        """Whether any task is at work."""
        return self._working > 0

    def begin(self) -> None:
        """One more task is at work."""
        self._working += 1

    def end(self) -> None:
        """One task less is at work."""
        self._working -= 1
        if not self._working and self._quiet is not None:
            self._quiet.set()
            self._quiet = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block in which the present task is not at work."""
        self.end()
        try:
            yield
        finally:
            self.begin()

    async def quiet(self) -> None:
        """Return once no task is at work."""
        while self._working:
            if self._quiet is None:
                self._quiet = anyio.Event()
            await self._quiet.wait()


@define(eq=False)
class Bell:
    """Wakes one task. A bell that is rung while nobody waits is heard by the next one who waits."""

    activity: Activity
    _event: anyio.Event = field(factory=anyio.Event)
    _waited_for: bool = False

    def ring(self) -> None:
        """Wake the task, now or as soon as it waits."""
        if not self._event.is_set():
            if self._waited_for:
                self.activity.begin()
            self._event.set()

    @property
    def event(self) -> anyio.Event:
        """What to wait for, within `heard`."""
        return self._event

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A block in which the present task waits for the bell, or for something else besides."""
        counted = self._event.is_set()  # Rung before: there is nothing to wait for, and the task stays at work.
        if not counted:
            self._waited_for = True
            self.activity.end()
        try:
            yield
        finally:
            if not counted and not self._event.is_set():
                self.activity.begin()
            self._waited_for = False
            self._event = anyio.Event()
