"""Which number of ours calls a contact.

Rule: a number of the same area code first (of the North American plan), else of the same beginning; among these the one that was used
least in this run, so that no number of ours calls far more than the others. The number of an attempt is in the ledger and stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from attrs import define, field

__all__ = ["Callers", "FromOf"]

#: Chooses the number to call from for a number.
FromOf = Callable[[int], int]

#: Digits that are compared: a country code and an area code have at most so many.
_LONGEST = 4


@define(eq=False)
class Callers:
    """The numbers that a campaign calls from, in E.164."""

    numbers: Sequence[str]
    _plain: list[int] = field(init=False)
    _texts: list[str] = field(init=False)
    _used: Counter[int] = field(factory=Counter)

    def __attrs_post_init__(self) -> None:
        self._texts = [number.removeprefix("+") for number in self.numbers]
        self._plain = [int(text) for text in self._texts]

    def choose(self, number: int) -> int:
        """The number to call a contact from. Counts it as used."""
        if len(self._plain) == 1:
            return self._plain[0]
        wanted = str(number)
        # The plan of North America has one country code of one digit and area codes of three; elsewhere codes vary in length.
        best = max(range(len(self._plain)), key=lambda at: (self._likeness(at, wanted), -self._used[at], -at))
        self._used[best] += 1
        return self._plain[best]

    def for_all(self) -> FromOf:
        """A choice for a chunk of contacts: the number of the first of them, for all."""
        chosen: list[int] = []

        def choose(number: int) -> int:
            if not chosen:
                chosen.append(self.choose(number))
            return chosen[0]

        return choose

    def _likeness(self, at: int, wanted: str) -> int:
        text = self._texts[at]
        shared = next((i for i in range(_LONGEST) if text[i : i + 1] != wanted[i : i + 1]), _LONGEST)
        return shared if wanted[0] != "1" or shared == _LONGEST else min(shared, 1)
