"""Messages: SMS, MMS and conversation history (API reference: Core Endpoints, Messaging)."""

from __future__ import annotations

from attrs import frozen

from ajoxi_async.contract import checks
from ajoxi_async.contract.base import Model, OpenEnum, Params, Resource, Time
from ajoxi_async.contract.calls import Direction
from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["Channel", "Media", "Message", "MessageList", "MessageSend", "MessageStatus"]

LONGEST_BODY = 1600
MOST_MEDIA = 10


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


@frozen(kw_only=True, repr=False)
class MessageSend(Params):
    """A message to send: a body, media (with or without a body), or a template with its variables."""

    to: str
    from_: str
    body: str | None = None
    media_urls: tuple[str, ...] | None = None
    template_id: str | None = None
    template_variables: dict[str, str] | None = None

    def __attrs_post_init__(self) -> None:
        checks.phone("to", self.to)
        checks.phone("from_", self.from_)
        if self.template_id is not None:
            checks.exactly_one(template_id=self.template_id, body=self.body, media_urls=self.media_urls)
            checks.text("template_id", self.template_id, 64)
        else:
            checks.at_least_one(body=self.body, media_urls=self.media_urls, template_id=None)
            if self.template_variables is not None:
                raise InvalidParameterError("template_variables", "expected only together with template_id")
        checks.text("body", self.body, LONGEST_BODY)
        if self.media_urls is not None:
            checks.number_range("media_urls", len(self.media_urls), 1, MOST_MEDIA)
            for index, url in enumerate(self.media_urls):
                checks.http_url(f"media_urls[{index}]", url)


@frozen(kw_only=True, repr=False)
class MessageList(Params):
    """Filters and page of a list of messages."""

    direction: Direction | None = None
    channel: Channel | None = None
    conversation_id: str | None = None
    limit: int | None = None
    cursor: str | None = None

    def __attrs_post_init__(self) -> None:
        checks.page_limit(self.limit)
        checks.known("direction", self.direction)
        checks.known("channel", self.channel)
