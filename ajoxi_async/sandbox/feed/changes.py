"""Collects the changes of a world for any number of subscribers. Each has a set of changed objects, not a queue. Pure.

Rules:
1. A change marks an object by its kind and id. However often the object changes before a subscriber takes its batch, it is in
   the batch once. The batch does not contain the object's state; the subscriber reads the object itself.
2. If more than `MOST` objects of one kind changed, the batch lists no ids for this kind. It marks the kind as stale: the
   subscriber has to read all objects of the kind again. So the set of a subscriber that never takes a batch is bounded.
3. When a reset or a restore replaces the whole world, every kind becomes stale and the epoch changes.
4. A mark costs the same for any number of subscribers: marks are gathered once, and added to the set of each subscriber when
   one of them takes its batch. Without subscribers a mark is one lookup in an empty dict.
5. A subscriber is woken at the first change after it took its batch. Subscribers do not change the world.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from attrs import define, field, frozen

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["KINDS", "MOST", "ChangeFeed", "ChangeSet", "Changes", "checked_kinds"]

#: The most objects of one kind that a batch lists.
MOST = 2_000
#: The kinds of objects that change. The id of a ``ring`` is its position in `World.rings`, that of ``opted_out`` a phone
#: number, that of the clock is ``clock``, and that of the settings is empty.
KINDS = (
    "call",
    "message",
    "recording",
    "number",
    "webhook",
    "campaign",
    "delivery",
    "ring",
    "opted_out",
    "fault",
    "snapshot",
    "clock",
    "key",
    "request",
    "settings",
    "receiver",
)


@frozen
class Changes:
    """A batch: what changed since the previous batch.

    Attributes:
        epoch: a number that grows whenever the world is reset or restored.
        seq: how many changes of the world were gathered so far; it never falls.
        changed: the ids of the changed objects by kind, ordered by the first change of each object.
        stale: the kinds with too many changes to list. All objects of these kinds have to be read again.
    """

    epoch: int
    seq: int
    changed: Mapping[str, tuple[str, ...]]
    stale: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.changed or self.stale)


@define(eq=False)
class ChangeSet:
    """The changes that one subscriber has not taken yet.

    Attributes:
        kinds: the kinds of objects that the subscriber follows.
        wake: called when there is a change to take.
        ended: whether no more changes will come, because the world is gone or its sandbox was closed.
    """

    kinds: frozenset[str]
    wake: Callable[[], None]
    ended: bool = field(default=False, init=False)
    _ids: dict[str, dict[str, None]] = field(factory=dict, init=False)
    _stale: set[str] = field(factory=set, init=False)

    def __len__(self) -> int:
        return sum(map(len, self._ids.values())) + len(self._stale)

    def add(self, fresh: Mapping[str, Mapping[str, None]]) -> None:
        """Add changed objects, by kind."""
        for kind, ids in fresh.items():
            if kind not in self.kinds or kind in self._stale:
                continue
            held = self._ids.setdefault(kind, {})
            held.update(ids)
            if len(held) > MOST:
                del self._ids[kind]
                self._stale.add(kind)

    def make_stale(self) -> None:
        """Drop all ids and mark every kind as stale."""
        self._ids.clear()
        self._stale.update(self.kinds)

    def take(self, epoch: int, seq: int) -> Changes:
        """Return the collected changes as a batch, and empty the set."""
        changed = {kind: tuple(ids) for kind, ids in self._ids.items()}
        batch = Changes(epoch, seq, changed, frozenset(self._stale))
        self._ids.clear()
        self._stale.clear()
        return batch


@define(eq=False)
class ChangeFeed:
    """The changes of one world.

    Attributes:
        on_watched: called after the first subscriber was added and after the last one was removed.
        epoch: see `Changes`.
        seq: see `Changes`.
    """

    on_watched: Callable[[], None]
    epoch: int = field(default=0, init=False)
    seq: int = field(default=0, init=False)
    _subscribers: list[ChangeSet] = field(factory=list, init=False)
    #: Ids that are not in the subscribers' sets yet. It has an entry for each kind that at least one subscriber follows.
    _fresh: dict[str, dict[str, None]] = field(factory=dict, init=False)
    #: Whether the subscribers were woken since `_fresh` was last handed out.
    _woken: bool = field(default=False, init=False)

    @property
    def watched(self) -> bool:
        """Whether there is a subscriber."""
        return bool(self._subscribers)

    def mark(self, kind: str, id: str) -> None:
        """Note that an object was added, changed or removed."""
        fresh = self._fresh.get(kind)
        if fresh is None:
            return
        fresh[id] = None
        if len(fresh) > MOST:
            self._hand_out()
        if not self._woken:
            self._wake_all()

    def replaced(self) -> None:
        """Note that the whole world was replaced."""
        self.epoch += 1
        self._hand_out()
        for each in self._subscribers:
            each.make_stale()
        self._wake_all()

    def subscribe(self, kinds: frozenset[str], wake: Callable[[], None]) -> ChangeSet:
        """Collect changes of these kinds for a new subscriber from now on.

        Args:
            kinds: some of `KINDS`.
            wake: called when there is a change to take.
        """
        self._hand_out()
        subscriber = ChangeSet(kinds, wake)
        self._subscribers.append(subscriber)
        self._listen()
        if len(self._subscribers) == 1:
            self.on_watched()
        return subscriber

    def unsubscribe(self, subscriber: ChangeSet) -> None:
        """Remove a subscriber. Removing one twice does nothing."""
        if subscriber in self._subscribers:
            self._hand_out()
            self._subscribers.remove(subscriber)
            self._listen()
            if not self._subscribers:
                self.on_watched()

    def take(self, subscriber: ChangeSet) -> Changes:
        """Take what changed since a subscriber's previous batch."""
        self._hand_out()
        return subscriber.take(self.epoch, self.seq)

    def has(self, subscriber: ChangeSet) -> bool:
        """Whether there is a change to take."""
        # Handing out clears `_woken`. Without that, a subscriber that follows another kind would miss its next change.
        self._hand_out()
        return len(subscriber) > 0

    def end(self) -> None:
        """End all subscriptions: no more changes will come."""
        for each in list(self._subscribers):
            each.ended = True
            each.wake()

    def _listen(self) -> None:
        wanted = {kind for each in self._subscribers for kind in each.kinds}
        self._fresh = {kind: {} for kind in KINDS if kind in wanted}

    def _hand_out(self) -> None:
        fresh = {kind: ids for kind, ids in self._fresh.items() if ids}
        for kind, ids in fresh.items():
            self.seq += len(ids)
            self._fresh[kind] = {}
        self._woken = False
        for each in self._subscribers:
            each.add(fresh)

    def _wake_all(self) -> None:
        self._woken = True
        for each in self._subscribers:
            each.wake()


def checked_kinds(kinds: Collection[str] | None) -> frozenset[str]:
    """Check the kinds that a subscriber asks for; ``None`` means all of them.

    Raises:
        InvalidParameterError: a kind does not exist, or the collection is empty.
    """
    if kinds is None:
        return frozenset(KINDS)
    chosen = frozenset((kinds,) if isinstance(kinds, str) else kinds)
    if not chosen or not chosen <= set(KINDS):
        raise InvalidParameterError("kinds", f"expected one or more of {', '.join(KINDS)}")
    return chosen
