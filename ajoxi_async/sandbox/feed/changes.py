"""What changed, for any number of subscribers: each holds a set of changed objects and never a queue. Pure.

Rules:
1. A change marks an object by its kind and id. However often the object changes before a subscriber takes its batch, it is in
   the batch once; whoever takes it looks at the object as it is by then.
2. Of a kind of which more than `MOST` objects changed, a batch has no ids: the kind is stale, and everything of it is to be
   looked up again. So a subscriber that never takes anything holds a bounded amount.
3. Where the whole world was replaced, by a reset or a restore, every kind is stale and the epoch is another one.
4. A mark costs the same for any number of subscribers: marks are gathered once, and added to the set of each subscriber when
   one of them takes its batch. Without subscribers a mark is one look into an empty dict.
5. Subscribers are told when something changed after they took their batch, and change nothing themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from attrs import define, field, frozen

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["KINDS", "MOST", "ChangeFeed", "ChangeSet", "Changes", "checked_kinds"]

#: Objects of a kind that a batch names.
MOST = 2_000
#: What changes. ``ring`` is the place in `World.rings`, ``opted_out`` a phone number; the id of the clock is ``clock``.
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
)


@frozen
class Changes:
    """A batch: what changed since the one before.

    Attributes:
        epoch: another one once the world was reset or restored.
        seq: how many changes of the world were gathered so far; it never falls.
        changed: the ids of what changed, by kind, in the order in which they changed first.
        stale: the kinds of which too much changed to be named: look everything of them up again.
    """

    epoch: int
    seq: int
    changed: Mapping[str, tuple[str, ...]]
    stale: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.changed or self.stale)


@define(eq=False)
class ChangeSet:
    """What one subscriber has not taken yet.

    Attributes:
        kinds: those it is interested in.
        wake: called when there is something to take.
        ended: whether nothing more comes, because the world is gone or its sandbox was closed.
    """

    kinds: frozenset[str]
    wake: Callable[[], None]
    ended: bool = field(default=False, init=False)
    _ids: dict[str, dict[str, None]] = field(factory=dict, init=False)
    _stale: set[str] = field(factory=set, init=False)

    def __len__(self) -> int:
        return sum(map(len, self._ids.values())) + len(self._stale)

    def add(self, fresh: Mapping[str, Mapping[str, None]]) -> None:
        """Add what changed."""
        for kind, ids in fresh.items():
            if kind not in self.kinds or kind in self._stale:
                continue
            held = self._ids.setdefault(kind, {})
            held.update(ids)
            if len(held) > MOST:
                del self._ids[kind]
                self._stale.add(kind)

    def make_stale(self) -> None:
        """Forget what is held: everything is to be looked up again."""
        self._ids.clear()
        self._stale.update(self.kinds)

    def take(self, epoch: int, seq: int) -> Changes:
        """Return what is held as a batch, and hold nothing."""
        changed = {kind: tuple(ids) for kind, ids in self._ids.items()}
        batch = Changes(epoch, seq, changed, frozenset(self._stale))
        self._ids.clear()
        self._stale.clear()
        return batch


@define(eq=False)
class ChangeFeed:
    """The changes of one world.

    Attributes:
        on_watched: called when the first subscriber came and when the last one left.
        epoch: see `Changes`.
        seq: see `Changes`.
    """

    on_watched: Callable[[], None]
    epoch: int = field(default=0, init=False)
    seq: int = field(default=0, init=False)
    _subscribers: list[ChangeSet] = field(factory=list, init=False)
    #: What nobody was handed yet, by kind: an entry for each kind that somebody is interested in.
    _fresh: dict[str, dict[str, None]] = field(factory=dict, init=False)
    #: Whether subscribers were told that there is something fresh.
    _told: bool = field(default=False, init=False)

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
        if not self._told:
            self._tell()

    def replaced(self) -> None:
        """Note that the whole world was replaced."""
        self.epoch += 1
        self._hand_out()
        for each in self._subscribers:
            each.make_stale()
        self._tell()

    def subscribe(self, kinds: frozenset[str], wake: Callable[[], None]) -> ChangeSet:
        """Hold changes of these kinds for a subscriber from now on.

        Args:
            kinds: of `KINDS`.
            wake: called when there is something to take.
        """
        self._hand_out()
        subscriber = ChangeSet(kinds, wake)
        self._subscribers.append(subscriber)
        self._listen()
        if len(self._subscribers) == 1:
            self.on_watched()
        return subscriber

    def unsubscribe(self, subscriber: ChangeSet) -> None:
        """Forget a subscriber; one that is not known is no mistake."""
        if subscriber in self._subscribers:
            self._hand_out()
            self._subscribers.remove(subscriber)
            self._listen()
            if not self._subscribers:
                self.on_watched()

    def take(self, subscriber: ChangeSet) -> Changes:
        """What a subscriber has not taken yet."""
        self._hand_out()
        return subscriber.take(self.epoch, self.seq)

    def has(self, subscriber: ChangeSet) -> bool:
        """Whether there is something to take."""
        # Handed out first, so that the next mark tells a subscriber that waits for another kind.
        self._hand_out()
        return len(subscriber) > 0

    def end(self) -> None:
        """Tell all subscribers that nothing more comes."""
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
        self._told = False
        for each in self._subscribers:
            each.add(fresh)

    def _tell(self) -> None:
        self._told = True
        for each in self._subscribers:
            each.wake()


def checked_kinds(kinds: Collection[str] | None) -> frozenset[str]:
    """The kinds that are meant: all of them unless given.

    Raises:
        InvalidParameterError: one of them does not exist, or there is none.
    """
    if kinds is None:
        return frozenset(KINDS)
    chosen = frozenset((kinds,) if isinstance(kinds, str) else kinds)
    if not chosen or not chosen <= set(KINDS):
        raise InvalidParameterError("kinds", f"expected one or more of {', '.join(KINDS)}")
    return chosen
