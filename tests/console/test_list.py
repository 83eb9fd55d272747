"""The live list: it shows few rows of many, holds still while one reads, and keeps its place in the address."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, Page, expect

from .opening import Console, opened_console
from .watching import Watch

pytestmark = pytest.mark.asyncio(loop_scope="session")


def grid(page: Page) -> Locator:
    return page.get_by_role("grid", name="Calls")


def row(page: Page, index: int) -> Locator:
    """The row with an index of the list, from 0."""
    return page.locator(f"[role=row][aria-rowindex='{index + 2}']")


def pill(page: Page) -> Locator:
    return page.locator(".list-frame .pill")


async def calls_page(console: Console, amount: int) -> Page:
    console.sandbox.seed_calls(amount)
    await console.show("calls")
    await expect(row(console.page, 0)).to_be_visible()
    return console.page


def ring(console: Console, amount: int) -> str:
    """New calls; the id of the newest."""
    return [console.sandbox.inbound_call(from_="+15005550100").id for _ in range(amount)][-1]


async def test_new_rows_are_counted_while_one_reads(browser) -> None:
    """A scroll holds the list still: new rows are counted and not inserted. Back at the top it is live again."""
    async with opened_console(browser) as console:
        page = await calls_page(console, 300)
        await expect(pill(page)).to_have_text("Live")
        newest = ring(console, 1)
        await expect(row(page, 0)).to_contain_text(newest)

        await grid(page).evaluate("(list) => { list.scrollTop = 100 * 36 }")
        await expect(row(page, 100)).to_contain_text("call_", use_inner_text=True)
        before = await row(page, 100).inner_text(), await row(page, 100).bounding_box()
        ring(console, 3)
        await expect(pill(page)).to_have_text("Paused, 3 new")
        ring(console, 40)
        await expect(pill(page)).to_have_text("Paused, 43 new")
        assert (await row(page, 100).inner_text(), await row(page, 100).bounding_box()) == before

        await grid(page).evaluate("(list) => { list.scrollTop = 0 }")
        await expect(pill(page)).to_have_text("Live")
        await expect(row(page, 0)).to_contain_text(ring(console, 1))


async def test_a_chosen_row_holds_the_list_and_changes_in_place(browser) -> None:
    """While a row is chosen the list holds still, and the row itself shows its changes; the key `l` shows the newest rows."""
    async with opened_console(browser) as console:
        page = await calls_page(console, 5)
        call = ring(console, 1)
        await expect(row(page, 0)).to_contain_text(call)
        await row(page, 0).get_by_role("gridcell").first.click()
        await expect(page).to_have_url(re.compile(f"selected={call}"))
        await expect(page.get_by_role("complementary")).to_contain_text("ringing")
        ring(console, 2)
        await expect(pill(page)).to_have_text("Paused, 2 new")
        await console.sandbox.advance(until_event="call.answered")
        await expect(row(page, 0).get_by_role("gridcell").first).to_have_text("answered")
        await page.get_by_role("button", name="Close the panel").click()
        await expect(page.get_by_role("complementary")).to_have_count(0)
        await expect(row(page, 0)).to_be_focused()
        await expect(pill(page)).to_have_text("Paused, 2 new")
        await page.keyboard.press("l")
        await expect(pill(page)).to_have_text("Live")
        await expect(page).not_to_have_url(re.compile("selected="))
        await expect(row(page, 2)).to_contain_text(call)


async def test_first_rows_are_asked_for_with_the_page(browser) -> None:
    """The answer with the page has the browser ask for a list's first rows, which the scripts take; not if the list is filtered."""
    read = "() => performance.getEntriesByType('resource').map(({ name, initiatorType }) => [name, initiatorType])"
    async with opened_console(browser) as console:
        for name in ("calls", "deliveries", "events", "requests"):
            page = await console.context.new_page()
            await page.goto(f"/_ajoxi/console/main/{name}")
            await expect(page.locator("main h1")).to_be_visible()
            rows = f"{console.sandbox.base_url}/_ajoxi/{name}?"
            assert [one for one in await page.evaluate(read) if one[0].startswith(rows)] == [
                [f"{rows}at=0&limit=40", "link"]
            ]
        filtered = await page.goto("/_ajoxi/console/main/calls?status=ringing")
        assert filtered is not None
        assert "link" not in filtered.headers


async def test_the_first_frame_shows_the_rows(browser) -> None:
    """The side bar, the page and its heading come in one step, and the rows are drawn within the frame that follows it."""
    watch = """() => {
      globalThis.frames = [];
      const has = (selector) => document.querySelector(selector) !== null;
      const steps = new MutationObserver(() => {
        if (!has('nav.side a')) return;
        steps.disconnect();
        globalThis.inOneStep = has('main h1') && has('.list-head');
      });
      steps.observe(document, { childList: true, subtree: true });
      // What a frame calls first does not see yet what the frame itself draws.
      const look = () => {
        frames.push([has('.list-head'), has('.list-body .list-row a')]);
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }"""
    async with opened_console(browser) as console:
        console.sandbox.seed_calls(50)
        page = await console.context.new_page()
        await page.add_init_script(f"({watch})()")
        await page.goto("/_ajoxi/console/main/calls")
        await expect(row(page, 0)).to_be_visible()
        assert await page.evaluate("() => inOneStep")
        frames = await page.evaluate("() => frames")
        assert frames.count([True, False]) <= 1, frames


async def test_the_code_of_a_link_is_exchanged_by_the_first_script(browser) -> None:
    """A link's code is exchanged by `start.js`, before the console's modules run, and leaves the address; a used one is told."""
    loaded: list[str] = []
    async with opened_console(browser) as console:
        _, page = await _newcomer(console)
        page.on("request", lambda request: loaded.append(request.url.partition("/_ajoxi/")[2]))
        link = console.sandbox.console_url
        await page.goto(link)
        await expect(page).to_have_title(re.compile("^Overview"))
        assert "code" not in page.url
        assert "console/static/base/session.js" not in loaded
        # The page of an address is loaded once the console's modules run.
        assert loaded.index("console/session") < loaded.index("console/static/pages/overview.js")
        again, page = await _newcomer(console)
        with again.allowing("401"):
            await page.goto(link)
            await expect(page.get_by_role("alert")).to_have_text(re.compile("was used already"))


async def _newcomer(console: Console) -> tuple[Watch, Page]:
    """A page of a browser that is not signed in."""
    context, watch = await console.open_context(console.sandbox.base_url)
    return watch, await context.new_page()


async def test_nothing_is_stored_before_a_choice(browser) -> None:
    """What a person did not choose is not stored in the browser."""
    async with opened_console(browser, fresh=True) as console:
        await console.show("settings")
        stored = "() => Object.entries(localStorage)"
        assert await console.page.evaluate(stored) == []
        await console.page.get_by_role("radio", name="Dark").check()
        assert await console.page.evaluate(stored) == [["ajoxi-console-theme", "dark"]]


async def test_few_rows_tell_the_whole_truth(browser) -> None:
    """Few rows are in the document; counts and indexes tell the rest, and the focus stays with its row wherever one scrolls."""
    async with opened_console(browser) as console:
        page = await calls_page(console, 20_000)
        await expect(grid(page)).to_have_attribute("aria-rowcount", "20001")
        await page.keyboard.press("j")
        await expect(row(page, 0)).to_be_focused()
        await page.keyboard.press("j")
        await expect(row(page, 1)).to_be_focused()
        await grid(page).evaluate("(list) => { list.scrollTop = 9_000 * 36 }")
        await expect(row(page, 9_005)).to_contain_text("call_", use_inner_text=True)
        await expect(row(page, 1)).to_be_focused()
        assert await page.locator(".list-body [role=row]").count() <= 60
        assert await page.evaluate("() => document.getElementsByTagName('*').length") < 2_500
        await page.keyboard.press("End")
        await expect(row(page, 19_999)).to_be_focused()
        await expect(row(page, 19_999)).to_contain_text("call_", use_inner_text=True)
        indexes = await page.locator(".list-body [role=row]").evaluate_all(
            "(all) => all.map((one) => one.ariaRowIndex)"
        )
        assert indexes == sorted(indexes, key=int), "the rows are not in the order of the list"
        await page.keyboard.press("l")  # from the end at once to the newest rows
        await expect(row(page, 0)).to_contain_text("call_", use_inner_text=True)
        await expect(pill(page)).to_have_text("Live")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("/calls/call_"))


async def test_filters_are_in_the_address(browser) -> None:
    """A filter is a chip and a part of the address; it survives a reload, and the back button leads to the page before."""
    async with opened_console(browser) as console:
        page = await calls_page(console, 40)
        ring(console, 2)
        await page.keyboard.press("/")
        await page.keyboard.type("direction:inbound status:ringing")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(r"direction=inbound&status=ringing"))
        await expect(grid(page)).to_have_attribute("aria-rowcount", "3")
        await page.reload()
        await expect(grid(page)).to_have_attribute("aria-rowcount", "3")
        await page.get_by_role("button", name="Remove the filter status").click()
        await expect(page).not_to_have_url(re.compile("status"))
        # As many as before: the count is shown all the same.
        await expect(page.get_by_role("heading", level=1)).to_have_text("Calls2")
        await page.locator("[data-filter]").fill("colour:blue")
        await page.keyboard.press("Enter")
        assert "colour" not in page.url
        await page.keyboard.press("Escape")
        await page.go_back()
        await expect(page).to_have_title(re.compile("^Overview"))


async def test_a_refused_filter_is_told(browser) -> None:
    """A filter that the sandbox refuses is said on the page, and is no error of the page."""
    async with opened_console(browser) as console:
        await calls_page(console, 3)
        with console.watch.allowing("400"):
            await console.show("calls?status=sleeping")
            await expect(console.page.get_by_role("alert").filter(has_text="status")).to_be_visible()


async def test_a_rewind_replaces_the_rows(browser) -> None:
    """After a rewind a list that is held shows the rows of the world as it is, and no row that it knew before."""
    async with opened_console(browser) as console:
        page = await calls_page(console, 300)
        mark = console.sandbox.snapshot()
        newest = ring(console, 2)
        await expect(row(page, 0)).to_contain_text(newest)
        await page.keyboard.press("j")
        await expect(pill(page)).to_have_text("Paused")
        console.sandbox.restore(mark)
        await expect(grid(page)).to_have_attribute("aria-rowcount", "301")
        await expect(row(page, 0)).not_to_contain_text(newest)


async def test_lists_as_plain_tables(browser) -> None:
    """As chosen in the settings, a list is a table of 200 rows a page, which stands still; its page is in the address."""
    async with opened_console(browser) as console:
        page = console.page
        console.sandbox.seed_calls(500)
        await console.show("settings")
        await page.get_by_role("radio", name=re.compile("As plain tables")).check()
        await console.show("calls")
        table = page.get_by_role("region", name="Calls").get_by_role("row")
        pager = page.get_by_role("navigation", name="Pages of the table")
        await expect(table).to_have_count(201)
        await expect(pager.get_by_role("status")).to_have_text("Rows 1 to 200 of 500")
        newest = await table.nth(1).inner_text()
        ring(console, 3)
        await expect(pager.get_by_role("button", name="Newest, 3 new")).to_be_visible()
        assert await table.nth(1).inner_text() == newest
        await pager.get_by_role("button", name="Oldest").click()
        await expect(pager.get_by_role("status")).to_have_text("Rows 401 to 503 of 503")
        await expect(page).to_have_url(re.compile("from=400"))
        await page.reload()
        await expect(table).to_have_count(104)
        await page.keyboard.press(",")
        await expect(pager.get_by_role("status")).to_have_text("Rows 201 to 400 of 503")
        await page.get_by_role("button", name="Inbound").click()
        await expect(table).to_have_count(4)
        await expect(page).not_to_have_url(re.compile("from="))
        assert await console.inaccessible() == []
        await table.nth(1).get_by_role("link").first.click()
        await expect(page).to_have_url(re.compile("/calls/call_"))
        await page.go_back()
        await expect(table).to_have_count(4)
