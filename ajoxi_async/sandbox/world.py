"""One key's world: its state, its clock, its faults and its webhook deliveries.

Rules:
1. Each key has a world of its own, so that parallel test workers share one server and nothing else.
2. Restoring or resetting a world replaces its `Account`. What was under way in the old one has no effect on the new one:
   outcomes of deliveries are dropped, and live transcripts end, so that their readers ask again.
3. A reset gives the world its first state again: the same ids are made, faults, marks and the quota's count are gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar, Unpack
from weakref import WeakSet

import anyio
import anyio.lowlevel
from attrs import define, evolve, field

from ajoxi_async.contract import checks
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.zones import zone_of
from ajoxi_async.sandbox.delivery.post import Post
from ajoxi_async.sandbox.delivery.queues import DeliveryQueues
from ajoxi_async.sandbox.faults.faults import Faults
from ajoxi_async.sandbox.feed.changes import ChangeFeed
from ajoxi_async.sandbox.feed.subscription import ChangeSubscription
from ajoxi_async.sandbox.keys import key_id
from ajoxi_async.sandbox.labels import checked_label
from ajoxi_async.sandbox.marks import Marks, Snapshot, counts_of
from ajoxi_async.sandbox.outcomes.settings import Settings
from ajoxi_async.sandbox.quota import Quota
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import calls, campaigns, deliveries, dialling, messages, numbers, webhooks
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.actions import run_due
from ajoxi_async.sandbox.state.campaign_records import CampaignReport
from ajoxi_async.sandbox.state.numbers import FIRST_NUMBER
from ajoxi_async.sandbox.state.rings import Ring
from ajoxi_async.sandbox.state.steps import Steps, Unfinished
from ajoxi_async.sandbox.state.webhook_records import Attempt, Delivery, DeliveryReport
from ajoxi_async.sandbox.time.clock import AdvanceOptions, Clock
from ajoxi_async.sandbox.time.jumps import Jump
from ajoxi_async.sandbox.time.live import LiveClock
from ajoxi_async.sandbox.time.moments import at
from ajoxi_async.sandbox.time.timers import Due, Fired
from ajoxi_async.sandbox.time.virtual import VirtualClock

T = TypeVar("T")

__all__ = ["OpenStream", "World"]


#: Parts of a world that are freed in one go; a part is a few dozen objects.
_AT_ONCE = 200
#: Jumps that the log keeps.
JUMPS = 100
#: Timers that are listed, from the next one on.
LISTED = 10_000


class OpenStream(Protocol):
    """An answer that is sent piece by piece, such as a live transcript."""

    def end(self) -> None:
        """Send nothing more."""


async def _nothing() -> None:
    return None


async def _let_go(parts: list[object]) -> None:
    """Free the memory of a replaced account in pieces: freeing a million calls at once blocks the event loop for 60 ms."""
    while parts:
        del parts[-_AT_ONCE:]
        await anyio.lowlevel.checkpoint()


@define(eq=False, repr=False)
class World:
    """The state, time, faults and deliveries of one key. Made by the sandbox; tests get it from `Sandbox.world`.

    Attributes:
        key: the key that the world belongs to.
        new_account: makes an empty account.
        clock: the clock of the world.
        post: posts webhook deliveries.
        start: runs a task in the sandbox's task group.
        rate_limit: requests per second; ``None`` for no limit.
        save: returns once every change so far is in the journal.
        marks_kept: how many marks are kept; 0 for none.
        id: the id of the key, from which the key cannot be derived.
        faults: the faults that were added.
        quota: counts the requests of the last second.
        running: whether the sandbox is open, so that tasks can run.
        answering: the number of requests that a fault makes wait at present.
        on_replaced: called after the account was replaced.
        on_watched: called after the first subscriber of its changes was added and after the last one was removed.
        feed: the change feed for subscribers.
        epoch: how often the account was replaced.
        streams: answers that are being sent piece by piece.
        events: moment, type, object's id and cause of the last events, the oldest first; ``None`` unless `keep_events` was called.
        ended: whether the world is gone, because its key was deleted or it was dropped to make room for another.
    """

    key: str
    new_account: Callable[[], Account]
    clock: Clock
    post: Post
    start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
    rate_limit: int | None
    save: Callable[[], Awaitable[None]] = _nothing
    marks_kept: int = 10
    id: str = field(init=False)
    _account: Account = field(init=False)
    faults: Faults = field(init=False)
    quota: Quota = field(init=False)
    running: bool = field(default=False, init=False)
    answering: int = field(default=0, init=False)
    on_replaced: Callable[[World], None] = field(default=lambda _: None, init=False)
    on_watched: Callable[[World], None] = field(default=lambda _: None, init=False)
    feed: ChangeFeed = field(init=False)
    epoch: int = field(default=0, init=False)
    streams: WeakSet[OpenStream] = field(factory=WeakSet, init=False)
    events: deque[tuple[float, str, str, str]] | None = field(default=None, init=False)
    ended: bool = field(default=False, init=False)
    #: The same as `feed.watched`, kept as an attribute because each command reads it.
    _followed: bool = field(default=False, init=False)
    _queues: DeliveryQueues = field(init=False)
    _marks: Marks = field(init=False)
    _jumps: deque[Jump] = field(factory=lambda: deque(maxlen=JUMPS), init=False)
    _woken: anyio.Event = field(factory=anyio.Event, init=False)
    _sleeping_until: float | None = field(default=None, init=False)
    _over: anyio.Event = field(factory=anyio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.id = key_id(self.key)
        self.feed = ChangeFeed(self._watched)
        account = self._fresh_account()
        self._marks = Marks(self.marks_kept)
        self.faults = account.faults
        self.faults.now = self.clock.now
        self.quota = Quota(self.rate_limit)
        self._use(account)
        self.clock.join(self)

    def __repr__(self) -> str:
        return f"<World of {self.id}, {self.clock.mode}>"

    def __rich_repr__(self) -> Iterator[str]:
        yield from (self.id, self.clock.mode)

    def _fresh_account(self) -> Account:
        account = self.new_account()
        numbers.add_first(account)
        return account

    def _use(self, account: Account) -> None:
        account.faults = self.faults
        account.watch(self.feed.mark if self.feed.watched else None)
        account.history = self.events
        if isinstance(self.clock, VirtualClock):
            account.on_fired = self._record
        self._account = account
        self._queues = DeliveryQueues(account, self.clock, self.post, self.start, self.save, self.changed)

    def _watched(self) -> None:
        self._followed = self.feed.watched
        mark = self.feed.mark if self._followed else None
        self._account.watch(mark)
        self.faults.changed = partial(mark, "fault") if mark is not None else None
        self.on_watched(self)

    def keep_events(self, amount: int) -> None:
        """Keep the last events from now on, at most `amount`. An advance returns its events in any case."""
        self.events = self._account.history = deque(maxlen=amount)

    def _record(self, fired: object) -> None:
        record = getattr(self.clock, "record", None)
        if record is not None:
            record.append(fired)

    # Commands that take several steps

    @property
    def account(self) -> Account:
        """The state, which a restore or a reset replaces. A command that is carried out in steps is finished first."""
        account = self._account
        if account.unfinished is not None:
            account.unfinished.finish()
            if account.unfinished.over:
                account.unfinished = None
        return account

    @property
    def unfinished(self) -> bool:
        """Whether a command is being carried out in steps."""
        return self._account.unfinished is not None

    async def whole(self) -> None:
        """Wait until no command is unfinished. None becomes unfinished before the caller's next ``await``."""
        while self._account.unfinished is not None:
            await self._over.wait()

    async def carry_out(self, steps: Steps[T]) -> T:
        """Carry out a command in steps, and let other tasks run after each. No other command may be unfinished.

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

    @property
    def in_use(self) -> bool:
        """Whether it must not be dropped: it is busy, being advanced or streamed, or has subscribers to its changes."""
        return self.busy or self._advancing or bool(self.streams) or self.feed.watched

    def run_due(self) -> bool:
        """See `Participant`. Deliveries are started once no timer is due: a timer may disable their webhook."""
        if self._followed:
            self.feed.mark("clock", "clock")
        if not run_due(self._account, self.clock.now()):
            return False
        return not (self.running and self._account.due_deliveries) or self._queues.start_due()

    def wake(self) -> None:
        """See `Participant`."""
        self.feed.mark("clock", "clock")
        self._woken.set()

    async def quiet(self) -> None:
        """See `Participant`."""
        await self.whole()
        await self._queues.quiet()

    def before_jump(self, goal: str) -> str | None:
        """See `Participant`."""
        mark = self._marks.make(self.account, self.clock.now(), f"before {goal}")
        if mark is not None:
            self.feed.mark("snapshot", mark)
        return mark

    def after_jump(self, jump: Jump, failed: set[str]) -> None:
        """See `Participant`."""
        self._note_time()
        found = [self.account.deliveries.get(id) for id in failed]
        dead = sum(delivery is not None and delivery.dead for delivery in found)
        self._jumps.append(evolve(jump, dead_letters=dead))

    def _note_time(self) -> None:
        # The journal writes the clock's time together with any other row of the world.
        self.account.mark_unsaved("world", "")

    def changed(self) -> None:
        """Start what became due, and wake `run` if more is due or a timer is now earlier. Called after every command."""
        rest = not self.run_due()
        due = self._account.next_due
        if rest or (due is not None and (self._sleeping_until is None or due < self._sleeping_until)):
            self._woken.set()

    async def run(self) -> None:
        """Carry out timers when they are due by the clock, until cancelled or until the world ends."""
        while not self.ended:
            await self.whole()
            self._woken, self._sleeping_until = anyio.Event(), None
            while not self.run_due():
                await anyio.lowlevel.checkpoint()
                await self.whole()
            if self._account.unsaved:
                with suppress(Refusal):
                    await self.save()
            self._sleeping_until = self._account.next_due
            await self.clock.idle(self._sleeping_until, self._woken)

    # State

    def snapshot(self, label: str = "") -> Snapshot:
        """Copy the present state of the world: objects, timers, deliveries, ids. Faults are not part of it.

        Args:
            label: a text that says what the snapshot is for; up to 100 characters.

        Raises:
            InvalidParameterError: the label is too long, or has control characters.
        """
        return Snapshot(self.account.copy(), self.clock.now(), checked_label(label))

    def restore(self, snapshot: Snapshot) -> None:
        """Put the world back into the state of a snapshot. It goes on from there as it did after the snapshot was made.

        A virtual clock is set back as well, and its advances stop. With a real clock, timers whose moment has passed since the
        snapshot are due at once.

        Raises:
            InvalidParameterError: it is not a snapshot, or a snapshot of another key's world.
        """
        if not isinstance(snapshot, Snapshot):
            raise InvalidParameterError("snapshot", f"expected what `snapshot` returned, got {type(snapshot).__name__}")
        if snapshot.account.key_seed != self.key:
            raise InvalidParameterError("snapshot", "expected one of this world; its ids would be those of another key")
        if isinstance(self.clock, VirtualClock):
            self.clock.start_at(snapshot.moment)
            if self.events is not None:
                # What happened later has not happened.
                happened = (one for one in self.events if one[0] <= snapshot.moment)
                self.events = deque(happened, self.events.maxlen)
        self._replace(snapshot.account.copy())

    def marks(self) -> tuple[Snapshot, ...]:
        """The snapshots that the world made by itself before the last jumps, the oldest first: see `marks`."""
        return self._marks.all()

    def rewind(self, mark: Snapshot | str) -> None:
        """Put the world back to a mark, or another snapshot: see `restore`.

        Args:
            mark: one of `marks`, or its id.

        Raises:
            Refusal: there is no mark with this id, or it is not kept any more.
        """
        self.restore(self._marks.get(mark) if isinstance(mark, str) else mark)

    def reset(self) -> None:
        """Replace the world by a new one. It has only its first number and no faults, and gives out the same ids again."""
        self.faults.clear()
        self.quota = Quota(self.rate_limit)
        self._marks.clear()
        self._jumps.clear()
        if self.events is not None:
            self.events.clear()
        self._replace(self._fresh_account())

    def end(self) -> None:
        """Stop the world: its timers and deliveries are not carried out any more; live transcripts and advances end."""
        self.ended, self.running = True, False
        self._queues.abandon()
        self.clock.leave(self)
        if not (isinstance(self.clock, VirtualClock) and self.clock.joined):
            self.stop_advance()
        for stream in list(self.streams):
            stream.end()
        self.feed.end()
        self.wake()

    def counts(self) -> dict[str, int]:
        """How many objects of each kind it holds."""
        return counts_of(self.account)

    def free(self, account: Account) -> None:
        """Free the memory of an account that is not used any more, in pieces."""
        parts = [part for store in account.stores.values() for part in store.parts()]
        if self.running and len(parts) > _AT_ONCE:
            self.start(partial(_let_go, parts))

    def adopt(self, account: Account) -> None:
        """Use an account that was loaded from the journal."""
        self._use(account)

    def _replace(self, account: Account) -> None:
        self._queues.abandon()
        self.epoch += 1
        self.account.replaced = True
        self.account.watch(None)
        for stream in list(self.streams):
            stream.end()
        before = self.account
        self._use(account)
        self.free(before)
        self.on_replaced(self)
        self.feed.replaced()
        self.run_due()
        self.wake()

    # Moving time

    @property
    def _advancing(self) -> bool:
        return isinstance(self.clock, VirtualClock) and self.clock.advancing

    async def advance(self, seconds: float | None = None, **goal: Unpack[AdvanceOptions]) -> list[Fired]:
        """Let time pass: see `VirtualClock.advance`, which has the same parameters.

        Raises:
            InvalidParameterError: the goal is not valid, or the clock is real.
            NeverHappenedError: the event that was waited for does not come.
            AdvanceStoppedError: the advance was stopped, the world was rewound, or its key was deleted.
        """
        return await self.clock.advance(seconds, **goal)

    async def advance_to_next(self) -> list[Fired]:
        """Let time pass up to the next moment at which something is due, and return what happened.

        Raises:
            InvalidParameterError: the clock is real.
            NeverHappenedError: nothing is due.
            AdvanceStoppedError: the advance was stopped, or the world was rewound.
        """
        return await self.clock.advance(to_next=True)

    def stop_advance(self) -> bool:
        """Stop the advances of the world's clock at the instant they have reached; return whether there was one."""
        return isinstance(self.clock, VirtualClock) and self.clock.stop_advance()

    def pause(self) -> None:
        """Let the time of a live clock stand still.

        Raises:
            InvalidParameterError: the clock is not a live clock.
        """
        self._live().pause()
        self._note_time()

    def resume(self, *, speed: float | None = None) -> None:
        """Let the time of a live clock flow.

        Args:
            speed: how many seconds pass in one real second; as before unless given.

        Raises:
            InvalidParameterError: the clock is not a live clock, or the speed is not above 0 and at most a million.
        """
        self._live().resume(speed=speed)

    def _live(self) -> LiveClock:
        if not isinstance(self.clock, LiveClock):
            raise InvalidParameterError("clock", f"expected clock='live', this one is {self.clock.mode!r}")
        return self.clock

    def due(self, start: int = 0, amount: int = 50) -> tuple[Due, ...]:
        """The timers that are due next, in order.

        Args:
            start: the position of the first timer to return, from 0.
            amount: how many to return at most. Timers after the first 10,000 are not listed.

        Raises:
            InvalidParameterError: one of the two is below 0.
        """
        for name, value in (("start", start), ("amount", amount)):
            if type(value) is not int or value < 0:
                raise InvalidParameterError(name, f"expected 0 or more, got {str(value)[:40]!r}")
        timers = self.account.timers.first(start, min(amount, LISTED - start)) if start < LISTED else []
        return tuple(Due(at(timer.moment), timer.action, timer.args[0] if timer.args else None) for timer in timers)

    def jumps(self) -> tuple[Jump, ...]:
        """The last hundred advances that moved time, the oldest first."""
        return tuple(self._jumps)

    # Commands that the API does not have

    def changes(self, kinds: Collection[str] | None = None, *, every: float = 0.05) -> ChangeSubscription:
        """Follow what changes, on every clock, without affecting it: ``async with`` the result, then ``async for`` batches.

        A batch lists the objects that changed since the previous batch, each once, without their state; read the objects
        themselves. A slow subscriber uses a bounded amount of memory: if more than 2,000 objects of a kind changed, the batch
        does not list them but marks the kind as stale.

        Args:
            kinds: the kinds of objects to follow, such as ``{"call", "delivery"}``; all unless given.
            every: the shortest time between two batches, in real seconds. A change after a quiet period is returned at once.

        Raises:
            InvalidParameterError: there is no such kind, or `every` is not a number of seconds.
        """
        return ChangeSubscription(self.feed, kinds, every)

    def rings(self, number: str | None = None) -> tuple[Ring, ...]:
        """Every time a phone rang, the oldest first, whether or not the client got the answer to its request.

        Args:
            number: the phone; all phones unless given. Calls of `seed_calls` are not included.
        """
        log = self.account.rings
        return tuple(log.of(number) if number is not None else map(log.get, range(len(log))))

    @property
    def settings(self) -> Settings:
        """The settings of the world: those of the sandbox, unless `configure` changed them."""
        return self.account.settings

    def configure(self, /, **settings: Any) -> Settings:
        """Change settings of this world only. The changes are part of its snapshots, and a reset undoes them.

        Args:
            **settings: fields of `Settings`; others keep their values. A population may be given as a dict of its fields, in
                which missing fields keep their values as well.

        Returns:
            The settings after the change.

        Raises:
            InvalidParameterError: there is no such setting, or it is out of its range; nothing is changed.
        """
        self.account.configure(settings)
        self.account.later(self.clock.now(), "use_room")
        self.changed()
        return self.settings

    def zone_of(self, number: str) -> str | None:
        """The time zone of a test number, in which it was late morning when the world was made: see `contract.zones`.

        Args:
            number: E.164.

        Returns:
            Its IANA name; ``None`` for a number that is not a test number.
        """
        return zone_of(number, at(self.account.created_at))

    def seed_calls(self, amount: int) -> None:
        """Add finished calls in the past, a minute apart.

        Raises:
            InvalidParameterError: `amount` is no number of calls.
        """
        if type(amount) is not int or amount < 0:
            raise InvalidParameterError("amount", f"expected 0 or more, got {str(amount)[:40]!r}")
        calls.seed(self.account, amount, self.clock.now())

    def inbound_call(self, *, from_: str, to: str = FIRST_NUMBER) -> Call:
        """Simulate a call to one of the account's numbers; the AI receptionist answers."""
        checks.phone("from_", from_)
        placed = calls.receive(self.account, from_=from_, to=to, now=self.clock.now())
        self.changed()
        return placed

    def inbound_message(self, *, from_: str, body: str, to: str = FIRST_NUMBER) -> Message:
        """Simulate a message to one of the account's numbers; STOP opts out, START opts in."""
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

    def release(self, campaign_id: str, amount: int | None = None) -> int:
        """Let calls of a preview campaign ring, one after another at `Timing.campaign_pace`, and return how many.

        Args:
            campaign_id: the campaign.
            amount: how many calls at most, from 1; all that are left unless given.

        Raises:
            InvalidParameterError: `amount` is no number of calls.
            Refusal: there is no such campaign, or it is not of mode ``preview``.
        """
        released = dialling.release(self.account, campaign_id, amount, self.clock.now())
        self.changed()
        return released

    def deliveries(self, webhook_id: str | None = None) -> tuple[Attempt, ...]:
        """The log of attempts, the oldest first, of one webhook or of all. It keeps the last thousand of each webhook."""
        log = self.account.delivery_log
        attempts = log.of(webhook_id) if webhook_id is not None else log.attempts.values()
        return tuple(sorted(attempts, key=lambda attempt: attempt.at))

    def pending(self) -> tuple[Delivery, ...]:
        """Deliveries that are still to be made or tried again."""
        return deliveries.pending(self.account)

    def delivery(self, id: str) -> DeliveryReport:
        """One delivery with its body, its rounds of attempts, and when it will be tried again.

        Raises:
            Refusal: there is no such delivery. The last thousand finished deliveries of each webhook are kept.
        """
        return deliveries.report(self.account, id)

    def find_deliveries(
        self,
        *,
        state: str | None = None,
        webhook_id: str | None = None,
        event_id: str | None = None,
        type: str | None = None,
        code: int | str | None = None,
        about: str | None = None,
    ) -> tuple[Delivery, ...]:
        """The deliveries that match all given arguments, the newest first.

        Args:
            state: ``pending``, ``failing`` (pending, and failed in this round), ``delivered``, ``dead``, or ``dropped``
                because the webhook was disabled.
            webhook_id: the id of their webhook.
            event_id: the id of their event.
            type: the type of their event, or a pattern of types: ``call.*``.
            code: the status of the answer to the last attempt: 503, ``"5xx"``, or ``"none"`` if no answer came.
            about: the id of an object that their event is about, or any other text in their body.

        Raises:
            InvalidParameterError: there is no such state.
        """
        shown = str(code) if code is not None else None
        accepts = deliveries.matching(
            state=state, webhook_id=webhook_id, event_id=event_id, type=type, code=shown, about=about
        )
        return tuple(filter(accepts, reversed(self.account.deliveries.values())))

    def dead_letters(self) -> tuple[Delivery, ...]:
        """Deliveries that were given up after 24 hours."""
        return deliveries.dead_letters(self.account)

    def replay(self, *ids: str) -> int:
        """Deliver dead letters again, by their ids or all of them, and return how many.

        They have the same event id and the same bytes, and are signed with the present secret. The schedule starts again.

        Raises:
            Refusal: an id is not that of a dead letter, or its webhook is disabled.
        """
        amount = deliveries.replay(self.account, ids or None, self.clock.now())
        self.changed()
        return amount

    def resend(self, delivery_id: str) -> None:
        """Deliver a finished delivery again, in a new round, whatever became of it: see `replay`.

        Raises:
            Refusal: there is no such delivery, it is still pending, or its webhook is disabled.
        """
        deliveries.resend(self.account, delivery_id, self.clock.now())
        self.changed()

    def retry(self, delivery_id: str) -> None:
        """Make the next attempt of a pending delivery now. If it fails, the schedule goes on as if it had been made in time.

        Raises:
            Refusal: there is no such delivery, it is not pending or is being posted, or its webhook is disabled.
        """
        deliveries.retry(self.account, delivery_id, self.clock.now())
        self.changed()

    def discard(self, delivery_id: str) -> None:
        """Remove a dead letter.

        Raises:
            Refusal: there is no such dead letter.
        """
        deliveries.discard(self.account, delivery_id)
        self.changed()

    def rotate_secret(self, webhook_id: str) -> str:
        """Give a webhook a new secret and return it. For 24 hours deliveries are signed with the old one as well.

        Raises:
            Refusal: there is no such webhook.
        """
        return webhooks.rotate_secret(self.account, webhook_id, self.clock.now())
