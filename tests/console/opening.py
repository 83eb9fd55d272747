"""A sandbox with its console open in the browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, BrowserContext, Page, expect

from ajoxi_async import Sandbox
from ajoxi_async.sandbox import Timing

from .watching import OpenContext, Watch, watched_contexts

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}
#: The rules of WCAG 2.2 to level AA, and what axe recommends beyond them.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

_GO = "async (href) => { const { go } = await import('/_ajoxi/console/static/base/router.js'); go(href) }"
_AXE = """async (options) => {
  const { violations } = await axe.run(document, options);
  return violations.map(({ id, help, nodes }) => [id, help, ...nodes.slice(0, 3).map((node) => node.html.slice(0, 200) + ' ' + node.any.map((one) => one.message).join('; '))]);
}"""


class Console:
    """An open sandbox, and a page of the browser that is signed in to its console."""

    def __init__(
        self, sandbox: Sandbox, context: BrowserContext, watch: Watch, page: Page, open_context: OpenContext
    ) -> None:
        self.sandbox, self.context, self.watch, self.page, self.open_context = (
            sandbox,
            context,
            watch,
            page,
            open_context,
        )

    async def show(self, path: str) -> None:
        """Go to a page of the console without loading it anew."""
        await self.page.evaluate(_GO, f"/_ajoxi/console/main/{path}")

    async def copied(self) -> str:
        """The text in the clipboard."""
        return await self.page.evaluate("() => navigator.clipboard.readText()")

    async def inaccessible(self, *rules: str) -> list[Any]:
        """What axe finds on the present page, by some of its rules, or by all of `TAGS`."""
        if not await self.page.evaluate("() => 'axe' in globalThis"):
            await self.page.evaluate(AXE_SCRIPT + "\n;null")
        only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": TAGS}
        return await self.page.evaluate(_AXE, {"runOnly": only, "resultTypes": ["violations"]})

    async def snapshot(self, locator: str = "main") -> str:
        """The tree of the page as a screen reader has it."""
        return await self.page.locator(locator).aria_snapshot()


@asynccontextmanager
async def opened_console(
    browser: Browser, *, size: dict[str, int] = WIDE, theme: str = "light", flowing: bool = False, **options: Any
) -> AsyncIterator[Console]:
    """Open a sandbox and sign in to its console. Its clock is live, and paused unless `flowing`; `options` are those of `Sandbox`."""
    made: dict[str, Any] = {"console": True, "clock": "live", "timing": Timing.human(), "rate_limit": None, **options}
    async with Sandbox(**made) as sandbox, watched_contexts(browser) as open_context:
        if made["clock"] == "live" and not flowing:
            sandbox.pause()
        context, watch = await open_context(
            sandbox.base_url, viewport=size, color_scheme=theme, permissions=["clipboard-read", "clipboard-write"]
        )
        page = await context.new_page()
        await page.goto(sandbox.console_url)
        await expect(page).to_have_title(re.compile("^Overview"))
        yield Console(sandbox, context, watch, page, open_context)
