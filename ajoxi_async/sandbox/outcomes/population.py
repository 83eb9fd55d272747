"""How a call to a number ends, where the call's own features do not decide it.

Numbers ``+1415555....`` and extensions are always answered: the reference's own example has to work. Magic numbers do what
they are documented to do. Other numbers behave like a population: 70 % answered, 10 % voicemail, 12 % no answer, 5 % busy,
3 % failed. Each number always ends the same way for one seed.
"""

from __future__ import annotations

import hashlib

from ajoxi_async.contract.calls import Disposition
from ajoxi_async.sandbox.outcomes.magic import MAGIC

__all__ = ["disposition_of"]

#: The share of a hundred numbers up to which each disposition reaches.
_POPULATION = (
    (70, Disposition.ANSWERED),
    (80, Disposition.VOICEMAIL),
    (92, Disposition.NO_ANSWER),
    (97, Disposition.BUSY),
    (100, Disposition.FAILED),
)


def disposition_of(number: str, seed: int) -> Disposition:
    """The disposition of a call to a number."""
    if number in MAGIC:
        return MAGIC[number].ends
    if number.startswith(("+1415555", "ext:")):
        return Disposition.ANSWERED
    draw = int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4]) % 100
    return next(disposition for bound, disposition in _POPULATION if draw < bound)
