"""The registry of keys, and the one feed of a browser."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from .opening import opened_console

pytestmark = pytest.mark.asyncio(loop_scope="session")

REGISTRY = """async () => (await import('/_ajoxi/console/static/base/shortcuts.js')).commands.value
  .map(({ id, label, keys, group }) => ({ id, label, keys, group }))"""
PAGES = "async () => (await import('/_ajoxi/console/static/pages.js')).PAGES.map(({ title, key }) => [title, key])"


async def test_every_key_goes_where_it_says(browser) -> None:
    """`g` and a letter lead to each page; the help and the palette name every command; no two commands share keys."""
    async with opened_console(browser) as console:
        page = console.page
        for title, key in await page.evaluate(PAGES):
            await page.keyboard.press("g")
            await page.keyboard.press(key)
            await expect(page).to_have_title(re.compile(f"^{title}"))
            commands = await page.evaluate(REGISTRY)
            keys = [one["keys"] for one in commands if one["keys"] and one["keys"] != "Escape"]
            assert len(keys) == len(set(keys)), (title, sorted(keys))
        await page.keyboard.press("?")
        help = page.get_by_role("dialog", name="Keyboard shortcuts")
        for command in commands:
            if command["keys"]:
                await expect(help.get_by_role("cell", name=command["label"], exact=True)).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("go calls")
        await expect(page.get_by_role("option")).to_have_text(re.compile("Go to Calls"))
        await page.keyboard.press("Enter")
        await expect(page).to_have_title(re.compile("^Calls"))


async def test_single_keys_can_be_switched_off(browser) -> None:
    """Without shortcuts of a single key, keys without Ctrl do nothing, and the palette still opens."""
    async with opened_console(browser) as console:
        page = console.page
        await page.keyboard.press("g")
        await page.keyboard.press("x")
        await expect(page).to_have_title(re.compile("^Overview"))
        await page.keyboard.press("?")
        await page.get_by_role("checkbox", name="Shortcuts of a single key").uncheck()
        await page.keyboard.press("Escape")
        for key in ("g", "c", "?"):
            await page.keyboard.press(key)
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page).to_have_title(re.compile("^Overview"))
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("dialog", name="Commands")).to_be_visible()


async def test_five_tabs_need_one_feed(browser) -> None:
    """All tabs of a browser share one feed, each shows its own page, and the last one that goes closes it."""
    async with opened_console(browser) as console:
        feed = console.sandbox.world().feed
        tabs = []
        for path in ("calls", "calls?status=ringing", "requests", "time"):
            tabs.append(await console.context.new_page())
            await tabs[-1].goto(f"/_ajoxi/console/main/{path}")
        call = console.sandbox.inbound_call(from_="+15005550100")
        for tab in tabs[:2]:
            await expect(tab.get_by_role("grid", name="Calls")).to_contain_text(call.id)
        await expect(console.page.get_by_role("region", name="Live calls")).to_contain_text("ringing")
        assert len(feed._subscribers) == 1
        # A tab that asks for what another one shows already is told at once.
        tabs.append(await console.context.new_page())
        await tabs[-1].goto(f"/_ajoxi/console/main/calls?selected={call.id}")
        await expect(tabs[-1].get_by_role("complementary")).to_contain_text("ringing")
        assert len(feed._subscribers) == 1
        for tab in tabs:
            await tab.close()
        assert len(feed._subscribers) == 1
        await console.page.goto("about:blank")
        for _ in range(100):
            if not feed._subscribers:
                break
            # The sandbox finds out that the reader is gone when it has something to send.
            console.sandbox.inbound_call(from_="+15005550100")
            await console.page.wait_for_timeout(50)
        assert feed._subscribers == []


#: A worker whose script does not run.
BROKEN_WORKER = """SharedWorker = class extends EventTarget {
  port = new MessageChannel().port1;
  constructor() { super(); setTimeout(() => this.dispatchEvent(new Event('error')), 50) }
}"""


async def test_without_the_worker_a_page_has_its_own_feed(browser) -> None:
    """A browser without shared workers, or one that cannot run the console's, shows the same."""
    async with opened_console(browser) as console:
        for missing in ("delete globalThis.SharedWorker", BROKEN_WORKER):
            page = await console.context.new_page()
            await page.add_init_script(missing)
            before = console.sandbox.inbound_call(from_="+15005550100")
            await page.goto("/_ajoxi/console/main/calls")
            await expect(page.get_by_role("grid", name="Calls")).to_contain_text(before.id)
            call = console.sandbox.inbound_call(from_="+15005550100")
            await expect(page.get_by_role("grid", name="Calls")).to_contain_text(call.id)
            await page.close()
