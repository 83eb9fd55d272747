"""How many intents are written ahead of the wire. Pure.

An intent that is not on the wire yet when the process dies is in doubt, although no phone has rung. So there should be as few of them as
possible, but one has to be there whenever the limiter gives a turn.

Rules:
1. An intent should wait for its turn about as long as it takes to write the next one, which is then there in time for the next turn.
2. Where the latest one waited for less, there are a quarter more of them; where it waited for more than four times as long, half as many.
3. One is the least, 32 are the most.
4. More are written when half of them have had their turn, because a commit for one takes as long as a commit for many.
5. The first fifty are written one by one: a limiter that has rested gives several turns at once, which says nothing of its pace.
"""

from __future__ import annotations

from typing import Final

from attrs import define

__all__ = ["MOST", "IntentsAhead"]

MOST: Final = 32
#: Intents that are written one by one at the beginning.
FIRST: Final = 50


@define
class IntentsAhead:
    """The number of intents that may wait for their turn.

    Attributes:
        amount: the number.
    """

    amount: int = 1
    _waited: float = 0.0
    _turns: int = 0

    def room(self, waiting: int) -> int:
        """How many are to be written now, if so many wait; 0 as long as it is too early to write any."""
        free = self.amount - waiting
        return free if free >= max(1, self.amount // 2) else 0

    def had_turn(self, waited: float) -> None:
        """An intent had its turn so many seconds after it was written."""
        self._waited = waited
        self._turns += 1

    def were_written(self, took: float) -> None:
        """Intents were written, which took so many seconds."""
        if self._turns < FIRST:
            return
        if self._waited < took:
            self.amount = min(MOST, self.amount + max(1, self.amount // 4))
        elif self._waited > 4 * took:
            self.amount = max(1, self.amount // 2)

    def reset(self) -> None:
        """Begin again with one, because the API could not be reached."""
        self.amount, self._turns = 1, 0
