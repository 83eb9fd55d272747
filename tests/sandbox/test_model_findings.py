"""Defects of the sandbox that comparing it with the model (`test_model`) has found, each as a plain test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio.lowlevel
import pytest

from ajoxi_async import AsyncAjoxi, Sandbox
from ajoxi_async.sandbox import Refusal

pytestmark = pytest.mark.anyio

FROM, MAGIC = "+14155550100", "+1500555"


@pytest.fixture
async def got() -> list[str]:
    """The types of the events that were delivered. The endpoint answers 410 to the first, 500 to others."""
    return []


@pytest.fixture
async def sandbox(got: list[str]) -> AsyncIterator[Sandbox]:
    """A sandbox whose time the test moves."""

    async def post(url: str, headers: dict[str, str], body: bytes) -> int:
        got.append(json.loads(body)["type"])
        first = len(got) == 1
        await anyio.lowlevel.checkpoint()
        return 410 if first else 500

    async with Sandbox(port=None, clock="manual", post=post) as sandbox:
        yield sandbox


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncAjoxi]:
    """A client of it."""
    async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
        yield client


async def test_410_ends_all_deliveries_of_its_webhook(client: AsyncAjoxi, sandbox: Sandbox, got: list[str]) -> None:
    """A disabled webhook has no pending deliveries; attempts of the same instant are in the log all the same."""
    webhook = await client.webhooks.create(url="http://127.0.0.1:9/", events=["message.received"])
    for _ in range(2):
        sandbox.inbound_message(from_="+14155551234", body="hi")
    await sandbox.clock.advance(0)
    assert len(got) == 2
    assert sandbox.world().pending() == ()
    assert {attempt.status for attempt in sandbox.world().deliveries(webhook.id)} == {410, 500}


async def test_no_reply_to_a_number_that_is_gone(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """Messages arrive at numbers of the account only (API reference: message.received), replies of 0143 too."""
    await client.messages.send(to=f"{MAGIC}0143", from_=FROM, body="hi")
    (number,) = (await client.numbers.search(status="active")).data
    await client.numbers.release(number.id)
    await sandbox.clock.advance(60)
    assert [message.direction for message in (await client.messages.list()).data] == ["outbound"]


async def test_a_number_without_messages_receives_none(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """Where `sms.enabled` is false, an inbound message is refused and a reply is lost."""
    await client.messages.send(to=f"{MAGIC}0143", from_=FROM, body="hi")
    (number,) = (await client.numbers.search(status="active")).data
    await client.numbers.update(number.id, sms={"enabled": False})
    with pytest.raises(Refusal) as caught:
        sandbox.inbound_message(from_="+14155551234", body="hi")
    assert caught.value.code == "invalid_state"
    await sandbox.clock.advance(60)
    assert len((await client.messages.list()).data) == 1


async def test_a_port_that_was_given_up_does_not_end_the_next_one(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """A number that is released while it is ported in, and ported in again, is active when the second port is over."""
    offered = str((await client.numbers.search(limit=1)).data[0].phone_number)
    port = {"carrier": "Oldtel", "account_number": "42", "authorized_by": "J. Doe"}
    number = await client.numbers.provision(phone_number=offered, port=port)
    await sandbox.clock.advance(3)
    await client.numbers.release(number.id)
    await client.numbers.provision(phone_number=offered, port=port)
    states = []
    for seconds in (3, 2):
        await sandbox.clock.advance(seconds)
        states.append(len((await client.numbers.search(status="active")).data))
    assert states == [1, 2]


async def test_a_transfer_that_returns_undoes_no_later_one(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """An unanswered transfer to a number leaves the agent of a later transfer as it is."""
    call = await client.calls.create(to=f"{MAGIC}0100", from_=FROM)
    await sandbox.clock.advance(1)
    await client.calls.transfer(call.id, to=f"{MAGIC}0111")
    await client.calls.transfer(call.id, agent_id="agent_2")
    await sandbox.clock.advance(1)
    assert (await client.calls.retrieve(call.id)).agent_id == "agent_2"


async def test_of_two_transfers_that_return_the_first_holder_has_the_call(client: AsyncAjoxi, sandbox: Sandbox) -> None:
    """While the second transfer rings it shows; in the end the call is with whom it was with before the first."""
    call = await client.calls.create(to=f"{MAGIC}0111", from_=FROM, agent_id="agent_1")
    await sandbox.clock.advance(1)
    await client.calls.transfer(call.id, agent_id="agent_2")
    await sandbox.clock.advance(0.3)
    await client.calls.transfer(call.id, agent_id="agent_3")
    agents = []
    for _ in range(2):
        await sandbox.clock.advance(0.2)
        agents.append((await client.calls.retrieve(call.id)).agent_id)
    assert agents == ["agent_3", "agent_1"]
