"""The shortcuts of the console and of time do what their labels say. That keys run their commands is in `test_every_page`."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from .opening import opened_console
from .test_every_page import COMMANDS, press

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_where_shortcuts_lead(browser) -> None:
    """The keys of each page lead to it, those of the console and of time do what they say."""
    async with opened_console(browser) as console:
        page, clock = console.page, console.sandbox.clock
        offered = {one["id"]: one for one in await page.evaluate(COMMANDS)}
        for id, one in offered.items():
            if id.startswith("go."):
                await press(console, one["keys"])
                name = id.removeprefix("go.")
                await expect(page).to_have_url(re.compile("/main/$" if name == "overview" else f"/main/{name}$"))
                await expect(page.get_by_role("heading", level=1)).to_contain_text(one["label"].removeprefix("Go to "))
        await press(console, offered["theme"]["keys"])
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await press(console, offered["palette"]["keys"])
        await page.get_by_role("combobox", name="Command or id").fill("go to calls")
        await press(console, "Enter")
        await expect(page).to_have_url(re.compile("/calls$"))
        for id, seconds in (("time.minute", 60), ("time.ten-minutes", 600), ("time.hour", 3_600), ("time.day", 86_400)):
            await expect(page.locator(".jump-progress")).to_have_count(0)
            before = clock.now()
            await press(console, offered[id]["keys"])
            await expect(page.get_by_role("status").filter(has_text="passed")).not_to_have_count(0)
            for _ in range(500):
                if clock.now() >= before + seconds:
                    break
                await asyncio.sleep(0.02)
            assert clock.now() == pytest.approx(before + seconds)
        await press(console, offered["time.play"]["keys"])
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()
        await press(console, offered["time.faster"]["keys"])
        await expect(page.get_by_role("button", name="10×")).to_have_attribute("aria-pressed", "true")
        await press(console, offered["time.slower"]["keys"])
        await expect(page.get_by_role("button", name="1×", exact=True)).to_have_attribute("aria-pressed", "true")
        await press(console, offered["time.play"]["keys"])
        await expect(page.get_by_role("button", name="Play")).to_be_visible()
