"""Snapshots of a world, and the marks: snapshots that are made by themselves before each jump in time.

Rules:
1. A jump is an advance that moves time. The flow of a live clock, and the jumps of an automatic one, make no marks.
2. The newest marks are kept, ten unless the sandbox says otherwise. A rewind removes none: later marks can be gone to as well.
3. A snapshot shares what it can with the world, so that a mark in a world of a million calls takes a few milliseconds at most.
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
        label: what it was made for.
        id: of a mark, or of a snapshot that the control surface keeps.
        automatic: whether it is a mark.
    """

    account: Account = field(repr=False)
    moment: float
    label: str = ""
    id: str = ""
    automatic: bool = False
    # Counted when somebody asks, since that takes 10 ms for 100,000 deliveries.
    _counts: dict[str, int] = field(factory=dict, init=False, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How much the world held."""
        if not self._counts:
            self._counts.update(counts_of(self.account))
        return self._counts.copy()


class Marks:
    """The marks of one world.

    Args:
        kept: how many are kept; 0 for none.
    """

    def __init__(self, kept: int) -> None:
        self._marks: deque[Snapshot] = deque(maxlen=kept)
        self._made = 0

    def make(self, account: Account, moment: float, label: str) -> str | None:
        """Make a mark and return its id; ``None`` where none are kept."""
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
        """Forget all."""
        self._marks.clear()
