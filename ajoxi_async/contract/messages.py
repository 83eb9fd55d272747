"""Messages: SMS, MMS and conversation history (API reference: Core Endpoints, Messaging)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from attrs import frozen

from ajoxi_async.contract.base import Model, OpenEnum, Params, Resource, Time
from ajoxi_async.contract.calls import Direction
from ajoxi_async.contract.checks import HttpUrl, OwnPhone, PageLimit, Phone
from ajoxi_async.contract.rules import AtLeastOne, Count, Length, NotWith, OnlyWith, Pattern, TextMap

__all__ = ["LONGEST_BODY", "Channel", "Media", "Message", "MessageList", "MessageSend", "MessageStatus"]


class Channel(OpenEnum):
    """Text, or text with media."""

    SMS = "sms"
    MMS = "mms"


class MessageStatus(OpenEnum):
    """Where a message stands; ``received`` is the one state of an inbound message."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    RECEIVED = "received"


@frozen(kw_only=True, repr=False)
class Media(Model):
    """An attachment of an MMS."""

    url: str | None = None
    content_type: str | None = None


@frozen(kw_only=True, repr=False)
class Message(Resource):
    """An SMS or MMS. ``segments`` counts GSM-7 parts of 160/153 or UCS-2 parts of 70/67 characters."""

    direction: Direction | None = None
    channel: Channel | None = None
    conversation_id: str | None = None
    from_: str | None = None
    to: str | None = None
    body: str | None = None
    media: tuple[Media, ...] = ()
    template_id: str | None = None
    status: MessageStatus | None = None
    segments: int | None = None
    error: str | None = None
    created_at: Time | None = None
    delivered_at: Time | None = None


LONGEST_BODY = 1600
TemplateVariables = Annotated[
    dict[str, str],
    TextMap(
        50,
        Pattern(r"[^\x00-\x1f\x7f]+", "names of 1 to 64 characters", most=64, show=lambda name: repr(name[:80])),
        Length(LONGEST_BODY, least=0),
    ),
]


@frozen(kw_only=True, repr=False)
class MessageSend(Params):
    """A message to send: a body, media (with or without a body), or a template with its variables."""

    rules: ClassVar = (
        AtLeastOne(("body", "media_urls", "template_id")),
        NotWith("template_id", ("body", "media_urls")),
        OnlyWith("template_variables", "template_id"),
    )

    to: Phone
    from_: OwnPhone
    body: Annotated[str, Length(LONGEST_BODY)] | None = None
    media_urls: Annotated[tuple[HttpUrl, ...], Count(1, 10)] | None = None
    template_id: Annotated[str, Length(64)] | None = None
    template_variables: TemplateVariables | None = None


@frozen(kw_only=True, repr=False)
class MessageList(Params):
    """Filters and page of a list of messages."""

    direction: Direction | None = None
    channel: Channel | None = None
    conversation_id: str | None = None
    limit: PageLimit | None = None
    cursor: str | None = None
