"""Every shortcut that the help shows does what its label says."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from .opening import Console, opened_console
from .test_accessible import fill

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

PAGES = [
    "", "calls", "messages", "numbers", "campaigns", "webhooks", "deliveries", "requests", "events", "time", "faults", "keys", "settings",
]  # fmt: skip

#: The commands of the present page that can be used now.
COMMANDS = """async () => {
  const { commands } = await import('/_ajoxi/console/static/base/shortcuts.js');
  return commands.value.filter((one) => one.keys && (one.enabled?.() ?? true)).map(({ id, label, keys }) => ({ id, label, keys }));
}"""
#: Note what is run instead of running it.
NOTED = """async () => {
  const { commands } = await import('/_ajoxi/console/static/base/shortcuts.js');
  globalThis.noted = [];
  globalThis.kept = commands.value.map((one) => [one, one.run]);
  for (const one of commands.value) one.run = () => globalThis.noted.push(one.id);
}"""
AGAIN = "() => { for (const [one, run] of globalThis.kept) one.run = run; return globalThis.noted }"


async def press(console: Console, keys: str) -> None:
    for key in keys.split():
        await console.page.keyboard.press(key.replace("mod+", "Control+").replace("enter", "Enter"))


async def test_every_shortcut_runs_its_command(browser) -> None:
    """On every page, with objects, the keys of each command run this command and no other; the help lists exactly these."""
    async with opened_console(browser) as console:
        page = console.page
        more = await fill(console)
        await expect(page.locator(".jump-progress")).to_have_count(0)  # while time jumps, other commands are offered
        for path in [*PAGES, *more]:
            await console.show(path)
            await expect(page.locator("main h1")).to_be_visible()
            offered = await page.evaluate(COMMANDS)
            await press(console, "?")
            help = page.get_by_role("dialog", name="Keyboard shortcuts").get_by_role("row")
            await expect(help.first).to_be_visible()
            listed = await help.all_inner_texts()
            assert {one["label"] for one in offered} <= {text.split("\t")[0].split("\n")[0] for text in listed}
            await press(console, "Escape")
            await page.evaluate(NOTED)
            for one in offered:
                await press(console, one["keys"])
            noted = await page.evaluate(AGAIN)
            assert noted == [one["id"] for one in offered], path


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
