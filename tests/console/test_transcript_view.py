"""The transcript while it is spoken: interims become finals in their place, and the page follows until one looks elsewhere."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.async_api import Error, Locator, Page, expect

from ajoxi_async import AsyncAjoxi

from .opening import Console, opened_console

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The number whose callee is interrupted and corrected a lot.
LIVELY = "+15005550122"


def line(page: Page, sequence: int) -> Locator:
    return page.locator(f".line[data-sequence='{sequence}']")


async def answered_call(console: Console, to: str = LIVELY) -> Page:
    """The page of a call that was just answered."""
    async with AsyncAjoxi(console.sandbox.api_key, base_url=console.sandbox.base_url) as client:
        call = await client.calls.create(to=to, from_="+14155550100", ai_receptionist=True)
    await console.sandbox.advance(until_event="call.answered")
    await console.show(f"calls/{call.id}")
    await expect(console.page.get_by_role("main")).to_contain_text("They are about to speak")
    return console.page


async def test_an_interim_becomes_final_in_its_place(browser) -> None:
    """An interim grows and is replaced in the same element; finals alone are read out."""
    async with opened_console(browser) as console:
        page = await answered_call(console)
        first = line(page, 1)
        while not await first.count():
            await console.sandbox.advance(0.1)
            # A page that shows it later than this still shows it as an interim, which lasts for seconds of the sandbox's time.
            with suppress(Error):
                await first.wait_for(timeout=200)
        await expect(first).to_have_class(re.compile("interim"))
        element = await first.element_handle()
        interim = await first.locator("p").inner_text()
        await expect(page.get_by_role("log")).to_have_text("")
        await console.sandbox.advance(20)
        await expect(first).not_to_have_class(re.compile("interim"))
        assert await element.evaluate("(one) => one.isConnected"), "the final came in another element"
        final = await first.locator("p").inner_text()
        assert final.startswith(interim), (interim, final)
        await expect(page.get_by_role("log")).to_contain_text("Customer:")
        await expect(page.get_by_role("img", name=re.compile("^Sentiment: from"))).to_be_visible()
        speakers = await page.locator(".line .who span").all_inner_texts()
        assert {"Customer", "AI receptionist"} <= set(speakers)


CORRECTED = """async () => {
  const { createTranscript } = await import('/_ajoxi/console/static/calls/transcript.js');
  const segment = (revision, is_final, text) => ({ sequence: 1, revision, is_final, text, speaker: 'agent', start: 0, sentiment: null });
  const transcript = createTranscript();
  const shown = () => [...transcript.element.querySelectorAll('time, em, .line p')].map((one) => one.textContent).filter(Boolean);
  const states = [[1, false, 'in three'], [2, true, 'in three days'], [1, false, 'in'], [3, true, 'in three days'], [4, true, 'in 3 days'], [2, true, 'old']]
    .map((one) => { transcript.show([segment(...one)]); return shown(); });
  transcript.dispose();
  return states;
}"""


async def test_a_correction_is_marked(browser) -> None:
    """A final whose text comes again changed is marked; an older revision, and an interim after the final, change nothing."""
    async with opened_console(browser) as console:
        assert await console.page.evaluate(CORRECTED) == [
            ["0:00", "in three"], ["0:00", "in three days"], ["0:00", "in three days"], ["0:00", "in three days"],
            ["0:00", "corrected", "in 3 days"], ["0:00", "corrected", "in 3 days"],
        ]  # fmt: skip


async def test_the_page_follows_until_one_scrolls_up(browser) -> None:
    """A wheel upwards stops following at once and finals are counted; End, or the pill, follows again; a resize changes nothing."""
    async with opened_console(browser, size={"width": 1000, "height": 560}) as console:
        page = await answered_call(console)
        region = page.get_by_role("region", name="Transcript")
        pill = page.locator(".transcript-frame .pill")
        end = "(box) => box.scrollHeight - box.scrollTop - box.clientHeight"
        await console.sandbox.advance(30)
        await expect(line(page, 8)).to_be_visible()
        await expect(pill).to_have_text("Following")
        assert await region.evaluate(end) <= 24
        await region.hover()
        await page.mouse.wheel(0, -200)
        await expect(pill).to_have_text("Paused")
        await console.sandbox.advance(8)
        await expect(pill).to_have_text(re.compile(r"Paused, \d+ new"))
        top = await region.evaluate("(box) => box.scrollTop")
        await page.set_viewport_size({"width": 1000, "height": 640})
        await expect(pill).to_have_text(re.compile("Paused"))
        assert await region.evaluate("(box) => box.scrollTop") == top
        await page.keyboard.press("End")
        await expect(pill).to_have_text("Following")
        assert await region.evaluate(end) <= 24
        await page.keyboard.press("PageUp")
        await region.focus()
        await page.keyboard.press("PageUp")
        await expect(pill).to_have_text(re.compile("Paused"))
        await pill.click()
        await expect(pill).to_have_text("Following")


async def test_a_rewind_takes_back_what_was_said(browser) -> None:
    """After a rewind the transcript shows only what had been said by then."""
    async with opened_console(browser) as console:
        page = await answered_call(console)
        await console.sandbox.advance(10)
        await expect(line(page, 1)).to_be_visible()
        mark = console.sandbox.snapshot()
        before = await page.locator(".line").count()
        await console.sandbox.advance(30)
        await expect(page.locator(".line")).not_to_have_count(before)
        console.sandbox.restore(mark)
        await expect(page.locator(".line")).to_have_count(before)


async def test_strangers_text_is_text(browser) -> None:
    """Text with markup in it, from the outside, is shown as it is and makes no element."""
    evil = "<img src=x onerror=alert(1)><b>bold</b>"
    async with opened_console(browser) as console:
        async with AsyncAjoxi(console.sandbox.api_key, base_url=console.sandbox.base_url) as client:
            call = await client.calls.create(to="+15005550100", from_="+14155550100", metadata={"note": evil})
        for path in (f"calls/{call.id}", f"calls/{call.id}?tab=json", f"requests?about={call.id}", "requests/latest"):
            await console.show(path)
            await expect(console.page.locator("main h1")).to_be_visible()
            if not path.startswith("requests?"):
                await expect(console.page.get_by_role("main")).to_contain_text("onerror=alert(1)")
            assert await console.page.locator("main b, main img").count() == 0
