"""How a call to a number ends.

Rules:
1. Numbers ``+1415555....`` and extensions are always answered, so that the example of the API reference works. Magic numbers
   have their documented effects. The outcomes of other numbers are drawn from a `Population`.
2. The outcome of a number's first call is drawn by the seed. In a population that does not change, every call to the number
   ends like the first.
3. In a population that changes, the outcome of a number whose first call was answered by a machine, was busy or was not
   answered is drawn again at each attempt, by seed and attempt. A number that answered the first call always answers, and a
   number whose first call failed always fails, because it does not exist.
"""

from __future__ import annotations

import hashlib

from attrs import frozen

from ajoxi_async.contract.calls import Disposition
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.outcomes.magic import MAGIC

__all__ = ["ATTEMPTS", "Population", "disposition_of"]

#: How many attempts are drawn for a number; later attempts end like the last of these.
ATTEMPTS = 100
#: The dispositions in the order of `Population.shares`.
_DISPOSITIONS = (
    Disposition.ANSWERED,
    Disposition.VOICEMAIL,
    Disposition.NO_ANSWER,
    Disposition.BUSY,
    Disposition.FAILED,
)
_FINAL = frozenset((Disposition.ANSWERED, Disposition.FAILED))


# The hash is kept, because plans are looked up by it at each transition of a call.
@frozen(kw_only=True, cache_hash=True)
class Population:
    """An outcome mix: the share of each outcome, in numbers out of a hundred.

    Attributes:
        answered: a person answers.
        voicemail: a machine answers.
        no_answer: nobody answers.
        busy: the line is busy.
        failed: the number does not exist.
        changes: whether a number that was not answered may be answered the next time; see the rules above.

    Raises:
        InvalidParameterError: a share is not a whole number from 0 to 100, or the sum of the shares is not 100.
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
        """The shares, in the order answered, voicemail, no answer, busy, failed."""
        return self.answered, self.voicemail, self.no_answer, self.busy, self.failed

    def draw(self, text: str) -> Disposition:
        """Draw a disposition; the same text always gives the same one."""
        drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 100
        for share, disposition in zip(self.shares, _DISPOSITIONS, strict=True):
            drawn -= share
            if drawn < 0:
                return disposition
        raise AssertionError("the shares make 100")


def disposition_of(number: str, seed: int, attempt: int, population: Population) -> Disposition:
    """The disposition of a call to a number.

    Args:
        number: the called number.
        seed: the seed of the sandbox.
        attempt: how often the number has rung, this call included.
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
