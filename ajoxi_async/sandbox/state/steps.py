"""Commands that are carried out in steps, so that the event loop is not blocked by one that makes thousands of objects.

Such a command is a generator: it changes the account, yields where other tasks may run, and returns its result.

Rules:
1. If a command raises `Refusal`, it does so before its first change.
2. A half-changed account is never visible between two steps. Requests, timers, a virtual clock and the journal wait until the
   command is over. Code that cannot wait gets the account through `World.account`, which finishes the command first.
3. A command that was begun is carried out to its end, even if the client that sent the request disconnects.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

__all__ = ["Steps", "Unfinished", "at_once"]

T = TypeVar("T")

Steps = Generator[None, None, T]


def at_once(steps: Steps[T]) -> T:
    """Carry out a command without a pause, and return its result. Timers use this, since they cannot wait."""
    command = Unfinished(steps)
    command.finish()
    return command.result()


class Unfinished(Generic[T]):
    """A command that was begun.

    Attributes:
        over: whether its last step was done.
    """

    def __init__(self, steps: Steps[T]) -> None:
        self.over = False
        self._steps = steps
        self._in_step = False
        self._result: T | None = None
        self._error: BaseException | None = None

    def step(self) -> None:
        """Do the next step, if one is left."""
        if self.over:
            return
        self._in_step = True
        try:
            next(self._steps)
        except StopIteration as end:
            self.over, self._result = True, end.value
        except BaseException as error:  # `result` raises it
            self.over, self._error = True, error
        finally:
            self._in_step = False

    def finish(self) -> None:
        """Do all steps that are left. Called from within a step it does nothing, so that the caller sees the account half changed."""
        while not (self.over or self._in_step):
            self.step()

    def result(self) -> T:
        """What the command returned, once it is over.

        Raises:
            BaseException: what the command raised.
        """
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]
