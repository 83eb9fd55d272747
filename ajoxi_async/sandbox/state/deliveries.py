"""The deliveries of webhook events (API reference: Webhooks): made, tried again, given up and replayed. Nothing is posted here.

Rules:
1. An event becomes one delivery for each enabled webhook that subscribed to it. Every attempt posts the same bytes.
2. 2xx is success. A redirect is a failure. 410 disables the webhook and ends all its deliveries but the dead letters.
3. A failed delivery is tried again at the moments of `SCHEDULE`, for up to 24 hours; after the last attempt it is a dead
   letter. An attempt made late, because the sandbox did not run, counts for all attempts that were due by then.
4. A replayed dead letter starts the schedule again: same event id, same bytes, signed with the current secret.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from attrs import evolve

from ajoxi_async.contract import codec
from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.webhooks import EventType, Webhook, WebhookStatus
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.webhook_records import Attempt, Delivery
from ajoxi_async.sandbox.time.moments import at

__all__ = ["SCHEDULE", "add", "dead_letters", "emit", "forget", "record_attempt", "replay", "target"]

#: Seconds after the event at which attempts are made.
SCHEDULE = (0, 5, 35, 155, 755, 2_555, 6_155, 13_355, 27_755, 49_355, 85_955)
#: Attempts that the log keeps of each webhook.
KEPT = 1_000


def emit(
    account: Account,
    kind: EventType,
    id: str,
    data: Resource | Callable[[], Resource],
    moment: float,
) -> None:
    """Report an event and make its deliveries.

    Args:
        account: whose event it is.
        kind: the event's type.
        id: of the object it is about.
        data: the object, or a function that makes it, which is called only where a webhook subscribed.
        moment: when it happened.
    """
    account.fired(str(kind), id, moment)
    event_id = account.mint("evt")
    body = b""
    for webhook in account.webhooks.newest_first():
        if webhook.status == WebhookStatus.ENABLED and kind in webhook.events:
            body = body or _body(event_id, kind, data() if callable(data) else data, moment, account.mode)
            delivery = Delivery(
                id=account.mint("dlv"),
                webhook_id=webhook.id,
                event_id=event_id,
                type=str(kind),
                body=body,
                since=moment,
                due=moment + account.faults.delay(str(kind)),
                order=account.timers.order(),
            )
            add(account, delivery)


def add(account: Account, delivery: Delivery) -> None:
    """Keep a delivery, new or changed, and set its timer unless it is dead."""
    account.deliveries[delivery.id] = delivery
    account.mark_changed("delivery", delivery.id)
    if not delivery.dead:
        account.timers.add(delivery.timer())


def forget(account: Account, id: str) -> None:
    """Remove a delivery that is over."""
    account.deliveries.pop(id, None)
    account.mark_changed("delivery", id)


def target(account: Account, id: str) -> tuple[Delivery, Webhook] | None:
    """A delivery and the webhook it goes to; ``None`` where it is not to be made any more."""
    delivery = account.deliveries.get(id)
    if delivery is None or delivery.dead:
        return None
    webhook = account.webhooks.get(delivery.webhook_id)
    if webhook is None or webhook.status != WebhookStatus.ENABLED:
        forget(account, id)
        return None
    return delivery, webhook


def record_attempt(account: Account, attempt: Attempt) -> None:
    """Log an attempt, and end the delivery, set its next attempt or give it up."""
    if account.webhooks.get(attempt.webhook_id) is None:
        return
    account.delivery_log.setdefault(attempt.webhook_id, deque(maxlen=KEPT)).append(attempt)
    delivery = account.deliveries.get(attempt.delivery_id)
    if delivery is None:
        # Another attempt of the same instant was answered 410.
        return
    began = attempt.at.timestamp()
    later = range(delivery.attempts + 1, len(SCHEDULE))
    following = next((n for n in later if delivery.since + SCHEDULE[n] > began), None)
    if attempt.succeeded:
        forget(account, delivery.id)
    elif attempt.status == 410:
        _disable(account, delivery.webhook_id)
    elif following is not None:
        add(account, evolve(delivery, attempts=following, due=delivery.since + SCHEDULE[following]))
    else:
        add(account, evolve(delivery, attempts=len(SCHEDULE), dead=True))


def _disable(account: Account, webhook_id: str) -> None:
    """Disable a webhook and drop what was still to be delivered to it; its dead letters stay."""
    webhook = account.webhooks.get(webhook_id)
    if webhook is not None:
        account.webhooks.replace(evolve(webhook, status=WebhookStatus.DISABLED))
    for delivery in list(account.deliveries.values()):
        if delivery.webhook_id == webhook_id and not delivery.dead:
            forget(account, delivery.id)


def dead_letters(account: Account) -> tuple[Delivery, ...]:
    """The deliveries that were given up, the oldest first."""
    return tuple(delivery for delivery in account.deliveries.values() if delivery.dead)


def replay(account: Account, ids: Iterable[str] | None, now: float) -> int:
    """Deliver dead letters again; without `ids` all whose webhook is enabled. Return how many.

    Raises:
        Refusal: one of the ids is no dead letter, or its webhook is disabled.
    """
    dead = {delivery.id: delivery for delivery in dead_letters(account)}
    enabled = {webhook.id for webhook in account.webhooks.newest_first() if webhook.status == WebhookStatus.ENABLED}
    able = [id for id, delivery in dead.items() if delivery.webhook_id in enabled]
    chosen = able if ids is None else list(dict.fromkeys(ids))
    for id in chosen:
        if id not in dead:
            raise Refusal("not_found", f"no dead letter {id[:60]}")
        if id not in able:
            raise Refusal("invalid_state", f"the webhook of {id[:60]} is disabled")
    for id in chosen:
        order = account.timers.order()
        add(account, evolve(dead[id], since=now, due=now, attempts=0, dead=False, order=order))
    return len(chosen)


def _body(event_id: str, kind: EventType, data: Resource, moment: float, mode: str) -> bytes:
    return codec.encode(
        {
            "id": event_id,
            "type": str(kind),
            "created_at": codec.format_time(at(moment)),
            "mode": mode,
            "data": codec.to_wire(data),
        }
    )
