"""Webhook subscriptions and the events they deliver (API reference: Webhooks).

Rules:
1. There are seven event types. The reference writes ``call.start`` for subscribing and ``call.started`` for the event:
   ``call.start`` is accepted as an alias when subscribing, and the event is ``call.started``.
2. An event type that this package does not know becomes an `UnknownEvent` and is not an error.
3. The signing secret is only in the answer to the creation of a webhook.
"""

from __future__ import annotations

from typing import Annotated, Any

from attrs import field, frozen

from ajoxi_async.contract.base import OpenEnum, Params, Resource, Time
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.checks import HttpUrl, PageLimit
from ajoxi_async.contract.encoding.structuring import converter, structure
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.contract.rules import Count, OneOf
from ajoxi_async.contract.transcripts import Transcript

__all__ = [
    "EVENT_CLASSES",
    "CallAnswered",
    "CallCompleted",
    "CallStarted",
    "Event",
    "EventType",
    "MessageDelivered",
    "MessageReceived",
    "RecordingReady",
    "TranscriptReady",
    "UnknownEvent",
    "Webhook",
    "WebhookCreate",
    "WebhookList",
    "WebhookStatus",
    "structure_event",
]


class EventType(OpenEnum):
    """What can happen (API reference: Webhooks)."""

    CALL_STARTED = "call.started"
    CALL_ANSWERED = "call.answered"
    CALL_COMPLETED = "call.completed"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_DELIVERED = "message.delivered"
    RECORDING_READY = "recording.ready"
    TRANSCRIPT_READY = "transcript.ready"


#: Spellings accepted when subscribing.
EVENT_ALIASES = {"call.start": "call.started"}

EventName = Annotated[str, OneOf(tuple(sorted({event.value for event in EventType} | set(EVENT_ALIASES))))]


class WebhookStatus(OpenEnum):
    """Whether events are delivered."""

    ENABLED = "enabled"
    DISABLED = "disabled"


@frozen(kw_only=True, repr=False)
class Webhook(Resource):
    """A subscription. ``secret`` is in the answer to the creation only: keep it then."""

    url: str | None = None
    events: tuple[EventType, ...] = ()
    status: WebhookStatus | None = None
    created_at: Time | None = None
    secret: str | None = None


@frozen(kw_only=True, repr=False)
class WebhookCreate(Params):
    """Where events go, and which."""

    url: HttpUrl
    events: Annotated[tuple[EventName, ...], Count(1, 50)]


@frozen(kw_only=True, repr=False)
class WebhookList(Params):
    """The page of a list of webhooks."""

    limit: PageLimit | None = None
    cursor: str | None = None


@frozen(kw_only=True, repr=False)
class Event(Resource):
    """Something that happened, as delivered to a webhook.

    Deliveries are at least once and unordered: deduplicate on ``id``. ``raw`` is the body as it was received.
    """

    type: str
    created_at: Time | None = None
    mode: str | None = None
    raw: bytes = field(default=b"", eq=False)


@frozen(kw_only=True, repr=False)
class CallStarted(Event):
    """An inbound or outbound call begins ringing."""

    data: Call


@frozen(kw_only=True, repr=False)
class CallAnswered(Event):
    """A call is answered by a human or the AI receptionist."""

    data: Call


@frozen(kw_only=True, repr=False)
class CallCompleted(Event):
    """A call ended; ``data`` holds duration, recording URL and final disposition."""

    data: Call


@frozen(kw_only=True, repr=False)
class MessageReceived(Event):
    """An inbound SMS or MMS arrived at a provisioned number."""

    data: Message


@frozen(kw_only=True, repr=False)
class MessageDelivered(Event):
    """The carrier confirmed an outbound message."""

    data: Message


@frozen(kw_only=True, repr=False)
class RecordingReady(Event):
    """A recording is processed and can be downloaded."""

    data: Recording


@frozen(kw_only=True, repr=False)
class TranscriptReady(Event):
    """The AI transcript of a recording has finished processing."""

    data: Transcript


@frozen(kw_only=True, repr=False)
class UnknownEvent(Event):
    """An event of a type this version of the package does not know; ``data`` as parsed."""

    data: Any = field(default=None, hash=False)


#: Event type on the wire -> class.
EVENT_CLASSES: dict[str, type[Event]] = {
    "call.started": CallStarted,
    "call.answered": CallAnswered,
    "call.completed": CallCompleted,
    "message.received": MessageReceived,
    "message.delivered": MessageDelivered,
    "recording.ready": RecordingReady,
    "transcript.ready": TranscriptReady,
}


def structure_event(value: Any, _: Any = None) -> Event:
    """Build an event from parsed JSON, of the class of its type. The converter passes the requested class as well.

    Raises:
        DecodeError: it does not fit.
    """
    kind = value.get("type") if type(value) is dict else None
    return structure(value, EVENT_CLASSES.get(kind, UnknownEvent) if isinstance(kind, str) else UnknownEvent)


converter.register_structure_hook(Event, structure_event)
