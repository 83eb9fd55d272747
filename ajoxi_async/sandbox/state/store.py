"""Lists that stay fast and stable however long they grow (API reference: Pagination).

Rules:
1. Items are kept in the order of their creation and listed newest first.
2. A cursor is a position in that order, opaque and bound to its filters. Items that are added later do not shift it, so
   none is skipped or repeated. A cursor that was made up, or is used with other filters, is refused.
3. Filters on fields that never change go through an index; the others are checked item by item.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["Store", "decode_cursor", "encode_cursor"]

R = TypeVar("R", bound=Resource)


def _mark(position: int, filters: str) -> bytes:
    return hashlib.sha256(f"{position}/{filters}".encode()).digest()[:6]


def encode_cursor(position: int, filters: str) -> str:
    """A cursor for the items before `position`."""
    return urlsafe_b64encode(position.to_bytes(6) + _mark(position, filters)).decode()


def decode_cursor(cursor: str, filters: str) -> int:
    """The position of a cursor made with the same filters.

    Raises:
        InvalidParameterError: there is no such cursor.
    """
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii"))
    except ValueError:
        raw = b""
    position = int.from_bytes(raw[:6])
    if len(raw) != 12 or raw[6:] != _mark(position, filters) or encode_cursor(position, filters) != cursor:
        raise InvalidParameterError("cursor", "expected a next_cursor of this list with the same filters")
    return position


class Store(Generic[R]):
    """Objects by id and in order; `keys` says by which values an object is indexed when it is added."""

    def __init__(self, keys: Callable[[R], Iterable[tuple[str, str]]] = lambda _: ()) -> None:
        self._keys = keys
        self._ids: list[str] = []
        self._objects: dict[str, R] = {}
        self._index: dict[tuple[str, str], list[int]] = {}
        #: Called with the id of each object that is added, replaced or removed.
        self.changed: Callable[[str], None] | None = None

    def copy(self) -> Store[R]:
        """Copy the list. `changed` is not copied: nobody is told of changes to the copy."""
        twin = Store(self._keys)
        twin._ids, twin._objects = self._ids.copy(), self._objects.copy()
        twin._index = {key: places.copy() for key, places in self._index.items()}
        return twin

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, id: str) -> R | None:
        """The object as it stands now."""
        return self._objects.get(id)

    def add(self, item: R) -> None:
        """Add a new object at the end."""
        for key in self._keys(item):
            self._index.setdefault(key, []).append(len(self._ids))
        self._ids.append(item.id)
        self._objects[item.id] = item
        if self.changed is not None:
            self.changed(item.id)

    def replace(self, item: R) -> None:
        """Change an object; its indexed values stay."""
        self._objects[item.id] = item
        if self.changed is not None:
            self.changed(item.id)

    def remove(self, id: str) -> None:
        """Remove an object; its place in the order stays empty."""
        del self._objects[id]
        if self.changed is not None:
            self.changed(id)

    def page(
        self,
        *,
        limit: int,
        cursor: str | None,
        filters: str,
        keys: Sequence[tuple[str, str]] = (),
        accept: Callable[[R], bool] = lambda _: True,
        enough: Callable[[R], bool] = lambda _: False,
    ) -> PageBody[R]:
        """One page, newest first.

        Args:
            limit: items at most.
            cursor: where to start.
            filters: all filters as text, which the cursor is bound to.
            keys: indexed values that an item must have.
            accept: what else it must be.
            enough: whether no older item than this one can be accepted, so that the search ends.
        """
        before = len(self._ids) if cursor is None else decode_cursor(cursor, filters)
        # The rarest value decides which places are looked at; the others are checked there.
        rarest = min((self._index.get(key, []) for key in keys), key=len, default=None)
        places: Sequence[int] = range(len(self._ids)) if rarest is None else rarest
        start = bisect_left(places, before)
        found: list[R] = []
        last = before
        wanted = set(keys)
        for index in range(start - 1, -1, -1):
            item = self._objects.get(self._ids[places[index]])
            if item is None:
                continue
            if enough(item):
                break
            if not accept(item) or (len(wanted) > 1 and not wanted <= set(self._keys(item))):
                continue
            if len(found) == limit:
                return PageBody(tuple(found), encode_cursor(last, filters), True)
            found.append(item)
            last = places[index]
        return PageBody(tuple(found), None, False)

    def newest_first(self) -> Iterable[R]:
        """All objects, the newest first."""
        return (self._objects[id] for id in reversed(self._ids) if id in self._objects)
