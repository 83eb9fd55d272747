"""Every page of the console, without and with objects: accessible, in both themes, wide and narrow; its shortcuts; what a screen reader has.

What a screen reader has of each page is compared with the files in ``snapshots/``. After a change that is meant, write them anew and look
at the difference::

    AJOXI_RENEW_SNAPSHOTS=1 python -m pytest tests/console/test_every_page.py
    git diff tests/console/snapshots
"""

from __future__ import annotations

import asyncio
import difflib
import os
import re
from pathlib import Path

import anyio
import pytest
from playwright.async_api import expect

from ajoxi_async import AsyncAjoxi

from .opening import NARROW, WIDE, Console, opened_console

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

PAGES = [
    "", "calls", "messages", "numbers", "numbers?tab=available", "numbers?tab=magic", "campaigns", "webhooks", "deliveries", "requests",
    "events", "time", "faults", "keys", "settings",
]  # fmt: skip
SNAPSHOTS = Path(__file__).parent / "snapshots"
#: What is another one in each run: moments by the wall clock, how long something took, ids of requests, ports, how systems call an error.
_VARYING = (
    (re.compile(r"\b\d{1,2}/\d{1,2}/\d{4}, \d{1,2}:\d\d:\d\d\s[AP]M\b"), "DATE"),
    (re.compile(r"\b\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d"), "DATE"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b[\d.]+ ms\b"), "N ms"),
    (re.compile(r"\b[0-9a-f]{32,}\b"), "HEX"),
    (re.compile(r"at most \d+ a second"), "at most N a second"),
    (re.compile(r"\breq_[0-9a-f]+"), "req_ID"),
    (re.compile(r"127\.0\.0\.1:\d{4,}"), "127.0.0.1:PORT"),
    (re.compile(r"\b[\d.]+ K?B\b"), "N B"),
)

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


async def fill(console: Console) -> dict[str, str]:
    """Give the world objects of every kind, and return the pages of some of them by what they show."""
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
    (request, *_) = sandbox.requests.find(route="calls.create")
    return {
        "call": f"calls/{live.id}", "webhook": f"webhooks/{failing.id}", "delivery": f"deliveries/{dead.id}",
        "attempts": f"deliveries/{dead.id}?attempt=1.11&with=1.1", "pending": f"deliveries/{pending.id}",
        "conversation": f"messages/{conversation}", "campaign": f"campaigns/{campaign.id}", "request": f"requests/{request.id}",
    }  # fmt: skip


async def press(console: Console, keys: str) -> None:
    for key in keys.split():
        await console.page.keyboard.press(key.replace("mod+", "Control+").replace("enter", "Enter"))


async def _inaccessible(console: Console, *, full: bool, frame: bool) -> list[object]:
    """What axe finds wide, in both themes, and narrow, where things are elsewhere and of other sizes.

    A page without objects shows few kinds of things: it is looked at in the dark theme only.
    """
    page = console.page
    found = []
    if full:
        found += await console.inaccessible(frame=frame)
        await page.emulate_media(color_scheme="dark")
    found += await console.inaccessible(*(["color-contrast"] if full else []), frame=frame)
    await page.set_viewport_size(NARROW)
    found += await console.inaccessible("target-size", *(["color-contrast"] if frame else []))
    if full:
        await page.emulate_media(color_scheme="light")
    wider = await page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    await page.set_viewport_size(WIDE)
    return [*found, *([f"{wider} pixels wider than the window"] if wider > 0 else [])]


async def _misled(console: Console) -> list[str]:
    """What is wrong with the shortcuts: the help lists those that can be used, and the keys of each run it and nothing else."""
    page = console.page
    offered = await page.evaluate(COMMANDS)
    await press(console, "?")
    help = page.get_by_role("dialog", name="Keyboard shortcuts").get_by_role("row")
    await expect(help.first).to_be_visible()
    listed = {text.split("\t")[0].split("\n")[0] for text in await help.all_inner_texts()}
    await press(console, "Escape")
    await page.evaluate(NOTED)
    for one in offered:
        await press(console, one["keys"])
    noted = await page.evaluate(AGAIN)
    wanted = [one["id"] for one in offered]
    return [
        *(f"the help does not list {one['label']}" for one in offered if one["label"] not in listed),
        *([f"{noted} was run in place of {wanted}"] if noted != wanted else []),
    ]


async def _snapshot(console: Console) -> str:
    shown = await console.snapshot()
    for pattern, word in _VARYING:
        shown = pattern.sub(word, shown)
    return shown + "\n"


async def _changed(console: Console, name: str) -> list[str]:
    """How the page differs from its snapshot for a screen reader, once it shows all that it has to show."""
    file = SNAPSHOTS / f"{name}.yaml"
    shown = await _snapshot(console)
    if os.environ.get("AJOXI_RENEW_SNAPSHOTS"):
        before = ""
        while shown != before:
            await asyncio.sleep(0.5)
            before, shown = shown, await _snapshot(console)
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown)
    wanted = file.read_text()
    with anyio.move_on_after(5):
        while shown != wanted:
            await asyncio.sleep(0.05)
            shown = await _snapshot(console)
    changes = difflib.unified_diff(wanted.splitlines(), shown.splitlines(), file.name, "shown", n=0, lineterm="")
    return [line for line in changes if not line.startswith("@@")]


def _file(path: str) -> str:
    return path.replace("?tab=", "-") or "overview"


@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
async def test_every_page(browser, full: bool) -> None:
    """No rule of WCAG 2.2 AA or of good practice is broken, each shortcut runs its command, and screen readers have what they had."""
    async with opened_console(browser, fresh=True, theme="light" if full else "dark") as console:
        page = console.page
        more = await fill(console) if full else {}
        await expect(page.locator(".jump-progress")).to_have_count(0)  # while time jumps, other commands are offered
        found = {}
        for name, path in {**{_file(path): path for path in PAGES}, **more}.items():
            await console.show(path)
            await expect(page.locator("main h1")).to_be_visible()
            await expect(page.locator("main [aria-busy=true]")).to_have_count(0)
            await expect(page.locator("main").get_by_text("Loading…")).to_have_count(0)
            problems: list[object] = []
            if name != "attempts":  # what two attempts have in common depends on how long they took
                problems += await _changed(console, f"{name}-{'full' if full else 'empty'}")
            problems += await _inaccessible(console, full=full, frame=path == "")
            if full:
                problems += await _misled(console)
            if problems:
                found[path] = problems
        assert not found, "\n".join(f"{path}: {problem}" for path, problems in found.items() for problem in problems)
