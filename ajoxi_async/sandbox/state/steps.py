"""Commands that are carried out in steps, so that the event loop is not blocked by one that makes thousands of objects.

Such a command is a generator: it changes the account, yields wherever others may have their turn, and returns its result.

Rules:
1. What a command refuses, it refuses before its first change.
2. Between two steps the account is half changed, which nobody sees. Requests, timers, a virtual clock and the journal wait
   until the command is over; whoever cannot wait has it finished at once: see `World.account`.
3. A command that was begun is carried out to its end, even if whoever asked for it goes away.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

__all__ = ["Steps", "Unfinished", "at_once"]

T = TypeVar("T")

Steps = Generator[None, None, T]


def at_once(steps: Steps[T]) -> T:
    """Carry out a command without a pause, and return its result: for timers, which nobody waits for."""
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
        except BaseException as error:  # raised by `result`, for whoever asked for the command
            self.over, self._error = True, error
        finally:
            self._in_step = False

    def finish(self) -> None:
        """Do all steps that are left; nothing for whoever is called by a step, and sees the account as it then is."""
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
