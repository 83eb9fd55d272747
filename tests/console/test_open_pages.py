"""What an open page does to a sandbox, which is nothing, and what the end of a sandbox does to an open page."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import expect

from ajoxi_async import AsyncAjoxi, Sandbox

from .opening import opened_console
from .watching import watched_contexts

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def play(sandbox: Sandbox) -> str:
    """A script of commands, and everything that came of it."""
    answers: list[Any] = []
    async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        webhook = await client.webhooks.create(url="http://127.0.0.1:9/", events=["call.completed", "message.received"])
        for n in range(6):
            call = await client.calls.create(to=f"+150055501{n:02d}", from_="+14155550100", record=True)
            sandbox.world().inbound_message(from_="+12125550123", body=f"message {n}")
            answers += [call.to_dict(), *((one.at.isoformat(), one.what, one.id) for one in await sandbox.advance(20))]
        answers += [call.to_dict() async for call in client.calls.list()]
        answers += [recording.to_dict() async for recording in client.recordings.list()]
    await sandbox.advance(3_600)
    attempts = [
        (one.id, one.at.isoformat(), one.number, one.status, dict(one.request_headers))
        for one in sandbox.world().deliveries(webhook.id)
    ]
    bodies = [one.body.decode() for one in sandbox.world().find_deliveries()]
    return json.dumps([answers, attempts, bodies], default=str)


async def test_consoles_change_nothing(browser) -> None:
    """The same seed and commands give the same bytes without a console and with several pages open on what happens."""
    # Recordings have addresses of the sandbox, which are signed as a part of events.
    where = {"public_url": "http://127.0.0.1:8027"}
    async with Sandbox(clock="live", rate_limit=None, **where) as sandbox:
        sandbox.pause()
        alone = await play(sandbox)
    async with opened_console(browser, timing=None, **where) as console:
        await console.show("calls")
        for path in ("deliveries", "messages", "events"):
            page = await console.context.new_page()
            await page.goto(f"/_ajoxi/console/main/{path}")
            await expect(page.locator("main h1")).to_be_visible()
        assert await play(console.sandbox) == alone
        await expect(console.page.get_by_role("grid", name="Calls")).to_have_attribute("aria-rowcount", "7")


async def test_a_sandbox_that_ends_and_comes_back(browser) -> None:
    """An open page says that the connection is lost; once the sandbox is back, it asks to sign in, and then shows the truth."""
    async with watched_contexts(browser) as open_context:
        async with Sandbox(console=True, clock="manual") as first:
            context, watch = await open_context(first.base_url)
            page = await context.new_page()
            await page.goto(first.console_url)
            for _ in range(3):
                first.inbound_call(from_="+15005550100")
            await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Calls").click()
            grid = page.get_by_role("grid", name="Calls")
            await expect(grid).to_have_attribute("aria-rowcount", "4")
            await expect(grid.get_by_role("row").nth(1)).to_be_visible()
            port = int(first.base_url.rpartition(":")[2])
        watch.allow("net::ERR_|status of 401")
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        await expect(grid.get_by_role("row").nth(1)).to_be_visible()
        async with Sandbox(console=True, clock="manual", port=port) as second:
            second.inbound_call(from_="+15005550101")
            await expect(page.get_by_text("This browser is not signed in")).to_be_visible()
            await page.get_by_label("Control token").fill(second.control_token)
            await page.get_by_role("button", name="Sign in").click()
            await expect(page.get_by_role("grid", name="Calls")).to_have_attribute("aria-rowcount", "2")
            await expect(page.get_by_text("Live").first).to_be_visible()
            await page.close()


async def test_a_list_stays_when_it_cannot_be_read_further(browser) -> None:
    """Rows that are shown stay, and the list does not claim to be empty, when others cannot be read because the sandbox has ended."""
    async with watched_contexts(browser) as open_context:
        async with Sandbox(console=True, clock="manual") as sandbox:
            sandbox.seed_calls(2_000)
            context, watch = await open_context(sandbox.base_url)
            page = await context.new_page()
            await page.goto(sandbox.console_url)
            await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Calls").click()
            grid = page.get_by_role("grid", name="Calls")
            await expect(grid).to_have_attribute("aria-rowcount", "2001")
            await expect(grid.get_by_role("row").nth(1)).to_be_visible()
        watch.allow("net::ERR_|status of 401")
        await expect(page.get_by_text("Connection lost")).to_be_visible()
        async with page.expect_event("requestfailed", lambda request: "/calls" in request.url):
            await grid.evaluate("grid => grid.scrollTo(0, grid.scrollHeight)")
        await expect(page.get_by_role("alert").get_by_text("sandbox").first).to_be_visible()
        await expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Calls\s*2,000"))
        await expect(grid).to_be_visible()
        await page.close()
