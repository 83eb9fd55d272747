"""Ids that look random, never collide, and are the same for the same seed.

A counter is scrambled by a seeded bijection over 40 bits (odd multiplications and xor-shifts can each be undone), since
random ids of this length would collide: half of 1.3 million drawings of 40 bits hold a pair.
"""

from __future__ import annotations

import hashlib

__all__ = ["Minter"]

_BITS = 40
_MASK = (1 << _BITS) - 1


class Minter:
    """Mints ids such as ``call_8f2a1b3c5d``, each prefix with a counter of its own.

    Attributes:
        minted: how many of each prefix.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._scramblers: dict[str, tuple[int, int, int]] = {}
        self.minted: dict[str, int] = {}

    def mint(self, prefix: str) -> str:
        """The next id of a kind."""
        # Read here, for each request mints several ids.
        first, second, offset = self._scramblers.get(prefix) or self._scrambler(prefix)
        number = self.minted.get(prefix, 0)
        self.minted[prefix] = number + 1
        value = (number + offset) * first & _MASK
        value = (value ^ value >> 20) * second & _MASK
        return f"{prefix}_{value ^ value >> 20:010x}"

    def mint_many(self, prefix: str, amount: int) -> list[str]:
        """The next ids of a kind: what as many calls of `mint` would give, in less time."""
        first, second, offset = self._scramblers.get(prefix) or self._scrambler(prefix)
        number = self.minted.get(prefix, 0)
        self.minted[prefix] = number + amount
        ids = []
        for place in range(number + offset, number + offset + amount):
            value = place * first & _MASK
            value = (value ^ value >> 20) * second & _MASK
            ids.append(f"{prefix}_{value ^ value >> 20:010x}")
        return ids

    def _scrambler(self, prefix: str) -> tuple[int, int, int]:
        noise = hashlib.sha256(f"{self._seed}/{prefix}".encode()).digest()
        first, second, offset = (int.from_bytes(noise[i : i + 5]) for i in (0, 5, 10))
        self._scramblers[prefix] = first | 1, second | 1, offset
        return self._scramblers[prefix]

    def copy(self) -> Minter:
        """Copy it; the original and the copy mint the same ids from then on."""
        twin = Minter(self._seed)
        twin._scramblers, twin.minted = self._scramblers, self.minted.copy()
        return twin
