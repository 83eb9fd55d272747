"""Webhook deliveries: what is sent, when it is sent again, and when it is given up."""

from __future__ import annotations

import json

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, CallCompleted, Sandbox, TranscriptReady, parse_event
from ajoxi_async.sandbox import VirtualClock
from ajoxi_async.sandbox.outgoing import SCHEDULE

pytestmark = pytest.mark.anyio

TO, FROM = "+14155551234", "+14155550100"
EVENTS = [
    "call.started", "call.answered", "call.completed", "message.received", "message.delivered", "recording.ready",
    "transcript.ready",
]  # fmt: skip


class Endpoint:
    """A receiver in place of the network."""

    def __init__(self, clock: VirtualClock, status: int | None = 200) -> None:
        self.clock = clock
        self.status = status
        self.got: list[tuple[float, dict[str, str], bytes]] = []

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int | None:
        await anyio.lowlevel.checkpoint()
        self.got.append((self.clock.now(), headers, body))
        return self.status

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, _, body in self.got]


async def subscribe(client: AsyncAjoxi, events: list[str]) -> str:
    """Subscribe and return the secret."""
    return str((await client.webhooks.create(url="http://127.0.0.1:9/hook", events=events)).secret)


async def test_all_seven_events() -> None:
    """A recorded call, a message out and a message in emit all seven; each is signed over its bytes and typed."""
    clock = VirtualClock()
    endpoint = Endpoint(clock)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            secret = await subscribe(client, EVENTS)
            await client.calls.create(to=TO, from_=FROM, record=True)
            await client.messages.send(to=TO, from_=FROM, body="hi")
            sandbox.inbound_message(from_=TO, body="hello")
            await clock.advance(10)
    events = [parse_event(body, headers["X-Ajoxi-Signature"], secret) for _, headers, body in endpoint.got]
    assert sorted(event.type for event in events) == sorted(EVENTS)
    assert len({event.id for event in events}) == 7
    (completed,) = [event for event in events if isinstance(event, CallCompleted)]
    assert completed.data.duration == 3
    assert completed.data.recording_url is not None
    assert completed.data.disposition == "answered"
    (ready,) = [event for event in events if isinstance(event, TranscriptReady)]
    assert ready.data.segments
    assert {event.mode for event in events} == {"test"}


async def test_only_what_was_asked_for() -> None:
    """A webhook gets the events it subscribed to, and none after it was deleted."""
    clock = VirtualClock()
    endpoint = Endpoint(clock)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["call.start"])
            await client.calls.create(to=TO, from_=FROM)
            await clock.advance(10)
            assert endpoint.types == ["call.started"]
            (webhook,) = (await client.webhooks.list()).data
            await client.webhooks.delete(webhook.id)
            await client.calls.create(to=TO, from_=FROM)
            await clock.advance(10)
    assert endpoint.types == ["call.started"]


@pytest.mark.parametrize("status", [None, 302, 400, 500])
async def test_the_whole_schedule(status: int | None) -> None:
    """A failing endpoint gets the same bytes at every moment of the schedule, then the event is a dead letter."""
    clock = VirtualClock()
    endpoint = Endpoint(clock, status)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["call.started"])
            await client.calls.create(to=TO, from_=FROM)
            await clock.advance(86_400)
            assert len(sandbox.dead_letters()) == 1
    began = endpoint.got[0][0]
    assert [round(moment - began) for moment, _, _ in endpoint.got] == list(SCHEDULE)
    assert len({body for _, _, body in endpoint.got}) == 1
    assert len({headers["X-Ajoxi-Signature"] for _, headers, _ in endpoint.got}) == 1


async def test_success_ends_the_retries() -> None:
    """Once an attempt succeeds there is no other."""
    clock = VirtualClock()
    endpoint = Endpoint(clock, 503)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["call.started"])
            await client.calls.create(to=TO, from_=FROM)
            await clock.advance(6)
            endpoint.status = 204
            await clock.advance(86_400)
            assert sandbox.dead_letters() == ()
    assert len(endpoint.got) == 3


async def test_gone_disables() -> None:
    """410 disables the webhook: no retry, and no later event."""
    clock = VirtualClock()
    endpoint = Endpoint(clock, 410)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, EVENTS)
            await client.messages.send(to=TO, from_=FROM, body="hi")
            await clock.advance(10)
            assert (await client.webhooks.list()).data[0].status == "disabled"
            await client.messages.send(to=TO, from_=FROM, body="hi")
            await clock.advance(10)
    assert endpoint.types == ["message.delivered"]


async def test_no_delivery_to_strangers() -> None:
    """Without permission nothing is posted to another machine, and the log says why."""
    async with Sandbox(port=None, clock="manual") as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            for url in ("https://example.com/hook", "http://169.254.169.254/", "http://localhost.example.com/"):
                await client.webhooks.create(url=url, events=["message.received"])
            sandbox.inbound_message(from_=TO, body="hi")
            await sandbox.clock.advance(1)
            log = sandbox.world().deliveries()
    assert [(attempt.status, attempt.error) for attempt in log] == [(None, "the address is not permitted")] * 3


async def test_an_exception_in_the_block_is_the_callers_own() -> None:
    """What is raised inside ``async with Sandbox()`` comes out as it is."""
    with pytest.raises(ZeroDivisionError):
        async with Sandbox(port=None):
            raise ZeroDivisionError
