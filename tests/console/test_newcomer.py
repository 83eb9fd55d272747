"""What somebody does who sees the console for the first time, in fifteen steps: by mouse, by keyboard, on a narrow page."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import time
from urllib.parse import urlsplit

import aiohttp
import pytest
from attrs import evolve
from playwright.async_api import Locator, Page, expect

from ajoxi_async import AsyncAjoxi, PermissionDeniedError, Sandbox
from ajoxi_async.sandbox import Timing

from .hands import HANDS, Hand
from .opening import Console, opened_console

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Newcomer:
    """The steps, in their order; a step uses what the steps before it left."""

    def __init__(self, console: Console, hand: Hand) -> None:
        self.console, self.hand = console, hand
        self.sandbox: Sandbox = console.sandbox
        self.page: Page = console.page

    # Places of the page

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)

    def link(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("main").get_by_role("link", name=name)

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label)

    def heading(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("main").get_by_role("heading", name=name, level=1)

    @property
    def main(self) -> Locator:
        return self.page.get_by_role("main")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    async def address(self, pattern: str) -> str:
        """Wait for an address and return what the pattern captures of it."""
        await expect(self.page).to_have_url(re.compile(pattern))
        found = re.search(pattern, self.page.url)
        assert found is not None
        return found[1] if found.groups() else found[0]

    async def secret_once(self, name: str, prefix: str) -> str:
        """A secret is shown in a dialog; once that is closed, it stands nowhere."""
        field = self.dialog.get_by_label(name)
        await expect(field).to_have_value(re.compile(prefix))
        secret = await field.input_value()
        await self.hand.press(self.dialog.get_by_role("button", name="I have it"))
        await expect(self.dialog).to_have_count(0)
        assert secret not in await self.page.content()
        return secret

    # The steps

    async def opens_the_link(self) -> None:
        """1. The address holds no code; a reload and a second tab stay signed in."""
        await expect(self.heading("Overview")).to_be_visible()
        assert "code" not in self.page.url
        await self.page.reload()
        await expect(self.heading("Overview")).to_be_visible()
        second = await self.console.context.new_page()
        await second.goto("/_ajoxi/console/main/calls")
        await expect(second.get_by_role("heading", name="Calls", level=1)).to_be_visible()
        await second.close()

    async def opens_it_again(self) -> None:
        """1. In another browser the link works once."""
        link = self.sandbox.console_url
        context, _ = await self.console.open_context(self.sandbox.base_url)
        await (await context.new_page()).goto(link)
        await expect(context.pages[0].get_by_role("heading", name="Overview", level=1)).to_be_visible()
        context, watch = await self.console.open_context(self.sandbox.base_url)
        with watch.allowing("console: .* 401 "):
            await (await context.new_page()).goto(link)
            await expect(context.pages[0].get_by_role("alert")).to_have_text(re.compile("used already"))

    async def places_a_call(self) -> None:
        """2. The empty page says what it is for and shows the request as curl and as Python; its button fills it."""
        await expect(self.main).to_contain_text("This world is empty")
        await expect(self.page.get_by_role("region", name="curl")).to_contain_text("/v1/calls")
        await expect(self.page.get_by_role("region", name="Python")).to_contain_text("client.calls.create(")
        await self.hand.press(self.button("Place a test call"))
        self.call = await self.address("/calls/(call_[0-9a-f]+)$")
        await expect(self.main).to_contain_text("ringing")

    async def opens_the_call(self) -> None:
        """3. The list has it, Enter opens it, it goes from ringing to answered by itself, and says that nobody is subscribed."""
        await self.hand.go("Calls")
        row = self.page.get_by_role("grid", name="Calls").get_by_role("row", name=re.compile("415 555 0123"))
        await expect(row).to_be_visible()
        await self.hand.open_newest(self.page.get_by_role("grid", name="Calls"))
        await self.address(f"/calls/({self.call})$")
        await expect(self.main.locator(".steps")).to_contain_text("answered")
        await self.hand.press(self.page.get_by_role("tab", name="Webhooks"))
        await expect(self.main).to_contain_text("Nobody subscribed yet")
        await expect(self.link("Create a test endpoint")).to_be_visible()
        await self.hand.press(self.page.get_by_role("tab", name="Transcript"))

    async def watches_the_transcript(self) -> None:
        """4. Interims are replaced in place by finals of both speakers; scrolling away stops following, and End resumes."""
        await self.hand.time("10×")
        lines = self.page.get_by_role("region", name="Transcript").get_by_role("listitem")
        await expect(lines.nth(4)).to_be_visible()
        await expect(self.main).to_contain_text("Customer")
        await expect(self.main).to_contain_text("AI receptionist")
        assert await lines.count() <= 12, "an interim has no line of its own"
        follow = self.main.locator(".transcript-frame .pill")
        await expect(follow).to_have_text("Following")
        await self.page.wait_for_function(
            "() => { const one = document.querySelector('.transcript'); return one.scrollTop > 200 }"
        )
        await self.hand.look_up(self.page.get_by_role("region", name="Transcript"))
        await expect(follow).to_have_text(re.compile(r"^Paused, \d+ new$"))
        await self.hand.look_down(self.page.get_by_role("region", name="Transcript"))
        await expect(follow).to_have_text("Following")

    async def pauses(self) -> None:
        """5. While time is paused nobody says a letter more; it goes on afterwards, and the bar shows the world's time."""
        await self.hand.time("Pause")
        await expect(self.button("Play")).to_be_visible()
        transcript, shown = self.main.locator(".lines"), self.page.locator(".time-bar time")

        async def seen() -> tuple[str, str]:
            return await transcript.inner_text(), await shown.inner_text()

        # What was said before the pause may still be on its way to the page.
        for _ in range(10):
            said, moment = await seen()
            await asyncio.sleep(1.0)
            if await seen() == (said, moment):
                break
        await asyncio.sleep(0.4)
        assert await seen() == (said, moment)
        await self.hand.time("Play")
        await expect(transcript).not_to_have_text(said, use_inner_text=True)
        await expect(shown).not_to_have_text(moment)
        await self.hand.time("Pause")
        await expect(self.button("Play")).to_be_visible()

    async def makes_a_test_endpoint(self) -> None:
        """6. A test endpoint that answers 500; its secret is shown once, and masked afterwards."""
        await self.hand.go("Webhooks")
        await expect(self.main).to_contain_text("Nobody is subscribed yet")
        await self.hand.press(self.main.get_by_role("button", name="Create a test endpoint"))
        await self.hand.choose(self.dialog.get_by_label("It answers"), "500")
        await self.hand.tick(self.dialog.get_by_label("call.completed"))
        await self.hand.press(self.dialog.get_by_role("button", name="Create"))
        await self.secret_once("Secret", "whsec_")
        self.webhook = await self.address("/webhooks/(wh_[0-9a-f]+)$")
        await self.hand.go("Webhooks")
        await self.hand.press(self.link(self.webhook))
        await expect(self.main).to_contain_text("whsec_***")

    async def lets_the_call_end(self) -> None:
        """7. The next events, one by one, until the call ends: its delivery fails, and is due again in five seconds."""
        badge = (
            self.page.get_by_role("navigation", name="Pages")
            .locator("a", has_text="Deliveries")
            .locator(".badge-count")
        )
        for _ in range(60):
            if self.sandbox.world().find_deliveries():
                break
            before = self.sandbox.clock.now()
            await self.hand.time("Next")
            while self.sandbox.clock.now() == before and not self.sandbox.world().find_deliveries():
                await asyncio.sleep(0.01)
        await expect(badge).to_contain_text("1")
        await self.hand.go("Deliveries")
        rows = self.page.get_by_role("grid", name="Deliveries").get_by_role("row")
        await expect(rows.nth(1)).to_contain_text("failing")
        (found,) = self.sandbox.world().find_deliveries()
        self.delivery = found.id
        assert found.due - self.sandbox.clock.now() == pytest.approx(5, abs=0.01)

    async def opens_the_delivery(self) -> None:
        """8. One mark is full and ten are hollow; the command of the clipboard posts the same bytes; the secret is rotated."""
        await self.hand.open_newest(self.page.get_by_role("grid", name="Deliveries"))
        await self.address(f"/deliveries/({self.delivery})")
        await expect(
            self.page.get_by_role("img", name="Timeline of 24 hours: 1 attempts made, 10 planned, pending")
        ).to_be_visible()
        await expect(self.page.locator(".mark-place.failed")).to_have_count(1)
        await expect(self.page.locator(".mark-place.planned")).to_have_count(10)
        await expect(self.main).to_contain_text("X-Ajoxi-Signature")
        await self.hand.press(self.button("Copy as curl"))
        await expect(self.page.get_by_role("status").filter(has_text="curl copied")).to_be_visible()
        await self._post_what_was_copied()
        await self.hand.press(self.link(self.webhook))
        await self.hand.press(self.button("Rotate secret"))
        await self.hand.press(self.dialog.get_by_role("button", name="Rotate"))
        await self.secret_once("Secret", "whsec_")
        await expect(self.main).to_contain_text("The one before it signs as well until")

    async def _post_what_was_copied(self) -> None:
        words = shlex.split((await self.console.copied()).replace("\\\n", " "))
        assert words[:3] == ["curl", "-X", "POST"]
        headers = dict(words[n + 1].split(": ", 1) for n, word in enumerate(words) if word == "-H")
        body = words[words.index("--data-binary") + 1].encode()
        assert body == self.sandbox.world().delivery(self.delivery).delivery.body
        async with aiohttp.ClientSession() as session, session.post(words[3], data=body, headers=headers) as response:
            assert response.status == 500
        receiver = re.search("recv_[0-9]+", urlsplit(words[3]).path)
        assert receiver is not None
        authorization = {"Authorization": f"Bearer {self.sandbox.control_token}"}
        url = f"{self.sandbox.base_url}/_ajoxi/receivers/{receiver[0]}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=authorization) as response:
            newest, first, *_ = (await response.json())["posts"]
        assert newest["verdict"] == first["verdict"] == "valid"
        assert newest["body"] == first["body"]

    async def jumps_a_day(self) -> None:
        """9. A day later the delivery is a dead letter; what happened is said, and a mark leads back."""
        await self.hand.time("+24 h")
        await expect(self.page.get_by_role("status").filter(has_text="10 attempts, 1 dead letter")).to_be_visible()
        assert self.sandbox.world().delivery(self.delivery).delivery.state == "dead"
        await self.hand.go("Time")
        await expect(self.main.get_by_role("group", name="Marks")).to_contain_text("before +24 h")

    async def compares_attempts(self) -> None:
        """10. Between the first and the last attempt the signature changed, since the secret did; the body is folded away."""
        await self.hand.go("Deliveries")
        await self.hand.open_newest(self.page.get_by_role("grid", name="Deliveries"))
        await expect(self.heading(re.compile("dead"))).to_be_visible()
        await self.hand.choose(self.field("compared with"), "1.1")
        diff = self.page.get_by_role("region", name="What changed")
        signatures = diff.get_by_role("row", name=re.compile("X-Ajoxi-Signature")).get_by_role("cell")
        before, after = [(await cell.inner_text()).count(",") + 1 for cell in await signatures.all()]
        assert (before, after) == (1, 2)
        await expect(diff.get_by_role("rowheader", name="Latency")).to_be_visible()
        await expect(diff.locator("pre")).to_be_hidden()

    async def replays(self) -> None:
        """11. The endpoint answers 204; the replay is shown as soon as it is made: the same event, delivered, no dead letter left."""
        event = self.sandbox.world().delivery(self.delivery).delivery.event_id
        await self.hand.press(self.link(self.webhook))
        await self.hand.tick(self.page.get_by_role("radio", name=re.compile("^204")))
        await expect(self.page.get_by_role("radio", name=re.compile("^204"))).to_be_checked()
        await self.page.go_back()
        await self.hand.press(self.button("Replay"))
        await self.hand.press(self.dialog.get_by_role("button", name="Replay"))
        await expect(self.dialog).to_have_count(0)
        await self.hand.time("+1 min")
        await expect(self.heading(re.compile("delivered"))).to_be_visible()
        await expect(self.field("Attempt").and_(self.page.get_by_role("combobox"))).to_have_value("2.1")
        await expect(self.main).to_contain_text(event)
        await expect(self.page.locator("nav .badge-count.bad")).to_have_count(0)

    async def mints_a_key(self) -> None:
        """12. A key is shown once; the world that it makes is its own, and what it is denied is refused."""
        calls = len(self.sandbox.world().account.calls)
        await self.hand.go("Keys")
        await self.hand.fill(self.field("Label"), "ci")
        await self.hand.press(self.page.get_by_text("Deny nothing"))
        await self.hand.tick(self.field("numbers.provision"))
        await self.hand.press(self.button("Mint a key"))
        key = await self.secret_once("API key", "AJX_TEST_")
        async with AsyncAjoxi(key, base_url=self.sandbox.base_url) as client:
            await client.calls.create(to="+15005550100", from_="+14155550100")
            with pytest.raises(PermissionDeniedError):
                await client.numbers.provision(phone_number="+12125550199")
        row = self.page.get_by_role("row", name=re.compile("^ci "))
        await expect(row).to_contain_text("AJX_TEST_***")
        await expect(row).to_contain_text("1 call")
        assert len(self.sandbox.world().account.calls) == calls

    async def injects_a_fault(self) -> None:
        """13. A preset fails two calls and lets the third pass, while the console itself still works."""
        await self.hand.go("Faults")
        await self.hand.press(self.button(re.compile("^API is down twice")))
        await self.hand.press(self.button("Add fault"))
        row = self.page.get_by_role("row", name=re.compile("calls.create"))
        await expect(row).to_contain_text("0 of 2")
        await self.hand.go("Numbers")
        await self.hand.press(self.page.get_by_role("tab", name="Magic numbers"))
        await self.hand.press(self.button("Call +15005550102"))
        await self.address("/calls/call_")
        async with AsyncAjoxi(self.sandbox.api_key, base_url=self.sandbox.base_url) as client:
            await client.calls.create(to="+15005550102", from_="+14155550100")
        await self.hand.go("Faults")
        await expect(row).to_contain_text("2 of 2")

    async def looks_at_a_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """14. The requests that failed name their fault; as Python, one runs with a key of the environment."""
        await self.hand.go("Requests")
        await self.hand.fill(self.page.get_by_role("textbox", name="Filter"), "code:5xx")
        await self.page.keyboard.press("Enter")
        grid = self.page.get_by_role("grid", name="Requests")
        await expect(grid).to_have_attribute("aria-rowcount", "3")
        await self.hand.open_newest(grid)
        await self.address("/requests/(req_[0-9a-f]+)")
        await expect(self.main).to_contain_text("Struck by status")
        await self.hand.press(self.button("Copy as Python"))
        await expect(self.page.get_by_role("status").filter(has_text="Python copied")).to_be_visible()
        code = await self.console.copied()
        assert "AJX_" not in code
        calls = len(self.sandbox.world().account.calls)
        monkeypatch.setitem(os.environ, "AJOXI_API_KEY", self.sandbox.api_key)
        await asyncio.to_thread(exec, compile(code, "copied.py", "exec"), {"__name__": "__main__"})
        assert len(self.sandbox.world().account.calls) == calls + 1

    async def texts_dials_and_rewinds(self, contacts: int) -> None:
        """15. STOP has its effect, a campaign is counted exactly, and a rewind takes both back without a reload."""
        await self.hand.go("Messages")
        await self.hand.fill(self.field("Text").and_(self.page.get_by_role("textbox")), "STOP")
        await self.hand.press(self.button("Text in").last)
        conversation = await self.address("/messages/(conv_[0-9a-f]+)")
        await expect(self.main).to_contain_text("This number texted STOP")
        await self.hand.go("Campaigns")
        await self.hand.press(self.button("Start a campaign"))
        await self.hand.fill(self.dialog.get_by_label("Contacts"), str(contacts))
        await self.hand.press(self.dialog.get_by_role("button", name="Start"))
        await self.address("/campaigns/camp_")
        await self.hand.time("100×")
        await expect(self.heading(re.compile("completed"))).to_be_visible(timeout=60_000)
        await self.hand.time("Pause")
        await expect(self.button("Play")).to_be_visible()
        ended = {name: int(amount.replace(",", "")) for name, amount in [
            re.fullmatch(r"(.*?)\s+([\d,]+)", await one.inner_text()).groups() for one in await self.main.locator(".share-names li").all()
        ]}  # fmt: skip
        (report,) = self.sandbox.world().campaigns()
        assert ended == {name.replace("_", " "): amount for name, amount in report.by_disposition.items()}
        assert sum(ended.values()) == contacts
        campaign = self.page.url
        await self.hand.go("Time")
        row = self.main.get_by_role("group", name="Marks").get_by_role("row", name=re.compile(r"before \+24 h"))
        await self.hand.press(row.get_by_role("button", name="Rewind"))
        await self.hand.press(self.dialog.get_by_role("button", name="Rewind"))
        await expect(self.page.get_by_role("status").filter(has_text="again")).to_be_visible()
        back = self.sandbox.world().delivery(self.delivery).delivery
        assert (back.state, back.attempts) == ("pending", 1)
        await self.console.show(f"deliveries/{self.delivery}")
        await expect(
            self.page.get_by_role("img", name="Timeline of 24 hours: 1 attempts made, 10 planned, pending")
        ).to_be_visible()
        await self.console.show(campaign.partition("/main/")[2])
        await expect(self.main).to_contain_text("no campaign")
        await self.console.show(f"messages/{conversation}")
        await expect(self.main).to_contain_text("no conversation")


@pytest.mark.parametrize("name", HANDS)
async def test_fifteen_steps(browser, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step shows what it should, whatever the page is used with."""
    hand = HANDS[name]
    # People talk for so long that the transcript is watched while it goes on, on a slow machine as well.
    timing = evolve(Timing.human(), talk=200)
    async with opened_console(browser, size=hand.size, flowing=True, timing=timing) as console:
        newcomer = Newcomer(console, hand(console.page))
        await newcomer.opens_the_link()
        if name == "mouse":  # where nothing is done with the page
            await newcomer.opens_it_again()
        await newcomer.places_a_call()
        await newcomer.opens_the_call()
        await newcomer.watches_the_transcript()
        await newcomer.pauses()
        await newcomer.makes_a_test_endpoint()
        await newcomer.lets_the_call_end()
        await newcomer.opens_the_delivery()
        await newcomer.jumps_a_day()
        await newcomer.compares_attempts()
        await newcomer.replays()
        await newcomer.mints_a_key()
        await newcomer.injects_a_fault()
        await newcomer.looks_at_a_request(monkeypatch)
        # By mouse so many that the page shows the campaign in many states on its way; more would show the same again.
        await newcomer.texts_dials_and_rewinds(200 if name == "mouse" else 30)


async def test_the_first_steps_among_many_calls(browser) -> None:
    """With 100,000 calls in the world a call is placed, opened and watched as with none."""
    timing = evolve(Timing.human(), talk=200)
    async with opened_console(browser, flowing=True, timing=timing) as console:
        console.sandbox.seed_calls(100_000)
        newcomer = Newcomer(console, HANDS["mouse"](console.page))
        await newcomer.hand.go("Calls")
        await expect(newcomer.page.get_by_role("grid", name="Calls")).to_have_attribute("aria-rowcount", "100001")
        began = time.monotonic()
        await newcomer.hand.press(newcomer.button("Place a test call"))
        newcomer.call = await newcomer.address("/calls/(call_[0-9a-f]+)$")
        await expect(newcomer.main).to_contain_text("ringing")
        await newcomer.opens_the_call()
        await newcomer.watches_the_transcript()
        # Speed is measured by benchmarks/console_page.py; this would be several times as long if something were worked out for each call.
        assert time.monotonic() - began < 30
