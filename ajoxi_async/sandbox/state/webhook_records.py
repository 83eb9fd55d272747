"""What an account keeps for its webhooks besides the subscriptions: secrets, deliveries and the log of attempts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from ajoxi_async.sandbox.time.timers import Timer

__all__ = ["DELIVER", "Attempt", "Delivery", "Secret"]

#: The action of the timers that make deliveries due.
DELIVER = "deliver"


@frozen
class Secret:
    """A webhook secret. One that was replaced signs until the moment `until`; the current one has none."""

    value: str
    until: float | None = None


@frozen(kw_only=True)
class Delivery:
    """One event for one webhook, until it is delivered.

    Attributes:
        body: the bytes that every attempt posts.
        since: the moment from which the schedule counts.
        due: the moment of the next attempt.
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

    def timer(self) -> Timer:
        """The timer that makes it due."""
        return Timer(self.due, self.order, DELIVER, (self.id,))


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
        """Whether the endpoint answered 2xx."""
        return self.status is not None and 200 <= self.status < 300
