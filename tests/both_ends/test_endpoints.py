"""Every endpoint, client and sandbox together: over a socket on asyncio and uvloop, in memory on asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from ajoxi_async import (
    AsyncAjoxi,
    AuthenticationError,
    BadRequestError,
    CallStatus,
    NotFoundError,
    Port,
    Routing,
    RoutingKind,
    Sandbox,
    UnprocessableEntityError,
)
from ajoxi_async.sandbox import Timing

pytestmark = pytest.mark.anyio

TO, FROM = "+14155551234", "+14155550100"
QUICK = Timing(ring=0.02, talk=0.1, processing=0.02, sms_sent=0.01, sms_delivered=0.01, porting=0.05, campaign_pace=100)

WAYS = [
    pytest.param((("asyncio", {"use_uvloop": False}), True), id="asyncio-socket"),
    pytest.param((("asyncio", {"use_uvloop": True}), True), id="uvloop-socket"),
    pytest.param((("asyncio", {"use_uvloop": False}), False), id="asyncio-memory"),
    pytest.param((("trio", {}), False), id="trio-memory"),
]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Any:
    """A backend, and whether there is a socket."""
    return request.param


@pytest.fixture
def anyio_backend(way: Any) -> Any:
    """The backend of the way."""
    return way[0]


@pytest.fixture
async def sandbox(way: Any) -> AsyncIterator[Sandbox]:
    """A quick sandbox."""
    async with Sandbox(port=0 if way[1] else None, timing=QUICK, rate_limit=None) as sandbox:
        yield sandbox


def client_of(way: Any, sandbox: Sandbox) -> AsyncAjoxi:
    """A client of a sandbox."""
    reach: dict[str, Any] = {"base_url": sandbox.base_url} if way[1] else {"transport": sandbox.transport()}
    return AsyncAjoxi(sandbox.api_key, **reach)


@pytest.fixture
async def client(way: Any, sandbox: Sandbox) -> AsyncIterator[AsyncAjoxi]:
    """A client of the quick sandbox."""
    async with client_of(way, sandbox) as client:
        yield client


async def until(condition: Any, what: Any) -> Any:
    """Ask again and again, for a few seconds at most."""
    with anyio.fail_after(5):
        while not condition(seen := await what()):
            await anyio.sleep(0.01)
    return seen


async def test_a_call_from_beginning_to_end(client: AsyncAjoxi) -> None:
    """calls.create, calls.retrieve: queued, ringing, answered, completed, with everything a finished call has."""
    call = await client.calls.create(
        to=TO, from_=FROM, ai_receptionist=True, record=True, ring_timeout=30, metadata={"ref": "7"}, agent_id="agent_1"
    )
    assert (call.status, call.ai_handler, call.metadata, call.agent_id) == (
        "ringing", "receptionist_v2", {"ref": "7"}, "agent_1",
    )  # fmt: skip
    done = await until(lambda c: c.status == "completed", lambda: client.calls.retrieve(call.id))
    assert (done.disposition, done.direction, done.from_, done.to) == ("answered", "outbound", FROM, TO)
    assert done.created_at <= done.answered_at <= done.ended_at
    assert done.duration == round((done.ended_at - done.answered_at).total_seconds())
    assert done.recording_id and done.recording_url and done.transcript_id


async def test_lists_of_calls(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """calls.list: newest first, with every filter, page after page."""
    sandbox.seed_calls(120)
    mine = [await client.calls.create(to=TO, from_=FROM, metadata={"team": team}) for team in ("a", "b")]
    everything = [call async for call in client.calls.list(limit=50)]
    assert len(everything) == 122
    assert [call.id for call in everything[:2]] == [mine[1].id, mine[0].id]
    assert sorted(everything, key=lambda c: c.created_at, reverse=True) == everything
    assert [call.id async for call in client.calls.list(metadata={"team": "a"})] == [mine[0].id]
    completed = [c async for c in client.calls.list(status=CallStatus.COMPLETED, direction="outbound")]
    assert len(completed) >= 120
    assert not [c async for c in client.calls.list(direction="inbound")]
    middle = everything[60].created_at
    after = [c async for c in client.calls.list(created_after=middle)]
    before = [c async for c in client.calls.list(created_before=middle)]
    assert [c.id for c in after + before] == [c.id for c in everything]
    assert after[-1].created_at == middle


async def test_transfer(way: Any) -> None:
    """calls.transfer: an active call moves, one that has ended does not."""
    async with (
        Sandbox(port=0 if way[1] else None, timing=QUICK, clock="manual") as sandbox,
        client_of(way, sandbox) as client,
    ):
        call = await client.calls.create(to=TO, from_=FROM)
        await sandbox.clock.advance(QUICK.ring)
        assert (await client.calls.transfer(call.id, agent_id="agent_2")).agent_id == "agent_2"
        await sandbox.clock.advance(QUICK.talk)
        for target in ({"extension": "204"}, {"to": "ext:204"}, {"to": TO}):
            with pytest.raises(UnprocessableEntityError) as caught:
                await client.calls.transfer(call.id, **target)
            assert caught.value.code == "invalid_state"


async def test_campaign(client: AsyncAjoxi) -> None:
    """calls.create_campaign: every contact is called, and found by the campaign's id."""
    contacts = [f"+1415555{number}" for number in range(2000, 2010)]
    campaign = await client.calls.create_campaign(name="Autumn", mode="power", contacts=contacts, from_=FROM)
    assert (campaign.status, campaign.calls_queued) == ("queued", 10)

    async def calls() -> list[Any]:
        return [call async for call in client.calls.list(campaign_id=campaign.id)]

    done = await until(lambda found: all(c.status == "completed" for c in found), calls)
    assert sorted(call.to for call in done) == contacts


async def test_numbers(client: AsyncAjoxi) -> None:
    """numbers.search, numbers.provision, numbers.update, numbers.release: a number's whole life."""
    found = [n async for n in client.numbers.search(type="toll_free", area_code="800", capability="sms", limit=25)]
    assert found and all(n.phone_number.startswith("+1800") and n.status == "available" for n in found)
    (same,) = [n async for n in client.numbers.search(contains=found[0].phone_number[1:])]
    assert same == found[0]
    assert {n.country async for n in client.numbers.search(country="DE")} == {"DE"}

    taken = await client.numbers.provision(phone_number=found[0].phone_number, sms={"enabled": True})
    assert (taken.status, taken.sms.enabled) == ("active", True)
    changed = await client.numbers.update(
        taken.id, routing=Routing(kind=RoutingKind.FORWARD, target=TO), caller_id={"name": "Northwind"}
    )
    assert (changed.routing.target, changed.caller_id.name, changed.sms.enabled) == (TO, "Northwind", True)
    own = [n.phone_number async for n in client.numbers.search(status="active")]
    assert own == [taken.phone_number, FROM]
    assert taken.phone_number not in [n.phone_number async for n in client.numbers.search(type="toll_free")]
    with pytest.raises(UnprocessableEntityError, match="number_unavailable"):
        await client.numbers.provision(phone_number=taken.phone_number)

    await client.numbers.release(taken.id)
    with pytest.raises(NotFoundError):
        await client.numbers.release(taken.id)


async def test_porting(client: AsyncAjoxi) -> None:
    """A number that is ported in is porting first and active later."""
    port = Port(carrier="Oldtel", account_number="42", authorized_by="J. Doe")
    number = await client.numbers.provision(phone_number="+12125550123", port=port)
    assert number.status == "porting"

    async def active() -> list[str]:
        return [n.phone_number async for n in client.numbers.search(status="active")]

    await until(lambda own: "+12125550123" in own, active)


async def test_messages(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """messages.send, messages.list: queued, sent, delivered; filters by direction, channel and conversation."""
    sent = await client.messages.send(to=TO, from_=FROM, body="x" * 161)
    assert (sent.status, sent.segments, sent.channel, sent.direction) == ("queued", 2, "sms", "outbound")
    await client.messages.send(to=TO, from_=FROM, media_urls=["https://a.example/cat.jpg"])
    await client.messages.send(to=TO, from_=FROM, template_id="tmpl_1", template_variables={"name": "Ann"})
    reply = sandbox.inbound_message(from_=TO, body="thanks")

    async def outbound() -> list[Any]:
        return [m async for m in client.messages.list(direction="outbound")]

    delivered = await until(lambda ms: all(m.status == "delivered" for m in ms), outbound)
    assert len(delivered) == 3
    assert [m.media[0].url async for m in client.messages.list(channel="mms")] == ["https://a.example/cat.jpg"]
    conversation = [m.id async for m in client.messages.list(conversation_id=sent.conversation_id)]
    assert len(conversation) == 4
    assert conversation[0] == reply.id


async def test_opting_out(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """After STOP nothing is sent to a recipient, after START again."""
    sandbox.inbound_message(from_=TO, body=" stop ")
    with pytest.raises(UnprocessableEntityError) as caught:
        await client.messages.send(to=TO, from_=FROM, body="hi")
    assert (caught.value.code, caught.value.param) == ("opted_out", "to")
    sandbox.inbound_message(from_=TO, body="START")
    await client.messages.send(to=TO, from_=FROM, body="hi")


async def test_recordings_and_transcripts(client: AsyncAjoxi, sandbox: Sandbox, tmp_path: Path) -> None:
    """recordings.list, recordings.retrieve, recordings.download, download_to and stream, transcripts.retrieve, by any of its
    three ids."""
    call = await client.calls.create(to=TO, from_=FROM, ai_receptionist=True, agent_id="agent_7")

    async def recordings() -> list[Any]:
        return [r async for r in client.recordings.list(agent_id="agent_7")]

    (listed,) = await until(bool, recordings)
    assert listed.transcript is None
    recording = await client.recordings.retrieve(listed.id)
    assert recording.ai_summary and -1 <= recording.sentiment <= 1
    assert recording.call_id == call.id
    assert len(await client.recordings.download(recording)) == recording.size
    audio = await client.recordings.download(recording)
    assert await client.recordings.download(recording.id) == audio
    assert await client.recordings.download_to(recording, tmp_path / "a.wav") == recording.size
    assert (tmp_path / "a.wav").read_bytes() == audio
    async with client.recordings.stream(recording.id) as stream:
        assert (stream.size, stream.content_type) == (recording.size, "audio/wav")
        assert b"".join([chunk async for chunk in stream]) == audio
    for id in (recording.id, call.id, recording.transcript.id):
        assert await client.transcripts.retrieve(id) == recording.transcript
    assert [s.sequence for s in recording.transcript.segments] == list(range(1, len(recording.transcript.segments) + 1))
    day = timedelta(days=1)
    assert not [r async for r in client.recordings.list(created_after=recording.created_at + day)]
    assert not [r async for r in client.recordings.list(created_before=recording.created_at - day)]


async def test_live_transcript(client: AsyncAjoxi) -> None:
    """transcripts.stream: opened while it rings, it ends with what the finished transcript holds."""
    call = await client.calls.create(to=TO, from_=FROM, ai_receptionist=True)
    async with client.transcripts.stream(call.id) as live:
        seen = [segment async for segment in live]
        assert any(not segment.is_final for segment in seen)
        finals = live.finals()
    assert finals == (await client.transcripts.retrieve(call.id)).segments
    async with client.transcripts.stream(call.id, interim=False) as replay:
        assert (await replay.until_done()).segments == finals
    async with client.transcripts.stream(call.id, resume_from=replay.last_event_id) as nothing:
        assert not [segment async for segment in nothing]


async def test_live_transcript_of_a_call_nobody_answered(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """A call that is not answered completes its stream without a segment."""
    sandbox.seed_calls(100)
    unanswered = next(c for c in [c async for c in client.calls.list()] if c.disposition == "no_answer")
    async with client.transcripts.stream(unanswered.id) as live:
        assert not [segment async for segment in live]


async def test_webhook_subscriptions(client: AsyncAjoxi) -> None:
    """webhooks.create, webhooks.list, webhooks.delete: the secret is in the creation's answer and in no other."""
    made = await client.webhooks.create(url="https://example.com/hook", events=["call.start", "message.received"])
    assert made.secret.startswith("whsec_")
    assert made.events == ("call.started", "message.received")
    (listed,) = [w async for w in client.webhooks.list()]
    assert (listed.id, listed.secret, listed.status) == (made.id, None, "enabled")
    await client.webhooks.delete(made.id)
    with pytest.raises(NotFoundError):
        await client.webhooks.delete(made.id)


async def test_what_the_server_refuses(client: AsyncAjoxi) -> None:
    """What only the server can know comes back as the documented error, with code and parameter."""

    async def refusal(call: Awaitable[Any]) -> tuple[str | None, str | None]:
        with pytest.raises((UnprocessableEntityError, NotFoundError, BadRequestError)) as caught:
            await call
        assert caught.value.request_id is not None
        assert len(caught.value.request_id) == len("req_") + 16
        return caught.value.code, caught.value.param

    assert await refusal(client.calls.create(to="+9995551234", from_=FROM)) == ("unreachable_destination", "to")
    assert await refusal(client.calls.create(to=TO, from_="+14155550199")) == ("invalid_parameter", "from")
    assert await refusal(client.calls.retrieve("call_nope")) == ("not_found", None)
    assert await refusal(client.transcripts.retrieve("tr_nope")) == ("not_found", None)
    assert await refusal(client.numbers.provision(phone_number="+12125550123")) == (
        "number_unavailable",
        "phone_number",
    )

    async def first(pager: Any) -> None:
        await pager

    assert await refusal(first(client.calls.list(cursor="made-up"))) == ("invalid_parameter", "cursor")
    assert await refusal(first(client.calls.list(extra_query={"colour": "red"}))) == ("invalid_parameter", "colour")


async def test_worlds_are_separate(client: AsyncAjoxi, sandbox: Sandbox, way: Any) -> None:
    """Each key sees its own account, and a live key another world than a test key."""
    call = await client.calls.create(to=TO, from_=FROM)
    reach: dict[str, Any] = {"base_url": sandbox.base_url} if way[1] else {"transport": sandbox.transport()}
    for key in ("AJX_TEST_somebody_else", "AJX_LIVE_" + sandbox.api_key.removeprefix("AJX_TEST_")):
        async with AsyncAjoxi(key, allow_live=True, **reach) as other:
            with pytest.raises(NotFoundError):
                await other.calls.retrieve(call.id)


async def test_a_wrong_key(sandbox: Sandbox, way: Any) -> None:
    """With strict keys, a key that was not minted is refused."""
    async with Sandbox(port=0 if way[1] else None, strict_keys=True) as strict:
        reach: dict[str, Any] = {"base_url": strict.base_url} if way[1] else {"transport": strict.transport()}
        async with AsyncAjoxi("AJX_TEST_invented", **reach) as client:
            with pytest.raises(AuthenticationError):
                await client.calls.list()
        async with AsyncAjoxi(strict.api_key, **reach) as client:
            assert (await client.calls.list()).data == ()
