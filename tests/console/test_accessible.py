"""Every page of the console is accessible: axe finds nothing, in both themes, with and without objects, wide and narrow."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from ajoxi_async import AsyncAjoxi

from .opening import NARROW, WIDE, Console, opened_console

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

PAGES = [
    "", "calls", "messages", "numbers", "numbers?tab=available", "numbers?tab=magic", "campaigns", "webhooks", "deliveries", "requests",
    "events", "time", "faults", "keys", "settings",
]  # fmt: skip


async def fill(console: Console) -> list[str]:
    """Give the world objects of every kind, and return the pages of some of them."""
    sandbox = console.sandbox
    async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        failing = await client.webhooks.create(
            url="http://127.0.0.1:9/hook", events=["call.completed", "message.received"]
        )
        await client.calls.create(to="+15005550100", from_="+14155550100", record=True)
        sandbox.world().inbound_message(from_="+12125550123", body="Hello")
        await sandbox.advance(24 * 3600)
        sandbox.world().inbound_message(from_="+12125550123", body="STOP")
        await client.messages.send(to="+15005550141", from_="+14155550100", body="Your table is booked.")
        live = await client.calls.create(to="+15005550122", from_="+14155550100")
        campaign = await client.calls.create_campaign(
            from_="+14155550100", name="autumn", mode="power", contacts=[f"+1212555{n:04d}" for n in range(20)]
        )
        await sandbox.advance(40)
    sandbox.faults.add(action="status", match="calls.create", when="times", n=2)
    sandbox.mint_key(label="ci", deny={"numbers.provision"})
    (dead, *_) = sandbox.world().find_deliveries(state="dead")
    (pending, *_) = sandbox.world().find_deliveries(state="pending")
    conversation = next(message.conversation_id for message in sandbox.world().account.messages.newest_first())
    return [
        f"calls/{live.id}", f"webhooks/{failing.id}", f"deliveries/{dead.id}", f"deliveries/{dead.id}?attempt=1.11&with=1.1",
        f"deliveries/{pending.id}", f"messages/{conversation}", f"campaigns/{campaign.id}",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
async def test_axe_finds_nothing(browser, size, full: bool) -> None:
    """No page breaks a rule of WCAG 2.2 AA or of good practice; in the other theme, its colours have enough contrast as well."""
    async with opened_console(browser, size=size) as console:
        found = {}
        for path in [*PAGES, *(await fill(console) if full else [])]:
            await console.show(path)
            await expect(console.page.locator("main h1")).to_be_visible()
            await expect(console.page.locator("main [aria-busy=true]")).to_have_count(0)
            # What differs on a narrow page is where things are, and how large.
            found[path] = await console.inaccessible(*(() if size is WIDE else ("target-size", "color-contrast")))
            await console.page.emulate_media(color_scheme="dark")
            found[path] += await console.inaccessible("color-contrast")
            await console.page.emulate_media(color_scheme="light")
            wider = await console.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            found[path] += [f"{wider} pixels wider than the window"] if wider > 0 else []
        assert {path: problems for path, problems in found.items() if problems} == {}
