"""References of attempts: ``campaign.contact.attempt``, carried by each call in its metadata.

Rules:
1. A reference is a pure function of the campaign's name, the number and the attempt, so that the same file in another order, and a
   ledger that was restored from a backup, give the same references.
2. It can be turned back into the number, so that no table of references is needed.
3. It does not show the number. The number is permuted with a key that is made from the campaign's name (a Feistel network of four
   rounds on 50 bits). This keeps numbers out of logs and lists; it is no encryption against those who know the name.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, NamedTuple

__all__ = ["Reference", "References"]

_HALF: Final = 25
_MASK: Final = (1 << _HALF) - 1
_ROUNDS: Final = 4
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_FORM: Final = re.compile(r"([A-Za-z0-9_-]{1,40})\.([0-9a-v]{10})\.([1-9][0-9]{0,5})")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"


class Reference(NamedTuple):
    """The parts of a reference: the number, as an integer, and the attempt, from 1."""

    number: int
    attempt: int


class References:
    """The references of one campaign.

    Args:
        name: of the campaign.

    Attributes:
        prefix: what its references begin with: the name, or a hash of a name that has other characters than letters, digits,
            hyphens and underscores.
    """

    def __init__(self, name: str) -> None:
        digest = blake2b(name.encode(), digest_size=48).digest()
        self.prefix = name if _PLAIN.fullmatch(name) else f"c-{digest[:8].hex()}"
        self._keys = tuple(int.from_bytes(digest[at : at + 8]) | 1 for at in range(8, 8 + 8 * _ROUNDS, 8))

    def make(self, number: int, attempt: int) -> str:
        """The reference of an attempt.

        Args:
            number: E.164 without the plus sign.
            attempt: from 1.
        """
        return f"{self.prefix}.{_base32(self._permuted(number))}.{attempt}"

    def read(self, reference: str | None) -> Reference | None:
        """The parts of a reference; ``None`` if it is not one of this campaign's."""
        if reference is None or not reference.startswith(self.prefix):
            return None
        found = _FORM.fullmatch(reference)
        if found is None or found[1] != self.prefix:
            return None
        return Reference(self._restored(int(found[2], 32)), int(found[3]))

    def chunk(self, moment: int, run: int, serial: int) -> str:
        """The reference of a chunk of contacts, which all its calls carry. It is never given twice.

        Args:
            moment: of its intent, in milliseconds.
            run: the number of the run, because two runs may begin at one moment of a clock that stands still or was set back.
            serial: its place among the chunks of the run.
        """
        return f"{self.prefix}.chunk.{moment}-{run}-{serial}"

    def is_chunk(self, reference: str | None) -> bool:
        """Whether a reference is that of a chunk of this campaign."""
        return reference is not None and reference.startswith(f"{self.prefix}.chunk.")

    def is_ours(self, reference: str | None) -> bool:
        """Whether a reference is one of this campaign, of an attempt or a chunk."""
        return self.is_chunk(reference) or self.read(reference) is not None

    def _permuted(self, number: int) -> int:
        left, right = number >> _HALF, number & _MASK
        for key in self._keys:
            left, right = right, left ^ _mixed(key, right)
        return left << _HALF | right

    def _restored(self, code: int) -> int:
        left, right = code >> _HALF, code & _MASK
        for key in reversed(self._keys):
            left, right = right ^ _mixed(key, left), left
        return left << _HALF | right


def _mixed(key: int, half: int) -> int:
    # The middle bits of a product depend on all bits of both factors below them; the second product mixes in those above.
    mixed = (half + 1) * key
    return ((mixed ^ mixed >> 31) * key >> 29) & _MASK


def _base32(code: int) -> str:
    return "".join(_DIGITS[code >> shift & 31] for shift in range(45, -1, -5))
