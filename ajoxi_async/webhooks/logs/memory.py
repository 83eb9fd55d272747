"""The interface of a log of handled events, and the log in the memory of a process.

Rules:
1. An event is claimed, and then marked as done or released. Claiming is atomic: of two workers one gets the claim. A claim
   has an owner, and only the owner can release it. A worker whose claim has expired cannot release another worker's claim or
   an event that is done.
2. Events that are done are remembered for `REMEMBER` seconds, longer than the 24 hours for which the platform delivers again.
3. A claim expires after `lease` seconds, in case its worker died. If handlers take longer than that, they may run twice.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, Protocol

from ajoxi_async.contract.encoding.exact_values import seconds
from ajoxi_async.protocol.errors import ConfigurationError
from ajoxi_async.webhooks.greenlets import native_lock

__all__ = ["LEASE", "REMEMBER", "Claim", "EventLog", "MemoryLog", "check_spans"]

Claim = Literal["new", "running", "done"]

#: Seconds for which events are remembered: three days, since an operator may replay dead letters by hand.
REMEMBER: Final = 3 * 24 * 3600.0
#: Seconds after which a claim expires.
LEASE: Final = 900.0


class EventLog(Protocol):
    """The log that a `WebhookRouter` uses. A log of your own implements these three methods."""

    async def claim(self, id: str, owner: str) -> Claim:
        """Claim an event for `owner`. ``"running"``: another worker handles it. ``"done"``: it was handled.

        If it is cancelled, the router releases the claim, which may have been made.
        """
        ...

    async def done(self, id: str) -> None:
        """Mark an event as handled."""
        ...

    async def release(self, id: str, owner: str) -> None:
        """Release a claim of an event that was not handled. Without effect if the claim is not the owner's."""
        ...


#: Least and most seconds of a span that a log is given. Redis counts milliseconds.
_LEAST: Final = 0.001
_MOST: Final = 1e9


def check_spans(remember: float, lease: float) -> tuple[float, float]:
    """Return for how long events are remembered and claims hold, as floats.

    Raises:
        ConfigurationError: one is not a number of seconds. A claim that expires at once would let two workers handle an event.
    """
    found = []
    for name, given in (("remember", remember), ("lease", lease)):
        span = seconds(given)
        if span is None or not _LEAST <= span <= _MOST:
            raise ConfigurationError(f"{name}: expected seconds from {_LEAST:g} to {_MOST:g}, got {given!r:.40}")
        found.append(span)
    return found[0], found[1]


class MemoryLog:
    """A log in the memory of one process, for a single worker. It is lost when the process ends.

    Args:
        remember: seconds.
        lease: seconds.
        clock: seconds since any fixed moment.

    Raises:
        ConfigurationError: `remember` or `lease` is not a number of seconds.
    """

    def __init__(
        self, *, remember: float = REMEMBER, lease: float = LEASE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._remember, self._lease = check_spans(remember, lease)
        self._clock = clock
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
