"""The pages that administer a sandbox do what they say, and show what others do at the same time."""

from __future__ import annotations

import re
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.async_api import expect

from ajoxi_async import AsyncAjoxi

from .opening import NARROW, opened_console
from .test_ledger import TABLES

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_dead_letters_are_replayed_together(browser) -> None:
    """Those that are ticked are replayed, then all; a single one is watched in its next round, and discarded in the end."""
    async with opened_console(browser) as console:
        page, sandbox = console.page, console.sandbox
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client:
            await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
        for n in range(4):
            sandbox.world().inbound_message(from_="+12125550123", body=str(n))
        await sandbox.advance(24 * 3600)
        await console.show("deliveries")
        rows = page.get_by_role("grid", name="Deliveries").get_by_role("row")
        await rows.nth(1).get_by_role("checkbox").check()
        await rows.nth(1).focus()
        await page.keyboard.press("Home")
        await page.keyboard.press("j")
        await expect(rows.nth(2)).to_be_focused()
        await page.keyboard.press("s")
        await expect(rows.nth(2).get_by_role("checkbox")).to_be_checked()
        await page.get_by_role("button", name="Replay 2 ticked").click()
        await page.get_by_role("dialog").get_by_role("button", name="Replay").click()
        await expect(page.get_by_role("status").filter(has_text="2 deliveries in a new round")).to_be_visible()
        assert len(sandbox.world().find_deliveries(state="dead")) == 2
        await page.get_by_role("button", name="Replay all 2 dead letters").click()
        await page.get_by_role("dialog").get_by_role("button", name="Replay").click()
        await expect(page.get_by_role("button", name=re.compile("^Replay all"))).to_have_count(0)
        assert sandbox.world().find_deliveries(state="dead") == ()

        await console.show("deliveries/latest?state=pending")
        await expect(page).to_have_url(re.compile("/deliveries/dlv_"))
        chosen = page.get_by_label("Attempt").and_(page.get_by_role("combobox"))
        await expect(chosen).to_have_value(re.compile(r"^\d\.\d+$"))
        shown = await chosen.input_value()
        await page.get_by_role("button", name="Try now").click()
        await sandbox.advance(0.5)
        await expect(chosen).not_to_have_value(shown)
        await expect(chosen).to_have_value(re.compile(r"^2\.\d$"))
        await page.get_by_role("link", name="1.3", exact=True).click()
        await expect(chosen).to_have_value("1.3")
        await sandbox.advance(24 * 3600)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("dead")
        await expect(chosen).to_have_value("1.3")
        await page.get_by_role("button", name="Discard").click()
        await page.get_by_role("dialog").get_by_role("button", name="Discard").click()
        await expect(page).to_have_url(re.compile("/deliveries$"))
        assert len(sandbox.world().find_deliveries(state="dead")) == 3


async def test_webhooks_are_switched_and_deleted(browser) -> None:
    """A receiver that answers 410 disables its webhook; a webhook that was deleted says so where it is still shown."""
    async with opened_console(browser) as console:
        page, sandbox = console.page, console.sandbox
        await console.show("webhooks")
        await expect(page.get_by_text("Nobody is subscribed yet")).to_be_visible()
        await page.keyboard.press("e")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Create").click()
        await expect(dialog.get_by_role("alert")).to_have_text("Choose at least one event.")
        await dialog.get_by_label("all", exact=True).check()
        await expect(dialog.get_by_label("recording.ready")).to_be_checked()
        await dialog.get_by_role("button", name="Create").click()
        await dialog.get_by_role("button", name="I have it").click()
        for answer in ("Slow", "Hang", "410"):
            await page.get_by_role("radio", name=re.compile(f"^{answer}")).check()
            await expect(page.get_by_role("radio", name=re.compile(f"^{answer}"))).to_be_checked()
        sandbox.world().inbound_message(from_="+12125550123", body="hi")
        await sandbox.advance(1)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("disabled")
        await expect(page.get_by_text("It received 1 post, all with a valid signature.")).to_be_visible()
        await page.get_by_role("button", name="Delete").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("Nobody is subscribed yet")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_role("main")).to_contain_text("no webhook wh_")


async def test_numbers_are_taken_routed_and_released(browser) -> None:
    """The inventory is searched, a number is taken, routed and given back; each change is in the API at once."""
    async with opened_console(browser) as console:
        page, sandbox = console.page, console.sandbox
        console.watch.allow("console: .* 400 ")
        await console.show("numbers")
        await page.get_by_role("button", name="Take another number").click()
        await page.get_by_label("Country").select_option("GB")
        await page.get_by_label("Has the digits").fill("44 20")
        await page.keyboard.press("Tab")
        await expect(page).to_have_url(re.compile("country=GB&contains=4420"))
        await page.get_by_role("button", name=re.compile(r"^Take \+4420")).first.click()
        taken = page.get_by_role("row", name=re.compile(r"^\+4420.*active"))
        await page.get_by_role("tab", name="Yours").click()
        await taken.get_by_role("button", name=re.compile("^Route")).click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Go to").select_option("forward")
        await dialog.get_by_label("Number to forward to").fill("12")
        await dialog.get_by_role("button", name="Route").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("E.164")
        await dialog.get_by_label("Number to forward to").fill("+12125550123")
        await dialog.get_by_role("button", name="Route").click()
        await expect(taken).to_contain_text("forward +12125550123")
        await taken.get_by_role("button", name=re.compile("^Texts")).click()
        await expect(taken.get_by_role("button", name=re.compile("^Texts .* on$"))).to_be_visible()
        await taken.get_by_role("button", name=re.compile("^Release")).click()
        await dialog.get_by_role("button", name="Release").click()
        await expect(taken).to_have_count(0)
        assert len(sandbox.world().account.numbers) == 1


async def test_what_a_narrower_page_shows(browser) -> None:
    """Buttons of rows are in view where their table is wider than the page, and neither names nor times run into each other."""
    async with opened_console(browser, size={"width": 768, "height": 640}) as console:
        page = console.page
        await console.show("numbers")
        release = page.get_by_role("button", name=re.compile("^Release"))
        await expect(release).to_be_in_viewport(ratio=1)
        async with AsyncAjoxi(console.sandbox.api_key, base_url=console.sandbox.base_url) as client:
            await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
        console.sandbox.world().inbound_message(from_="+12125550123", body="Hello")
        await console.sandbox.advance(24 * 3600)
        await console.show("time")
        await expect(page.get_by_role("button", name="Undo").first).to_be_in_viewport(ratio=1)
        await page.set_viewport_size(NARROW)
        await console.show("events")
        # The day is told only where it is not today's, as in every list.
        await expect(page.locator(".list-body .cell.time").first).to_have_text(
            re.compile(r"^(\d+ [A-Z][a-z]+ )?\d\d:\d\d:\d\d$")
        )
        await console.show("deliveries/latest")
        names = page.locator(".timeline .tick-name:visible")
        await expect(names).to_have_count(4)
        boxes = await names.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().toJSON())")
        assert all(one["right"] + 8 < other["left"] for one, other in pairwise(boxes)), boxes


async def test_the_next_page_knows_what_the_page_before_followed(browser) -> None:
    """Two pages that follow the same view or transcript, one after the other, are both told what it is, however often they change."""
    async with opened_console(browser) as console:
        console.sandbox.world().inbound_message(from_="+12125550123", body="Hello")
        message = next(iter(console.sandbox.world().account.messages.newest_first()))
        threads = console.page.get_by_role("navigation", name="Conversations").get_by_role("link")
        for _ in range(3):
            for path in ("messages", f"messages/{message.conversation_id}"):
                await console.show(path)
                await expect(threads).to_have_count(1)
        call = console.sandbox.inbound_call(from_="+15005550100")
        await console.sandbox.advance(40)
        for _ in range(3):
            for path in (f"calls/{call.id}", f"calls?selected={call.id}"):
                await console.show(path)
                await expect(console.page.locator(".lines li").first).to_be_visible()


async def test_stop_and_start_of_a_conversation(browser) -> None:
    """After STOP a text out is refused with the reason, after START it is sent; a call from the phone rings."""
    async with opened_console(browser) as console:
        page, sandbox = console.page, console.sandbox
        console.watch.allow("console: .* 422 ")
        await console.show("messages")
        await page.get_by_role("button", name="Text in “Hello”").click()
        text = page.get_by_role("textbox", name="Text")
        await text.fill("STOP")
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_role("main")).to_contain_text("This number texted STOP")
        await text.fill("Please come back")
        await page.get_by_role("button", name="Text out").click()
        await expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("has texted STOP")
        await page.get_by_role("button", name="START").click()
        await page.get_by_role("button", name=re.compile("^Text in from")).click()
        await expect(page.get_by_text("opted out")).to_have_count(0)
        await text.fill("<img src=x onerror=alert(1)>")
        await page.get_by_role("button", name="Text out").click()
        log = page.get_by_role("log", name="Messages")
        await expect(log).to_contain_text("<img src=x onerror=alert(1)>")
        await sandbox.advance(10)
        await expect(log).to_contain_text("delivered")
        await page.get_by_role("link", name="Use the phone").click()
        await page.get_by_label("Its number").fill("+15005550102")
        await expect(page.locator(".phone").get_by_role("paragraph").filter(has_text="busy")).to_be_visible()
        await page.get_by_role("button", name="Call in").click()
        await expect(page.get_by_role("main")).to_contain_text("inbound")


async def test_faults_that_are_wrong_are_refused(browser) -> None:
    """What the sandbox refuses is said beside the form, which offers the fields of the chosen fault; faults are removed."""
    async with opened_console(browser) as console:
        page = console.page
        console.watch.allow("console: .* 400 ")
        await console.show("faults")
        await page.get_by_label("What goes wrong").select_option("outage")
        await expect(page.get_by_label("Begins in, s")).to_be_visible()
        await page.get_by_label("What goes wrong").select_option("webhook_duplicate")
        await expect(page.get_by_role("spinbutton", name="Status")).to_have_count(0)
        await page.get_by_role("button", name="Add fault").click()
        await expect(page.get_by_role("main").get_by_role("alert")).to_contain_text(
            re.compile("^match: expected a pattern")
        )
        await page.get_by_label("Where").fill("call.*")
        await page.get_by_role("button", name="Add fault").click()
        await expect(page.get_by_role("row", name=re.compile("webhook duplicate"))).to_contain_text("the first 2")
        await page.get_by_role("button", name=re.compile("^Slow API")).click()
        await page.get_by_role("button", name="Add fault").click()
        await page.get_by_role("button", name="Remove latency on *").click()
        await expect(page.get_by_role("row", name=re.compile("latency"))).to_have_count(0)
        await page.get_by_role("button", name="Remove all").click()
        await expect(page.get_by_text("No fault is active")).to_be_visible()
        assert list(console.sandbox.faults) == []


async def test_keys_have_worlds_that_are_shown(browser) -> None:
    """The world of a key has an address of its own; a revoked key is gone from the list and refused."""
    async with opened_console(browser) as console:
        page, sandbox = console.page, console.sandbox
        key = sandbox.mint_key(label="worker 7")
        sandbox.world(key).inbound_call(from_="+15005550100")
        await console.show("keys")
        await page.get_by_role("link", name="Show the world of worker 7").click()
        await expect(page).to_have_url(re.compile(r"/console/key_[0-9a-f]+/$"))
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Calls").click()
        await expect(page.get_by_role("grid", name="Calls")).to_have_attribute("aria-rowcount", "2")
        await console.show("keys")
        await page.get_by_role("button", name="Revoke worker 7").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(page.get_by_role("row", name=re.compile("worker 7"))).to_have_count(0)
        assert len(sandbox.keys()) == 1


async def test_settings_are_kept_in_the_browser(browser) -> None:
    """Theme, times and shortcuts hold after a reload; signing out ends the session."""
    async with opened_console(browser, fresh=True) as console:
        page = console.page
        console.watch.allow("console: .* 401 ")
        await console.show("settings")
        await page.get_by_role("radio", name="Dark").check()
        await page.get_by_role("radio", name=re.compile("As the time from now")).check()
        await page.get_by_role("checkbox", name="Shortcuts of a single key").uncheck()
        await page.reload()
        await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        await expect(page.get_by_role("radio", name=re.compile("As the time from now"))).to_be_checked()
        await page.get_by_role("heading", name="Settings", level=1).click()
        await page.keyboard.press("g")
        await page.keyboard.press("c")
        await expect(page).to_have_url(re.compile("/settings$"))
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_text("This browser is not signed in")).to_be_visible()
        await page.reload()
        await expect(page.get_by_text("This browser is not signed in")).to_be_visible()


async def test_the_dialers_ledger_is_shown(browser, tmp_path: Path) -> None:
    """The campaigns of a ledger stand beside those of the API, with exact counts and the journal on demand."""
    db = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    db.executescript(TABLES)
    async with opened_console(browser, ledger=tmp_path / "ledger.db") as console:
        page = console.page
        await console.show("campaigns")
        autumn = page.get_by_role("region", name="autumn")
        await expect(autumn).to_contain_text("3 of 10 contacts done")
        shown = sorted(" ".join(text.split()) for text in await autumn.get_by_role("listitem").all_inner_texts())
        assert shown == ["answered 3", "waiting 7"]
        await autumn.get_by_role("button", name="Journal").click()
        await expect(page.get_by_role("row", name=re.compile("pause"))).to_be_visible()
        db.execute("UPDATE count SET n = 6 WHERE what = 'waiting'")
        await expect(autumn).to_contain_text("3 of 9 contacts done")
    db.close()
