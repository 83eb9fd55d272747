"""Lists that are longer than a page (API reference: Pagination).

Rules:
1. ``await`` gives one page; ``async for`` gives all items; ``.pages()`` gives the pages.
2. While the items of one page are consumed, the next page is fetched, and no more than that one. Stopping cancels it.
3. Filters are checked and copied when the `Pager` is made; changing the originals later has no effect.
4. `cursor` always says where to start again without missing an item, also after an error. It names a page, so the items of
   the current page come a second time.
5. A cursor that the server returns a second time is an error, because such a list would never end. So are a hundred empty
   pages in a row.
6. Several tasks may share one iterator, as workers do: each item, or page, goes to one of them.
7. A `Page` is a sequence of its items; an empty one is false. ``next_page()`` fetches the page after it, and returns ``None``
   at the end of the list, and after the last page that ``max_items`` allows.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import anyio
from attrs import evolve, field, frozen

from ajoxi_async.contract.codec import PageBody, parse_params
from ajoxi_async.contract.encoding.exact_values import integer
from ajoxi_async.contract.errors import AjoxiError, InvalidParameterError
from ajoxi_async.contract.routes import Route
from ajoxi_async.pipeline.options import CallOptions, check_options
from ajoxi_async.pipeline.pipeline import Pipeline
from ajoxi_async.protocol.errors import ConfigurationError, PaginationError

if TYPE_CHECKING:
    import trio

__all__ = ["Page", "Pager"]

T = TypeVar("T")

_MOST_EMPTY = 100


@frozen
class Page(Sequence[T]):
    """One page of a list, a sequence of its items.

    Attributes:
        data: the items, newest first.
        next_cursor: where the next page starts; ``None`` at the end of the list.
        has_more: whether there is one.
    """

    data: tuple[T, ...]
    next_cursor: str | None
    has_more: bool
    #: Fetches the page at a cursor.
    _fetch: Callable[[str], Awaitable[Page[T] | None]] | None = field(default=None, eq=False, repr=False, alias="fetch")

    async def next_page(self) -> Page[T] | None:
        """Fetch the page after this one; ``None`` if there is none.

        Raises:
            PaginationError: the server returned the cursor of this page a second time.
            ConfigurationError: the page was not fetched by a client: it was made by hand, copied, or comes from a pickle.
            APIError: as any call.
        """
        if self.next_cursor is None:
            return None
        if self._fetch is None:
            raise ConfigurationError("next_page: this page has no client; list again with cursor=page.next_cursor")
        following = await self._fetch(self.next_cursor)
        if following is not None and following.next_cursor == self.next_cursor:
            error = PaginationError(f"the server returned the cursor {self.next_cursor!r} a second time")
            error.cursor = self.next_cursor
            raise error
        return following

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self.data[index]

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the client, which has connections and locks.
        return Page, (self.data, self.next_cursor, self.has_more)

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        yield from (("data", self.data), ("next_cursor", self.next_cursor), ("has_more", self.has_more))

    def _repr_html_(self) -> str:
        from ajoxi_async.contract.display import html_of_many

        more = "more on the next page" if self.has_more else "the end of the list"
        return html_of_many(self.data, f"{len(self.data)} items, {more}")


async def _none_after(_cursor: str) -> None:
    """Stands for the next page where ``max_items`` has been reached."""


class _Ahead(Generic[T]):
    """The next page, fetched by a task of its own, so that cancelling the reader does not cancel the request."""

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, PageBody[T]]]) -> None:
        self._done = anyio.Event()
        self._page: PageBody[T] | None = None
        self._error: Exception | None = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            import trio

            scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._run_on_trio, fetch, scope, context=contextvars.copy_context())
            self._stop: Callable[[], object] = scope.cancel
        else:
            task = loop.create_task(self._run(fetch))
            self._stop = task.cancel

    async def _run(self, fetch: Callable[[], Coroutine[Any, Any, PageBody[T]]]) -> None:
        try:
            self._page = await fetch()
        except Exception as error:  # raised by `page`
            self._error = error
        finally:
            self._done.set()

    async def _run_on_trio(
        self, fetch: Callable[[], Coroutine[Any, Any, PageBody[T]]], scope: trio.CancelScope
    ) -> None:
        with scope:
            await self._run(fetch)

    async def page(self) -> PageBody[T]:
        await self._done.wait()
        if self._error is not None:
            raise self._error
        assert self._page is not None  # only `cancel` ends the task with neither, and nothing waits after `cancel`
        return self._page

    def cancel(self) -> None:
        # RuntimeError: the event loop is closed, and the task has ended with it.
        with suppress(RuntimeError):
            self._stop()


class Pager(Generic[T]):
    """A list of the API, lazily fetched. Made by the ``list`` and ``search`` methods.

    Attributes:
        cursor: see rule 4; ``None`` stands for the beginning.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        route: Route[T],
        query: Mapping[str, Any],
        options: CallOptions,
        *,
        max_items: int | None = None,
    ) -> None:
        most = None if max_items is None else _check_most(max_items)
        assert route.query is not None
        check_options(options, gated=True)
        self._pipeline = pipeline
        self._route = route
        # Checked here, so that a wrong filter raises in the `list` call and not at the first item.
        self._query = parse_params(dict(query), route.query)
        self._options = options
        self._max_items = most
        self._start: str | None = getattr(self._query, "cursor")  # noqa: B009 - the query of every list has one
        self.cursor: str | None = self._start

    def _fetch(self, cursor: str | None) -> Coroutine[Any, Any, PageBody[T]]:
        return self._pipeline.page(self._route, self._options, evolve(self._query, cursor=cursor))  # type: ignore[call-arg]

    async def _page(self, cursor: str | None) -> Page[T]:
        body = await self._fetch(cursor)
        return Page(body.data, body.next_cursor, body.has_more, self._page)

    def __await__(self) -> Generator[Any, Any, Page[T]]:
        return self._page(self._start).__await__()

    def pages(self) -> AsyncIterator[Page[T]]:
        """Iterate over the pages; `max_items` cuts the last one short."""
        return _Pages(self, self._max_items)

    def __aiter__(self) -> AsyncIterator[T]:
        return _Items(_Pages(self, self._max_items))

    async def first(self) -> T | None:
        """The first item, the newest; ``None`` if the list is empty. No more than one item is asked for."""
        if self._max_items == 0:
            return None
        one = Pager(self._pipeline, self._route, {}, self._options, max_items=1)
        one._query, one._start = evolve(self._query, limit=1), self._start  # type: ignore[call-arg]
        return await anext(_Items(_Pages(one, 1, ahead=False)), None)

    async def to_list(self, *, max_items: int | None = None) -> list[T]:
        """All items in a list.

        Args:
            max_items: stop after so many; the smaller one counts if the list was made with a `max_items` as well.
        """
        bounds = [most for most in (_check_most(max_items), self._max_items) if most is not None]
        return [item async for item in _Items(_Pages(self, min(bounds, default=None)))]

    def __repr__(self) -> str:
        return f"<Pager of {self._route.name}: `await` it for a page, or use `async for`>"


def _check_most(max_items: int | None) -> int | None:
    most = integer(max_items)
    if max_items is not None and (most is None or most < 0):
        raise InvalidParameterError("max_items", f"expected 0 or more, got {max_items!r:.40}")
    return most


class _Pages(Generic[T]):
    def __init__(self, pager: Pager[T], most: int | None, *, ahead: bool = True) -> None:
        self._pager = pager
        self._left = most
        self._looks_ahead = ahead
        self._next = pager._start
        self._seen = {self._next} if self._next is not None else set[str]()
        self._ahead: _Ahead[T] | None = None
        self._ended = self._left == 0
        self._repeats = False
        self._empty = 0
        self._turn = anyio.Lock(fast_acquire=True)

    def __aiter__(self) -> _Pages[T]:
        return self

    async def __anext__(self) -> Page[T]:
        async with self._turn:
            return await self.following()

    async def following(self) -> Page[T]:
        """The page after the latest one. Only one task at a time may wait for it."""
        if self._ended:
            raise StopAsyncIteration
        pager, cursor = self._pager, self._next
        pager.cursor = cursor
        if self._repeats:
            error = PaginationError(f"{pager._route.name}: the server returned the cursor {cursor!r} a second time")
            error.cursor = cursor
            raise error
        if self._empty >= _MOST_EMPTY:
            error = PaginationError(f"{pager._route.name}: {self._empty} empty pages in a row, each with a cursor")
            error.cursor = cursor
            raise error
        ahead, self._ahead = self._ahead, None
        try:
            body = await (pager._fetch(cursor) if ahead is None else ahead.page())
        except AjoxiError as error:
            error.cursor = cursor
            raise
        except BaseException:
            if ahead is not None:
                ahead.cancel()
            raise
        return self._take(body)

    def _take(self, body: PageBody[T]) -> Page[T]:
        data, following = body.data, body.next_cursor
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._ended = following is None or self._left == 0
        self._empty = 0 if data else self._empty + 1
        if following is not None and not self._ended:
            self._next = following
            self._repeats = following in self._seen
            if not self._repeats:
                self._seen.add(following)
                if self._looks_ahead:
                    self._ahead = _Ahead(partial(self._pager._fetch, following))
        fetch = _none_after if self._left == 0 else self._pager._page
        return Page(data, body.next_cursor, body.has_more, fetch)

    def __del__(self) -> None:
        # Leaving an `async for` early calls no method of the iterator, so the fetch is cancelled when the iterator is deleted.
        if self._ahead is not None:
            self._ahead.cancel()


class _Items(Generic[T]):
    def __init__(self, pages: _Pages[T]) -> None:
        self._pages = pages
        self._items: tuple[T, ...] = ()
        self._index = 0
        self._turn = anyio.Lock(fast_acquire=True)

    def __aiter__(self) -> _Items[T]:
        return self

    async def __anext__(self) -> T:
        while self._index >= len(self._items):
            async with self._turn:
                if self._index >= len(self._items):  # Another task may have fetched a page meanwhile.
                    self._items, self._index = (await self._pages.following()).data, 0
        item = self._items[self._index]
        self._index += 1
        return item
