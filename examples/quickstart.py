"""The whole of Ajoxi in ten seconds: ``python -m examples.quickstart``.

Without ``AJOXI_API_KEY`` it starts the embedded sandbox in this process and talks to it over real HTTP. With a key the same
code talks to the API (a test key rings no phone); receiving webhooks then needs ``AJOXI_WEBHOOK_URL``, an address at which
the API can reach this machine's port 8028. The last step, a campaign, is on the sandbox only. ``python -m examples.quickstart 30``
calls 30 people instead of 300.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from aiohttp import web
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ajoxi_async import AsyncAjoxi, Call, CallCompleted, Event, Message, Recording, Sandbox, WebhookRouter
from ajoxi_async.dialer import Campaign, Ledger
from ajoxi_async.webhooks.aiohttp import router_handler

TO, FROM = "+14155551234", "+14155550100"
SPEAKERS = {"ai": "cyan", "agent": "cyan", "customer": "yellow"}

out = Console(highlight=False)


class Inbox:
    """Where the webhook receiver puts verified events."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self.router: WebhookRouter | None = None
        self.received: list[Event] = []
        self.completed = anyio.Event()
        self.campaign: Campaign | None = None

    def verify_with(self, secret: str | None) -> WebhookRouter:
        """Take deliveries that were signed with this secret, which the creation of a webhook returns."""
        self.router = WebhookRouter(str(secret))
        self.router.fallback(self.take)
        return self.router

    async def take(self, event: Event) -> None:
        """Called with every event whose signature is right."""
        self.received.append(event)
        if isinstance(event, CallCompleted):
            self.completed.set()
        if self.campaign is not None:
            await self.campaign.event(event)


@asynccontextmanager
async def receiver(inbox: Inbox, port: int) -> AsyncGenerator[None]:
    """Serve an endpoint for webhooks on this machine."""

    async def receive(request: web.Request) -> web.StreamResponse:
        if inbox.router is None:
            return web.Response(status=503)
        return await router_handler(inbox.router)(request)

    app = web.Application()
    app.router.add_post("/webhooks/ajoxi", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    inbox.url = inbox.url or f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/ajoxi"
    try:
        yield
    finally:
        await runner.cleanup()


def say(*parts: str | tuple[str, str]) -> None:
    """Print texts, or pairs of a text and its style. Markup and control characters in text from outside have no effect."""
    texts = [(part, "") if isinstance(part, str) else part for part in parts]
    clean = [("".join(one if one.isprintable() else " " for one in text), style) for text, style in texts]
    out.print(Text.assemble(*clean))


def step(title: str) -> None:
    """Announce what comes next."""
    out.print()
    say(("* ", "bold green"), (title, "bold"))


async def provision_a_number(client: AsyncAjoxi) -> str:
    """Search the numbers on offer and take the first."""
    step("Find and provision a number")
    page = await client.numbers.search(country="US", area_code="415", capability="sms", limit=3)
    for number in page.data:
        say(f"  {number.phone_number}  ", (f"{number.region} {', '.join(number.capabilities)}", "dim"))
    taken = await client.numbers.provision(
        phone_number=str(page.data[0].phone_number), routing={"kind": "ai_receptionist"}
    )
    say("  took ", (str(taken.phone_number), "bold"), f" as {taken.id}, now {taken.status}")
    return taken.id


async def place_a_call(client: AsyncAjoxi) -> Call:
    """The API reference's own request."""
    step("Place a call")
    call = await client.calls.create(to=TO, from_=FROM, ai_receptionist=True)
    say(f"  {call.id} is {call.status}, handled by {call.ai_handler}")
    return call


async def follow_the_transcript(client: AsyncAjoxi, call: Call) -> None:
    """Print each line as it becomes final."""
    step("Follow its live transcript")
    async with client.transcripts.stream(call.id, interim=False) as live:
        said: set[int] = set()
        async for segment in live:
            speaker = str(segment.speaker)
            again = "  (corrected)" if segment.sequence in said else ""
            said.add(segment.sequence)
            say((f"  {speaker:>9}  ", SPEAKERS.get(speaker, "white")), f"{segment.text}", (again, "dim"))


async def wait_for_the_recording(client: AsyncAjoxi, call: Call) -> Recording:
    """Wait until the call is over and its recording can be read."""
    step("Read the recording and its AI summary")
    call = await client.calls.wait(call)
    recording = await client.recordings.wait(call)
    recording = await client.recordings.retrieve(recording.id)
    audio = await client.recordings.download(recording)
    say(f"  {call.disposition} for {call.duration} s, {len(audio):,} bytes of {recording.content_type}")
    say("  ", (str(recording.ai_summary), "italic"), (f" (sentiment {recording.sentiment:+})", "dim"))
    return recording


async def send_a_message(client: AsyncAjoxi) -> Message:
    """Send an SMS and see it delivered."""
    step("Send an SMS")
    message = await client.messages.send(
        to=TO, from_=FROM, body="Your appointment is confirmed. Reply STOP to opt out."
    )
    say(f"  {message.id} {message.status}, {message.segments} segment")
    message = await client.messages.wait(message)
    say(f"  {message.id} ", (str(message.status), "bold"))
    return message


async def page_through_calls(client: AsyncAjoxi) -> int:
    """Go through every call there is; pages are fetched one ahead."""
    step("Page through all calls")
    endings: dict[str, int] = {}
    async for call in client.calls.list(limit=100):
        ending = str(call.disposition or call.status)
        endings[ending] = endings.get(ending, 0) + 1
    say("  " + ", ".join(f"{count} {ending}" for ending, count in sorted(endings.items())))
    return sum(endings.values())


async def show_webhooks(inbox: Inbox) -> None:
    """Wait for the event of the call's end."""
    step("Receive signed webhooks")
    with anyio.fail_after(10):
        await inbox.completed.wait()
    for event in inbox.received:
        say("  ", ("signature verified", "green"), f"  {event.type:<17} {event.id}")


def show_limiter(client: AsyncAjoxi) -> None:
    """What pacing did in the meantime."""
    step("What the limiter did")
    seen = client.limiter.snapshot()
    table = Table("limit a second", "requests", "paced", "429 answers", box=None, header_style="dim", pad_edge=False)
    table.add_row(f"{seen.limit:g}" if seen.limit else "none", *map(str, (seen.granted, seen.delayed, seen.refused)))
    out.print(table)


async def run_a_campaign(sandbox: Sandbox, client: AsyncAjoxi, inbox: Inbox, people: int) -> None:
    """Call many people with the dialer, each once, and report what became of them."""
    step(f"Call {people} people with the dialer")
    before = len(sandbox.world().rings())
    webhook = await client.webhooks.create(url=str(inbox.url), events=["call.completed"])
    inbox.verify_with(webhook.secret)
    with TemporaryDirectory() as folder:
        async with Ledger(Path(folder) / "ledger.db") as ledger:
            inbox.campaign = campaign = await Campaign.open(ledger, client, "autumn", from_=FROM)
            await campaign.load(f"+1212555{number:04d}" for number in range(people))
            async with aclosing(campaign.run()) as steps:
                async for progress in steps:
                    say("  ", (progress.line(), "dim"))
            inbox.campaign = None
            report = await (await campaign.report()).summary()
    say("  ", (", ".join(f"{amount} {how}" for how, amount in sorted(report.dispositions.items())), "bold"))
    rang = len(sandbox.world().rings()) - before
    say(f"  {report.rows} rows of the report for {report.loaded} people; phones rang {rang} times")


async def tour(client: AsyncAjoxi, inbox: Inbox | None = None) -> None:
    """Everything, one after the other."""
    webhook = None
    if inbox is not None and inbox.url is not None:
        webhook = await client.webhooks.create(
            url=inbox.url,
            events=["call.started", "call.answered", "call.completed", "recording.ready", "message.delivered"],
        )
        client.listen_to(inbox.verify_with(webhook.secret))
    try:
        number_id = await provision_a_number(client)
        call = await place_a_call(client)
        await follow_the_transcript(client, call)
        await wait_for_the_recording(client, call)
        await send_a_message(client)
        await page_through_calls(client)
        if inbox is not None and webhook is not None:
            await show_webhooks(inbox)
        await client.numbers.release(number_id)
    finally:
        if webhook is not None:
            await client.webhooks.delete(webhook.id)
    show_limiter(client)


async def main() -> None:
    """Run the tour against the API where a key is set, else against the embedded sandbox."""
    if os.environ.get("AJOXI_API_KEY"):
        inbox = Inbox(os.environ.get("AJOXI_WEBHOOK_URL"))
        async with AsyncAjoxi() as client, receiver(inbox, 8028):
            await tour(client, inbox if os.environ.get("AJOXI_WEBHOOK_URL") else None)
        return
    async with Sandbox() as sandbox:
        sandbox.seed_calls(350)
        say((f"No AJOXI_API_KEY: using the embedded sandbox on {sandbox.base_url}. No phone rings.", "dim"))
        inbox = Inbox(None)
        async with AsyncAjoxi(sandbox.api_key, base_url=sandbox.base_url) as client, receiver(inbox, 0):
            await tour(client, inbox)
            await run_a_campaign(sandbox, client, inbox, int(sys.argv[1]) if len(sys.argv) > 1 else 300)


if __name__ == "__main__":
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # for what the terminal's encoding does not have
    sys.exit(anyio.run(main))
