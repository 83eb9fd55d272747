"""The rate limit of the server (API reference: Rate limits). It shares no code with the client's limiter.

Rules:
1. At most `limit` requests of a key are admitted in any sliding second. The times of all requests of the last second are
   kept.
2. A refused request does not count.
3. ``X-RateLimit-Reset`` is the second in which the whole limit is free again; Retry-After is at least 1.
4. Without a limit, as on Enterprise, there are no headers and no refusals.
"""

from __future__ import annotations

import math
from collections import deque

from ajoxi_async.contract import headers

__all__ = ["Quota"]


class Quota:
    """The requests of one key in the last second.

    Args:
        limit: requests a second; ``None`` for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._log: deque[float] = deque()

    def admit(self, moment: float) -> bool:
        """Count a request made at this moment (monotonic seconds) and return whether it is within the limit."""
        if self._limit is None:
            return True
        while self._log and self._log[0] <= moment - 1.0:
            self._log.popleft()
        if len(self._log) >= self._limit:
            return False
        self._log.append(moment)
        return True

    def headers(self, moment: float, wall: float) -> dict[str, str]:
        """The rate-limit headers of a response.

        Args:
            moment: now, in monotonic seconds.
            wall: now, in seconds since the epoch.
        """
        if self._limit is None:
            return {}
        free_in = self._log[-1] + 1.0 - moment if self._log else 0.0
        return {
            headers.RATE_LIMIT: str(self._limit),
            headers.RATE_REMAINING: str(max(0, self._limit - len(self._log))),
            headers.RATE_RESET: str(math.ceil(wall + max(0.0, free_in))),
        }
