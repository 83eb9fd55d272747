"""A sandbox with its console open in the browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Page, expect

from ajoxi_async import Sandbox
from ajoxi_async.sandbox import Timing
from ajoxi_async.sandbox.keys import key_id

from .watching import OpenContext, Watch, watched_context, watched_contexts

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}
#: The rules of WCAG 2.2 to level AA, and what axe recommends beyond them.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

#: What axe does not look into: more rows of a list than show all that they can show, and what is around each page.
_ALIKE = (".list-body > .list-row:nth-child(n + 12)", "tbody > tr:nth-child(n + 12)")
_FRAME = ("nav.side", ".time-bar")
_GO = "async (href) => { const { go } = await import('/_ajoxi/console/static/base/router.js'); go(href) }"
_AXE = """async ([exclude, options]) => {
  const { violations } = await axe.run({ exclude }, options);
  return violations.map(({ id, help, nodes }) => [id, help, ...nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + ' ' + node.any.map((one) => one.message).join('; '))]);
}"""


class Console:
    """An open sandbox, and a page of the browser that is signed in to its console."""

    #: Opens another context for the time of the test.
    open_context: OpenContext

    def __init__(self, sandbox: Sandbox, context: BrowserContext, watch: Watch, page: Page) -> None:
        self.sandbox, self.context, self.watch, self.page = sandbox, context, watch, page

    async def show(self, path: str) -> None:
        """Go to a page of the console without loading it anew."""
        await self.page.evaluate(_GO, f"/_ajoxi/console/main/{path}")

    async def copied(self) -> str:
        """The text in the clipboard."""
        return await self.page.evaluate("() => navigator.clipboard.readText()")

    async def inaccessible(self, *rules: str, frame: bool = True) -> list[Any]:
        """What axe finds on the present page, by some of its rules, or by all of `TAGS`.

        Args:
            *rules: the rules.
            frame: whether it looks into the side bar and the bar of time, which are the same on every page.
        """
        if not await self.page.evaluate("() => 'axe' in globalThis"):
            await self.page.evaluate(AXE_SCRIPT + "\n;null")
        only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": TAGS}
        options = {"runOnly": only, "resultTypes": ["violations"], "iframes": False, "preload": False}
        return await self.page.evaluate(_AXE, [[[one] for one in (*_ALIKE, *(() if frame else _FRAME))], options])

    async def snapshot(self, locator: str = "main") -> str:
        """The tree of the page as a screen reader has it."""
        return await self.page.locator(locator).aria_snapshot()


#: The console that tests without wishes of their own use one after the other, by the browser that it is open in.
_kept: dict[Browser, tuple[AsyncExitStack, Console]] = {}


@asynccontextmanager
async def opened_console(
    browser: Browser,
    *,
    size: dict[str, int] = WIDE,
    theme: str = "light",
    flowing: bool = False,
    fresh: bool = False,
    **options: Any,
) -> AsyncIterator[Console]:
    """A sandbox with an empty world, and a page that is signed in to its console and shows the overview.

    Most of the time of a short test would go into opening these, so that they are kept for the next one, which finds the world reset,
    its clock as far as it went, the page loaded anew, and what a person chose forgotten.

    Args:
        browser: the browser.
        size: the size of the page.
        theme: the theme of the system.
        flowing: whether the clock, which is live, is not paused.
        fresh: open them for this test only.
        options: those of `Sandbox`, for which they are opened for this test only.
    """
    own = fresh or bool(options)
    kept = None if own else _kept.pop(browser, None)
    if kept is None:
        stack = AsyncExitStack()
        try:
            console = await _open(browser, stack, size, theme, options)
        except BaseException:
            await stack.aclose()
            raise
    else:
        stack, console = kept
    try:
        if kept is not None:
            await _begin_again(console, size, theme)
        if console.sandbox.clock.mode.startswith("live"):
            console.sandbox.resume(speed=1)
            if not flowing:
                console.sandbox.pause()
        await expect(console.page).to_have_title(re.compile("^Overview"))
        async with watched_contexts(browser) as console.open_context:
            yield console
        console.watch.check()
        if not own:
            for page in console.context.pages:
                if page is not console.page:
                    await page.close()
            _kept[browser] = stack, console
    finally:
        if browser not in _kept or _kept[browser][0] is not stack:
            await stack.aclose()


async def _open(
    browser: Browser, stack: AsyncExitStack, size: dict[str, int], theme: str, options: dict[str, Any]
) -> Console:
    made: dict[str, Any] = {"console": True, "clock": "live", "timing": Timing.human(), "rate_limit": None, **options}
    sandbox = await stack.enter_async_context(Sandbox(**made))
    if made["clock"] == "live":
        sandbox.pause()
    context, watch = await stack.enter_async_context(
        watched_context(
            browser,
            sandbox.base_url,
            viewport=size,
            color_scheme=theme,
            permissions=["clipboard-read", "clipboard-write"],
        )
    )
    page = await context.new_page()
    await page.goto(sandbox.console_url)
    return Console(sandbox, context, watch, page)


async def _begin_again(console: Console, size: dict[str, int], theme: str) -> None:
    sandbox, page = console.sandbox, console.page
    if not page.url.startswith(sandbox.base_url):
        await page.goto("/_ajoxi/console/static/console.css")
    await page.evaluate("() => localStorage.clear()")
    await page.goto("about:blank")
    own = key_id(sandbox.api_key)
    for key in sandbox.keys():
        if key.id != own:
            sandbox.delete_key(key.id)
    sandbox.reset()
    sandbox.requests.clear()
    await page.set_viewport_size(size)
    await page.emulate_media(color_scheme=theme)
    console.watch.begin_again()
    await page.goto("/_ajoxi/console/main/")


async def close_kept() -> None:
    """Close what was kept."""
    for stack, _ in _kept.values():
        await stack.aclose()
    _kept.clear()
