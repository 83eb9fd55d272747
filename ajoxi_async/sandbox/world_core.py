"""What a world is made of, how it takes part in time, and how its state is replaced. The commands are in `world`.

Rules:
1. Each key has a world of its own, so that parallel test workers share one server and nothing else.
2. Restoring or resetting a world replaces its `Account`. What was under way in the old one has no effect on the new one:
   outcomes of deliveries are dropped, and live transcripts end, so that their readers ask again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

import anyio
import anyio.lowlevel
from attrs import define, evolve, field

from ajoxi_async.sandbox.delivery.post import Post
from ajoxi_async.sandbox.delivery.queues import DeliveryQueues
from ajoxi_async.sandbox.faults.faults import Faults
from ajoxi_async.sandbox.feed.changes import ChangeFeed
from ajoxi_async.sandbox.keys import key_id
from ajoxi_async.sandbox.marks import Marks
from ajoxi_async.sandbox.quota import Quota
from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state import numbers
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.actions import run_due
from ajoxi_async.sandbox.state.steps import Steps, Unfinished
from ajoxi_async.sandbox.time.clock import Clock
from ajoxi_async.sandbox.time.jumps import Jump
from ajoxi_async.sandbox.time.virtual import VirtualClock

T = TypeVar("T")

__all__ = ["OpenStream", "WorldCore"]


#: Parts of a world that are freed in one go; a part is a few dozen objects.
_AT_ONCE = 200
#: Jumps that the log keeps.
JUMPS = 100


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
class WorldCore:
    """The state of one key and its part in time; see `World`.

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
        on_replaced: called with this world after the account was replaced.
        on_watched: called with this world after the first subscriber of its changes was added and after the last one was removed.
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
    on_replaced: Callable[[Any], None] = field(default=lambda _: None, init=False)
    on_watched: Callable[[Any], None] = field(default=lambda _: None, init=False)
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

    @property
    def _advancing(self) -> bool:
        return isinstance(self.clock, VirtualClock) and self.clock.advancing

    # State

    def end(self) -> None:
        """Stop the world: its timers and deliveries are not carried out any more; live transcripts and advances end."""
        self.ended, self.running = True, False
        self._queues.abandon()
        self.clock.leave(self)
        if isinstance(self.clock, VirtualClock) and not self.clock.joined:
            self.clock.stop_advance()
        for stream in list(self.streams):
            stream.end()
        self.feed.end()
        self.wake()

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
