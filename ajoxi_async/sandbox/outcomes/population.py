"""How a call to a number ends, where the call's own features do not decide it.

Rules:
1. Numbers ``+1415555....`` and extensions are always answered: the reference's own example has to work. Magic numbers do
   what they are documented to do. Other numbers behave like a `Population`.
2. A number's first call ends as the seed draws it. In a population that does not change, every call to it ends like that.
3. In one that changes, a number whose first call met a machine, a busy line or nobody is drawn again at each attempt, by
   seed and attempt, and may be answered then. Who answered the first call always answers, and a number that failed always
   fails: it does not exist.
"""

from __future__ import annotations

import hashlib

from attrs import frozen

from ajoxi_async.contract.calls import Disposition
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.outcomes.magic import MAGIC

__all__ = ["ATTEMPTS", "Population", "disposition_of"]

#: Attempts that differ from each other; the later ones end like the last of them.
ATTEMPTS = 100
#: In the order of the shares of `Population`.
_DISPOSITIONS = (
    Disposition.ANSWERED,
    Disposition.VOICEMAIL,
    Disposition.NO_ANSWER,
    Disposition.BUSY,
    Disposition.FAILED,
)
_FINAL = frozenset((Disposition.ANSWERED, Disposition.FAILED))


# The hash is kept: every step of every call looks its plan up by it.
@frozen(kw_only=True, cache_hash=True)
class Population:
    """An outcome mix: of a hundred numbers, how many end how.

    Attributes:
        answered: by a person.
        voicemail: by a machine.
        no_answer: by nobody.
        busy: engaged.
        failed: no such number.
        changes: whether a number that was not answered may be answered the next time; see the rules above.

    Raises:
        InvalidParameterError: a share is no whole number from 0 to 100, or the shares are not a hundred together.
    """

    answered: int = 70
    voicemail: int = 10
    no_answer: int = 12
    busy: int = 5
    failed: int = 3
    changes: bool = False

    def __attrs_post_init__(self) -> None:
        for name, share in zip(_DISPOSITIONS, self.shares, strict=True):
            if type(share) is not int or not 0 <= share <= 100:
                raise InvalidParameterError(f"population.{name}", f"expected 0 to 100, got {share!r}")
        if sum(self.shares) != 100:
            raise InvalidParameterError("population", f"expected shares that make 100, got {sum(self.shares)}")
        if type(self.changes) is not bool:
            raise InvalidParameterError("population.changes", f"expected true or false, got {self.changes!r}")

    @property
    def shares(self) -> tuple[int, ...]:
        """How many of a hundred end how: answered, voicemail, no answer, busy, failed."""
        return self.answered, self.voicemail, self.no_answer, self.busy, self.failed

    def draw(self, text: str) -> Disposition:
        """The disposition that `text` draws."""
        drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 100
        for share, disposition in zip(self.shares, _DISPOSITIONS, strict=True):
            drawn -= share
            if drawn < 0:
                return disposition
        raise AssertionError("the shares make 100")


def disposition_of(number: str, seed: int, attempt: int, population: Population) -> Disposition:
    """The disposition of a call to a number.

    Args:
        number: that is called.
        seed: of the sandbox.
        attempt: how often the number has rung, this time included.
        population: the outcome mix of ordinary numbers.
    """
    if number in MAGIC:
        return MAGIC[number].ending(attempt)
    if number.startswith(("+1415555", "ext:")):
        return Disposition.ANSWERED
    first = population.draw(f"{seed}/{number}")
    if attempt == 1 or not population.changes or first in _FINAL:
        return first
    again = population.draw(f"{seed}/{number}/{min(attempt, ATTEMPTS)}")
    # The number exists, as its first call has shown.
    return Disposition.NO_ANSWER if again == Disposition.FAILED else again
