"""One piece of work, such as fetching a token, shared by all tasks that need its result at the same time.

Rules:
1. The first task does the work itself. Tasks that come meanwhile, in any event loop and thread, wait for its outcome.
2. If the working task is cancelled, one of the waiting tasks does the work instead.
3. An `AjoxiError` of the work is raised, as a copy, in the waiting tasks that gave the same `shared_by`. The others do the work
   themselves, and so do all waiting tasks after any other exception.
4. The waiting tasks check every `CHECK_EVERY` seconds whether the worker's loop still runs. If it has ended, or does not
   respond for `SILENCE` seconds, one of them does the work instead.
5. A forked child has no work under way.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Any, Final, Generic, TypeVar

import anyio

from ajoxi_async.contract.errors import AjoxiError
from ajoxi_async.limits.waiting import Signal, call_in, make_signal
from ajoxi_async.runtime.forks import renew_in_child

__all__ = ["Flight"]

T = TypeVar("T")

CHECK_EVERY: Final = 0.25
SILENCE: Final = 1.0


class _Work(Generic[T]):
    """Work under way in one loop."""

    def __init__(self, shared_by: object) -> None:
        self.shared_by = shared_by
        self.home: Any = make_signal().home
        self.waiting: dict[Signal, None] = {}
        self.outcome: list[T] = []
        self.error: AjoxiError | None = None
        self._asked_at: float | None = None

    def runs(self) -> bool:
        """Check whether the loop runs; returns False once it has ended or has not responded for too long."""
        if self._asked_at is not None:
            return time.monotonic() - self._asked_at < SILENCE
        self._asked_at = time.monotonic()
        return call_in(self.home, self._answer)

    def _answer(self) -> None:
        self._asked_at = None


class Flight(Generic[T]):
    """Shares the outcome of work among all tasks that join while it is under way."""

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin again in a forked child."""
        self._lock = Lock()
        self._work: _Work[T] | None = None

    async def join(self, shared_by: object, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, or wait for the task that is doing it.

        Args:
            shared_by: the object the work is done with, such as a transport. An error is shared by tasks with the same one.
            work: called in the running task if no other task is doing it.
        """
        while True:
            signal = make_signal()
            with self._lock:
                under_way = self._work
                if under_way is None:
                    own_work = self._work = _Work(shared_by)
                    break
                under_way.waiting[signal] = None
            try:
                with anyio.move_on_after(CHECK_EVERY):
                    await signal.wait()
            finally:
                with self._lock:
                    under_way.waiting.pop(signal, None)
            if under_way.outcome:
                return under_way.outcome[0]
            if under_way.error is not None and under_way.shared_by is shared_by:
                raise _copy(under_way.error) from under_way.error.__cause__
            with self._lock:
                if self._work is under_way and not under_way.runs():
                    self._work = None
        try:
            own_work.outcome.append(outcome := await work())
        except AjoxiError as error:
            own_work.error = error
            raise
        finally:
            with self._lock:
                if self._work is own_work:
                    self._work = None
                waiting = list(own_work.waiting)
            for signal in waiting:
                signal.set()
        return outcome


def _copy(error: AjoxiError) -> AjoxiError:
    """Copy an error for another task, because raising one exception twice mixes up its tracebacks."""
    try:
        return copy.copy(error)
    except TypeError:  # a class of the user's own that does not copy
        return error
