"""Sets of positions in a list: which items have a certain value. Pure functions on immutable values.

Rules:
1. A small set is its positions in order, packed into bytes of four each. A large one is a tuple of integers, each the bits
   of one block of 4,096 positions: the bits of several filters are combined by ``&``, a block at a time.
2. Neither form is tracked by the garbage collector, and both are shared freely between a list and its copies.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from sys import byteorder

__all__ = ["BLOCK", "EMPTY", "Positions", "add", "bits_of", "blocks_of", "extend", "remove", "size_of", "walk_down"]

#: Positions in a block.
BLOCK = 4096
_SHIFT, _INSIDE = 12, 4095
#: Positions that a small set holds at most. One that shrinks to half of it becomes small again.
SMALL = 1024

Positions = bytes | tuple[int, ...]

EMPTY: Positions = b""


def _unpack(small: bytes) -> array[int]:
    positions = array("I")
    positions.frombytes(small)
    return positions


def add(positions: Positions, position: int) -> Positions:
    """The set with one position more."""
    if isinstance(positions, bytes):
        last = int.from_bytes(positions[-4:], byteorder)
        if len(positions) < 4 * SMALL and (last < position or not positions):
            return positions + position.to_bytes(4, byteorder)
    elif (block := position >> _SHIFT) < len(positions):
        return _with(positions, block, positions[block] | 1 << (position & _INSIDE))
    return extend(positions, (position,))


def extend(positions: Positions, more: Iterable[int]) -> Positions:
    """The set with more positions, which come in order and are not in it."""
    if isinstance(positions, bytes):
        added = array("I", more)
        held = _unpack(positions)
        if not held or not added or held[-1] < added[0]:
            held.extend(added)
        else:
            held = array("I", sorted([*held, *added]))
        if len(held) <= SMALL:
            return held.tobytes()
        positions, more = (), held
    blocks = list(positions)
    gathered: dict[int, int] = {}
    for position in more:
        block = position >> _SHIFT
        gathered[block] = gathered.get(block, 0) | 1 << (position & _INSIDE)
    for block, bits in gathered.items():
        if block >= len(blocks):
            blocks.extend([0] * (block + 1 - len(blocks)))
        blocks[block] |= bits
    return tuple(blocks)


def remove(positions: Positions, position: int) -> Positions:
    """The set without one of its positions."""
    if isinstance(positions, bytes):
        held = _unpack(positions)
        del held[bisect_left(held, position)]
        return held.tobytes()
    block = position >> _SHIFT
    bits = positions[block] ^ 1 << (position & _INSIDE)
    left = _with(positions, block, bits)
    if not bits and sum(each.bit_count() for each in left) <= SMALL // 2:
        return array(
            "I", sorted(position for n in blocks_of(left, len(left)) for position in walk_down(left[n], n))
        ).tobytes()
    return left


def _with(blocks: tuple[int, ...], block: int, bits: int) -> tuple[int, ...]:
    changed = list(blocks)
    changed[block] = bits
    return tuple(changed)


def blocks_of(positions: Positions, top: int) -> list[int]:
    """The numbers of the blocks up to `top` that hold positions of the set, the last first."""
    if isinstance(positions, bytes):
        blocks = {position >> _SHIFT for position in _unpack(positions)}
        return sorted((block for block in blocks if block <= top), reverse=True)
    return [block for block in range(min(top, len(positions) - 1), -1, -1) if positions[block]]


def bits_of(positions: Positions, block: int) -> int:
    """The positions of a block, as bits."""
    if isinstance(positions, bytes):
        held = memoryview(positions).cast("I")
        first = block << _SHIFT
        bits = 0
        for index in range(bisect_left(held, first), bisect_left(held, first + BLOCK)):
            bits |= 1 << (held[index] & _INSIDE)
        return bits
    return positions[block] if block < len(positions) else 0


def size_of(positions: Positions) -> int:
    """How many positions are in the set."""
    if isinstance(positions, bytes):
        return len(positions) // 4
    return sum(bits.bit_count() for bits in positions)


def walk_down(bits: int, block: int) -> Iterator[int]:
    """The positions of a block whose bits are set, the last first."""
    # In its binary digits the next bit is found faster than by arithmetic on the whole number.
    digits = f"{bits:b}"
    top = (block << _SHIFT) + len(digits) - 1
    place = digits.find("1")
    while place >= 0:
        yield top - place
        place = digits.find("1", place + 1)
