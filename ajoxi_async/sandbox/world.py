"""The state of one account, and everything that can be done to it. No I/O, no waiting, no wall clock, no chance.

Rules:
1. A command is a method: it takes the present moment, changes the state or raises `Refusal`, and returns what the API
   answers. What will happen later is a timer in the one heap; `run_due` makes it happen.
2. A transition emits its webhook event into the outbox, from which deliveries are made.
3. The same seed and the same commands at the same moments give the same ids, cursors and bodies.
4. What a call will come to is decided when it is placed, by the numbers involved and the seed: see `plan_for`.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count

from attrs import define, evolve, field, frozen

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.calls import Call, CallStatus, Campaign, Direction
from ajoxi_async.contract.messages import Channel, Message, MessageStatus
from ajoxi_async.contract.numbers import Number, NumberStatus, Routing, RoutingKind, SmsConfig
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.webhooks import EventType, Webhook, WebhookStatus
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox.ids import Minter
from ajoxi_async.sandbox.insights import recording_of, transcript_of
from ajoxi_async.sandbox.magic import magic
from ajoxi_async.sandbox.plans import Plan, Timing, plan_for
from ajoxi_async.sandbox.segments import count_segments
from ajoxi_async.sandbox.store import Store

__all__ = ["Account", "Emitted", "Refusal", "at", "conversation_between"]

#: The number every account has from the start, so that the reference's own request works.
FIRST_NUMBER = "+14155550100"


class Refusal(Exception):
    """The API's answer to a command that cannot be carried out; `status` where it is not the code's own."""

    def __init__(self, code: str, message: str, param: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.status = status


@frozen
class Emitted:
    """An event on its way to the webhooks."""

    id: str
    type: EventType
    moment: float
    data: Resource


def at(moment: float) -> datetime:
    """Seconds since the epoch as an aware time, to the millisecond that travels."""
    return datetime.fromtimestamp(round(moment, 3), UTC)


def conversation_between(one: str, other: str) -> str:
    """The conversation of two numbers, whichever of them writes."""
    pair = "/".join(sorted((one, other)))
    return f"conv_{hashlib.sha256(pair.encode()).hexdigest()[:10]}"


def _call_keys(call: Call) -> list[tuple[str, str]]:
    keys = [("direction", str(call.direction))]
    if call.campaign_id is not None:
        keys.append(("campaign_id", call.campaign_id))
    keys.extend((f"metadata[{name}]", value) for name, value in call.metadata.items())
    return keys


def _message_keys(message: Message) -> list[tuple[str, str]]:
    return [
        ("direction", str(message.direction)),
        ("channel", str(message.channel)),
        ("conversation_id", message.conversation_id or ""),
    ]


@define(eq=False)
class Account:
    """Everything one API key sees."""

    seed: int
    mode: Mode
    key_seed: str
    inventory: tuple[Number, ...]
    timing: Timing
    media_url: str
    created_at: float
    calls: Store[Call] = field(factory=lambda: Store(_call_keys), init=False)
    messages: Store[Message] = field(factory=lambda: Store(_message_keys), init=False)
    recordings: Store[Recording] = field(
        factory=lambda: Store(lambda item: [("agent_id", item.agent_id)] if item.agent_id else []), init=False
    )
    numbers: Store[Number] = field(factory=Store, init=False)
    webhooks: Store[Webhook] = field(factory=Store, init=False)
    owned: dict[str, str] = field(factory=dict, init=False)
    opted_out: set[str] = field(factory=set, init=False)
    to_record: set[str] = field(factory=set, init=False)
    throttled: bool = field(default=False, init=False)
    _failed: set[str] = field(factory=set, init=False)
    _call_of: dict[str, str] = field(factory=dict, init=False)
    secrets: dict[str, str] = field(factory=dict, init=False)
    outbox: deque[Emitted] = field(factory=deque, init=False)
    _timers: list[tuple[float, int, Callable[[float], None]]] = field(factory=list, init=False)
    _order: count[int] = field(factory=count, init=False)
    _minter: Minter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._minter = Minter(f"{self.seed}/{self.key_seed}")
        self._own(
            Number(
                id=self.mint("num"),
                phone_number=FIRST_NUMBER,
                type=self.inventory[0].type,
                country="US",
                region="CA",
                capabilities=self.inventory[0].capabilities,
                status=NumberStatus.ACTIVE,
                routing=Routing(kind=RoutingKind.AI_RECEPTIONIST),
                sms=SmsConfig(enabled=True),
                created_at=at(self.created_at),
            )
        )

    def mint(self, prefix: str) -> str:
        """A new id."""
        return self._minter.mint(prefix)

    # Time

    def later(self, moment: float, action: Callable[[float], None]) -> None:
        """Have `action` done at a moment."""
        heapq.heappush(self._timers, (moment, next(self._order), action))

    @property
    def next_due(self) -> float | None:
        """The moment of the next timer."""
        return self._timers[0][0] if self._timers else None

    def run_due(self, now: float) -> None:
        """Do what is due, each thing at its own instant and in order."""
        while self._timers and self._timers[0][0] <= now:
            moment, _, action = heapq.heappop(self._timers)
            action(moment)

    def emit(self, kind: EventType, data: Resource, moment: float) -> None:
        """Tell the webhooks."""
        self.outbox.append(Emitted(self.mint("evt"), kind, moment, data))

    def trouble(self, number: str) -> None:
        """Have the trouble that a magic number asks for."""
        trouble = magic(number).trouble
        if trouble == "throttled":
            self.throttled = True
        elif trouble == "failing" and number not in self._failed:
            self._failed.add(number)
            raise Refusal("internal_error", "this number fails once; ask again")
        self._failed.discard(number)

    def cuts(self, call: Call) -> bool:
        """Whether this stream of a call is the one that is cut."""
        if "cut" not in {magic(call.to).transcript, magic(call.from_).transcript} or call.id in self._failed:
            return False
        self._failed.add(call.id)
        return True

    # Calls

    def plan(self, call: Call) -> Plan:
        """What a call comes to, and when."""
        return plan_for(call, self.seed, self.timing, record=call.id in self.to_record)

    def place_call(self, call: Call, now: float, *, record: bool = False, wait: float = 0.0) -> Call:
        """Queue a call and let it ring after `wait` seconds, at once by default."""
        self.calls.add(call)
        if record:
            self.to_record.add(call.id)
        if wait > 0:
            self.later(now + wait, partial(self._ring, call.id))
        else:
            self._ring(call.id, now)
        return self.calls.get(call.id) or call

    def _ring(self, id: str, now: float) -> None:
        call = self._change(id, status=CallStatus.RINGING)
        plan = self.plan(call)
        self.emit(EventType.CALL_STARTED, call, now)
        if plan.answered:
            self.later(now + plan.ring, partial(self._answer, id))
        else:
            self.later(now + plan.ring, partial(self._end, id))

    def _answer(self, id: str, now: float) -> None:
        call = self._change(id, status=CallStatus.ANSWERED, answered_at=at(now), transcript_id=self._transcript_id(id))
        self.emit(EventType.CALL_ANSWERED, call, now)
        self.later(now + self.plan(call).talk, partial(self._end, id))

    def _transcript_id(self, call_id: str) -> str:
        transcript_id = self.mint("tr")
        self._call_of[transcript_id] = call_id
        return transcript_id

    def find_call(self, id: str) -> Call | None:
        """The call that a call's, a transcript's or a recording's id belongs to."""
        recording = self.recordings.get(id)
        return self.calls.get((recording.call_id or "") if recording is not None else self._call_of.get(id, id))

    def _end(self, id: str, now: float) -> None:
        before = self.calls.get(id)
        assert before is not None
        plan = self.plan(before)
        ended = at(now)
        changes: dict[str, object] = {
            "status": CallStatus.COMPLETED,
            "ended_at": ended,
            "disposition": plan.disposition,
        }
        if before.answered_at is not None:
            changes["duration"] = round((ended - before.answered_at).total_seconds())
            if plan.recorded:
                recording_id = self.mint("rec")
                changes |= {"recording_id": recording_id, "recording_url": f"{self.media_url}/{recording_id}.wav"}
                if plan.processing is not None:
                    self.later(now + plan.processing, partial(self._record, id))
        else:
            changes["duration"] = 0
        self.emit(EventType.CALL_COMPLETED, self._change(id, **changes), now)

    def _record(self, id: str, now: float) -> None:
        call = self.calls.get(id)
        assert call is not None
        recording = recording_of(call, at(now))
        self.recordings.add(recording)
        self.emit(EventType.RECORDING_READY, recording, now)
        self.emit(EventType.TRANSCRIPT_READY, transcript_of(call, self.plan(call).talk, now), now)

    def _change(self, id: str, **changes: object) -> Call:
        call = self.calls.get(id)
        assert call is not None
        call = evolve(call, **changes)  # type: ignore[arg-type]
        self.calls.replace(call)
        return call

    def seed_calls(self, amount: int, now: float) -> None:
        """Fill the past with finished calls, a minute apart, the newest a minute ago. Nothing is emitted."""
        for number in range(amount):
            began = now - 60.0 * (amount - number)
            call = Call(
                id=self.mint("call"),
                status=CallStatus.COMPLETED,
                direction=Direction.OUTBOUND,
                from_=FIRST_NUMBER,
                to=f"+1415555{number % 8000 + 2000:04d}" if number % 3 else f"+1212555{number % 8000 + 2000:04d}",
                created_at=at(began),
            )
            plan = self.plan(call)
            call = evolve(call, ended_at=at(began + plan.ring), duration=0, disposition=plan.disposition)
            if plan.answered:
                answered = began + plan.ring
                call = evolve(
                    call,
                    answered_at=at(answered),
                    ended_at=at(answered + plan.talk),
                    duration=round(plan.talk),
                    transcript_id=self._transcript_id(call.id),
                )
            self.calls.add(call)

    def transfer(self, id: str, agent_id: str | None, to: str | None, now: float) -> Call:
        """Hand an active call on; only an agent shows in the call itself, until it returns where nobody answers."""
        call = self.calls.get(id)
        if call is None:
            raise Refusal("not_found", f"no call {id[:60]}")
        if call.status != CallStatus.ANSWERED:
            raise Refusal("invalid_state", f"a call that is {call.status} cannot be transferred")
        outcomes = {magic(number).transfer for number in (call.from_, call.to, to)}
        if "refused" in outcomes:
            raise Refusal("invalid_state", "this call cannot be transferred")
        if "returns" in outcomes:
            self.later(now + self.timing.ring, partial(self._return, id, call.agent_id))
        return self._change(id, agent_id=agent_id or call.agent_id)

    def _return(self, id: str, agent_id: str | None, now: float) -> None:
        call = self.calls.get(id)
        if call is not None and call.status == CallStatus.ANSWERED:
            self._change(id, agent_id=agent_id)

    def start_campaign(self, calls: list[Call], now: float, *, record: bool) -> Campaign:
        """Queue a campaign's calls; they ring one after another at the pace of the dialer."""
        campaign_id = self.mint("camp")
        for number, call in enumerate(calls):
            self.place_call(
                evolve(call, id=self.mint("call"), campaign_id=campaign_id),
                now,
                record=record,
                wait=(number + 1) / self.timing.campaign_pace,
            )
        return Campaign(id=campaign_id, status="queued", calls_queued=len(calls))

    # Numbers

    def _own(self, number: Number) -> Number:
        self.numbers.add(number)
        self.owned[number.phone_number or ""] = number.id
        return number

    def own_number(self, phone_number: str, param: str) -> Number:
        """An active number of the account; a call or message can come from no other."""
        number = self.numbers.get(self.owned.get(phone_number, ""))
        if number is None or number.status != NumberStatus.ACTIVE:
            raise Refusal("invalid_parameter", f"{param} is not an active number of this account", param, status=422)
        return number

    def provision(self, wanted: Number, now: float, *, port: bool) -> Number:
        """Take a number from the inventory, or begin to port one in."""
        offered = next((n for n in self.inventory if n.phone_number == wanted.phone_number), None)
        taken = wanted.phone_number in self.owned or magic(wanted.phone_number).taken
        if taken or (offered is None and not port):
            raise Refusal("number_unavailable", "this number cannot be had", "phone_number")
        source = offered or evolve(self.inventory[0], region=None, id=self.mint("num"))
        number = self._own(
            evolve(
                source,
                phone_number=wanted.phone_number,
                status=NumberStatus.PORTING if port else NumberStatus.ACTIVE,
                routing=wanted.routing,
                caller_id=wanted.caller_id,
                sms=wanted.sms,
                created_at=at(now),
            )
        )
        if port:
            self.later(now + self.timing.porting, partial(self._ported, number.id))
        return number

    def _ported(self, id: str, now: float) -> None:
        number = self.numbers.get(id)
        if number is not None:
            self.numbers.replace(evolve(number, status=NumberStatus.ACTIVE))

    def release(self, id: str) -> None:
        """Give a number back. Irreversible (API reference: Numbers)."""
        number = self.numbers.get(id)
        if number is None:
            raise Refusal("not_found", f"no number {id[:60]}")
        self.numbers.remove(id)
        del self.owned[number.phone_number or ""]

    # Messages

    def send_message(self, message: Message, now: float) -> Message:
        """Queue a message; it is sent and delivered in its time."""
        if message.to in self.opted_out:
            raise Refusal("opted_out", "the recipient has opted out", "to")
        self.messages.add(message)
        self.later(now + self.timing.sms_sent, partial(self._message_sent, message.id))
        return message

    def _message_sent(self, id: str, now: float) -> None:
        message = self.messages.get(id)
        assert message is not None
        self.messages.replace(evolve(message, status=MessageStatus.SENT))
        outcome = magic(message.to).message
        if outcome != "unconfirmed":
            arrive = self._message_undelivered if outcome == "undelivered" else self._message_delivered
            self.later(now + self.timing.sms_delivered, partial(arrive, id))

    def _message_undelivered(self, id: str, now: float) -> None:
        message = self.messages.get(id)
        assert message is not None
        self.messages.replace(evolve(message, status=MessageStatus.FAILED, error="undelivered"))

    def _message_delivered(self, id: str, now: float) -> None:
        message = self.messages.get(id)
        assert message is not None
        message = evolve(message, status=MessageStatus.DELIVERED, delivered_at=at(now))
        self.messages.replace(message)
        self.emit(EventType.MESSAGE_DELIVERED, message, now)
        if magic(message.to).message == "replies":
            self.later(now + self.timing.sms_delivered, partial(self._reply, id))

    def _reply(self, id: str, now: float) -> None:
        message = self.messages.get(id)
        assert message is not None
        self.take_message(from_=message.to or "", to=message.from_ or "", body="Got it, thanks!", now=now)

    def take_message(self, *, from_: str, to: str, body: str, now: float) -> Message:
        """Let a text from anybody arrive at a number of the account."""
        return self.receive_message(
            Message(
                id=self.mint("msg"),
                direction=Direction.INBOUND,
                channel=Channel.SMS,
                conversation_id=conversation_between(from_, to),
                from_=from_,
                to=to,
                body=body,
                status=MessageStatus.RECEIVED,
                segments=count_segments(body),
                created_at=at(now),
            ),
            now,
        )

    def receive_message(self, message: Message, now: float) -> Message:
        """Take an inbound message; STOP and START are the carrier's opt-out and opt-in words."""
        self.messages.add(message)
        word = (message.body or "").strip().upper()
        if word == "STOP":
            self.opted_out.add(message.from_ or "")
        elif word == "START":
            self.opted_out.discard(message.from_ or "")
        self.emit(EventType.MESSAGE_RECEIVED, message, now)
        return message

    # Webhooks

    def subscribe(self, webhook: Webhook, secret: str) -> Webhook:
        """Keep a subscription; the secret is in this answer and in no later one."""
        self.webhooks.add(webhook)
        self.secrets[webhook.id] = secret
        return evolve(webhook, secret=secret)

    def unsubscribe(self, id: str) -> None:
        """Remove a subscription."""
        if self.webhooks.get(id) is None:
            raise Refusal("not_found", f"no webhook {id[:60]}")
        self.webhooks.remove(id)

    def disable(self, id: str) -> None:
        """Stop delivering to an endpoint that is gone."""
        webhook = self.webhooks.get(id)
        if webhook is not None:
            self.webhooks.replace(evolve(webhook, status=WebhookStatus.DISABLED))
