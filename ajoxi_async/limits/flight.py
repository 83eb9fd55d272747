"""One piece of work for all who wait for it, in any loops and threads.

Rules:
1. The first to ask does the work in its own task; whoever asks meanwhile waits for its outcome.
2. When the worker is cancelled, one of those who wait does the work instead.
3. An `AjoxiError` of the work is raised, as a copy, by all who waited and would have done it with the same means; the others
   do the work themselves, and so do all after any other exception.
4. Those who wait ask the worker's loop every `LOOK_EVERY` seconds whether it still runs. Where it has ended, or does not
   answer for `SILENCE` seconds, one of them does the work instead.
5. A forked child knows of no work under way.
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

LOOK_EVERY: Final = 0.25
SILENCE: Final = 1.0


class _Work(Generic[T]):
    """Work under way in one loop."""

    def __init__(self, means: object) -> None:
        self.means = means
        self.home: Any = make_signal().home
        self.waiting: dict[Signal, None] = {}
        self.outcome: list[T] = []
        self.error: AjoxiError | None = None
        self._asked_at: float | None = None

    def runs(self) -> bool:
        """Ask the loop whether it runs; returns False once it has ended or been silent for too long."""
        if self._asked_at is not None:
            return time.monotonic() - self._asked_at < SILENCE
        self._asked_at = time.monotonic()
        return call_in(self.home, self._answer)

    def _answer(self) -> None:
        self._asked_at = None


class Flight(Generic[T]):
    """Shares the outcome of some work among all who ask for it while it is under way."""

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Begin afresh in a forked child."""
        self._lock = Lock()
        self._work: _Work[T] | None = None

    async def join(self, means: object, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, or wait for whoever does it.

        Args:
            means: what the work is done with; an error is shared by those whose means are the same.
            work: called in the running task where nobody else does it.
        """
        while True:
            signal = make_signal()
            with self._lock:
                under_way = self._work
                if under_way is None:
                    mine = self._work = _Work(means)
                    break
                under_way.waiting[signal] = None
            try:
                with anyio.move_on_after(LOOK_EVERY):
                    await signal.wait()
            finally:
                with self._lock:
                    under_way.waiting.pop(signal, None)
            if under_way.outcome:
                return under_way.outcome[0]
            if under_way.error is not None and under_way.means is means:
                raise _copy(under_way.error) from under_way.error.__cause__
            with self._lock:
                if self._work is under_way and not under_way.runs():
                    self._work = None
        try:
            mine.outcome.append(outcome := await work())
        except AjoxiError as error:
            mine.error = error
            raise
        finally:
            with self._lock:
                if self._work is mine:
                    self._work = None
                waiting = list(mine.waiting)
            for signal in waiting:
                signal.set()
        return outcome


def _copy(error: AjoxiError) -> AjoxiError:
    """The same error for another task: an exception that is raised twice mixes up its tracebacks."""
    try:
        return copy.copy(error)
    except TypeError:  # a class of the user's own that does not copy
        return error
