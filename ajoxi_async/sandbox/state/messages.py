"""The life of a message (API reference: Messages). Commands and transitions, as in `account`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from attrs import evolve

from ajoxi_async.contract.calls import Direction
from ajoxi_async.contract.messages import Channel, Message, MessageStatus
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.sandbox.outcomes.magic import magic
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.sms_segments import count_segments
from ajoxi_async.sandbox.time.moments import at

if TYPE_CHECKING:
    from ajoxi_async.sandbox.state.account import Account

__all__ = ["conversation_between", "delivered", "reply", "send", "sent", "take", "undelivered"]


def conversation_between(one: str, other: str) -> str:
    """The conversation of two numbers, whichever of them writes."""
    pair = "/".join(sorted((one, other)))
    return f"conv_{hashlib.sha256(pair.encode()).hexdigest()[:10]}"


def send(account: Account, message: Message, now: float) -> Message:
    """Queue a message; it is sent and delivered in its time."""
    if message.to in account.opted_out:
        raise Refusal("opted_out", "the recipient has opted out", "to")
    account.messages.add(message)
    account.later(now + account.timing.sms_sent, "message_sent", message.id)
    return message


def sent(account: Account, id: str, now: float) -> None:
    """It is on its way."""
    message = account.messages.get(id)
    assert message is not None
    account.messages.replace(evolve(message, status=MessageStatus.SENT))
    account.fired("message.sent", id, now)
    outcome = magic(message.to).message
    if outcome != "unconfirmed":
        arrive = "message_undelivered" if outcome == "undelivered" else "message_delivered"
        account.later(now + account.timing.sms_delivered, arrive, id)


def undelivered(account: Account, id: str, now: float) -> None:
    """It did not arrive."""
    message = account.messages.get(id)
    assert message is not None
    account.messages.replace(evolve(message, status=MessageStatus.FAILED, error="undelivered"))
    account.fired("message.failed", id, now)


def delivered(account: Account, id: str, now: float) -> None:
    """The carrier confirmed it."""
    message = account.messages.get(id)
    assert message is not None
    message = evolve(message, status=MessageStatus.DELIVERED, delivered_at=at(now))
    account.messages.replace(message)
    account.emit(EventType.MESSAGE_DELIVERED, message, now)
    if magic(message.to).message == "replies":
        account.later(now + account.timing.sms_delivered, "reply", id)


def reply(account: Account, id: str, now: float) -> None:
    """Whoever got it answers."""
    message = account.messages.get(id)
    assert message is not None
    take(account, from_=message.to or "", to=message.from_ or "", body="Got it, thanks!", now=now)


def take(account: Account, *, from_: str, to: str, body: str, now: float) -> Message:
    """Let a text from anybody arrive; STOP and START are the carrier's opt-out and opt-in words."""
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
        account.flag("opted_out", from_, True)
    elif word == "START":
        account.flag("opted_out", from_, False)
    account.emit(EventType.MESSAGE_RECEIVED, message, now)
    return message
