"""The deliveries of webhook events (API reference: Webhooks): made, tried again, given up and replayed, but not posted here.

Rules:
1. An event becomes one delivery for each enabled webhook that subscribed to it. Every attempt posts the same bytes.
2. 2xx is success. A redirect is a failure. 410 disables the webhook and ends all its deliveries but the dead letters.
3. A failed delivery is tried again at the moments of `SCHEDULE`, for up to 24 hours; after the last attempt it is a dead
   letter. An attempt made late, because the sandbox did not run, counts for all attempts that were due by then.
4. A replayed dead letter starts the schedule again, in a new round: same event id, same bytes, signed with the current secret.
   Any other finished delivery can be sent again in the same way.
5. Finished deliveries are kept with their body; `DeliveryLog` limits how many of each webhook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from attrs import evolve

from ajoxi_async.contract import codec
from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.webhooks import EventType, Webhook, WebhookStatus
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.webhook_records import Attempt, Delivery, DeliveryReport, DeliveryState
from ajoxi_async.sandbox.time.moments import at

__all__ = [
    "SCHEDULE",
    "STATES",
    "add",
    "dead_letters",
    "discard",
    "emit",
    "forget_webhook",
    "matching",
    "pending",
    "record_attempt",
    "replay",
    "report",
    "resend",
    "retry",
    "target",
]

#: Seconds after the event at which attempts are made.
SCHEDULE = (0, 5, 35, 155, 755, 2_555, 6_155, 13_355, 27_755, 49_355, 85_955)
#: What `matching` takes as a state: those of deliveries, and ``failing`` for pending ones that failed in this round.
STATES = ("pending", "failing", "delivered", "dead", "dropped")


def emit(
    account: Account,
    kind: EventType,
    id: str,
    data: Resource | Callable[[], Resource],
    moment: float,
) -> None:
    """Report an event and make its deliveries.

    Args:
        account: the account in which the event happened.
        kind: the event's type.
        id: the id of the object that the event is about.
        data: the object, or a function that makes it, which is called only if a webhook subscribed to the event.
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
                created_at=moment,
                since=moment,
                due=moment + account.faults.delay(str(kind)),
                order=account.timers.order(),
            )
            add(account, delivery)


def add(account: Account, delivery: Delivery) -> None:
    """Keep a delivery, new or changed, and set its timer where it is pending."""
    account.delivery_log.count(account.deliveries.get(delivery.id), delivery)
    account.deliveries[delivery.id] = delivery
    account.posting.discard(delivery.id)
    account.mark_changed("delivery", delivery.id)
    if delivery.state == "pending":
        account.timers.add(delivery.timer())


def _remove(account: Account, id: str) -> None:
    account.delivery_log.count(account.deliveries.pop(id), None)
    account.mark_changed("delivery", id)


def _end(account: Account, delivery: Delivery, state: DeliveryState, moment: float, **changes: Any) -> None:
    """Keep a finished delivery, and remove the one that finished first if there are too many."""
    add(account, evolve(delivery, state=state, ended_at=moment, **changes))
    oldest = account.delivery_log.ended(delivery.webhook_id, delivery.id)
    if oldest is not None:
        _remove(account, oldest)


def forget_webhook(account: Account, webhook_id: str) -> None:
    """Remove the deliveries and the log of a webhook."""
    for id in account.delivery_log.forget(webhook_id):
        account.mark_unsaved("attempt", id)
    for delivery in [one for one in account.deliveries.values() if one.webhook_id == webhook_id]:
        account.posting.discard(delivery.id)
        _remove(account, delivery.id)


def target(account: Account, id: str, now: float) -> tuple[Delivery, Webhook] | None:
    """A delivery and its webhook; ``None`` if the delivery is not to be made any more."""
    delivery = account.deliveries.get(id)
    if delivery is None or delivery.state != "pending":
        return None
    webhook = account.webhooks.get(delivery.webhook_id)
    if webhook is None or webhook.status != WebhookStatus.ENABLED:
        _end(account, delivery, "dropped", now)
        return None
    return delivery, webhook


def record_attempt(account: Account, attempt: Attempt) -> None:
    """Log an attempt, and end the delivery, set its next attempt or give it up."""
    if account.webhooks.get(attempt.webhook_id) is None:
        return
    account.mark_unsaved("attempt", attempt.id)
    if (oldest := account.delivery_log.add(attempt)) is not None:
        account.mark_unsaved("attempt", oldest)
    delivery = account.deliveries.get(attempt.delivery_id)
    if delivery is None or delivery.state != "pending":
        # Another attempt of the same instant was answered with 410.
        return
    answered: dict[str, Any] = {"status": attempt.status, "error": attempt.error}
    began = attempt.at.timestamp()
    later = range(delivery.attempts + 1, len(SCHEDULE))
    following = next((n for n in later if delivery.since + SCHEDULE[n] > began), None)
    if attempt.succeeded:
        _end(account, delivery, "delivered", began, attempts=attempt.number, **answered)
    elif attempt.status == 410:
        _end(account, delivery, "dropped", began, attempts=attempt.number, **answered)
        _disable(account, delivery.webhook_id, began)
    elif following is not None:
        add(account, evolve(delivery, attempts=following, due=delivery.since + SCHEDULE[following], **answered))
    else:
        add(account, evolve(delivery, attempts=len(SCHEDULE), state="dead", ended_at=began, **answered))


def _disable(account: Account, webhook_id: str, moment: float) -> None:
    """Disable a webhook and drop what was still to be delivered to it; its dead letters stay."""
    webhook = account.webhooks.get(webhook_id)
    if webhook is not None:
        account.webhooks.replace(evolve(webhook, status=WebhookStatus.DISABLED))
    for delivery in pending(account):
        if delivery.webhook_id == webhook_id:
            _end(account, delivery, "dropped", moment)


def pending(account: Account) -> tuple[Delivery, ...]:
    """The deliveries that are still to be made or tried again, the oldest first."""
    return tuple(delivery for delivery in account.deliveries.values() if delivery.state == "pending")


def dead_letters(account: Account) -> tuple[Delivery, ...]:
    """The deliveries that were given up, the oldest first."""
    return tuple(delivery for delivery in account.deliveries.values() if delivery.dead)


def matching(
    *,
    state: str | None = None,
    webhook_id: str | None = None,
    event_id: str | None = None,
    type: str | None = None,
    code: str | None = None,
    about: str | None = None,
) -> Callable[[Delivery], bool]:
    """A function that tests whether a delivery matches all given arguments.

    Args:
        state: one of `STATES`.
        webhook_id: the id of the webhook.
        event_id: the id of the event.
        type: the type of the event, or a pattern of types: ``call.*``.
        code: the status of the answer to the last attempt: ``503``, ``5xx``, or ``none`` if no answer came.
        about: the id of an object that the event is about, or any other text in its body.

    Raises:
        InvalidParameterError: there is no such state.
    """
    text = about.encode(errors="replace") if about is not None else b""
    if state is not None and state not in STATES:
        raise InvalidParameterError("state", f"expected one of {', '.join(STATES)}")

    def accepts(one: Delivery) -> bool:
        return bool(
            (webhook_id is None or one.webhook_id == webhook_id)
            and (event_id is None or one.event_id == event_id)
            and text in one.body
            and (state is None or (one.state == state if state != "failing" else one.failing))
            and (code is None or ((one.status or one.error) and _answered(one.status, code)))
            and (type is None or fnmatchcase(one.type, type))
        )

    return accepts


def _answered(status: int | None, code: str) -> bool:
    return code.lower() in ({"none"} if status is None else {str(status), f"{status // 100}xx"})


def report(account: Account, id: str) -> DeliveryReport:
    """A delivery with its attempts.

    Raises:
        Refusal: there is no such delivery, or it is not kept any more.
    """
    delivery = _require(account, id)
    rounds: dict[int, tuple[Attempt, ...]] = {}
    for attempt in account.delivery_log.of(delivery.webhook_id):
        if attempt.delivery_id == id:
            rounds[attempt.round] = (*rounds.get(attempt.round, ()), attempt)
    return DeliveryReport(delivery=delivery, rounds=rounds, planned=_planned(delivery))


def _planned(delivery: Delivery) -> tuple[datetime, ...]:
    if delivery.state != "pending":
        return ()
    later = (delivery.since + seconds for seconds in SCHEDULE[delivery.attempts + 1 :])
    return tuple(map(at, (delivery.due, *(moment for moment in later if moment > delivery.due))))


def replay(account: Account, ids: Iterable[str] | None, now: float) -> int:
    """Deliver dead letters again; without `ids` all whose webhook is enabled. Return how many.

    Raises:
        Refusal: one of the ids is not that of a dead letter, or its webhook is disabled.
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
        _start_again(account, dead[id], now)
    return len(chosen)


def _start_again(account: Account, delivery: Delivery, now: float) -> None:
    order, again = account.timers.order(), delivery.round + 1
    add(
        account,
        evolve(delivery, since=now, due=now, attempts=0, state="pending", ended_at=None, round=again, order=order),
    )


def resend(account: Account, id: str, now: float) -> None:
    """Deliver a finished delivery again, whatever became of it: as `replay` does with dead letters.

    Raises:
        Refusal: there is no such delivery, it is still pending, or its webhook is disabled or gone.
    """
    delivery = _require(account, id)
    if delivery.state == "pending":
        raise Refusal("invalid_state", f"{id[:60]} is still to be delivered; retry it")
    _require_enabled(account, delivery)
    account.delivery_log.reopened(delivery.webhook_id, id)
    _start_again(account, delivery, now)


def retry(account: Account, id: str, now: float) -> None:
    """Make the next attempt of a pending delivery now. It counts as the next one of the schedule.

    Raises:
        Refusal: there is no such delivery, it is not pending or being posted, or its webhook is disabled.
    """
    delivery = _require(account, id)
    if delivery.state != "pending":
        raise Refusal("invalid_state", f"{id[:60]} is not pending; resend it")
    if id in account.posting:
        raise Refusal("invalid_state", f"{id[:60]} is being posted")
    _require_enabled(account, delivery)
    account.timers.remove(delivery.timer())
    add(account, evolve(delivery, due=now, order=account.timers.order()))


def discard(account: Account, id: str) -> None:
    """Remove a dead letter. Its attempts stay in the log.

    Raises:
        Refusal: there is no such dead letter.
    """
    if not _require(account, id).dead:
        raise Refusal("invalid_state", f"{id[:60]} is not a dead letter")
    _remove(account, id)


def _require(account: Account, id: str) -> Delivery:
    delivery = account.deliveries.get(id)
    if delivery is None:
        raise Refusal("not_found", f"no delivery {id[:60]}")
    return delivery


def _require_enabled(account: Account, delivery: Delivery) -> None:
    webhook = account.webhooks.get(delivery.webhook_id)
    if webhook is None or webhook.status != WebhookStatus.ENABLED:
        raise Refusal("invalid_state", f"the webhook of {delivery.id[:60]} is disabled")


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
