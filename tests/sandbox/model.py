"""What an Ajoxi account shows, said once more and plainly: a model that `test_model` compares the sandbox with.

It is written from the API reference, the wire contract and the documentation. It imports nothing of the package, and knows
nothing of the sandbox's stores, timers and queues.

Rules:
1. Objects never change. They hold the moments of their life, and what the API shows of one is a function of the present
   moment: `Call.row(now)`. Only what users do later (a transfer, a release) is written into them.
2. A moment is a number of seconds since `START`. `TIMING` is exact in binary, so that sums of moments are exact, too.
3. What only the sandbox can decide, such as ids, is `None` until it was seen once, and fixed from then on.
4. A command returns the refusals that the documentation asks for; there may be several, and any of them will do.
"""

from __future__ import annotations

import copy
import hmac
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
#: Seconds; the parameters of `Timing`.
TIMING = {
    "ring": 2.0, "talk": 8.0, "processing": 1.5, "sms_sent": 0.5, "sms_delivered": 1.0, "porting": 6.125,
    "campaign_pace": 2.0,
}  # fmt: skip
FIRST_NUMBER = "+14155550100"
EVENTS = (
    "call.started", "call.answered", "call.completed", "message.received", "message.delivered", "recording.ready",
    "transcript.ready",
)  # fmt: skip
#: Seconds after an event at which its delivery is attempted.
SCHEDULE = tuple(
    hours * 3600 + minutes * 60 + seconds
    for hours, minutes, seconds in (
        (0, 0, 0), (0, 0, 5), (0, 0, 35), (0, 2, 35), (0, 12, 35), (0, 42, 35), (1, 42, 35), (3, 42, 35), (7, 42, 35),
        (13, 42, 35), (23, 52, 35),
    )
)  # fmt: skip
DAY = 86_400.0

#: Magic numbers, by their last two digits.
MAGIC = "+150055501"
NOT_ANSWERED = {"01": "no_answer", "02": "busy", "03": "failed", "06": "canceled"}
ENDS_HALFWAY = {"06", "07"}
UNDELIVERED, UNCONFIRMED, REPLIES = "41", "42", "43"
UNREACHABLE_PREFIXES = ("+999", "+1900")

COUNTRY_CODES = {"US": "1", "CA": "1", "GB": "44", "DE": "49", "FR": "33", "AU": "61"}

Refusal = tuple[int, str]
Row = dict[str, Any]


def at(moment: float | None) -> str | None:
    """A moment as it travels: RFC 3339 in UTC with milliseconds."""
    if moment is None:
        return None
    return (EPOCH + timedelta(seconds=moment)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def magic(number: str) -> str:
    """The last two digits of a magic number; empty for other numbers."""
    return number[-2:] if number.startswith(MAGIC) and len(number) == len(MAGIC) + 2 else ""


class Id:
    """Equal to any id of a kind."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other.startswith(self.prefix) and len(other) >= len(self.prefix) + 8

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<an id {self.prefix}...>"


@dataclass(kw_only=True, eq=False)
class Thing:
    """An object of the account. `order` is its place among all that were made."""

    order: int
    created: float
    id: str | None = None

    def place(self) -> tuple[float, int]:
        """Where it stands in lists; the highest comes first."""
        return self.created, self.order


@dataclass(kw_only=True, eq=False)
class Call(Thing):
    """A call. `rang` is `None` while a campaign has it in its queue; `trying` is a transfer that nobody will take."""

    direction: str
    from_: str
    to: str
    rang: float | None
    ai: bool = False
    record: bool = False
    agent: str | None = None
    trying: tuple[str, float] | None = None
    campaign: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    recording_id: str | None = None
    transcript_id: str | None = None

    @property
    def digits(self) -> str:
        return magic(self.to if self.direction == "outbound" else self.from_)

    @property
    def answered(self) -> float | None:
        return None if self.rang is None or self.digits in NOT_ANSWERED else self.rang + TIMING["ring"]

    @property
    def ended(self) -> float | None:
        if self.rang is None:
            return None
        lasts = (TIMING["ring"] if self.answered is None else TIMING["talk"]) * (
            0.5 if self.digits in ENDS_HALFWAY else 1
        )
        return (self.answered or self.rang) + lasts

    @property
    def recorded(self) -> bool:
        """Asked for, taken by the AI receptionist, voicemail, or a magic number about recordings."""
        return self.answered is not None and (self.record or self.ai or self.digits in {"04", "20", "21"})

    @property
    def ready(self) -> float | None:
        """When its recording is."""
        if self.ended is None or not self.recorded or self.digits == "21":
            return None
        return self.ended + TIMING["processing"] + (600 if self.digits == "20" else 0)

    @property
    def disposition(self) -> str:
        return NOT_ANSWERED.get(self.digits) or {"04": "voicemail", "07": "failed"}.get(self.digits, "answered")

    def status(self, now: float) -> str:
        passed = [
            name
            for name, moment in (("ringing", self.rang), ("answered", self.answered), ("completed", self.ended))
            if moment is not None and moment <= now
        ]
        return passed[-1] if passed else "queued"

    def row(self, now: float) -> Row:
        status = self.status(now)
        answered = self.answered if self.answered is not None and self.answered <= now else None
        over = status == "completed"
        shown = {
            "id": self.id,
            "status": status,
            "ai_handler": "receptionist_v2" if self.ai else None,
            "direction": self.direction,
            "from": self.from_,
            "to": self.to,
            "created_at": at(self.created),
            "answered_at": at(answered),
            "ended_at": at(self.ended) if over else None,
            "disposition": self.disposition if over else None,
            "campaign_id": self.campaign,
            "metadata": self.metadata,
            "transcript_id": None if answered is None else self.transcript_id or Id("tr_"),
        }
        if not over:
            shown["duration"] = None
        elif answered is not None:
            shown["duration"] = int((self.ended or 0) - answered)
        if self.digits != "21":
            shown["recording_id"] = (self.recording_id or Id("rec_")) if over and self.recorded else None
        if self.campaign is None:
            shown["agent_id"] = self.agent_at(now)
        return shown

    def agent_at(self, now: float) -> str | None:
        """Who has it. A transfer that nobody takes shows while it rings, and for good where the call ends meanwhile."""
        if self.trying is None:
            return self.agent
        agent, until = self.trying
        return agent if now < until or (self.ended or 0.0) <= until else self.agent

    def recording(self, now: float) -> Row:
        return {
            "id": self.recording_id or Id("rec_"),
            "call_id": self.id,
            "duration": int((self.ended or 0) - (self.answered or 0)),
            "created_at": at(self.ready),
            **({} if self.campaign is not None else {"agent_id": self.agent_at(now)}),
        }


@dataclass(kw_only=True, eq=False)
class Message(Thing):
    """A message, out or in."""

    direction: str
    from_: str
    to: str
    body: str | None
    media: tuple[str, ...] = ()
    template: str | None = None
    conversation: str | None = None

    @property
    def sent(self) -> float:
        return self.created + TIMING["sms_sent"]

    @property
    def arrived(self) -> float | None:
        """When it was delivered, or given up; `None` where nobody ever says."""
        return None if magic(self.to) == UNCONFIRMED else self.sent + TIMING["sms_delivered"]

    @property
    def delivered(self) -> float | None:
        return None if self.direction == "inbound" or magic(self.to) == UNDELIVERED else self.arrived

    def status(self, now: float) -> str:
        if self.direction == "inbound":
            return "received"
        if self.arrived is not None and self.arrived <= now:
            return "failed" if self.delivered is None else "delivered"
        return "sent" if self.sent <= now else "queued"

    def row(self, now: float) -> Row:
        status = self.status(now)
        shown = {
            "id": self.id or Id("msg_"),
            "direction": self.direction,
            "channel": "mms" if self.media else "sms",
            "conversation_id": self.conversation or Id("conv_"),
            "from": self.from_,
            "to": self.to,
            "template_id": self.template,
            "status": status,
            "created_at": at(self.created),
            "delivered_at": at(self.delivered) if status == "delivered" else None,
        }
        if self.template is None:
            shown["body"] = self.body
        if not self.media and self.template is None:
            shown["segments"] = segments(self.body or "")
        return shown


#: Characters outside of the GSM 7-bit alphabet that texts of the test have.
_WIDE = frozenset("ж😀ł")


def segments(text: str) -> int:
    """Parts of a text that is made of one character, repeated: 160/153 GSM-7 septets, 70/67 UCS-2 units."""
    if not text:
        return 1
    wide, size = text[0] in _WIDE, 2 if text[0] in "€😀" else 1
    single, part = (70, 67) if wide else (160, 153)
    # A character of two units is not split between parts.
    return 1 if len(text) * size <= single else -(-len(text) // (part // size))


@dataclass(kw_only=True, eq=False)
class Number(Thing):
    """A number of the account, from its provision to its release."""

    phone: str
    active_from: float
    type: str
    country: str
    capabilities: list[str]
    config: Row
    released: float | None = None

    def status(self, now: float) -> str:
        return "active" if now >= self.active_from else "porting"

    def row(self, now: float) -> Row:
        return {
            "id": self.id,
            "phone_number": self.phone,
            "type": self.type,
            "country": self.country,
            "capabilities": self.capabilities,
            "status": self.status(now),
            "created_at": at(self.created),
            **self.config,
        }


@dataclass(kw_only=True, eq=False)
class Webhook(Thing):
    """A subscription. `secrets` are those that sign, the newest first, each with the moment of its end."""

    url: str
    events: list[str]
    secrets: list[tuple[str, float | None]]
    enabled: bool = True

    def row(self, now: float) -> Row:
        return {
            "id": self.id,
            "url": self.url,
            "events": self.events,
            "status": "enabled" if self.enabled else "disabled",
            "created_at": at(self.created),
            "secret": None,
        }

    def signature(self, body: bytes, now: float) -> str:
        return ",".join(
            hmac.new(secret.encode(), body, "sha256").hexdigest()
            for secret, end in self.secrets
            if end is None or now < end
        )


@dataclass(kw_only=True, eq=False)
class Event:
    """Something that happens once. `id` and `body` are known once they were seen."""

    order: int
    moment: float
    type: str
    of: Call | Message
    by_command: bool
    id: str | None = None
    body: bytes | None = None

    @property
    def object_id(self) -> str | None:
        if self.type == "recording.ready":
            return self.of.recording_id if isinstance(self.of, Call) else None
        if self.type == "transcript.ready":
            return self.of.transcript_id if isinstance(self.of, Call) else None
        return self.of.id


@dataclass(kw_only=True, eq=False)
class Delivery:
    """One event for one webhook. `attempts` were made since `since`, when the schedule began."""

    webhook: Webhook
    event: Event
    since: float
    attempts: int = 0
    dead: bool = False

    @property
    def due(self) -> float:
        return self.since + SCHEDULE[self.attempts]


@dataclass(frozen=True, eq=False)
class Attempt:
    """A post that is to be made. It is not `sure` where another answer of the same instant may disable the webhook."""

    moment: float
    delivery: Delivery
    number: int
    status: int | None
    sure: bool


class Model:
    """One account, as its documentation describes it.

    Args:
        offer: the numbers on offer, as the API lists them.
        now: the present moment.
    """

    def __init__(self, offer: list[Row], now: float) -> None:
        self.now = now
        self.order = 0
        self.offer = offer
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.numbers: list[Number] = []
        self.webhooks: list[Webhook] = []
        self.coming: list[Event] = []
        self.deliveries: list[Delivery] = []
        self.log: list[Attempt] = []
        self.campaigns: dict[str, Row] = {}
        self.opted_out: set[str] = set()
        self.failing = False
        self.conversations: dict[frozenset[str], str] = {}
        first = {"type": "local", "country": "US", "capabilities": ["voice", "sms", "mms", "fax"]}
        self.numbers.append(
            Number(order=self.next(), created=0.0, phone=FIRST_NUMBER, active_from=0.0, config={}, **first)  # type: ignore[arg-type]
        )

    def copy(self) -> Model:
        """A copy that shares nothing that changes."""
        return copy.deepcopy(self, {id(self.offer): self.offer})

    def next(self) -> int:
        self.order += 1
        return self.order

    # Numbers

    def held(self) -> list[Number]:
        """The account's numbers."""
        return [number for number in self.numbers if number.released is None]

    def own(self, phone: str) -> Number | None:
        """The account's number of these digits, if it is active."""
        return next((n for n in self.held() if n.phone == phone and n.status(self.now) == "active"), None)

    def not_own(self, phone: str) -> list[Refusal]:
        return [] if self.own(phone) else [(422, "invalid_parameter")]

    def provision(self, phone: str, *, port: bool, config: Row) -> list[Refusal]:
        offered = next((row for row in self.offer if row["phone_number"] == phone), None)
        taken = magic(phone) == "50" or any(number.phone == phone for number in self.held())
        if taken or (offered is None and not port):
            return [(422, "number_unavailable")]
        facts = offered or {"type": "local", "country": "US", "capabilities": ["voice", "sms", "mms", "fax"]}
        self.numbers.append(
            Number(
                order=self.next(),
                created=self.now,
                phone=phone,
                active_from=self.now + (TIMING["porting"] if port else 0),
                config={"routing": None, "caller_id": None, "sms": None, **config},
                **{name: facts[name] for name in ("type", "country", "capabilities")},
            )
        )
        return []

    # Calls

    @staticmethod
    def unreachable(number: str) -> list[Refusal]:
        """Why a number can be neither called nor sent a message."""
        refusals = {
            "30": (422, "unreachable_destination"), "31": (422, "opted_out"), "32": (403, "permission_denied")
        }  # fmt: skip
        if number.startswith(UNREACHABLE_PREFIXES):
            return [(422, "unreachable_destination")]
        return [refusals[magic(number)]] if magic(number) in refusals else []

    def place_call(self, **given: Any) -> list[Refusal]:
        refusals = self.not_own(given["from_"]) + self.unreachable(given["to"])
        if not refusals and magic(given["to"]) == "61":
            self.failing = not self.failing
            refusals = [(500, "internal_error")] if self.failing else []
        if not refusals:
            self.add_call(Call(order=self.next(), created=self.now, direction="outbound", rang=self.now, **given))
        return refusals

    def receive_call(self, from_: str, to: str) -> list[Refusal]:
        refusals = self.not_own(to)
        if not refusals:
            self.add_call(
                Call(
                    order=self.next(), created=self.now, direction="inbound", from_=from_, to=to, ai=True, rang=self.now
                )
            )
        return refusals

    def start_campaign(self, contacts: list[str], **given: Any) -> list[Refusal]:
        refusals = self.not_own(given["from_"]) + [one for contact in contacts for one in self.unreachable(contact)]
        for to in [] if refusals else contacts:
            self.add_call(
                Call(order=self.next(), created=self.now, direction="outbound", to=to, rang=None, campaign="", **given)
            )
        return refusals

    def add_call(self, call: Call) -> None:
        self.calls.append(call)
        if call.rang is not None:
            self.ring(call, call.rang)

    def ring(self, call: Call, moment: float) -> None:
        """A phone rings: from here on everything about the call is known."""
        call.rang = moment
        for name, when in (
            ("call.started", call.rang), ("call.answered", call.answered), ("call.completed", call.ended),
            ("recording.ready", call.ready), ("transcript.ready", call.ready),
        ):  # fmt: skip
            self.expect(name, when, call)

    def transfer(self, call: Call, agent: str | None, to: str | None) -> list[Refusal]:
        """Only an agent shows in the call. One that does not answer shows while the transfer rings."""
        refusals = self.unreachable(to or "")
        if call.status(self.now) != "answered" or "12" in {magic(call.to), magic(call.from_), magic(to or "")}:
            refusals.append((422, "invalid_state"))
        if refusals:
            return refusals
        if agent is not None and "11" in {magic(call.to), magic(call.from_)}:
            call.trying = agent, self.now + TIMING["ring"]
        elif agent is not None:
            call.agent = agent
        return []

    # Messages

    def text(self, **given: Any) -> list[Refusal]:
        refusals = self.not_own(given["from_"]) + self.takes_no_texts(given["from_"]) + self.unreachable(given["to"])
        if magic(given["to"]) == "44":
            refusals.append((422, "unreachable_destination"))
        if given["to"] in self.opted_out:
            refusals.append((422, "opted_out"))
        if not refusals:
            message = Message(order=self.next(), created=self.now, direction="outbound", **given)
            self.add_message(message)
            if magic(message.to) == REPLIES:
                moment = (message.delivered or 0) + TIMING["sms_delivered"]
                self.add_message(
                    Message(
                        order=self.next(), created=moment, direction="inbound", from_=message.to, to=message.from_,
                        body="Got it, thanks!",
                    )
                )  # fmt: skip
        return refusals

    def takes_no_texts(self, phone: str) -> list[Refusal]:
        own = self.own(phone)
        takes = own is None or ("sms" in own.capabilities and (own.config.get("sms") or {}).get("enabled") is not False)
        return [] if takes else [(422, "invalid_state")]

    def receive_text(self, from_: str, to: str, body: str) -> list[Refusal]:
        refusals = self.not_own(to) or self.takes_no_texts(to)
        if not refusals:
            self.add_message(
                Message(order=self.next(), created=self.now, direction="inbound", from_=from_, to=to, body=body)
            )
            word = body.strip().upper()
            self.opted_out |= {from_} if word == "STOP" else set()
            self.opted_out -= {from_} if word == "START" else set()
        return refusals

    def add_message(self, message: Message) -> None:
        self.messages.append(message)
        if message.direction == "inbound":
            self.expect("message.received", message.created, message)
        else:
            self.expect("message.delivered", message.delivered, message)

    def release(self, number: Number) -> None:
        number.released = self.now

    def _reply_is_lost(self, event: Event) -> bool:
        """A reply comes only to a number of the account that takes messages."""
        if event.type != "message.received" or event.by_command:
            return False
        return bool(self.not_own(event.of.to) or self.takes_no_texts(event.of.to))

    # Lists

    def rows(self, kind: str, **filters: Any) -> list[tuple[Any, Row]]:
        """What a list holds at this moment: objects and their rows, the newest first."""
        things: list[Any] = {
            "calls": self.calls,
            "messages": [message for message in self.messages if message.created <= self.now],
            "numbers": self.held(),
            "webhooks": self.webhooks,
            "recordings": [call for call in self.calls if call.ready is not None and call.ready <= self.now],
        }[kind]
        if kind == "recordings":
            found = [(call, call.recording(self.now)) for call in things]
            found.sort(key=lambda one: (one[0].ready, one[0].ended, one[0].order), reverse=True)
        else:
            found = [(thing, thing.row(self.now)) for thing in sorted(things, key=Thing.place, reverse=True)]
        return [(thing, row) for thing, row in found if matches(row, filters)]

    def available(self, **filters: Any) -> list[Row]:
        """The numbers on offer that nobody took, in the order of the offer."""
        held = {number.phone for number in self.held()}
        return [row for row in self.offer if row["phone_number"] not in held and matches(row, filters)]

    # Time and events

    def expect(self, type: str, moment: float | None, of: Call | Message) -> None:
        if moment is not None:
            event = Event(order=self.next(), moment=moment, type=type, of=of, by_command=moment == self.now)
            self.coming.append(event)

    def next_due(self) -> float | None:
        """The moment of the next thing that is seen from outside: an event, or an attempt to deliver one."""
        return min([event.moment for event in self.coming] + [one.due for one in self.live()], default=None)

    def live(self) -> list[Delivery]:
        """The deliveries that are still to be made."""
        return [one for one in self.deliveries if not one.dead and one.webhook.enabled]

    def advance(self, to: float, answers: dict[str, int | None]) -> tuple[list[Event], list[Attempt]]:
        """Let everything happen that is due until `to`.

        Args:
            to: the moment.
            answers: what each endpoint answers, by URL; 200 unless given.

        Returns:
            The events and the attempts to deliver them, in their order.
        """
        happened: list[Event] = []
        made: list[Attempt] = []
        while (moment := self.next_due()) is not None and moment <= to:
            self.now = max(self.now, moment)
            due = sorted((event for event in self.coming if event.moment <= moment), key=lambda e: (e.moment, e.order))
            self.coming = [event for event in self.coming if event.moment > moment]
            for event in due:
                if self._reply_is_lost(event):
                    self.messages.remove(event.of)  # type: ignore[arg-type]
                    continue
                happened.append(event)
                self.deliveries += [
                    Delivery(webhook=webhook, event=event, since=moment)
                    for webhook in self.webhooks
                    if webhook.enabled and event.type in webhook.events
                ]
            made += self._attempt(moment, answers)
        self.now = max(self.now, to)
        return happened, made

    def _attempt(self, moment: float, answers: dict[str, int | None]) -> Iterator[Attempt]:
        for delivery in [one for one in self.live() if one.due <= moment]:
            status = answers.get(delivery.webhook.url, 200)
            yield Attempt(moment, delivery, delivery.attempts + 1, status, sure=status != 410)
            delivery.attempts += 1
            if status is not None and 200 <= status < 300:
                self.deliveries.remove(delivery)
            elif status == 410:
                delivery.webhook.enabled = False
            elif delivery.attempts == len(SCHEDULE):
                delivery.dead = True

    def replay(self, dead: list[Delivery]) -> None:
        """Deliver dead letters again: the schedule starts anew."""
        for delivery in dead:
            delivery.dead, delivery.attempts, delivery.since = False, 0, self.now

    def unsubscribe(self, webhook: Webhook) -> None:
        self.webhooks.remove(webhook)
        self.deliveries = [one for one in self.deliveries if one.webhook is not webhook]
        self.log = [one for one in self.log if one.delivery.webhook is not webhook]

    def rotate(self, webhook: Webhook, secret: str) -> None:
        """A new secret; the one before signs for a day more."""
        webhook.secrets = [(secret, None), (webhook.secrets[0][0], self.now + DAY)]

    def report(self, campaign: str) -> Row:
        """The counts of a campaign."""
        calls = [call for call in self.calls if call.campaign == campaign]
        rows = [call.row(self.now) for call in calls]
        return {
            "calls": len(calls),
            "by_status": dict(Counter(row["status"] for row in rows)),
            "by_disposition": dict(Counter(row["disposition"] for row in rows if row["disposition"] is not None)),
        }


def matches(row: Row, filters: Row) -> bool:
    """Whether a row passes the filters of a list."""
    for name, wanted in filters.items():
        if name == "created_after":
            passes = row["created_at"] >= wanted
        elif name == "created_before":
            passes = row["created_at"] < wanted
        elif name.startswith("metadata["):
            passes = row["metadata"].get(name[len("metadata[") : -1]) == wanted
        elif name == "capability":
            passes = wanted in row["capabilities"]
        elif name == "contains":
            passes = wanted in row["phone_number"]
        elif name == "area_code":
            passes = row["phone_number"].startswith(f"+{COUNTRY_CODES[row['country']]}{wanted}")
        else:
            passes = row.get(name) == wanted
        if not passes:
            return False
    return True


class Quota:
    """At most `limit` admitted requests in any sliding second; those that are refused do not count."""

    def __init__(self, limit: int = 100) -> None:
        self.limit = limit
        self.admitted: list[float] = []

    def admit(self, moment: float) -> tuple[bool, int]:
        """Whether a request is admitted, and how many more would be."""
        self.admitted = self.admitted[bisect_right(self.admitted, moment - 1) :]
        admitted = len(self.admitted) < self.limit
        self.admitted += [moment] if admitted else []
        return admitted, self.limit - len(self.admitted)
