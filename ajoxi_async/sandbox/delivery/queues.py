"""Posts the deliveries that are due: one queue for each endpoint.

Rules:
1. At most 10 deliveries of one endpoint are under way at a time. An endpoint that fails or hangs does not delay deliveries to
   the others.
2. Deliveries of an endpoint start in the order in which they were due.
3. Deliveries that are under way are counted, so that a virtual clock knows when everything of a moment is over.
4. The outcome of an attempt that began before its world was reset or restored is dropped with the old account.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
from attrs import define, field

from ajoxi_async.contract import headers
from ajoxi_async.contract.encoding.exact_values import integer
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.runtime.cancellation import stray_cancellation_fails
from ajoxi_async.sandbox.delivery.post import Answer, Post
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import deliveries, webhooks
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.webhook_records import Attempt
from ajoxi_async.sandbox.time.clock import Clock
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Fired
from ajoxi_async.sandbox.time.virtual import VirtualClock

__all__ = ["CONCURRENT", "DeliveryQueues"]

#: How many deliveries of one endpoint are under way at a time.
CONCURRENT = 10
#: How many deliveries are queued before other tasks may run; that takes a few milliseconds.
QUEUED = 500

#: A clock's record, and the index at which the attempt's outcome belongs.
_Place = tuple[list[Fired | None], int] | None


@define(eq=False)
class _Endpoint:
    waiting: deque[tuple[str, _Place]] = field(factory=deque)
    workers: int = 0


@define(eq=False)
class DeliveryQueues:
    """The deliveries of one world that are waiting or being posted.

    Attributes:
        start: runs a task.
        save: returns once every change so far is in the journal.
        changed: called after an attempt, since it may have set a timer.
        under_way: deliveries that are waiting or being posted.
    """

    account: Account
    clock: Clock
    post: Post
    start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
    save: Callable[[], Awaitable[None]]
    changed: Callable[[], None]
    under_way: int = field(default=0, init=False)
    _endpoints: dict[str, _Endpoint] = field(factory=dict, init=False)
    # The endpoint of each delivery that was queued and for which no worker was started yet.
    _queued: list[_Endpoint] = field(factory=list, init=False)
    _abandoned: bool = field(default=False, init=False)
    _over: anyio.Event = field(factory=anyio.Event, init=False)

    def start_due(self) -> bool:
        """Queue some of the deliveries that are due, and start workers once all are queued, without waiting for them.

        Returns:
            Whether none is due any more.
        """
        due = self.account.due_deliveries
        for _ in range(min(len(due), QUEUED)):
            id = due.popleft()
            found = deliveries.target(self.account, id, self.clock.now())
            if found is None:
                continue
            endpoint = self._endpoints.setdefault(found[1].id, _Endpoint())
            endpoint.waiting.append((id, self._reserve()))
            self._queued.append(endpoint)
            self.under_way += 1
        if due:
            return False
        # In the order of the deliveries, which is the same after a rewind.
        queued, self._queued = self._queued, []
        for endpoint in queued:
            if endpoint.workers < CONCURRENT:
                endpoint.workers += 1
                self.start(lambda endpoint=endpoint: self._work(endpoint))  # type: ignore[misc]
        return True

    async def quiet(self) -> None:
        """Wait until no delivery is waiting or being posted."""
        while self.under_way:
            await self._over.wait()

    def abandon(self) -> None:
        """Drop the waiting deliveries. Those being posted go on, and their outcomes are dropped."""
        self._abandoned = True
        for endpoint in self._endpoints.values():
            dropped = len(endpoint.waiting)
            endpoint.waiting.clear()
            self._end(dropped)

    def _end(self, amount: int) -> None:
        self.under_way -= amount
        if not self.under_way:
            self._over.set()
            self._over = anyio.Event()

    def _reserve(self) -> _Place:
        """Reserve an entry in the clock's record, which lists deliveries in the order in which they started."""
        record = self.clock.record if isinstance(self.clock, VirtualClock) else None
        if record is None:
            return None
        record.append(None)
        return record, len(record) - 1

    async def _work(self, endpoint: _Endpoint) -> None:
        try:
            while endpoint.waiting:
                id, place = endpoint.waiting.popleft()
                try:
                    await self._attempt(id, place)
                    # A post that waits for nothing would otherwise keep the event loop while there are deliveries.
                    await anyio.lowlevel.checkpoint()
                finally:
                    # Last, so that no worker of this instant is left when the clock goes on.
                    self._end(1)
        finally:
            endpoint.workers -= 1

    async def _attempt(self, id: str, place: _Place) -> None:
        account = self.account
        moment = self.clock.now()
        found = deliveries.target(account, id, moment)
        if found is None:
            return
        delivery, webhook = found
        sent = {
            headers.CONTENT_TYPE: headers.JSON,
            headers.SIGNATURE: webhooks.signature(account, webhook.id, delivery.body, moment),
        }
        faults = account.faults
        if len(faults) and faults.first("webhook_bad_signature", delivery.type) is not None:
            sent[headers.SIGNATURE] = "0" * 64
        url, began = webhook.url or "", time.perf_counter()
        answer = await self._posted(url, sent, delivery.body)
        latency = time.perf_counter() - began
        if self._abandoned:
            return
        if len(faults) and faults.first("webhook_duplicate", delivery.type) is not None:
            await self._posted(url, sent, delivery.body)
        attempt = Attempt(
            delivery_id=id,
            webhook_id=webhook.id,
            event_id=delivery.event_id,
            type=delivery.type,
            url=url,
            number=delivery.attempts + 1,
            round=delivery.round,
            at=at(moment),
            status=answer.status,
            latency=latency,
            error=_plain(answer.error) if answer.error is not None else None,
            request_headers=sent,
            response_headers={_plain(name): _plain(value) for name, value in answer.headers.items()},
            excerpt=answer.excerpt,
        )
        deliveries.record_attempt(account, attempt)
        self.changed()
        if place is not None:
            record, index = place
            record[index] = Fired(at(moment), f"delivery.{'succeeded' if attempt.succeeded else 'failed'}", id)

    async def _posted(self, url: str, sent: dict[str, str], body: bytes) -> Answer:
        try:
            # Once an endpoint has seen an event, a restart must not lose it.
            await self.save()
        except Refusal as refusal:
            return Answer(None, error=refusal.message)
        with stray_cancellation_fails():
            answer = await self.post(url, sent, body)
        if isinstance(answer, Answer):
            return answer
        status = integer(answer)
        if status is None and answer is not None:
            raise InvalidParameterError("post", f"expected an Answer, a status or None, and it returned {answer!r:.40}")
        return Answer(status, error="no answer" if status is None else None)


def _plain(text: object) -> str:
    """Make a text storable: a custom `Post` may return any object, or text that cannot be encoded."""
    return str(text).encode(errors="replace").decode()
