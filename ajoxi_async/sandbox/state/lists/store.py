"""Lists that stay fast and stable however long they grow (API reference: Pagination).

Rules:
1. Items are kept in the order of their creation and listed newest first.
2. A cursor is a position in that order, opaque and bound to its filters. Items that are added later do not shift it, so
   none is skipped or repeated. A cursor that was made up, or is used with other filters, is refused.
3. Every filter but `accept` goes through an index, and so does every combination of them: an answer takes a step for each
   4,096 positions of the list, and no look at an item that is not in it.
4. The indexes are updated with each change of an item. If an item is changed between two pages, its new state decides whether
   the next page shows it.
5. A copy shares everything with its original until one of them changes.
6. Objects are packed: see `pages`. Those that still change are found and replaced faster, the last `OPEN` of them at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Generic, TypeVar

from attrs import frozen

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.sandbox.state.lists.cursors import decode_cursor, encode_cursor
from ajoxi_async.sandbox.state.lists.index import Index
from ajoxi_async.sandbox.state.lists.pages import Pages, moment_of
from ajoxi_async.sandbox.state.lists.places import Places
from ajoxi_async.sandbox.state.lists.positions import BLOCK, bits_of, blocks_of, size_of, walk_down
from ajoxi_async.sandbox.state.lists.spans import Spans

__all__ = ["Picked", "Rows", "Store"]

R = TypeVar("R", bound=Resource)
T = TypeVar("T")

#: Objects at most that are kept apart from the pages, because they still change.
OPEN = 16_384

Keys = Sequence[tuple[str, str]]


@frozen
class Picked(Generic[R]):
    """The objects of one page, still packed."""

    packed: tuple[bytes, ...]
    next_cursor: str | None
    unpack: Callable[[bytes], R]

    @property
    def size(self) -> int:
        """Bytes of the packed objects."""
        return sum(map(len, self.packed))

    def page(self) -> PageBody[R]:
        """Unpack the page. Any thread may."""
        return PageBody(tuple(map(self.unpack, self.packed)), self.next_cursor, self.next_cursor is not None)


@frozen
class Rows(Generic[T]):
    """Some rows of a list, and how many the whole list has."""

    items: tuple[T, ...]
    total: int


class Store(Generic[R]):
    """Objects by id and in order.

    Args:
        keys: by which values an object is indexed, as pairs of filter and value.
        alias: another id under which an object is found.
        settled: whether an object is not expected to change any more.
    """

    def __init__(
        self,
        keys: Callable[[R], Keys] = lambda _: (),
        *,
        alias: Callable[[R], str | None] = lambda _: None,
        settled: Callable[[R], bool] = lambda _: False,
    ) -> None:
        self._keys = keys
        self._alias = alias
        self._settled = settled
        #: Where the objects are that still change, by id, and what those that did are now, packed, by position.
        self._open: dict[str, int] = {}
        self._loose: dict[int, bytes] = {}
        self._pages: Pages[R] = Pages()
        self._places = Places()
        self._aliases = Places()
        self._index = Index()
        self._spans = Spans()
        #: The positions of each block whose objects were removed, as bits.
        self._removed: dict[int, int] = {}
        self._held = 0
        #: Grows with each change.
        self.version = 0
        #: Called with the id of each object that is added, replaced or removed.
        self.changed: Callable[[str], None] | None = None

    def copy(self) -> Store[R]:
        """Copy the list. `changed` is not copied, so changes of the copy are not reported."""
        twin = Store(self._keys, alias=self._alias, settled=self._settled)
        for name in ("_open", "_loose", "_pages", "_places", "_aliases", "_index", "_spans", "_removed"):
            setattr(twin, name, getattr(self, name).copy())
        twin._held, twin.version = self._held, self.version
        return twin

    def parts(self) -> list[object]:
        """The objects that hold the memory of a long list, so that it can be freed bit by bit."""
        return [*self._pages.parts(), *self._index.parts()]

    def __len__(self) -> int:
        return self._held

    def get(self, id: str) -> R | None:
        """The object as it stands now."""
        return self._find(id)[1]

    def by_alias(self, alias: str) -> R | None:
        """The object that has this other id."""
        for position in self._aliases.candidates(alias):
            item = self._at(position)
            if item is not None and self._alias(item) == alias:
                return item
        return None

    def _find(self, id: str) -> tuple[int, R | None]:
        position = self._open.get(id)
        if position is not None:
            return position, self._at(position)
        for position in self._places.candidates(id):
            item = self._at(position)
            if item is not None and item.id == id:
                return position, item
        return -1, None

    def _at(self, position: int) -> R | None:
        # As `_packed` finds it; written out, for each request does this several times.
        packed = self._loose.get(position) or self._pages.get(position)
        return self._pages.unpack(packed) if packed is not None else None

    def _packed(self, position: int) -> bytes | None:
        return self._loose.get(position) or self._pages.get(position)

    # Changes

    def add(self, item: R) -> None:
        """Add a new object at the end; its id is not in the list.

        Raises:
            InvalidParameterError: a text cannot be encoded; nothing was added.
        """
        position = len(self._pages)
        self._pages.append(item)
        self._held += 1
        self._places.add(item.id, position)
        if (alias := self._alias(item)) is not None:
            self._aliases.add(alias, position)
        self._spans.add(position, moment_of(item))
        self._index.add(self._keys(item), position)
        if not self._settled(item):
            self._keep_open(item.id, position)
        self.version += 1
        if self.changed is not None:
            self.changed(item.id)

    def extend(self, items: list[R]) -> None:
        """Add many new objects that are settled; otherwise as `add`."""
        first = len(self._pages)
        self._pages.extend(items)
        self._held += len(items)
        self._places.extend([item.id for item in items], range(first, len(self._pages)))
        aliased = [(alias, n) for n, item in enumerate(items, first) if (alias := self._alias(item)) is not None]
        self._aliases.extend([alias for alias, _ in aliased], [n for _, n in aliased])
        self._spans.extend(first, [moment_of(item) for item in items])
        gathered: dict[tuple[str, str], list[int]] = {}
        for position, item in enumerate(items, first):
            for key in self._keys(item):
                gathered.setdefault(key, []).append(position)
        self._index.extend(gathered)
        self.version += 1
        if self.changed is not None:
            for item in items:
                self.changed(item.id)

    def replace(self, item: R) -> None:
        """Change an object.

        Raises:
            KeyError: there is none with its id.
            InvalidParameterError: a text cannot be encoded; nothing was changed.
        """
        position, before = self._find(item.id)
        if before is None:
            raise KeyError(item.id)
        packed = self._pages.pack(item)
        moved = moment_of(before) != moment_of(item)
        if self._settled(item) or moved:
            self._settle(item.id, position, packed)
        else:
            self._loose[position] = packed
            self._keep_open(item.id, position)
        old, new = self._keys(before), self._keys(item)
        self._index.remove([key for key in old if key not in new], position)
        self._index.add([key for key in new if key not in old], position)
        self._set_alias(self._alias(before), self._alias(item), position)
        if moved:
            self._spans.disorder(position, moment_of(item))
        self.version += 1
        if self.changed is not None:
            self.changed(item.id)

    def remove(self, id: str) -> None:
        """Remove an object; its place in the order stays empty.

        Raises:
            KeyError: there is none with this id.
        """
        position, item = self._find(id)
        if item is None:
            raise KeyError(id)
        self._settle(id, position, None)
        self._places.remove(id, position)
        self._set_alias(self._alias(item), None, position)
        self._index.remove(self._keys(item), position)
        self._spans.disorder(position, moment_of(item))
        block, place = divmod(position, BLOCK)
        self._removed[block] = self._removed.get(block, 0) | 1 << place
        self._held -= 1
        self.version += 1
        if self.changed is not None:
            self.changed(id)

    def _settle(self, id: str, position: int, packed: bytes | None) -> None:
        self._loose.pop(position, None)
        self._open.pop(id, None)
        self._pages.put(position, packed)

    def _keep_open(self, id: str, position: int) -> None:
        self._open[id] = position
        if len(self._open) > OPEN:
            # Some at once: finding the first item of a dict from which many were removed takes a while.
            for oldest, place in list(islice(self._open.items(), OPEN // 64 + 1)):
                if (packed := self._loose.get(place)) is not None:
                    self._pages.put(place, packed)
                    del self._loose[place]
                del self._open[oldest]

    def _set_alias(self, old: str | None, new: str | None, position: int) -> None:
        if old != new:
            if old is not None:
                self._aliases.remove(old, position)
            if new is not None:
                self._aliases.add(new, position)

    # Lists

    def pick(
        self,
        *,
        limit: int,
        cursor: str | None,
        filters: str,
        keys: Sequence[tuple[str, str]] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        accept: Callable[[R], bool] | None = None,
    ) -> Picked[R]:
        """Pick the objects of one page, newest first.

        Args:
            limit: items at most.
            cursor: where to start.
            filters: all filters as text, which the cursor is bound to.
            keys: indexed values that an item must have.
            since: the moment from which on an item must have been created.
            until: the moment before which an item must have been created.
            accept: what else it must be. Each item that has all the rest is looked at.
        """
        before = len(self._pages) if cursor is None else decode_cursor(cursor, filters)
        found: list[bytes] = []
        last = before
        for block, bits in self._matching(keys, since, until, before):
            for position in walk_down(bits, block):
                packed = self._packed(position)
                if packed is None or (accept is not None and not accept(self._pages.unpack(packed))):
                    continue
                if len(found) == limit:
                    return Picked(tuple(found), encode_cursor(last, filters), self._pages.unpack)
                found.append(packed)
                last = position
        return Picked(tuple(found), None, self._pages.unpack)

    def rows(
        self,
        start: int,
        amount: int,
        *,
        keys: Sequence[tuple[str, str]] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Rows[R]:
        """Rows of a filtered list by their numbers, newest first, and how many rows it has in all.

        Args:
            start: the number of the first row, from 0. Beyond the end there are no rows.
            amount: rows at most.
            keys: see `page`.
            since: see `page`.
            until: see `page`.
        """
        found = self.packed_rows(start, amount, keys=keys, since=since, until=until)
        return Rows(tuple(map(self.unpack, found.items)), found.total)

    def unpack(self, packed: bytes) -> R:
        """The object of a row of `packed_rows`."""
        return self._pages.unpack(packed)

    def packed_rows(
        self,
        start: int,
        amount: int,
        *,
        keys: Sequence[tuple[str, str]] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Rows[bytes]:
        """The same as `rows`, with the objects still packed: equal bytes are the same object in the same state."""
        found: list[bytes] = []
        total = 0
        for block, bits in self._matching(keys, since, until, len(self._pages)):
            within = bits.bit_count()
            if len(found) < amount and start < total + within:
                first = max(0, start - total)
                for position in islice(walk_down(bits, block), first, first + amount - len(found)):
                    if (packed := self._packed(position)) is not None:
                        found.append(packed)
            total += within
        return Rows(tuple(found), total)

    def packed_newest_first(
        self,
        *,
        keys: Sequence[tuple[str, str]] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[bytes]:
        """The objects of a filtered list, still packed, for a search that looks at each. Others may be added meanwhile."""
        for block, bits in self._matching(keys, since, until, len(self._pages)):
            for position in walk_down(bits, block):
                if (packed := self._packed(position)) is not None:
                    yield packed

    def count(
        self,
        *,
        keys: Sequence[tuple[str, str]] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """How many items have all of this; see `page`."""
        if len(keys) == 1 and since is None and until is None:
            return size_of(self._index.get(keys[0]))
        return self.rows(0, 0, keys=keys, since=since, until=until).total

    def newest_first(self) -> Iterator[R]:
        """All objects, the newest first."""
        return self._walk(range(len(self._pages) - 1, -1, -1))

    def oldest_first(self) -> Iterator[R]:
        """All objects, the oldest first."""
        return self._walk(range(len(self._pages)))

    def _walk(self, positions: Iterable[int]) -> Iterator[R]:
        for position in positions:
            item = self._at(position)
            if item is not None:
                yield item

    def _matching(
        self,
        keys: Sequence[tuple[str, str]],
        since: datetime | None,
        until: datetime | None,
        before: int,
    ) -> Iterator[tuple[int, int]]:
        """The blocks that hold matching positions below `before`, the last first, each with those positions as bits."""
        size = len(self._pages)
        top = (min(size, before) - 1) // BLOCK
        sets = sorted((self._index.get(key) for key in keys), key=lambda each: (isinstance(each, tuple), len(each)))
        for block in blocks_of(sets[0], top) if sets else range(top, -1, -1):
            first = block * BLOCK
            there = min(BLOCK, size - first)
            bits = (1 << max(0, min(there, before - first))) - 1
            for each in sets:
                bits &= bits_of(each, block)
                if not bits:
                    break
            bits &= ~self._removed.get(block, 0)
            if bits and (since is not None or until is not None):
                bits = self._spans.bits(
                    block, size=there, among=bits, since=since, until=until, moment=self._pages.moment
                )
            if bits:
                yield block, bits
