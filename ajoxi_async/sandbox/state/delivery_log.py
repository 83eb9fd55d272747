"""The log of an account's deliveries: the last thousand attempts and the last thousand finished deliveries of each webhook.

Rules:
1. Pending and dead deliveries are not in this log: they are kept until they are delivered or their webhook is deleted.
2. When the log is full, the methods return the id of the entry to be removed, and the caller reports it to the journal.
"""

from __future__ import annotations

from collections import Counter, deque

from ajoxi_async.sandbox.state.webhook_records import Attempt, Delivery

__all__ = ["KEPT", "DeliveryLog"]

#: How many attempts, and how many finished deliveries, are kept of each webhook.
KEPT = 1_000


class DeliveryLog:
    """See the rules above.

    Attributes:
        attempts: by their ids.
        version: grows with each change of a delivery.
        states: how many deliveries there are in each state. Those that are ``failing`` are ``pending`` as well.
    """

    def __init__(self) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.version = 0
        self.states: Counter[str] = Counter()
        #: Ids by webhook, the oldest first.
        self._attempts_of: dict[str, deque[str]] = {}
        self._over: dict[str, deque[str]] = {}

    def count(self, before: Delivery | None, after: Delivery | None) -> None:
        """Note that a delivery was added, changed or removed."""
        self.version += 1
        for delivery, change in ((before, -1), (after, 1)):
            if delivery is not None:
                self.states[delivery.state] += change
                if delivery.failing:
                    self.states["failing"] += change

    def add(self, attempt: Attempt) -> str | None:
        """Log an attempt; return the id of the oldest attempt if it was removed to make room."""
        self.attempts[attempt.id] = attempt
        ids = self._attempts_of.setdefault(attempt.webhook_id, deque())
        ids.append(attempt.id)
        if len(ids) <= KEPT:
            return None
        oldest = ids.popleft()
        del self.attempts[oldest]
        return oldest

    def ended(self, webhook_id: str, delivery_id: str) -> str | None:
        """Note that a delivery is over; return the id of the delivery that is to be removed to make room, if any."""
        ids = self._over.setdefault(webhook_id, deque())
        ids.append(delivery_id)
        return ids.popleft() if len(ids) > KEPT else None

    def reopened(self, webhook_id: str, delivery_id: str) -> None:
        """Note that a delivery that was over is made again."""
        ids = self._over.get(webhook_id)
        if ids is not None and delivery_id in ids:
            ids.remove(delivery_id)

    def of(self, webhook_id: str) -> list[Attempt]:
        """The attempts of a webhook, in the order in which they ended."""
        return [self.attempts[id] for id in self._attempts_of.get(webhook_id, ())]

    def forget(self, webhook_id: str) -> list[str]:
        """Remove everything of a webhook; return the ids of its attempts."""
        self._over.pop(webhook_id, None)
        ids = list(self._attempts_of.pop(webhook_id, ()))
        for id in ids:
            del self.attempts[id]
        return ids

    def copy(self) -> DeliveryLog:
        """Copy the log."""
        twin = DeliveryLog()
        twin.attempts, twin.version, twin.states = self.attempts.copy(), self.version, self.states.copy()
        twin._attempts_of = {id: ids.copy() for id, ids in self._attempts_of.items()}
        twin._over = {id: ids.copy() for id, ids in self._over.items()}
        return twin
