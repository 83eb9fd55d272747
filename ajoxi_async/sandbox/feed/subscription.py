"""A subscription to the changes of a world: an async iterator of batches."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.feed.changes import ChangeFeed, Changes, ChangeSet, checked_kinds

__all__ = ["ChangeSubscription"]


class ChangeSubscription:
    """The changes of a world, in batches: ``async with world.changes() as changes: async for batch in changes: ...``.

    A change after a quiet period is returned at once. While changes go on, a batch is returned every `every` seconds. The
    iterator ends when the sandbox is closed or the world's key is deleted. Only one task may read it at a time.

    Args:
        feed: the change feed of the world.
        kinds: the kinds of objects to follow, some of `KINDS`; all of them unless given.
        every: the shortest time between two batches, in real seconds.

    Raises:
        InvalidParameterError: there is no such kind, or `every` is not a number of seconds.
    """

    def __init__(self, feed: ChangeFeed, kinds: Collection[str] | None = None, every: float = 0.05) -> None:
        if type(every) not in {int, float} or not 0 <= every < float("inf"):
            raise InvalidParameterError("every", f"expected seconds, 0 or more, got {every!r}")
        self._feed, self._kinds, self._every = feed, checked_kinds(kinds), every
        self._set: ChangeSet | None = None
        self._woken = anyio.Event()
        self._next_at = float("-inf")

    async def __aenter__(self) -> Self:
        if self._set is None:
            self._set = self._feed.subscribe(self._kinds, self._wake)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._set is not None:
            self._feed.unsubscribe(self._set)
            self._set.ended = True
            self._wake()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of objects that the subscription follows."""
        return self._kinds

    def take(self) -> Changes:
        """Return what changed since the last batch without waiting; the batch is empty if nothing changed."""
        return self._feed.take(self._entered())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Changes:
        held = self._entered()
        await anyio.lowlevel.checkpoint()
        await anyio.sleep(max(0.0, self._next_at - anyio.current_time()))
        while not held.ended and not self._feed.has(held):
            self._woken = anyio.Event()
            await self._woken.wait()
        if held.ended:
            raise StopAsyncIteration
        self._next_at = anyio.current_time() + self._every
        return self._feed.take(held)

    def _entered(self) -> ChangeSet:
        if self._set is None:
            raise InvalidParameterError(
                "changes", "expected to be entered first: 'async with world.changes() as changes'"
            )
        return self._set

    def _wake(self) -> None:
        self._woken.set()
