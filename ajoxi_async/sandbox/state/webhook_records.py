"""What an account keeps for its webhooks besides the subscriptions: secrets, deliveries and the log of attempts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from attrs import field, frozen

from ajoxi_async.sandbox.time.timers import Timer

__all__ = ["DELIVER", "Attempt", "Delivery", "DeliveryReport", "DeliveryState", "Secret"]

#: The action of the timers that make deliveries due.
DELIVER = "deliver"


@frozen
class Secret:
    """A webhook secret. One that was replaced signs until the moment `until`; the current one has none."""

    value: str = field(repr=False)
    until: float | None = None


#: ``pending``: still to be made or tried again. ``dead``: given up, and can be replayed. ``dropped``: its webhook was disabled.
DeliveryState = Literal["pending", "delivered", "dead", "dropped"]


@frozen(kw_only=True)
class Delivery:
    """One event for one webhook. All times are of the sandbox's clock, in seconds since the epoch.

    Attributes:
        body: the bytes that every attempt posts.
        since: the beginning of the schedule: the moment of the event or of the last replay.
        due: the moment of the next attempt.
        attempts: how many attempts of the schedule this round has used.
        state: see `DeliveryState`.
        round: 1, and one more with each replay.
        created_at: the moment of the event.
        ended_at: when it was delivered, given up or dropped; ``None`` while it is pending.
        status: the status of the answer to the last attempt.
        error: why the last attempt had no answer.
        order: see `Timer.order`.
    """

    id: str
    webhook_id: str
    event_id: str
    type: str
    body: bytes
    since: float
    due: float
    attempts: int = 0
    state: DeliveryState = "pending"
    round: int = 1
    created_at: float
    ended_at: float | None = None
    status: int | None = None
    error: str | None = None
    order: int = 0

    @property
    def dead(self) -> bool:
        """Whether it was given up."""
        return self.state == "dead"

    @property
    def failing(self) -> bool:
        """Whether it is pending, and failed in this round."""
        return self.state == "pending" and self.attempts > 0

    def timer(self) -> Timer:
        """The timer that makes it due."""
        return Timer(self.due, self.order, DELIVER, (self.id,))


@frozen(kw_only=True)
class Attempt:
    """One line of the delivery log.

    Attributes:
        number: the number of the attempt in the schedule, from 1.
        round: the round of the delivery: 1, and one more with each replay.
        at: when it was made, on the sandbox's clock.
        status: the status of the answer; ``None`` if none came, for the reason in `error`.
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
    round: int = 1

    @property
    def id(self) -> str:
        """The id of the attempt: delivery, round and number."""
        return f"{self.delivery_id}/{self.round}/{self.number}"

    @property
    def succeeded(self) -> bool:
        """Whether the endpoint answered 2xx."""
        return self.status is not None and 200 <= self.status < 300


@frozen(kw_only=True)
class DeliveryReport:
    """A delivery with its attempts.

    Attributes:
        delivery: its present state.
        rounds: the attempts by the number of their round; the log keeps the last thousand of each webhook.
        planned: the moments of the attempts to come, if each of them fails.
    """

    delivery: Delivery
    rounds: Mapping[int, tuple[Attempt, ...]]
    planned: tuple[datetime, ...]
