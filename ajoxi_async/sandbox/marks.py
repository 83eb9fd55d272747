"""Snapshots of a world, and marks: snapshots that a world makes by itself before each jump in time.

Rules:
1. A jump is an advance that moves time. Time that flows on a live clock, and the jumps that an `AutoClock` makes by itself, make
   no marks.
2. The newest marks are kept, ten by default. A rewind removes no marks, so that a later mark can be restored afterwards.
3. A snapshot shares data with the world where it can, so that a mark in a world of a million calls takes a few milliseconds
   at most.
"""

from __future__ import annotations

from collections import Counter, deque

from attrs import field, frozen

from ajoxi_async.sandbox.refusal import Refusal
from ajoxi_async.sandbox.state.account import Account

__all__ = ["Marks", "Snapshot", "counts_of"]


def counts_of(account: Account) -> dict[str, int]:
    """How many of each kind of object an account holds."""
    states = Counter(delivery.state for delivery in account.deliveries.values())
    return {
        **{f"{kind}s": len(store) for kind, store in account.stores.items()},
        "campaigns": len(account.campaigns),
        "pending_deliveries": states["pending"],
        "dead_letters": states["dead"],
    }


@frozen(eq=False)
class Snapshot:
    """A copy of a world's state and the moment of the copy. It can be restored any number of times.

    Attributes:
        moment: seconds since the epoch, on the world's clock.
        label: a text that says what the snapshot is for.
        id: set for marks and for snapshots that the control surface keeps; empty for others.
        automatic: whether it is a mark.
    """

    account: Account = field(repr=False)
    moment: float
    label: str = ""
    id: str = ""
    automatic: bool = False
    # Filled when `counts` is first read, since counting takes 10 ms for 100,000 deliveries.
    _counts: dict[str, int] = field(factory=dict, init=False, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many objects of each kind the world held."""
        if not self._counts:
            self._counts.update(counts_of(self.account))
        return self._counts.copy()


class Marks:
    """The marks of one world.

    Args:
        kept: how many marks are kept; with 0, none are made.
    """

    def __init__(self, kept: int) -> None:
        self._marks: deque[Snapshot] = deque(maxlen=kept)
        self._made = 0

    def make(self, account: Account, moment: float, label: str) -> str | None:
        """Make a mark and return its id; ``None`` if no marks are kept."""
        if not self._marks.maxlen:
            return None
        self._made += 1
        mark = Snapshot(account.copy(), moment, label, f"mark_{self._made}", automatic=True)
        self._marks.append(mark)
        return mark.id

    def all(self) -> tuple[Snapshot, ...]:
        """The marks that are kept, the oldest first."""
        return tuple(self._marks)

    def get(self, id: str) -> Snapshot:
        """The mark with an id.

        Raises:
            Refusal: there is none, or it is not kept any more.
        """
        for mark in self._marks:
            if mark.id == id:
                return mark
        raise Refusal("not_found", f"no mark {id[:60]}")

    def clear(self) -> None:
        """Remove all marks."""
        self._marks.clear()
