"""One limiter for all clients of a key in a process.

Rules:
1. Clients of one key share one limiter, in all threads. It is found by a digest, so that no key is kept here.
2. The budget outlives the last client by `KEEP` seconds, for a client may be made for each request: what was sent still
   counts at the server, and what was learnt (the limit, the shortest round trips, what others use) still holds.
3. A 429's pause outlives the last client only until two seconds after the 429. A Retry-After is usually a second; a long one
   in one test of a suite is not to stop the tests that follow.
4. A budget that belongs to an object, such as a transport, ends with the object.
5. Nothing runs in the background: what is over is dropped when the next limiter is asked for, and no more than `MOST`
   budgets are kept.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from threading import Lock
from typing import Any, Final
from weakref import ReferenceType, ref

from ajoxi_async.limits.local import LocalLimiter
from ajoxi_async.runtime.forks import renew_in_child

__all__ = ["shared_limiter"]

#: Seconds after its last client for which a budget is kept, and how many are at most.
KEEP: Final = 5.0
MOST: Final = 1000


class _Entry:
    """A budget, and the limiter that uses it for as long as anybody holds that."""

    __slots__ = ("__weakref__", "budget", "let_go_at", "limiter", "owner")

    def __init__(self, limiter: LocalLimiter, owner: ReferenceType[Any] | None) -> None:
        self.budget = limiter.budget
        self.limiter = ref(limiter, self._let_go)
        self.let_go_at = float("inf")
        self.owner = owner

    def _let_go(self, _: object) -> None:
        # Called by the collector, at any moment and in any thread: no lock may be taken.
        self.let_go_at = time.monotonic()


class _Shared:
    def __init__(self) -> None:
        self.entries: dict[bytes, _Entry] = {}
        self._drop_at = 0.0
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """The child's lock is nobody's."""
        self._lock = Lock()

    def limiter(self, digest: bytes, owner: object) -> LocalLimiter:
        with self._lock:
            now = time.monotonic()
            entry = self.entries.get(digest)
            limiter = None if entry is None else entry.limiter()
            if limiter is None:
                limiter = LocalLimiter()
                if entry is not None and now < entry.let_go_at + KEEP and _outlives(entry, owner):
                    limiter.inherit(entry.budget)
                self.entries.pop(digest, None)  # so that the last that was made stands last
                self.entries[digest] = _Entry(limiter, self._until_gone(owner, digest))
                if now >= self._drop_at or len(self.entries) > MOST:
                    self._drop_at = now + 1.0
                    self._drop(now)
            return limiter

    def _until_gone(self, owner: object, digest: bytes) -> ReferenceType[Any] | None:
        try:
            return None if owner is None else ref(owner, lambda _: self.entries.pop(digest, None))
        except TypeError:  # it has no weak references
            return None

    def _drop(self, now: float) -> None:
        idle = [(digest, entry) for digest, entry in list(self.entries.items()) if entry.let_go_at < float("inf")]
        surplus = len(self.entries) - MOST
        for number, (digest, entry) in enumerate(idle):
            if number < surplus or entry.let_go_at + KEEP <= now:
                self.entries.pop(digest, None)


def _outlives(entry: _Entry, owner: object) -> bool:
    """Whether the entry is surely this owner's: another object may have the same id later."""
    return owner is None or (entry.owner is not None and entry.owner() is owner)


_shared = _Shared()


def shared_limiter(*identity: str, owner: object = None) -> LocalLimiter:
    """The limiter of a key, the same for everybody who asks.

    Args:
        identity: what tells one budget from another: the key and the API it is for. Only a digest of it is kept.
        owner: an object that the budget belongs to as well, if any; it is not kept alive.
    """
    parts = [*identity, "" if owner is None else f"object {id(owner)}"]
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return _shared.limiter(digest, owner)
