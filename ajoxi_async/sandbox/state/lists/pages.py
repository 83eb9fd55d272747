"""The objects of a list, packed into bytes, by their positions.

A million objects of Python are walked by the garbage collector again and again, which makes requests wait. Bytes, and
tuples that hold nothing but bytes, are not, and a call takes a third of the memory. Objects are unpacked when they are asked for.

Rule: a page is a tuple that never changes, so that a copy of the list shares all its pages.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["BEGINNING", "Pages", "moment_of"]

R = TypeVar("R", bound=Resource)

#: Objects in a page.
_PAGE = 32
#: What counts as the moment of an object that has none.
BEGINNING = datetime.min.replace(tzinfo=UTC)

_encode = msgspec.msgpack.Encoder().encode
_decoder: Any = cache(msgspec.msgpack.Decoder)


class _Created(msgspec.Struct):
    created_at: datetime | None = None


def moment_of(item: Any) -> datetime:
    """When an object was made."""
    return getattr(item, "created_at", BEGINNING) or BEGINNING


class Pages(Generic[R]):
    """Objects of one class, each at a position from 0 on."""

    def __init__(self) -> None:
        self._pages: list[tuple[bytes | None, ...]] = []
        self._size = 0
        self._decode: Any = None
        #: The bytes that were packed or unpacked last, and their object. An object is usually read just before it is changed.
        self._last: tuple[bytes | None, Any] = (None, None)

    def copy(self) -> Pages[R]:
        """Copy it; the pages are shared."""
        twin: Pages[R] = Pages()
        twin._pages, twin._size, twin._decode = self._pages.copy(), self._size, self._decode
        return twin

    def __len__(self) -> int:
        """How many positions there are, empty ones included."""
        return self._size

    def pack(self, item: R) -> bytes:
        """Pack an object.

        Raises:
            InvalidParameterError: a text cannot be encoded.
        """
        try:
            packed = _encode(item)
        except UnicodeEncodeError:
            raise InvalidParameterError("body", "half of a surrogate pair cannot be sent") from None
        self._last = packed, item
        return packed

    def unpack(self, packed: bytes) -> R:
        """The object that was packed."""
        last, item = self._last
        if packed is not last:
            item = self._decode(packed)
            self._last = packed, item
        return item  # type: ignore[no-any-return]

    def append(self, item: R) -> None:
        """Put an object at the next position.

        Raises:
            InvalidParameterError: a text cannot be encoded; nothing was added.
        """
        packed = self.pack(item)
        if self._decode is None:
            self._decode = _decoder(type(item)).decode
        if self._size % _PAGE:
            self._pages[-1] += (packed,)
        else:
            self._pages.append((packed,))
        self._size += 1

    def extend(self, items: list[R]) -> None:
        """Put objects at the next positions.

        Raises:
            InvalidParameterError: a text cannot be encoded; nothing was added.
        """
        packed = [self.pack(item) for item in items]
        if items and self._decode is None:
            self._decode = _decoder(type(items[0])).decode
        rest = (*(self._pages.pop() if self._size % _PAGE else ()), *packed)
        self._pages.extend(rest[first : first + _PAGE] for first in range(0, len(rest), _PAGE))
        self._size += len(packed)

    def put(self, position: int, packed: bytes | None) -> None:
        """Replace what is at a position, or remove it."""
        number, place = divmod(position, _PAGE)
        page = list(self._pages[number])
        page[place] = packed
        self._pages[number] = tuple(page)

    def get(self, position: int) -> bytes | None:
        """What is at a position, packed; ``None`` where it was removed."""
        return self._pages[position // _PAGE][position % _PAGE]

    def parts(self) -> list[object]:
        """What holds the memory of a large list, in many pieces."""
        return list(self._pages)

    def moment(self, position: int) -> datetime:
        """When the object at a position was made."""
        packed = self.get(position)
        return moment_of(_decoder(_Created).decode(packed)) if packed is not None else BEGINNING
