"""Webhook subscriptions and what is still to be delivered to them (API reference: Webhooks). No I/O, no waiting.

Rules:
1. An event becomes one delivery for each enabled webhook that subscribed to it: the same bytes on every attempt.
2. 2xx is success. A redirect is a failure; 410 disables the webhook and ends the delivery.
3. Otherwise it is tried again at the moments of `SCHEDULE`, for up to 24 hours; after the last attempt it is a dead letter.
   An attempt that comes late, since nobody ran, stands for all that were due by then.
4. A dead letter that is replayed lives again from the start of the schedule: same event id, same bytes, current secret.
5. A rotated secret goes on signing beside the new one for 24 hours. The newest signs first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import define, evolve, field, frozen

from ajoxi_async.contract import codec, headers
from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.signing import sign
from ajoxi_async.contract.webhooks import EventType, Webhook, WebhookStatus
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.store import Store
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Timer

if TYPE_CHECKING:
    from ajoxi_async.sandbox.state.account import Account

__all__ = ["ROTATION", "SCHEDULE", "Attempt", "Delivery", "Outgoing", "Secret"]

#: Seconds after the event at which attempts are made.
SCHEDULE = (0, 5, 35, 155, 755, 2_555, 6_155, 13_355, 27_755, 49_355, 85_955)
#: Seconds for which a secret that was rotated away still signs.
ROTATION = 86_400.0
#: Attempts that the log keeps of each webhook.
KEPT = 1_000


@frozen
class Secret:
    """What signs; `until` a moment, once there is a newer one."""

    value: str
    until: float | None = None


@frozen(kw_only=True)
class Delivery:
    """One event for one webhook, until it is delivered.

    Attributes:
        body: what is posted, on every attempt.
        since: the moment the schedule counts from.
        attempts: how many places of the schedule are behind it.
        dead: whether it was given up.
        order: its place among timers of the same moment.
    """

    id: str
    webhook_id: str
    event_id: str
    type: str
    body: bytes
    since: float
    due: float
    attempts: int = 0
    dead: bool = False
    order: int = 0


@frozen(kw_only=True)
class Attempt:
    """One line of the delivery log.

    Attributes:
        number: its place in the schedule, from 1.
        at: when, on the sandbox's clock.
        status: of the answer; ``None`` where none came, and `error` says why.
        latency: seconds until the answer.
        excerpt: the beginning of the answer's body.
    """

    delivery_id: str
    webhook_id: str
    event_id: str
    type: str
    url: str
    number: int
    at: datetime
    status: int | None
    latency: float
    error: str | None
    request_headers: Mapping[str, str]
    response_headers: Mapping[str, str]
    excerpt: bytes

    @property
    def succeeded(self) -> bool:
        """Whether the endpoint took it."""
        return self.status is not None and 200 <= self.status < 300


@define(eq=False)
class Outgoing:
    """The webhooks of one account."""

    account: Account
    webhooks: Store[Webhook] = field(factory=Store)
    secrets: dict[str, tuple[Secret, ...]] = field(factory=dict)
    deliveries: dict[str, Delivery] = field(factory=dict)
    log: dict[str, deque[Attempt]] = field(factory=dict)
    #: Deliveries whose moment has come; whoever does the posting takes them from here.
    due: deque[str] = field(factory=deque)

    def copy(self, account: Account) -> Outgoing:
        """The same for a twin of the account. What was under way is due again."""
        log = {id: attempts.copy() for id, attempts in self.log.items()}
        twin = Outgoing(account, self.webhooks.copy(), self.secrets.copy(), self.deliveries.copy(), log)
        set_already = {timer.args[0] for timer in account.timers.all() if timer.action == "deliver"}
        for delivery in self.deliveries.values():
            if not delivery.dead and delivery.id not in set_already:
                twin.keep(delivery)
        return twin

    # Subscriptions

    def subscribe(self, webhook: Webhook, secret: str) -> Webhook:
        """Keep a subscription; the secret is in this answer and in no later one."""
        self.webhooks.add(webhook)
        self.secrets[webhook.id] = (Secret(secret),)
        self._mark("secret", webhook.id)
        return evolve(webhook, secret=secret)

    def unsubscribe(self, id: str) -> None:
        """Remove a subscription and everything that was still to be delivered to it."""
        if self.webhooks.get(id) is None:
            raise Refusal("not_found", f"no webhook {id[:60]}")
        self.webhooks.remove(id)
        del self.secrets[id]
        self.log.pop(id, None)
        self._mark("secret", id)
        for delivery in [delivery for delivery in self.deliveries.values() if delivery.webhook_id == id]:
            self._forget(delivery)

    def rotate(self, id: str, now: float) -> str:
        """Give a webhook a new secret; the one before goes on signing for 24 hours."""
        if self.webhooks.get(id) is None:
            raise Refusal("not_found", f"no webhook {id[:60]}")
        fresh = self.account.secret_of(id, self.account.mint("secret"))
        self.secrets[id] = (Secret(fresh), Secret(self.secrets[id][0].value, now + ROTATION))
        self._mark("secret", id)
        return fresh

    def signature(self, id: str, body: bytes, now: float) -> str:
        """The signature of a body with every secret that still signs."""
        return sign(body, [s.value for s in self.secrets[id] if s.until is None or now < s.until])

    # Deliveries

    def emit(self, kind: EventType, data: Resource | Callable[[], Resource], moment: float) -> None:
        """Make the deliveries of an event; what is long to make is made only where somebody subscribes to it."""
        event_id = self.account.mint("evt")
        body = b""
        for webhook in self.webhooks.newest_first():
            if webhook.status == WebhookStatus.ENABLED and kind in webhook.events:
                body = body or _body(event_id, kind, data() if callable(data) else data, moment, self.account.mode)
                delivery = Delivery(
                    id=self.account.mint("dlv"),
                    webhook_id=webhook.id,
                    event_id=event_id,
                    type=str(kind),
                    body=body,
                    since=moment,
                    due=moment + self.account.faults.delay(str(kind)),
                    order=self.account.timers.order(),
                )
                self.keep(delivery)

    def keep(self, delivery: Delivery) -> None:
        """Have a delivery made at its moment."""
        self.deliveries[delivery.id] = delivery
        self._mark("delivery", delivery.id)
        if not delivery.dead:
            self.account.timers.add(Timer(delivery.due, delivery.order, "deliver", (delivery.id,)))

    def target(self, id: str) -> tuple[Delivery, Webhook] | None:
        """A delivery and where it goes; ``None`` where it goes nowhere any more."""
        delivery = self.deliveries.get(id)
        webhook = self.webhooks.get(delivery.webhook_id) if delivery is not None else None
        if delivery is None or delivery.dead:
            return None
        if webhook is None or webhook.status != WebhookStatus.ENABLED:
            self._forget(delivery)
            return None
        return delivery, webhook

    def headers(self, delivery: Delivery, now: float) -> dict[str, str]:
        """What goes before the body of an attempt."""
        return {
            headers.CONTENT_TYPE: headers.JSON,
            headers.SIGNATURE: self.signature(delivery.webhook_id, delivery.body, now),
        }

    def attempted(self, attempt: Attempt) -> None:
        """See to what follows from an attempt."""
        delivery = self.deliveries.get(attempt.delivery_id)
        if delivery is None:
            return
        self.log.setdefault(attempt.webhook_id, deque(maxlen=KEPT)).append(attempt)
        began = attempt.at.timestamp()
        later = range(delivery.attempts + 1, len(SCHEDULE))
        following = next((n for n in later if delivery.since + SCHEDULE[n] > began), None)
        if attempt.succeeded:
            self._forget(delivery)
        elif attempt.status == 410:
            self._disable(delivery.webhook_id)
            self._forget(delivery)
        elif following is not None:
            self.keep(evolve(delivery, attempts=following, due=delivery.since + SCHEDULE[following]))
        else:
            self.keep(evolve(delivery, attempts=len(SCHEDULE), dead=True))

    def _disable(self, id: str) -> None:
        webhook = self.webhooks.get(id)
        if webhook is not None:
            self.webhooks.replace(evolve(webhook, status=WebhookStatus.DISABLED))

    def _forget(self, delivery: Delivery) -> None:
        self.deliveries.pop(delivery.id, None)
        self._mark("delivery", delivery.id)

    def dead_letters(self) -> tuple[Delivery, ...]:
        """What was given up, the oldest first."""
        return tuple(delivery for delivery in self.deliveries.values() if delivery.dead)

    def replay(self, ids: Iterable[str] | None, now: float) -> int:
        """Deliver dead letters again; without `ids` all whose webhook is enabled. Return how many.

        Raises:
            Refusal: one of the ids is no dead letter, or its webhook is disabled.
        """
        dead = {delivery.id: delivery for delivery in self.dead_letters()}
        enabled = {webhook.id for webhook in self.webhooks.newest_first() if webhook.status == WebhookStatus.ENABLED}
        able = [id for id, delivery in dead.items() if delivery.webhook_id in enabled]
        chosen = able if ids is None else list(dict.fromkeys(ids))
        for id in chosen:
            if id not in dead:
                raise Refusal("not_found", f"no dead letter {id[:60]}")
            if id not in able:
                raise Refusal("invalid_state", f"the webhook of {id[:60]} is disabled")
        for id in chosen:
            order = self.account.timers.order()
            self.keep(evolve(dead[id], since=now, due=now, attempts=0, dead=False, order=order))
        return len(chosen)

    def _mark(self, kind: str, id: str) -> None:
        self.account.mark(kind, id)


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
