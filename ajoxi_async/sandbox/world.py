"""One key's world: its state, its clock, its faults and its webhook deliveries.

Rules:
1. Each key has a world of its own, so that parallel test workers share one server and nothing else.
2. Restoring or resetting a world replaces its `Account`. Whoever still holds the old one, a live transcript for
   instance, goes on with the old state.
3. A reset gives the world its first state again: the same ids are made, faults and the quota's count are gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
from attrs import define, field, frozen

from ajoxi_async.contract import checks
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.sandbox.delivery.post import Post
from ajoxi_async.sandbox.delivery.queues import DeliveryQueues
from ajoxi_async.sandbox.faults.faults import Faults
from ajoxi_async.sandbox.quota import Quota
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import calls, campaigns, deliveries, messages, numbers, webhooks
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.actions import run_due
from ajoxi_async.sandbox.state.campaign_records import CampaignReport
from ajoxi_async.sandbox.state.numbers import FIRST_NUMBER
from ajoxi_async.sandbox.state.rings import Ring
from ajoxi_async.sandbox.state.steps import Steps, Unfinished
from ajoxi_async.sandbox.state.webhook_records import Attempt, Delivery
from ajoxi_async.sandbox.time.clock import Clock
from ajoxi_async.sandbox.time.virtual import VirtualClock

T = TypeVar("T")

__all__ = ["Snapshot", "World", "key_id"]


@frozen(eq=False)
class Snapshot:
    """A copy of a world's state and the moment of the copy. It can be restored any number of times."""

    account: Account
    moment: float


#: Parts of a world that are freed in one go; a part is a few dozen objects.
_AT_ONCE = 200


def key_id(key: str) -> str:
    """The id under which a key and its world are listed: it tells keys apart and does not tell the key."""
    return f"key_{hashlib.sha256(key.encode()).hexdigest()[:12]}"


async def _nothing() -> None:
    return None


async def _let_go(parts: list[object]) -> None:
    """Free the memory of a world that was replaced bit by bit: a million calls at once block the loop for 60 ms."""
    while parts:
        del parts[-_AT_ONCE:]
        await anyio.lowlevel.checkpoint()


@define(eq=False)
class World:
    """Everything of one key. Made by the sandbox; tests get it from `Sandbox.world`.

    Attributes:
        key: whose world it is.
        new_account: makes an account that holds nothing yet.
        clock: its time.
        post: posts webhook deliveries.
        start: runs a task in the sandbox's task group.
        rate_limit: requests a second; ``None`` for no limit.
        save: returns once every change so far is in the journal.
        id: of its key, which is not the key.
        faults: what goes wrong on purpose.
        quota: the requests of the last second.
        running: whether the sandbox is open, so that what is started runs.
        answering: requests that are being answered while a fault makes them wait.
        on_replaced: called after the account was replaced.
    """

    key: str
    new_account: Callable[[], Account]
    clock: Clock
    post: Post
    start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
    rate_limit: int | None
    save: Callable[[], Awaitable[None]] = _nothing
    id: str = field(init=False)
    _account: Account = field(init=False)
    faults: Faults = field(init=False)
    quota: Quota = field(init=False)
    running: bool = field(default=False, init=False)
    answering: int = field(default=0, init=False)
    on_replaced: Callable[[World], None] = field(default=lambda _: None, init=False)
    _queues: DeliveryQueues = field(init=False)
    _woken: anyio.Event = field(factory=anyio.Event, init=False)
    _sleeping_until: float | None = field(default=None, init=False)
    _over: anyio.Event = field(factory=anyio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.id = key_id(self.key)
        account = self._fresh_account()
        self.faults = account.faults
        self.quota = Quota(self.rate_limit)
        self._use(account)
        self.clock.join(self)

    def _fresh_account(self) -> Account:
        account = self.new_account()
        numbers.add_first(account)
        return account

    def _use(self, account: Account) -> None:
        account.faults = self.faults
        if isinstance(self.clock, VirtualClock):
            account.on_fired = self._record
        self._account = account
        self._queues = DeliveryQueues(account, self.clock, self.post, self.start, self.save, self.changed)

    def _record(self, fired: object) -> None:
        record = getattr(self.clock, "record", None)
        if record is not None:
            record.append(fired)

    # Commands that take several steps

    @property
    def account(self) -> Account:
        """Its state; a restore or a reset replaces it. A command that is being carried out in steps is finished first."""
        account = self._account
        if account.unfinished is not None:
            account.unfinished.finish()
            account.unfinished = None
        return account

    @property
    def unfinished(self) -> bool:
        """Whether a command is being carried out in steps."""
        return self._account.unfinished is not None

    async def whole(self) -> None:
        """Wait until no command is unfinished; until the caller waits again, none is."""
        while self._account.unfinished is not None:
            await self._over.wait()

    async def carry_out(self, steps: Steps[T]) -> T:
        """Carry out a command in steps, with a turn for others after each; no other command is unfinished.

        Raises:
            Refusal: the command is refused.
        """
        account, command = self._account, Unfinished(steps)
        account.unfinished, self._over = command, anyio.Event()
        try:
            with anyio.CancelScope(shield=True):
                command.step()
                while not command.over:
                    await anyio.lowlevel.checkpoint()
                    command.step()
        finally:
            command.finish()
            if account.unfinished is command:
                account.unfinished = None
            self._over.set()
        return command.result()

    # Time

    @property
    def next_due(self) -> float | None:
        """See `Participant`."""
        return self._account.next_due

    @property
    def busy(self) -> bool:
        """See `Participant`."""
        return bool(self._queues.under_way or self.answering or self.unfinished)

    def run_due(self) -> None:
        """See `Participant`."""
        run_due(self._account, self.clock.now())
        if self.running and self._account.due_deliveries:
            self._queues.start_due()

    def wake(self) -> None:
        """See `Participant`."""
        self._woken.set()

    async def quiet(self) -> None:
        """See `Participant`."""
        await self.whole()
        await self._queues.quiet()

    def changed(self) -> None:
        """Call after every command: starts what became due, and lets `run` wait for an earlier timer."""
        self.run_due()
        due = self._account.next_due
        if due is not None and (self._sleeping_until is None or due < self._sleeping_until):
            self._woken.set()

    async def run(self) -> None:
        """Do what is due whenever it is due by the clock, until cancelled."""
        while True:
            await self.whole()
            self._woken, self._sleeping_until = anyio.Event(), None
            self.run_due()
            with suppress(Refusal):
                await self.save()
            self._sleeping_until = self._account.next_due
            await self.clock.idle(self._sleeping_until, self._woken)

    # State

    def snapshot(self) -> Snapshot:
        """Keep the world as it is now: objects, events to come, deliveries, ids. Faults are not part of it."""
        return Snapshot(self.account.copy(), self.clock.now())

    def restore(self, snapshot: Snapshot) -> None:
        """Put the world back into the state of a snapshot.

        A virtual clock goes back as well. On a real clock, what was due since is due at once.
        """
        if isinstance(self.clock, VirtualClock):
            self.clock.start_at(snapshot.moment)
        self._replace(snapshot.account.copy())

    def reset(self) -> None:
        """Make the world new: nothing but its first number, the same ids again, no faults."""
        self.faults.clear()
        self.quota = Quota(self.rate_limit)
        self._replace(self._fresh_account())

    def adopt(self, account: Account) -> None:
        """Take an account that was loaded from the journal."""
        self._use(account)

    def _replace(self, account: Account) -> None:
        self._queues.abandon()
        parts = [part for store in self.account.stores.values() for part in store.parts()]
        self._use(account)
        if self.running and len(parts) > _AT_ONCE:
            self.start(partial(_let_go, parts))
        self.on_replaced(self)
        self.run_due()
        self.wake()

    # What only a sandbox can do

    def rings(self, number: str | None = None) -> tuple[Ring, ...]:
        """Every time a phone rang, the oldest first, whatever clients were told: the judge of a dialer.

        Args:
            number: the phone; all phones unless given. Calls of `seed_calls` rang in nobody's time and do not count.
        """
        log = self.account.rings
        return tuple(log.of(number) if number is not None else map(log.get, range(len(log))))

    def seed_calls(self, amount: int) -> None:
        """Fill the past with finished calls, a minute apart."""
        calls.seed(self.account, amount, self.clock.now())

    def inbound_call(self, *, from_: str, to: str = FIRST_NUMBER) -> Call:
        """Let somebody call one of the account's numbers; the AI receptionist answers."""
        checks.phone("from_", from_)
        placed = calls.receive(self.account, from_=from_, to=to, now=self.clock.now())
        self.changed()
        return placed

    def inbound_message(self, *, from_: str, body: str, to: str = FIRST_NUMBER) -> Message:
        """Let somebody text one of the account's numbers; STOP opts out, START opts in."""
        checks.phone("from_", from_)
        received = messages.receive(self.account, from_=from_, to=to, body=body, now=self.clock.now())
        self.changed()
        return received

    def campaigns(self) -> tuple[CampaignReport, ...]:
        """The campaigns, the oldest first, each with its name, mode and counts of calls."""
        return tuple(campaigns.report(self.account, campaign) for campaign in self.account.campaigns.values())

    def campaign(self, id: str) -> CampaignReport:
        """One campaign.

        Raises:
            Refusal: there is no such campaign.
        """
        found = self.account.campaigns.get(id)
        if found is None:
            raise Refusal("not_found", f"no campaign {id[:60]}")
        return campaigns.report(self.account, found)

    def deliveries(self, webhook_id: str | None = None) -> tuple[Attempt, ...]:
        """The log of attempts, the oldest first; of one webhook or of all. Each keeps its last thousand."""
        log = self.account.delivery_log
        attempts = log.get(webhook_id, ()) if webhook_id is not None else [one for each in log.values() for one in each]
        return tuple(sorted(attempts, key=lambda attempt: attempt.at))

    def pending(self) -> tuple[Delivery, ...]:
        """Deliveries that are still to be made or tried again."""
        return tuple(one for one in self.account.deliveries.values() if not one.dead)

    def dead_letters(self) -> tuple[Delivery, ...]:
        """Deliveries that were given up after 24 hours."""
        return deliveries.dead_letters(self.account)

    def replay(self, *ids: str) -> int:
        """Deliver dead letters again, by their ids or all of them, and return how many.

        Same event id, same bytes, signed with the secret of today; the schedule starts again.

        Raises:
            Refusal: an id is no dead letter, or its webhook is disabled.
        """
        amount = deliveries.replay(self.account, ids or None, self.clock.now())
        self.changed()
        return amount

    def rotate_secret(self, webhook_id: str) -> str:
        """Give a webhook a new secret and return it; the old one signs beside it for 24 hours.

        Raises:
            Refusal: there is no such webhook.
        """
        return webhooks.rotate_secret(self.account, webhook_id, self.clock.now())
