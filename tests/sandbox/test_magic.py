"""Magic numbers, each through the real client: the meaning is in the number."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ajoxi_async import (
    APIStatusError,
    AsyncAjoxi,
    InternalServerError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    RetryPolicy,
    Sandbox,
    UnprocessableEntityError,
)
from ajoxi_async.contract.wire import Request
from ajoxi_async.sandbox import VirtualClock
from ajoxi_async.sandbox.outcomes.magic import MAGIC

pytestmark = pytest.mark.anyio

FROM = "+14155550100"


class Stage:
    """A sandbox in memory, a client without retries, and the clock."""

    def __init__(self, sandbox: Sandbox, client: AsyncAjoxi, clock: VirtualClock) -> None:
        self.sandbox, self.client, self.clock = sandbox, client, clock

    async def call(self, last: str, seconds: float = 60.0) -> Any:
        """Call a magic number and see what became of it."""
        call = await self.client.calls.create(to=number(last), from_=FROM)
        await self.clock.advance(seconds)
        return await self.client.calls.retrieve(call.id)

    async def text(self, last: str) -> Any:
        """Text a magic number and see what became of it."""
        await self.client.messages.send(to=number(last), from_=FROM, body="hi")
        await self.clock.advance(60)
        return await self.client.messages.list()


def number(last: str) -> str:
    """The whole number."""
    return f"+1500555{last}"


def ended(disposition: str, *, answered: bool, duration: int) -> Callable[[Stage, str], Awaitable[None]]:
    """A call that ends like this."""

    async def check(stage: Stage, last: str) -> None:
        call = await stage.call(last)
        assert (call.status, call.disposition, call.duration) == ("completed", disposition, duration)
        assert (call.answered_at is not None) == answered

    return check


def refused(error: type[APIStatusError], code: str, *, calls: bool = True) -> Callable[[Stage, str], Awaitable[None]]:
    """Messages are refused, and calls too unless told otherwise; nothing is made."""

    async def check(stage: Stage, last: str) -> None:
        with pytest.raises(error) as caught:
            await stage.client.messages.send(to=number(last), from_=FROM, body="hi")
        assert (caught.value.code, caught.value.param) == (code, "to")
        if calls:
            with pytest.raises(error) as caught:
                await stage.client.calls.create(to=number(last), from_=FROM)
            assert (caught.value.code, caught.value.param) == (code, "to")
        else:
            assert (await stage.call(last)).disposition == "answered"
        assert (await stage.client.messages.list()).data == ()

    return check


def texted(status: str, error: str | None = None) -> Callable[[Stage, str], Awaitable[None]]:
    """A message that ends like this."""

    async def check(stage: Stage, last: str) -> None:
        (message,) = (await stage.text(last)).data
        assert (message.status, message.error, message.delivered_at is not None) == (
            status, error, status == "delivered",
        )  # fmt: skip

    return check


def answered_at_last(*first: str) -> Callable[[Stage, str], Awaitable[None]]:
    """Calls that end like this one after the other, and then are always answered."""

    async def check(stage: Stage, last: str) -> None:
        before = stage.sandbox.snapshot()
        ends = [(await stage.call(last)).disposition for _ in range(len(first) + 2)]
        assert ends == [*first, "answered", "answered"]
        stage.sandbox.restore(before)
        assert (await stage.call(last)).disposition == first[0]
        stage.sandbox.reset()
        assert (await stage.call(last)).disposition == first[0]
        stage.sandbox.inbound_call(from_=number(last))
        await stage.clock.advance(60)
        assert (await stage.client.calls.list()).data[0].disposition == "answered"

    return check


async def endless(stage: Stage, last: str) -> None:
    """Still open after hours; the carrier hangs up after four."""
    call = await stage.call(last, 4 * 3600)
    assert (call.status, call.ended_at) == ("answered", None)
    await stage.clock.advance(1)
    call = await stage.client.calls.retrieve(call.id)
    assert (call.status, call.disposition, call.duration) == ("completed", "answered", 4 * 3600)
    async with stage.client.transcripts.stream(call.id) as live:
        said = [segment async for segment in live]
    assert len(said) > 200
    assert max(segment.end or 0 for segment in said) <= 600


async def angry(stage: Stage, last: str) -> None:
    """The sentiment falls with each line, down to that of the recording."""
    call = await stage.client.calls.create(to=number(last), from_=FROM, record=True)
    await stage.clock.advance(60)
    (recording,) = (await stage.client.recordings.list()).data
    recording = await stage.client.recordings.retrieve(recording.id)
    moods = [segment.sentiment for segment in (await stage.client.transcripts.retrieve(call.id)).segments]
    assert moods == sorted(moods, reverse=True)
    assert len(set(moods)) == len(moods)
    assert (moods[0], moods[-1], recording.sentiment) == (0.0, -0.9, -0.9)
    assert "angry" in str(recording.ai_summary)


async def hung_up(stage: Stage, last: str) -> None:
    """Canceled before the ringing would have ended, and never answered."""
    call = await stage.call(last, 0.3)
    assert (call.status, call.disposition, call.answered_at) == ("completed", "canceled", None)


async def transfer_succeeds(stage: Stage, last: str) -> None:
    """The agent keeps the call."""
    call = await stage.call(last, 1)
    assert (await stage.client.calls.transfer(call.id, agent_id="agent_2")).agent_id == "agent_2"
    await stage.clock.advance(1)
    assert (await stage.client.calls.retrieve(call.id)).agent_id == "agent_2"


async def transfer_returns(stage: Stage, last: str) -> None:
    """The agent does not answer, and the call goes back to the one before."""
    for called, target in (("0100", {"to": number(last)}), (last, {"agent_id": "agent_2"})):
        call = await stage.client.calls.create(to=number(called), from_=FROM, agent_id="agent_1")
        await stage.clock.advance(1)
        await stage.client.calls.transfer(call.id, **target)
        await stage.clock.advance(1)
        call = await stage.client.calls.retrieve(call.id)
        assert (call.status, call.agent_id) == ("answered", "agent_1")


async def transfer_refused(stage: Stage, last: str) -> None:
    """422, and the call goes on."""
    call = await stage.call(last, 1)
    with pytest.raises(UnprocessableEntityError) as caught:
        await stage.client.calls.transfer(call.id, agent_id="agent_2")
    assert caught.value.code == "invalid_state"
    assert (await stage.client.calls.retrieve(call.id)).agent_id is None


async def recording_late(stage: Stage, last: str) -> None:
    """Not there after nine minutes, there after eleven."""
    call = await stage.call(last, 540)
    with pytest.raises(NotFoundError):
        await stage.client.recordings.retrieve(call.recording_id)
    await stage.clock.advance(120)
    assert (await stage.client.recordings.retrieve(call.recording_id)).call_id == call.id


async def recording_fails(stage: Stage, last: str) -> None:
    """Never there."""
    call = await stage.call(last, 86_400)
    assert call.recording_id is not None
    with pytest.raises(NotFoundError):
        await stage.client.recordings.retrieve(call.recording_id)


async def lively(stage: Stage, last: str) -> None:
    """Revisions by the dozen, and people who talk at once; the finals still make a whole conversation."""
    call = await stage.call(last)
    seen = []
    async with stage.client.transcripts.stream(call.id) as live:
        async for segment in live:
            seen.append(segment)
    assert max(segment.revision for segment in seen) >= 6
    finals = {segment.sequence: segment for segment in seen if segment.is_final}
    assert sorted(finals) == list(range(1, len(finals) + 1))
    assert all(finals[place].start < finals[place - 1].end for place in range(2, len(finals) + 1))


async def cut_once(stage: Stage, last: str) -> None:
    """The stream breaks, and goes on where it broke."""
    call = await stage.call(last)
    sent = {"Authorization": f"Bearer {stage.sandbox.api_key}", "Accept": "text/event-stream"}
    request = Request("GET", f"/v1/transcripts/{call.id}", sent)
    first = await stage.sandbox.transport().send(request)
    assert (first.body.count(b"id:"), b"transcript.completed" in first.body) == (3, False)
    async with stage.client.transcripts.stream(call.id, resume_from="3") as rest:
        assert [segment async for segment in rest]


async def replies(stage: Stage, last: str) -> None:
    """An answer comes in the same conversation."""
    reply, sent = (await stage.text(last)).data
    assert (sent.status, reply.direction, reply.from_, reply.to) == ("delivered", "inbound", number(last), FROM)
    assert reply.conversation_id == sent.conversation_id


async def taken(stage: Stage, last: str) -> None:
    """Not to be had, and not to be ported in either."""
    with pytest.raises(UnprocessableEntityError) as caught:
        await stage.client.numbers.provision(phone_number=number(last))
    assert (caught.value.code, caught.value.param) == ("number_unavailable", "phone_number")


async def throttled(stage: Stage, last: str) -> None:
    """The call is placed, the next answer is a 429, and the one after it is not."""
    for _ in range(2):
        assert (await stage.client.calls.create(to=number(last), from_=FROM)).status == "ringing"
        with pytest.raises(RateLimitError) as caught:
            await stage.client.calls.list()
        assert caught.value.retry_after == 1
        await stage.client.calls.list()


async def failing(stage: Stage, last: str) -> None:
    """500 and nothing placed, then it works; each time anew, so that tests do not hang together."""
    for placed in (1, 2):
        with pytest.raises(InternalServerError):
            await stage.client.calls.create(to=number(last), from_=FROM)
        await stage.client.calls.create(to=number(last), from_=FROM)
        assert len((await stage.client.calls.list()).data) == placed


async def late(stage: Stage, last: str) -> None:
    """No answer and nothing placed, for a minute and a half; then the call rings, and the text is sent."""
    with pytest.raises(OutcomeUnknownError) as caught:
        await stage.client.calls.create(to=number(last), from_=FROM)
    with pytest.raises(OutcomeUnknownError):
        await stage.client.messages.send(to=number(last), from_=FROM, body="hi")
    await stage.clock.advance(89)
    assert (await stage.client.calls.reconcile(caught.value)).call is None
    assert stage.sandbox.world().rings() == ()
    assert (await stage.client.messages.list()).data == ()
    await stage.clock.advance(1)
    (ring,) = stage.sandbox.world().rings(number(last))
    assert (await stage.client.calls.retrieve(ring.call_id)).status == "ringing"
    assert len((await stage.client.messages.list()).data) == 1


TABLE: dict[str, Callable[[Stage, str], Awaitable[None]]] = {
    "0100": ended("answered", answered=True, duration=3),
    "0101": ended("no_answer", answered=False, duration=0),
    "0102": ended("busy", answered=False, duration=0),
    "0103": ended("failed", answered=False, duration=0),
    "0104": ended("voicemail", answered=True, duration=3),
    "0105": answered_at_last("no_answer"),
    "0106": hung_up,
    "0107": ended("failed", answered=True, duration=2),
    "0108": answered_at_last("busy", "busy"),
    "0109": endless,
    "0110": transfer_succeeds,
    "0111": transfer_returns,
    "0112": transfer_refused,
    "0120": recording_late,
    "0121": recording_fails,
    "0122": lively,
    "0123": cut_once,
    "0124": angry,
    "0130": refused(UnprocessableEntityError, "unreachable_destination"),
    "0131": refused(UnprocessableEntityError, "opted_out"),
    "0132": refused(PermissionDeniedError, "permission_denied"),
    "0140": texted("delivered"),
    "0141": texted("failed", "undelivered"),
    "0142": texted("sent"),
    "0143": replies,
    "0144": refused(UnprocessableEntityError, "unreachable_destination", calls=False),
    "0150": taken,
    "0160": throttled,
    "0161": failing,
    "0162": late,
}


@pytest.mark.parametrize("last", TABLE)
async def test_magic_numbers(last: str) -> None:
    """Each number does what the table says, whatever the seed."""
    clock = VirtualClock()
    async with Sandbox(port=None, clock=clock, seed=int(last)) as sandbox:
        async with AsyncAjoxi(
            sandbox.api_key, transport=sandbox.transport(), retry=RetryPolicy(max_retries=0)
        ) as client:
            await TABLE[last](Stage(sandbox, client, clock), last)


def test_the_table_is_whole() -> None:
    """Every magic number is tested here and documented, with its meaning word for word."""
    assert MAGIC.keys() == {number(last) for last in TABLE}
    page = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()
    documented = dict(re.findall(r"^\| `(01\d\d)` \| (.+?) \|$", page, re.MULTILINE))
    assert documented == {phone[-4:]: entry.meaning for phone, entry in MAGIC.items()}


async def test_inbound_from_magic_numbers() -> None:
    """A caller with a magic number behaves like the number: 0107 is dropped, 0121 leaves no recording."""
    clock = VirtualClock()
    async with Sandbox(port=None, clock=clock) as sandbox:
        sandbox.inbound_call(from_=number("0107"))
        await clock.advance(60)
        async with AsyncAjoxi(sandbox.api_key, transport=sandbox.transport()) as client:
            (call,) = (await client.calls.list()).data
    assert (call.disposition, call.duration) == ("failed", 2)
