"""The state of one account, and everything that can be done to it. No I/O, no waiting, no wall clock, no chance.

Rules:
1. A command is a method: it takes the present moment, changes the state or raises `Refusal`, and returns what the API
   answers. What will happen later is a timer in the one heap; `run_due` makes it happen.
2. A transition emits its webhook event, which becomes deliveries at once: see `outgoing`.
3. The same seed and the same commands at the same moments give the same ids, cursors and bodies.
4. What a call will come to is decided when it is placed, by the numbers involved and the seed: see `plan_for`.
5. Everything kept here is immutable or copied by `copy`, so that a snapshot is a copy of some containers; every change is
   marked, so that a journal writes what changed and nothing else.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from attrs import define, evolve, field

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.calls import Call, CallStatus, Campaign, Direction
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.numbers import Number, NumberStatus, NumberType, Routing, RoutingKind, SmsConfig
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.webhooks import EventType, Webhook
from ajoxi_async.protocol.credentials import Mode
from ajoxi_async.sandbox.conversation.transcripts import recording_of, transcript_of
from ajoxi_async.sandbox.faults.faults import Faults
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.outcomes.plans import Plan, Timing, plan_for
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import inventory
from ajoxi_async.sandbox.state import messages as texts
from ajoxi_async.sandbox.state import numbers as holdings
from ajoxi_async.sandbox.state.ids import Minter
from ajoxi_async.sandbox.state.store import Store
from ajoxi_async.sandbox.state.webhooks import Outgoing
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Fired, Timer, Timers

__all__ = ["ACTIONS", "FIRST_NUMBER", "Account"]

#: The number every account has from the start, so that the reference's own request works.
FIRST_NUMBER = "+14155550100"
#: The mark of an account whose next answer is a 429.
THROTTLED = "throttled"

_serials = count()


def _call_keys(call: Call) -> list[tuple[str, str]]:
    keys = [("direction", str(call.direction))]
    if call.campaign_id is not None:
        keys.append(("campaign_id", call.campaign_id))
    keys.extend((f"metadata[{name}]", value) for name, value in call.metadata.items())
    return keys


def _recording_keys(recording: Recording) -> list[tuple[str, str]]:
    return [("agent_id", recording.agent_id)] if recording.agent_id else []


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
    timing: Timing
    media_url: str
    created_at: float
    faults: Faults = field(factory=Faults)
    calls: Store[Call] = field(factory=lambda: Store(_call_keys), init=False)
    messages: Store[Message] = field(factory=lambda: Store(_message_keys), init=False)
    recordings: Store[Recording] = field(factory=lambda: Store(_recording_keys), init=False)
    numbers: Store[Number] = field(factory=Store, init=False)
    owned: dict[str, str] = field(factory=dict, init=False)
    opted_out: set[str] = field(factory=set, init=False)
    to_record: set[str] = field(factory=set, init=False)
    tripped: set[str] = field(factory=set, init=False)
    call_of: dict[str, str] = field(factory=dict, init=False)
    minter: Minter = field(init=False)
    timers: Timers = field(factory=Timers, init=False)
    outgoing: Outgoing = field(init=False)
    #: What changed since it was last written down, as kind and id; ``None`` where nothing is written down.
    marks: dict[tuple[str, str], None] | None = field(default=None, init=False)
    #: Which of all accounts this is: a twin, or the account after a reset, is another one with the same ids.
    serial: int = field(factory=_serials.__next__, init=False)
    on_fired: Callable[[Fired], None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.minter = Minter(f"{self.seed}/{self.key_seed}")
        self.outgoing = Outgoing(self)

    def found(self) -> Account:
        """Begin with the number that every account has; return the account."""
        holdings.own(
            self,
            Number(
                id=self.mint("num"),
                phone_number=FIRST_NUMBER,
                type=NumberType.LOCAL,
                country="US",
                region="CA",
                capabilities=inventory.FULL,
                status=NumberStatus.ACTIVE,
                routing=Routing(kind=RoutingKind.AI_RECEPTIONIST),
                sms=SmsConfig(enabled=True),
                created_at=at(self.created_at),
            ),
        )
        return self

    def settle_in(self) -> None:
        """Work out what follows from what was loaded."""
        self.owned = {number.phone_number or "": number.id for number in self.numbers.newest_first()}
        self.call_of = {call.transcript_id: call.id for call in self.calls.newest_first() if call.transcript_id}

    def copy(self) -> Account:
        """A twin in the same state, of which nobody is told and nothing is written down."""
        twin = copy.copy(self)
        for name in ("calls", "messages", "recordings", "numbers", "owned", "opted_out", "to_record", "tripped"):
            setattr(twin, name, getattr(self, name).copy())
        twin.call_of, twin.minter, twin.timers = self.call_of.copy(), self.minter.copy(), self.timers.copy()
        twin.marks, twin.on_fired, twin.serial = None, None, next(_serials)
        twin.outgoing = self.outgoing.copy(twin)
        return twin

    @property
    def inventory(self) -> tuple[Number, ...]:
        """The numbers on offer. Most tests look at none, so they are made when somebody does."""
        return inventory.build(self.seed)

    @property
    def webhooks(self) -> Store[Webhook]:
        """Its subscriptions."""
        return self.outgoing.webhooks

    def mint(self, prefix: str) -> str:
        """A new id."""
        self.mark("minted", prefix)
        return self.minter.mint(prefix)

    def secret_of(self, *parts: str) -> str:
        """A webhook secret, by seed."""
        return f"whsec_{hashlib.sha256('/'.join((str(self.seed), self.key_seed, *parts)).encode()).hexdigest()[:48]}"

    @property
    def stores(self) -> dict[str, Store[Any]]:
        """What it keeps in lists, by the kind of their marks."""
        return {
            "call": self.calls,
            "message": self.messages,
            "recording": self.recordings,
            "number": self.numbers,
            "webhook": self.webhooks,
        }

    def watch(self) -> None:
        """Note from now on what changes."""
        self.marks = {}
        for kind, store in self.stores.items():
            store.changed = partial(self.mark, kind)

    def mark(self, kind: str, id: str) -> None:
        """Note that something changed."""
        if self.marks is not None:
            self.marks[kind, id] = None

    def flag(self, kind: str, id: str, on: bool) -> None:
        """Set or take away one of the marks that are kept as sets."""
        flags: set[str] = getattr(self, kind)
        if on != (id in flags):
            flags.symmetric_difference_update((id,))
            self.mark(kind, id)

    # Time

    def later(self, moment: float, action: str, *args: str | None) -> None:
        """Have an action done at a moment."""
        timer = Timer(moment, self.timers.order(), action, args)
        self.timers.add(timer)
        self.mark("timer", str(timer.order))

    @property
    def next_due(self) -> float | None:
        """The moment of the next timer."""
        return self.timers.next_due

    def run_due(self, now: float) -> None:
        """Do what is due, each thing at its own instant and in order."""
        while (moment := self.timers.next_due) is not None and moment <= now:
            timer = self.timers.pop()
            if timer.action == "deliver":
                self.outgoing.due.extend(str(id) for id in timer.args)
            else:
                self.mark("timer", str(timer.order))
                ACTIONS[timer.action](self, *timer.args, moment)

    def fired(self, what: str, id: str, moment: float) -> None:
        """Tell whoever watches that something happened."""
        if self.on_fired is not None:
            self.on_fired(Fired(at(moment), what, id))

    def emit(self, kind: EventType, data: Resource, moment: float) -> None:
        """Tell the webhooks."""
        self.fired(str(kind), data.id, moment)
        self.outgoing.emit(kind, data, moment)

    def trouble(self, number: str) -> None:
        """Have the trouble that a magic number asks for."""
        trouble = magic(number).trouble
        if trouble == "throttled":
            self.flag("tripped", THROTTLED, True)
        elif trouble == "failing" and number not in self.tripped:
            self.flag("tripped", number, True)
            raise Refusal("internal_error", "this number fails once; ask again")
        self.flag("tripped", number, False)

    def throttled(self) -> bool:
        """Whether this is the answer that a magic number makes a 429."""
        throttled = THROTTLED in self.tripped
        self.flag("tripped", THROTTLED, False)
        return throttled

    def cuts(self, call: Call) -> bool:
        """Whether this stream of a call is the one that is cut."""
        if "cut" not in {magic(call.to).transcript, magic(call.from_).transcript} or call.id in self.tripped:
            return False
        self.flag("tripped", call.id, True)
        return True

    # Calls

    def plan(self, call: Call) -> Plan:
        """What a call comes to, and when."""
        return plan_for(call, self.seed, self.timing, record=call.id in self.to_record)

    def place_call(self, call: Call, now: float, *, record: bool = False, wait: float = 0.0) -> Call:
        """Queue a call and let it ring after `wait` seconds, at once by default."""
        self.calls.add(call)
        if record:
            self.flag("to_record", call.id, True)
        if wait > 0:
            self.later(now + wait, "ring", call.id)
        else:
            self._ring(call.id, now)
        return self.calls.get(call.id) or call

    def _ring(self, id: str, now: float) -> None:
        call = self._change(id, status=CallStatus.RINGING)
        plan = self.plan(call)
        self.emit(EventType.CALL_STARTED, call, now)
        if plan.answered:
            self.later(now + plan.ring, "answer", id)
        else:
            self.later(now + plan.ring, "end", id)

    def _answer(self, id: str, now: float) -> None:
        call = self._change(id, status=CallStatus.ANSWERED, answered_at=at(now), transcript_id=self._transcript_id(id))
        self.emit(EventType.CALL_ANSWERED, call, now)
        self.later(now + self.plan(call).talk, "end", id)

    def _transcript_id(self, call_id: str) -> str:
        transcript_id = self.mint("tr")
        self.call_of[transcript_id] = call_id
        return transcript_id

    def find_call(self, id: str) -> Call | None:
        """The call that a call's, a transcript's or a recording's id belongs to."""
        recording = self.recordings.get(id)
        return self.calls.get((recording.call_id or "") if recording is not None else self.call_of.get(id, id))

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
                    self.later(now + plan.processing, "record", id)
        else:
            changes["duration"] = 0
        self.emit(EventType.CALL_COMPLETED, self._change(id, **changes), now)

    def _record(self, id: str, now: float) -> None:
        call = self.calls.get(id)
        assert call is not None
        recording = recording_of(call, at(now))
        self.recordings.add(recording)
        self.emit(EventType.RECORDING_READY, recording, now)
        self.fired(str(EventType.TRANSCRIPT_READY), call.transcript_id or "", now)
        self.outgoing.emit(EventType.TRANSCRIPT_READY, lambda: transcript_of(call, self.plan(call).talk, now), now)

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
            self.later(now + self.timing.ring, "return", id, call.agent_id)
        return self._change(id, agent_id=agent_id or call.agent_id)

    def _return(self, id: str, agent_id: str | None, now: float) -> None:
        call = self.calls.get(id)
        if call is not None and call.status == CallStatus.ANSWERED:
            self._change(id, agent_id=agent_id)
            self.fired("transfer.returned", id, now)

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


#: What timers do, by name. An action takes the account, the timer's arguments and its moment.
ACTIONS: dict[str, Callable[..., None]] = {
    "ring": Account._ring,
    "answer": Account._answer,
    "end": Account._end,
    "record": Account._record,
    "return": Account._return,
    "ported": holdings.ported,
    "message_sent": texts.sent,
    "message_delivered": texts.delivered,
    "message_undelivered": texts.undelivered,
    "reply": texts.reply,
}
