"""What a log of events is, and the one in the memory of a process.

Rules:
1. An event is claimed, then done or released. Claiming is atomic: of two workers one gets it. A claim has an owner, and
   only that one can release it: a worker whose claim lapsed gives up neither another's claim nor what another has done.
2. What is done is remembered for `REMEMBER`, longer than the 24 hours for which the platform delivers again.
3. A claim whose worker died lapses after `lease` seconds; an event whose handlers take longer may run twice.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, Protocol

from ajoxi_async.webhooks.greenlets import native_lock

__all__ = ["LEASE", "REMEMBER", "Claim", "EventLog", "MemoryLog"]

Claim = Literal["new", "running", "done"]

#: Seconds: three days, since an operator may replay dead letters by hand.
REMEMBER: Final = 3 * 24 * 3600.0
#: Seconds after which a claim lapses.
LEASE: Final = 900.0


class EventLog(Protocol):
    """What a `WebhookRouter` asks. Bring your own by implementing these three."""

    async def claim(self, id: str, owner: str) -> Claim:
        """Take an event for `owner` if nobody has it; ``"running"`` and ``"done"`` say who has."""
        ...

    async def done(self, id: str) -> None:
        """It was handled: never again."""
        ...

    async def release(self, id: str, owner: str) -> None:
        """It was not handled: whoever claims it next may. Nothing happens where the claim is not the owner's."""
        ...


class MemoryLog:
    """In the memory of one process: for one worker, and forgotten when it ends.

    Args:
        remember: seconds.
        lease: seconds.
        clock: seconds, of any beginning.
    """

    def __init__(
        self, *, remember: float = REMEMBER, lease: float = LEASE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remember, self._lease, self._clock = remember, lease, clock
        self._running: dict[str, tuple[str, float]] = {}
        self._done: OrderedDict[str, float] = OrderedDict()
        self._lock = native_lock()

    async def claim(self, id: str, owner: str) -> Claim:
        """See `EventLog`."""
        with self._lock:
            now = self._clock()
            while self._done and next(iter(self._done.values())) <= now:
                self._done.popitem(last=False)
            if id in self._done:
                return "done"
            if id in self._running and self._running[id][1] > now:
                return "running"
            self._running[id] = owner, now + self._lease
            return "new"

    async def done(self, id: str) -> None:
        """See `EventLog`."""
        with self._lock:
            self._running.pop(id, None)
            self._done[id] = self._clock() + self._remember
            self._done.move_to_end(id)

    async def release(self, id: str, owner: str) -> None:
        """See `EventLog`."""
        with self._lock:
            if id in self._running and self._running[id][0] == owner:
                del self._running[id]
