"""Make the pictures of `docs/console.md`: ``python -m tests.console.screenshots [FOLDER]``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from playwright.async_api import async_playwright, expect

from ajoxi_async import AsyncAjoxi

from .browser import HOW_TO_GET_IT, find_browser, started
from .opening import Console, opened_console

FOLDER = Path(__file__).parents[2] / "docs" / "console"
SIZE = {"width": 1100, "height": 640}


async def fill(console: Console) -> dict[str, str]:
    """A day in the life of a world: a call that is still going on, a dead letter, a conversation, a campaign."""
    sandbox = console.sandbox
    async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
        webhook = await client.webhooks.create(url="http://127.0.0.1:9/hooks", events=["call.completed"])
        await client.calls.create(to="+14155550123", from_="+14155550100")
        await sandbox.advance(70)
        sandbox.world().rotate_secret(webhook.id)
        await sandbox.advance(24 * 3600)
        (dead,) = sandbox.world().find_deliveries(state="dead")
        sandbox.world().inbound_message(from_="+12125550123", body="Hello, are you open on Sunday?")
        await client.messages.send(to="+12125550123", from_="+14155550100", body="Yes, from ten to six.")
        await sandbox.advance(30)
        sandbox.world().inbound_message(from_="+12125550123", body="STOP")
        message = next(iter(sandbox.world().account.messages.newest_first()))
        campaign = await client.calls.create_campaign(
            from_="+14155550100", name="autumn", mode="power", contacts=[f"+1212555{n:04d}" for n in range(400)]
        )
        await sandbox.advance(50)
        live = await client.calls.create(to="+14155550124", from_="+14155550100")
        await sandbox.advance(33)
    return {"call": live.id, "dead": dead.id, "conversation": str(message.conversation_id), "campaign": campaign.id}


async def take(console: Console, folder: Path) -> None:
    """Fill the world of a console and take the pictures."""
    ids = await fill(console)
    for name, where, theme, shown in (
        ("call", f"calls/{ids['call']}", "light", ".lines li:nth-child(4)"),
        ("delivery", f"deliveries/{ids['dead']}?attempt=1.11&with=1.1", "light", ".diff"),
        ("messages", f"messages/{ids['conversation']}", "light", ".opted-out"),
        ("campaign", f"campaigns/{ids['campaign']}", "dark", ".share-bar"),
    ):
        await console.page.emulate_media(color_scheme=theme)
        await console.show(where)
        await expect(console.page.locator(shown)).to_be_visible()
        await expect(console.page.locator(".connection.live")).to_be_visible()
        await console.page.screenshot(path=folder / f"{name}.png", caret="hide", animations="disabled")


async def main(folder: Path) -> None:
    """Start a browser, and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        path = find_browser(playwright)
        if path is None:
            sys.exit(f"needs {HOW_TO_GET_IT}")
        async with started(playwright, path) as browser, opened_console(browser, size=SIZE) as console:
            await take(console, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
