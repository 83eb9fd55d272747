"""Lists longer than a page."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from ajoxi_async import (
    BadRequestError,
    Call,
    ConfigurationError,
    InvalidParameterError,
    LocalLimiter,
    Page,
    PaginationError,
)
from ajoxi_async.contract.wire import Request, Response
from tests.client.fakes import ENVELOPE, ScriptedTransport, answer, client_on

pytestmark = pytest.mark.anyio


class Shelf(ScriptedTransport):
    """`count` calls, served in pages; a cursor is the index of the next one."""

    def __init__(self, count: int, **faults: Any) -> None:
        super().__init__(self.reply)
        self.count = count
        self.faults = faults
        self.asked: list[str | None] = []
        self.hold: anyio.Event | None = None

    async def send(self, request: Request) -> Response:
        response = await super().send(request)
        if self.hold is not None:
            await self.hold.wait()
        return response

    def reply(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.url).query)
        cursor = query.get("cursor", [None])[0]
        self.asked.append(cursor)
        if cursor is not None and cursor == self.faults.get("fail_at"):
            return answer(400, ENVELOPE)
        start, size = int(cursor or 0), int(query.get("limit", ["50"])[0])
        end = min(start + size, self.count)
        following = self.faults.get("always", str(end)) if end < self.count else None
        data = [{"id": f"call_{number}"} for number in range(start, end)]
        return answer(200, {"data": data, "next_cursor": following, "has_more": following is not None})


async def settle() -> None:
    """Let every other task run until it waits."""
    await anyio.wait_all_tasks_blocked()


async def test_all_items_in_order() -> None:
    """`async for` gives every item once, page after page."""
    shelf = Shelf(120)
    ids = [call.id async for call in client_on(shelf).calls.list()]
    assert ids == [f"call_{number}" for number in range(120)]
    assert shelf.asked == [None, "50", "100"]


async def test_await_gives_one_page() -> None:
    """`await` fetches one page and nothing ahead."""
    shelf = Shelf(120)
    page = await client_on(shelf).calls.list(limit=20)
    await settle()
    assert (len(page.data), page.next_cursor, page.has_more) == (20, "20", True)
    assert shelf.asked == [None]


async def test_pages() -> None:
    """`.pages()` gives the pages."""
    sizes = [len(page.data) async for page in client_on(Shelf(120)).calls.list().pages()]
    assert sizes == [50, 50, 20]


async def test_an_empty_list() -> None:
    """No items are no items, and no error."""
    assert [call async for call in client_on(Shelf(0)).calls.list()] == []


@pytest.mark.parametrize(("most", "asked"), [(0, 0), (1, 1), (50, 1), (51, 2), (100, 2), (999, 3)])
async def test_max_items(most: int, asked: int) -> None:
    """`max_items` bounds the items, apart from the page size, and no page beyond them is fetched."""
    shelf = Shelf(120)
    calls = [call async for call in client_on(shelf).calls.list(max_items=most)]
    await settle()
    assert len(calls) == min(most, 120)
    assert len(shelf.asked) == asked


@pytest.mark.parametrize("most", [-1, 1.5, "3", True])
async def test_nonsense_max_items(most: Any) -> None:
    """`max_items` is a whole number."""
    with pytest.raises(InvalidParameterError, match="max_items"):
        client_on(Shelf(1)).calls.list(max_items=most)


async def test_one_page_ahead() -> None:
    """While a page is consumed the next one is fetched, and not the one after it."""
    shelf = Shelf(500)
    items = aiter(client_on(shelf).calls.list())
    await anext(items)
    await settle()
    assert shelf.asked == [None, "50"]
    for _ in range(49):
        await anext(items)
    await settle()
    assert shelf.asked == [None, "50"]
    await anext(items)
    await settle()
    assert shelf.asked == [None, "50", "100"]


@pytest.mark.parametrize("what", ["items", "pages"])
@pytest.mark.parametrize("workers", [2, 7])
async def test_workers_share_one_iterator(what: str, workers: int) -> None:
    """Each item of a list goes to one of the tasks that share its iterator, whatever page they wait for."""
    shelf, got = Shelf(120), list[str]()

    async def work() -> None:
        async for one in source:
            got.extend([one.id] if isinstance(one, Call) else [call.id for call in one])
            await anyio.sleep(0)

    calls = client_on(shelf).calls.list(limit=10)
    source = aiter(calls) if what == "items" else calls.pages()
    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(work)
    assert sorted(got) == sorted(f"call_{number}" for number in range(120))
    assert len(shelf.asked) == 12


async def test_stopping_cancels_the_page_ahead() -> None:
    """When iteration is left, the page on its way is cancelled."""
    shelf = Shelf(500)
    cancelled = anyio.Event()

    class Slow(Shelf):
        async def send(self, request: Request) -> Response:
            if "cursor" in request.url:
                try:
                    await anyio.sleep_forever()
                except anyio.get_cancelled_exc_class():
                    cancelled.set()
                    raise
            return await super().send(request)

    shelf = Slow(500)
    async for _ in client_on(shelf).calls.list():
        await settle()
        break
    gc.collect()
    with anyio.fail_after(5):
        await cancelled.wait()


async def test_start_from_a_cursor() -> None:
    """A list starts at the given cursor."""
    shelf = Shelf(120)
    ids = [call.id async for call in client_on(shelf).calls.list(cursor="100")]
    assert ids[0] == "call_100"
    assert len(ids) == 20


async def test_cursor_at_any_time() -> None:
    """`cursor` is where the page in hand began: starting there again misses nothing."""
    calls = client_on(Shelf(120)).calls.list()
    assert calls.cursor is None
    seen = []
    async for call in calls:
        seen.append((call.id, calls.cursor))
    assert seen[0] == ("call_0", None)
    assert seen[49] == ("call_49", None)
    assert seen[50] == ("call_50", "50")
    assert seen[119] == ("call_119", "100")


async def test_cursor_of_an_error() -> None:
    """An error tells where to start again, and the items before it were all delivered."""
    shelf = Shelf(120, fail_at="100")
    seen = 0
    calls = client_on(shelf).calls.list()
    with pytest.raises(BadRequestError) as caught:
        async for _ in calls:
            seen += 1
    assert seen == 100
    assert caught.value.cursor == "100"
    assert calls.cursor == "100"


async def test_iteration_goes_on_after_an_error() -> None:
    """The same iterator asks again for the page that failed."""
    shelf = Shelf(120, fail_at="50")
    items = aiter(client_on(shelf).calls.list())
    for _ in range(50):
        await anext(items)
    with pytest.raises(BadRequestError):
        await anext(items)
    shelf.faults.clear()
    assert (await anext(items)).id == "call_50"


async def test_a_cursor_that_repeats() -> None:
    """A cursor that the server returns twice is an error, because the list would never end."""
    shelf = Shelf(500, always="50")
    seen = []
    with pytest.raises(PaginationError) as caught:
        async for call in client_on(shelf).calls.list():
            seen.append(call.id)
    assert caught.value.cursor == "50"
    assert len(seen) == len(set(seen)) == 100


async def test_the_cursor_of_the_beginning_counts_as_seen() -> None:
    """A page that leads back to the cursor that the list began at is an error, and is fetched no second time."""
    transport = ScriptedTransport(answer(200, {"data": [{"id": "call_1"}], "next_cursor": "here", "has_more": True}))
    ids = []
    with pytest.raises(PaginationError):
        async for call in client_on(transport).calls.list(cursor="here"):
            ids.append(call.id)
    assert ids == ["call_1"]
    assert len(transport.requests) == 1


async def test_filters_are_frozen() -> None:
    """Filters travel with every page, and changing what was passed in changes nothing."""
    metadata = {"customer": "42"}
    since = datetime(2026, 11, 1, tzinfo=UTC)
    shelf = Shelf(120)
    calls = client_on(shelf).calls.list(metadata=metadata, created_after=since, status="completed")
    metadata["customer"] = "43"
    assert len([call async for call in calls]) == 120
    for request in shelf.requests:
        query = parse_qs(urlsplit(request.url).query)
        assert query["metadata[customer]"] == ["42"]
        assert query["created_after"] == ["2026-11-01T00:00:00.000Z"]
        assert query["status"] == ["completed"]


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": 201}, {"limit": "5"}, {"created_after": datetime(2026, 1, 1)}, {"status": "gone"}]
)
async def test_filters_that_cannot_be(wrong: dict[str, Any]) -> None:
    """A filter that cannot be right is refused where it is written, by name."""
    shelf = Shelf(1)
    with pytest.raises(InvalidParameterError) as caught:
        client_on(shelf).calls.list(**wrong)
    assert caught.value.param == next(iter(wrong))
    assert not shelf.requests


async def test_cancellation_while_a_page_is_awaited() -> None:
    """Cancelling the consumer passes through and leaves no task waiting."""
    shelf = Shelf(120)
    shelf.hold = anyio.Event()
    with anyio.move_on_after(0.01) as scope:
        async for _ in client_on(shelf).calls.list():
            pass
    assert scope.cancelled_caught


async def test_empty_pages_without_end() -> None:
    """After a hundred empty pages with new cursors the list ends with an error."""
    numbers = iter(range(10_000))
    transport = ScriptedTransport(lambda request: answer(200, {"data": [], "next_cursor": f"c{next(numbers)}"}))
    client = client_on(transport, limiter=LocalLimiter(None))
    with pytest.raises(PaginationError, match="empty pages in a row"):
        async for _ in client.calls.list():
            pass
    assert len(transport.requests) <= 102


async def test_a_hundred_empty_pages_and_not_one_more() -> None:
    """A hundred empty pages in a row end a list with an error; after a page with an item the count starts again."""
    for empty, ends in ((99, True), (100, False)):
        pages = [answer(200, {"data": [], "next_cursor": f"c{n}"}) for n in range(99)]
        pages += [answer(200, {"data": [{"id": "call_1"}], "next_cursor": "more"})]
        pages += [answer(200, {"data": [], "next_cursor": f"d{n}"}) for n in range(empty)]
        pages += [answer(200, {"data": [], "next_cursor": None})]
        transport = ScriptedTransport(*pages)
        heard = client_on(transport).calls.list()
        if ends:
            assert [call.id async for call in heard] == ["call_1"]
        else:
            with pytest.raises(PaginationError, match="100 empty pages"):
                _ = [call async for call in heard]


async def test_a_page_is_a_sequence() -> None:
    """Length, iteration, indexing, slices, membership; an empty page is false; equality, hash and pickle as before."""
    page = await client_on(Shelf(30)).calls.list(limit=20)
    assert isinstance(page, Sequence)
    assert (len(page), page[0].id, page[-1].id, len(page[5:7])) == (20, "call_0", "call_19", 2)
    assert [call.id for call in page] == [call.id for call in page.data] == [call.id for call in reversed(page)][::-1]
    assert page[3] in page
    assert page.index(page[3]) == 3
    assert not await client_on(Shelf(0)).calls.list()
    with pytest.raises(IndexError):
        page[20]
    again = pickle.loads(pickle.dumps(page))
    assert again == page == copy.deepcopy(page)
    assert hash(again) == hash(page)
    with pytest.raises(ConfigurationError, match="cursor=page.next_cursor"):
        await again.next_page()


async def test_next_page() -> None:
    """It goes on, page by page, to the end of the list, with the filters and options of the first, and nothing ahead."""
    shelf = Shelf(45)
    page: Any = await client_on(shelf).calls.list(limit=20, status="completed", extra_query={"x": "y"})
    sizes = []
    while page is not None:
        sizes.append(len(page))
        page = await page.next_page()
    await settle()
    assert sizes == [20, 20, 5]
    assert shelf.asked == [None, "20", "40"]
    assert all("status=completed" in one.url and "x=y" in one.url for one in shelf.requests)


async def test_next_page_of_pages() -> None:
    """Pages of `.pages()` go on as well; after the one that `max_items` cut there is none, since its rest would be lost."""
    pages = [page async for page in client_on(Shelf(100)).calls.list(limit=20, max_items=30).pages()]
    assert [len(page) for page in pages] == [20, 10]
    following = await pages[0].next_page()
    assert following is not None
    assert following[0].id == "call_20"
    assert await pages[1].next_page() is None


async def test_next_page_does_not_go_round() -> None:
    """A cursor that comes back at once is an error and not a second copy for ever."""
    page = await client_on(Shelf(100, always="7")).calls.list()
    with pytest.raises(PaginationError) as caught:
        await page.next_page()
    assert caught.value.cursor == "7"


async def test_first() -> None:
    """The newest item by one request for one item, or `None`; an empty page with a cursor is passed over."""
    shelf = Shelf(120)
    found = await client_on(shelf).calls.list(limit=200).first()
    await settle()
    assert found is not None
    assert found.id == "call_0"
    assert [parse_qs(urlsplit(one.url).query)["limit"] for one in shelf.requests] == [["1"]]
    assert await client_on(Shelf(0)).calls.list().first() is None
    assert await client_on(shelf).calls.list(max_items=0).first() is None
    empty = answer(200, {"data": [], "next_cursor": "a", "has_more": True})
    one = answer(200, {"data": [{"id": "call_7"}], "next_cursor": None, "has_more": False})
    found = await client_on(ScriptedTransport(empty, one)).calls.list().first()
    assert found is not None
    assert found.id == "call_7"


async def test_to_list() -> None:
    """All items, or as many as asked for; the smaller bound of two counts, and no page is fetched for nothing."""
    shelf = Shelf(120)
    client = client_on(shelf)
    assert [call.id for call in await client.calls.list().to_list()] == [f"call_{number}" for number in range(120)]
    for bounds in ((70, None), (None, 70), (70, 100), (100, 70)):
        shelf.asked.clear()
        assert len(await client.calls.list(max_items=bounds[0]).to_list(max_items=bounds[1])) == 70
        await settle()
        assert shelf.asked == [None, "50"]
    for wrong in (-1, 1.5, "x", True):
        with pytest.raises(InvalidParameterError, match="max_items"):
            await client.calls.list().to_list(max_items=wrong)  # type: ignore[arg-type]


async def test_to_list_keeps_its_place() -> None:
    """An error says at which cursor to go on, and so does the pager."""
    pager = client_on(Shelf(120, fail_at="50")).calls.list()
    with pytest.raises(BadRequestError) as caught:
        await pager.to_list()
    assert caught.value.cursor == pager.cursor == "50"


async def test_pages_of_any_request() -> None:
    """A list that this version does not know comes as a page of models, which goes on."""
    shelf = Shelf(45)
    page = await client_on(shelf).request("GET", "/v1/faxes?limit=20", query={"a": "b"}, returns=Page[Call])
    ids = []
    following: Page[Call] | None = page
    while following is not None:
        ids += [call.id for call in following]
        following = await following.next_page()
    assert ids == [f"call_{number}" for number in range(45)]
    assert all("a=b" in one.url for one in shelf.requests)


async def test_a_pager_says_what_to_do() -> None:
    """Who forgets `await` in a notebook is told."""
    assert repr(client_on(Shelf(1)).calls.list()) == "<Pager of calls.list: `await` it for a page, or use `async for`>"


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/v1/faxes?cursor=20&limit=20&note=a%26b", {}),
        ("/v1/faxes?limit=20&note=a%26b", {"query": {"cursor": "20"}}),
        ("/v1/faxes?limit=20&note=a%26b", {"extra_query": {"cursor": "20"}}),
    ],
    ids=["path", "query", "extra_query"],
)
async def test_the_page_after_one_that_was_asked_for_by_its_cursor(path: str, given: dict[str, Any]) -> None:
    """`next_page` of `client.request` sends one cursor, that of the next page, wherever the first one was given."""
    shelf = Shelf(60)
    page = await client_on(shelf).request("GET", path, returns=Page[Call], **given)
    following = await page.next_page()
    assert following is not None and following[0].id == "call_40"
    assert parse_qs(urlsplit(shelf.requests[-1].url).query) == {"cursor": ["40"], "limit": ["20"], "note": ["a&b"]}
