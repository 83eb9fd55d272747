"""Messages (API reference: Messages): sent, delivered or not, received and replied to."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from attrs import evolve

from ajoxi_async.contract.calls import Direction
from ajoxi_async.contract.messages import LONGEST_BODY, Channel, Media, Message, MessageSend, MessageStatus
from ajoxi_async.contract.numbers import Capability
from ajoxi_async.contract.sms_segments import count_segments
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import deliveries, numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.magic_effects import apply_trouble, require_reachable
from ajoxi_async.sandbox.time.moments import at

__all__ = ["conversation_between", "delivered", "receive", "reply", "send", "sent", "undelivered"]


def conversation_between(one: str, other: str) -> str:
    """The id of the conversation of two numbers, whichever of them writes."""
    pair = "/".join(sorted((one, other)))
    return f"conv_{hashlib.sha256(pair.encode()).hexdigest()[:10]}"


# Commands


def send(account: Account, params: MessageSend, now: float) -> Message:
    """Queue an outbound message; a timer is set for the moment when it is sent.

    Raises:
        Refusal: `from_` is not a number of the account that can send messages, `to` cannot be reached or has opted out, or it is
            a magic number that refuses the message.
    """
    _require_texting(account, params.from_, "from")
    require_reachable(params.to, texting=True)
    apply_trouble(account, params.to)
    body = _template(params) if params.template_id is not None else params.body
    message = Message(
        id=account.mint("msg"),
        direction=Direction.OUTBOUND,
        channel=Channel.MMS if params.media_urls else Channel.SMS,
        conversation_id=conversation_between(params.from_, params.to),
        from_=params.from_,
        to=params.to,
        body=body,
        media=tuple(Media(url=url, content_type="application/octet-stream") for url in params.media_urls or ()),
        template_id=params.template_id,
        status=MessageStatus.QUEUED,
        segments=1 if params.media_urls else count_segments(body or ""),
        created_at=at(now),
    )
    if message.to in account.opted_out:
        raise Refusal("opted_out", "the recipient has opted out", "to")
    account.messages.add(message)
    account.later(now + account.timing.sms_sent, "message_sent", message.id)
    return message


def _require_texting(account: Account, phone_number: str, param: str) -> None:
    """Check that a number is an active number of the account, and that messages are not turned off for it.

    Raises:
        Refusal: the number is not active, or messages are turned off for it.
    """
    number = numbers.require_own(account, phone_number, param)
    if Capability.SMS not in number.capabilities or (number.sms is not None and number.sms.enabled is False):
        raise Refusal("invalid_state", "this number does not send messages, and takes none", param)


def _template(params: MessageSend) -> str:
    """A body that names the template and its variables, since the texts of templates are kept in the console.

    It is as long as the body of a message may be, at most.
    """
    values = ", ".join(f"{name}={value}" for name, value in (params.template_variables or {}).items())
    return f"[{params.template_id}{': ' if values else ''}{values}]"[:LONGEST_BODY]


def receive(account: Account, *, from_: str, to: str, body: str, now: float) -> Message:
    """Receive a message to one of the account's numbers. STOP and START are the carrier's opt-out and opt-in words.

    Raises:
        Refusal: `to` is not an active number of the account, or takes no messages.
    """
    _require_texting(account, to, "to")
    return _arrive(account, from_=from_, to=to, body=body, now=now)


# Transitions


def sent(account: Account, id: str, now: float) -> None:
    """The message was sent; a timer is set for its delivery, unless the number never confirms."""
    message = _change(account, id, status=MessageStatus.SENT)
    account.fired("message.sent", id, now)
    outcome = magic(message.to).message
    if outcome != "unconfirmed":
        arrive = "message_undelivered" if outcome == "undelivered" else "message_delivered"
        account.later(now + account.timing.sms_delivered, arrive, id)


def undelivered(account: Account, id: str, now: float) -> None:
    """The message did not arrive."""
    _change(account, id, status=MessageStatus.FAILED, error="undelivered")
    account.fired("message.failed", id, now)


def delivered(account: Account, id: str, now: float) -> None:
    """The carrier confirmed the message; a timer is set for the reply, if the number replies."""
    message = _change(account, id, status=MessageStatus.DELIVERED, delivered_at=at(now))
    deliveries.emit(account, EventType.MESSAGE_DELIVERED, id, message, now)
    if magic(message.to).message == "replies":
        account.later(now + account.timing.sms_delivered, "reply", id)


def reply(account: Account, id: str, now: float) -> None:
    """The recipient replies. The reply is lost if the account's number was released or takes no messages any more."""
    message = account.messages.get(id)
    assert message is not None
    with suppress(Refusal):
        _require_texting(account, message.from_ or "", "to")
        _arrive(account, from_=message.to or "", to=message.from_ or "", body="Got it, thanks!", now=now)


def _arrive(account: Account, *, from_: str, to: str, body: str, now: float) -> Message:
    message = Message(
        id=account.mint("msg"),
        direction=Direction.INBOUND,
        channel=Channel.SMS,
        conversation_id=conversation_between(from_, to),
        from_=from_,
        to=to,
        body=body,
        status=MessageStatus.RECEIVED,
        segments=count_segments(body),
        created_at=at(now),
    )
    account.messages.add(message)
    word = body.strip().upper()
    if word == "STOP":
        account.set_flag("opted_out", from_, True)
    elif word == "START":
        account.set_flag("opted_out", from_, False)
    deliveries.emit(account, EventType.MESSAGE_RECEIVED, message.id, message, now)
    return message


def _change(account: Account, id: str, **changes: object) -> Message:
    message = account.messages.get(id)
    assert message is not None
    message = evolve(message, **changes)  # type: ignore[arg-type]
    account.messages.replace(message)
    return message
