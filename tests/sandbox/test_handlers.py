"""What each endpoint of the sandbox does to its account, where the tests through both ends do not look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ajoxi_async import AsyncAjoxi, Sandbox, UnprocessableEntityError
from ajoxi_async.sandbox import Timing

pytestmark = pytest.mark.anyio

TO, FROM = "+14155551234", "+14155550100"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox whose time the test moves."""
    async with Sandbox(port=None, clock="manual", rate_limit=None) as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncAjoxi]:
    """A client of it."""
    async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        yield client


async def test_what_is_put_to_a_number_is_kept(client: AsyncAjoxi) -> None:
    """numbers.update changes the number itself: later reads show it, and what was not given stays."""
    (number,) = [number async for number in client.numbers.search(status="active")]
    await client.numbers.update(number.id, routing={"kind": "forward", "target": TO})
    answered = await client.numbers.update(number.id, caller_id={"name": "Northwind"})
    (kept,) = [number async for number in client.numbers.search(status="active")]
    assert kept == answered
    assert (kept.routing.target, kept.caller_id.name, kept.sms) == (TO, "Northwind", number.sms)
    await client.numbers.update(number.id, sms={"enabled": False})
    (kept,) = [number async for number in client.numbers.search(status="active")]
    assert (kept.routing.target, kept.caller_id.name, kept.sms.enabled) == (TO, "Northwind", False)
    with pytest.raises(UnprocessableEntityError, match="does not send messages"):
        await client.messages.send(to=TO, from_=FROM, body="Hello")


@pytest.mark.parametrize("from_", ["+14155550999", "+12125550123"], ids=["of nobody", "still porting"])
async def test_nothing_comes_from_a_number_that_is_not_active_here(client: AsyncAjoxi, from_: str) -> None:
    """Calls, campaigns and messages from a number that is not an active one of the account are refused, and none is kept."""
    port = {"carrier": "Oldtel", "account_number": "42", "authorized_by": "J. Doe"}
    await client.numbers.provision(phone_number="+12125550123", port=port)
    asked: list[tuple[Any, dict[str, Any]]] = [
        (client.calls.create, {"to": TO}),
        (client.calls.create_campaign, {"name": "Autumn", "mode": "power", "contacts": [TO]}),
        (client.messages.send, {"to": TO, "body": "Hello"}),
    ]
    for method, parameters in asked:
        with pytest.raises(UnprocessableEntityError) as caught:
            await method(from_=from_, **parameters)
        assert (caught.value.code, caught.value.param) == ("invalid_parameter", "from")
    assert not (await client.calls.list()).data
    assert not (await client.messages.list()).data


async def test_a_campaign_refuses_contacts_that_cannot_be_reached(client: AsyncAjoxi) -> None:
    """One contact without a route refuses the whole campaign."""
    with pytest.raises(UnprocessableEntityError) as caught:
        await client.calls.create_campaign(name="x", mode="power", contacts=[TO, "+99955512345"], from_=FROM)
    assert caught.value.code == "unreachable_destination"
    assert not (await client.calls.list()).data


async def test_every_list_has_fifty_items_a_page_by_default(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """API reference: Pagination. A page without `limit` holds 50 items, whatever is listed."""
    for number in range(51):
        sandbox.inbound_message(from_=f"+1415555{2000 + number}", body="hi")
        await client.calls.create(to=f"+1415555{2000 + number}", from_=FROM, record=True)
    await sandbox.clock.advance(3600)
    for number in range(51):
        await client.webhooks.create(url=f"http://127.0.0.1:9/{number}", events=["call.completed"])
    lists = (client.calls, client.messages, client.recordings, client.webhooks)
    for pager in [client.numbers.search(), *(each.list() for each in lists)]:
        page = await pager
        assert (len(page.data), page.has_more) == (50, True)
    taken = [number.phone_number for number in (await client.numbers.search(limit=51)).data]
    for phone_number in taken:
        await client.numbers.provision(phone_number=str(phone_number))
    assert len((await client.numbers.search(status="active")).data) == 50


async def test_the_accounts_own_numbers_are_filtered_too(client: AsyncAjoxi) -> None:
    """numbers.search with a status obeys every other filter as well."""
    assert [number.phone_number async for number in client.numbers.search(status="active", area_code="415")] == [FROM]
    for wrong in ({"country": "DE"}, {"area_code": "212"}, {"type": "toll_free"}, {"contains": "999999"}):
        assert not [number async for number in client.numbers.search(status="active", **wrong)]


@pytest.mark.parametrize("by_ai", [True, False])
async def test_who_speaks(client: AsyncAjoxi, sandbox: Sandbox, by_ai: bool) -> None:
    """The receptionist speaks in the calls it takes, an agent in all others."""
    call = await client.calls.create(to=TO, from_=FROM, ai_receptionist=by_ai)
    await sandbox.clock.advance(3600)
    transcript = await client.transcripts.retrieve(call.id)
    assert {str(segment.speaker) for segment in transcript.segments} == {"ai" if by_ai else "agent", "customer"}


async def test_a_cut_stream_has_said_one_thing_by_default(sandbox: Sandbox) -> None:
    """``sse_cut`` cuts after one segment unless told otherwise."""
    assert sandbox.faults.add(action="sse_cut").events == 1


async def test_everything_takes_the_time_that_was_set() -> None:
    """A call rings and talks, a recording and a message come, as long after the request as `Timing` says."""
    timing = Timing(ring=7, talk=60, processing=11, sms_sent=3, sms_delivered=5)
    async with (
        Sandbox(port=None, clock="manual", timing=timing) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
    ):
        call = await client.calls.create(to="+15005550100", from_=FROM, record=True)
        message = await client.messages.send(to="+15005550100", from_=FROM, body="Hello")
        happened = await sandbox.clock.advance(600)
        came = {(fired.what, (fired.at - call.created_at).total_seconds()) for fired in happened}
        call = await client.calls.retrieve(call.id)
        (message,) = (await client.messages.list()).data
    assert {("call.answered", 7), ("message.sent", 3), ("message.delivered", 8)} <= came
    assert (call.ended_at - call.answered_at).total_seconds() == call.duration == 60
    assert ("recording.ready", (call.ended_at - call.created_at).total_seconds() + 11) in came
    assert (message.delivered_at - message.created_at).total_seconds() == 8


async def test_a_transfer_that_nobody_answers_returns_after_ringing() -> None:
    """A call that was transferred in vain is the new agent's while it rings there, and then its own agent's again."""
    timing = Timing(ring=7, talk=60)
    async with (
        Sandbox(port=None, clock="manual", timing=timing) as sandbox,
        AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client,
    ):
        call = await client.calls.create(to="+15005550111", from_=FROM, agent_id="agent_1")
        await sandbox.clock.advance(10)
        await client.calls.transfer(call.id, agent_id="agent_2")
        await sandbox.clock.advance(6)
        assert (await client.calls.retrieve(call.id)).agent_id == "agent_2"
        await sandbox.clock.advance(2)
        assert (await client.calls.retrieve(call.id)).agent_id == "agent_1"
