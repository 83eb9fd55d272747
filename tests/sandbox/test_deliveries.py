"""Webhook deliveries: what is sent, when it is sent again, and when it is given up."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from ajoxi_async import AsyncAjoxi, CallCompleted, InvalidParameterError, Sandbox, TranscriptReady, parse_event
from ajoxi_async.contract.signing import sign
from ajoxi_async.sandbox import Answer, Refusal, VirtualClock
from ajoxi_async.sandbox.state.deliveries import SCHEDULE

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


async def test_ten_at_a_time_and_nobody_waits_for_another() -> None:
    """An endpoint has ten deliveries under way and no more; one that hangs holds up no other endpoint."""
    hanging, most, taken = 0, 0, 0
    go_on = anyio.Event()

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        nonlocal hanging, most, taken
        if url.endswith("/hangs"):
            hanging += 1
            most = max(most, hanging)
            await go_on.wait()
            hanging -= 1
        else:
            await anyio.lowlevel.checkpoint()
            taken += 1
        return 200

    async with Sandbox(port=None, clock="manual", post=post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            for name in ("hangs", "works"):
                await client.webhooks.create(url=f"http://127.0.0.1:9/{name}", events=["message.received"])
            for _ in range(50):
                sandbox.inbound_message(from_=TO, body="hi")
            with anyio.fail_after(5):
                while taken < 50:
                    await anyio.lowlevel.checkpoint()
            assert hanging == 10
            go_on.set()
            fired = await sandbox.clock.advance(0)
            assert fired == []
            assert len(sandbox.world().deliveries()) == 100
    assert most == 10


@pytest.mark.parametrize("answer", ["204", True, 2.5, {}])
async def test_a_post_that_returns_nonsense(answer: Any) -> None:
    """A function of the test's own that returns no status is named, when the sandbox is closed."""

    async def post(url: str, headers: dict[str, str], body: bytes) -> int | None:
        return answer  # type: ignore[no-any-return]

    with pytest.raises(InvalidParameterError, match="post: expected an Answer"):
        async with Sandbox(port=None, clock="manual", post=post) as sandbox:
            async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
                await subscribe(client, ["message.received"])
            sandbox.inbound_message(from_=TO, body="hi")
            await sandbox.advance(1)


async def test_the_log() -> None:
    """Each attempt is logged with status, latency, headers of both sides and the beginning of the answer."""
    clock = VirtualClock()

    async def post(url: str, headers: dict[str, str], body: bytes) -> Answer:
        await anyio.sleep(0.01)
        return Answer(500, {"retry-after": "9"}, b"broken")

    async with Sandbox(port=None, clock=clock, post=post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["message.received"])
            sandbox.inbound_message(from_=TO, body="hi")
            await clock.advance(6)
            (webhook,) = (await client.webhooks.list()).data
            first, second = sandbox.world().deliveries(webhook.id)
            assert sandbox.world().deliveries("wh_0000000000") == ()
            (pending,) = sandbox.world().pending()
    assert (first.number, second.number, pending.attempts) == (1, 2, 2)
    assert first.delivery_id == second.delivery_id == pending.id
    assert (first.status, first.excerpt, first.response_headers) == (500, b"broken", {"retry-after": "9"})
    assert "X-Ajoxi-Signature" in first.request_headers
    assert 0.009 < first.latency < 5
    assert (second.at - first.at).total_seconds() == 5


async def test_the_log_is_bounded() -> None:
    """A webhook's log keeps its last thousand attempts."""
    clock = VirtualClock()
    endpoint = Endpoint(clock)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["message.received"])
            for number in range(1_100):
                sandbox.inbound_message(from_=TO, body=str(number))
            await clock.advance(0)
    assert len(endpoint.got) == 1_100
    log = sandbox.world().deliveries()
    assert (len(log), log[-1].event_id) == (1_000, json.loads(endpoint.got[-1][2])["id"])


async def test_replay() -> None:
    """Dead letters are replayed one by one or all: same event id and bytes, today's secret, a schedule from the start."""
    clock = VirtualClock()
    endpoint = Endpoint(clock, 500)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["message.received"])
            (webhook,) = (await client.webhooks.list()).data
            for number in range(3):
                sandbox.inbound_message(from_=TO, body=str(number))
            await clock.advance(until_idle=True)
            world, bodies = sandbox.world(), {body for _, _, body in endpoint.got}
            dead = world.dead_letters()
            assert (len(dead), len(bodies)) == (3, 3)
            fresh = world.rotate_secret(webhook.id)
            await clock.advance(86_401)
            endpoint.got.clear()
            assert world.replay(dead[1].id) == 1
            await clock.advance(5)
            endpoint.status = 200
            await clock.advance(86_400)
            moments = [moment for moment, _, _ in endpoint.got]
            assert [round(moment - moments[0]) for moment in moments] == [0, 5, 35]
            assert {body for _, _, body in endpoint.got} == {dead[1].body}
            assert parse_event(dead[1].body, endpoint.got[0][1]["X-Ajoxi-Signature"], fresh).id == dead[1].event_id
            with pytest.raises(Refusal, match="no dead letter"):
                world.replay(dead[1].id)
            assert world.replay() == 2
            await clock.advance(0)
            assert world.dead_letters() == ()
            assert world.replay() == 0
    assert {body for _, _, body in endpoint.got} == bodies


async def test_nothing_is_replayed_to_a_disabled_webhook() -> None:
    """Its dead letters stay where they are."""
    clock = VirtualClock()
    endpoint = Endpoint(clock, 500)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["message.received"])
            sandbox.inbound_message(from_=TO, body="hi")
            await clock.advance(until_idle=True)
            endpoint.status = 410
            sandbox.inbound_message(from_=TO, body="hi")
            await clock.advance(0)
            (dead,) = sandbox.dead_letters()
            with pytest.raises(Refusal, match="disabled"):
                sandbox.world().replay(dead.id)
            assert sandbox.world().replay() == 0
            assert sandbox.dead_letters() == (dead,)


async def test_rotation() -> None:
    """For 24 hours both secrets sign, the new one first; then the new one alone. A second rotation drops the oldest."""
    clock = VirtualClock()
    endpoint = Endpoint(clock)
    async with Sandbox(port=None, clock=clock, post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            first = await subscribe(client, ["message.received"])
            (webhook,) = (await client.webhooks.list()).data

            async def signed_by(*secrets: str) -> list[bool]:
                sandbox.inbound_message(from_=TO, body="hi")
                await clock.advance(0)
                _, headers, body = endpoint.got[-1]
                parts = headers["X-Ajoxi-Signature"].split(",")
                assert len(parts) == len(secrets)
                return [sign(body, [secret]) == part for secret, part in zip(secrets, parts, strict=True)]

            assert all(await signed_by(first))
            second = sandbox.world().rotate_secret(webhook.id)
            assert len({first, second}) == 2
            assert all(await signed_by(second, first))
            await clock.advance(86_399)
            assert all(await signed_by(second, first))
            await clock.advance(1)
            assert all(await signed_by(second))
            third = sandbox.world().rotate_secret(webhook.id)
            fourth = sandbox.world().rotate_secret(webhook.id)
            assert all(await signed_by(fourth, third))
            with pytest.raises(Refusal):
                sandbox.world().rotate_secret("wh_0000000000")


async def test_retries_on_a_clock_that_runs_by_itself() -> None:
    """On real time, sped up, retries come by themselves, to the dead letter."""
    endpoint = Endpoint(VirtualClock(), 500)
    async with Sandbox(port=None, clock="speed=1000000", post=endpoint.post) as sandbox:
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            await subscribe(client, ["message.received"])
            sandbox.inbound_message(from_=TO, body="hi")
            with anyio.fail_after(5):
                while not sandbox.dead_letters():
                    await anyio.sleep(0.005)
    assert 2 <= len(endpoint.got) <= 11
