"""One limiter for all clients of a key in a process.

Rules:
1. Clients of one key share one limiter, in all threads. It is stored under a digest, so that no key is kept here.
2. The budget is kept for `KEEP` seconds after the last client, because an application may make a client for each request:
   the requests still count at the server, and what is known of the limit, the round trips and other users still holds.
3. The pause of a 429 ends two seconds after the 429 if the last client is gone. A Retry-After is usually one second, and a
   long one in one test must not delay the tests after it.
4. A budget that belongs to an object, such as a transport, ends with the object.
5. There is no background task: expired budgets are dropped when the next limiter is asked for, and no more than `MOST` are
   kept.
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

#: Seconds for which a budget is kept after its last client, and how many budgets are kept at most.
KEEP: Final = 5.0
MOST: Final = 1000


class _Entry:
    """A budget, and a weak reference to the limiter that uses it."""

    __slots__ = ("__weakref__", "budget", "limiter", "owner", "released_at")

    def __init__(self, limiter: LocalLimiter, owner: ReferenceType[Any] | None) -> None:
        self.budget = limiter.budget
        self.limiter = ref(limiter, self._note_release)
        self.released_at = float("inf")
        self.owner = owner

    def _note_release(self, _: object) -> None:
        # The garbage collector calls this at any moment and in any thread, so it must not take a lock.
        self.released_at = time.monotonic()


class _Shared:
    def __init__(self) -> None:
        self.entries: dict[bytes, _Entry] = {}
        self._drop_at = 0.0
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Replace the lock in a forked child, where another thread may have held it."""
        self._lock = Lock()

    def limiter(self, digest: bytes, owner: object) -> LocalLimiter:
        with self._lock:
            now = time.monotonic()
            entry = self.entries.get(digest)
            limiter = None if entry is None else entry.limiter()
            if limiter is None:
                limiter = LocalLimiter()
                if entry is not None and now < entry.released_at + KEEP and _outlives(entry, owner):
                    limiter.inherit(entry.budget)
                self.entries.pop(digest, None)  # so that the newest entry is the last one
                self.entries[digest] = _Entry(limiter, self._until_gone(owner, digest))
                if now >= self._drop_at or len(self.entries) > MOST:
                    self._drop_at = now + 1.0
                    self._drop(now)
            return limiter

    def _until_gone(self, owner: object, digest: bytes) -> ReferenceType[Any] | None:
        try:
            return None if owner is None else ref(owner, lambda _: self.entries.pop(digest, None))
        except TypeError:  # the object does not support weak references
            return None

    def _drop(self, now: float) -> None:
        idle = [(digest, entry) for digest, entry in list(self.entries.items()) if entry.released_at < float("inf")]
        surplus = len(self.entries) - MOST
        for number, (digest, entry) in enumerate(idle):
            if number < surplus or entry.released_at + KEEP <= now:
                self.entries.pop(digest, None)


def _outlives(entry: _Entry, owner: object) -> bool:
    """Whether the entry belongs to this owner, and not to an earlier object that had the same id."""
    return owner is None or (entry.owner is not None and entry.owner() is owner)


_shared = _Shared()


def shared_limiter(*identity: str, owner: object = None) -> LocalLimiter:
    """The limiter of a key, the same one for all callers.

    Args:
        identity: the parts that identify the budget: the URL of the API and the key. Only a digest of them is kept.
        owner: an object that the budget belongs to as well, if any; it is not kept alive.
    """
    parts = [*identity, "" if owner is None else f"object {id(owner)}"]
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return _shared.limiter(digest, owner)
