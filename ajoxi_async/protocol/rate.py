"""The arithmetic of staying under the cap (API reference: Rate limits). No waiting is done here.

Rules:
1. A token bucket: `burst` tokens at most, refilled at `limit - burst` a second, so that no sliding second on our side
   holds more than `limit` requests: a full bucket, and what flows in while it is emptied.
2. Every attempt takes a token, retries too.
3. ``X-RateLimit-Limit`` sets the limit; a response without it changes nothing.
4. A 429 pauses everything until its Retry-After.
"""

from __future__ import annotations

from attrs import define, field

from ajoxi_async.contract.headers import DEFAULT_RATE

__all__ = ["TokenBucket"]

#: The part of the limit that may go out at once.
_BURST_SHARE = 0.05


@define
class TokenBucket:
    """State of one key's budget. Times are seconds on the caller's clock.

    Attributes:
        limit: requests a second, or ``None`` for no cap at all.
        burst: requests that may go out at once: 5 % of the limit, at least one.
        rate: tokens flowing in, a second.
    """

    limit: float | None = DEFAULT_RATE
    burst: float = field(init=False, default=0.0)
    rate: float = field(init=False, default=0.0)
    _tokens: float = field(init=False, default=0.0)
    _filled_at: float = field(init=False, default=0.0)
    _paused_until: float = field(init=False, default=float("-inf"))

    def __attrs_post_init__(self) -> None:
        self._derive()
        self._tokens = self.burst

    def _derive(self) -> None:
        # Kept, not worked out at each use: every request asks.
        limit = self.limit or 0.0
        self.burst = max(1.0, limit * _BURST_SHARE)
        self.rate = limit - self.burst if limit >= 2 else limit / 2

    def wait(self, now: float) -> float:
        """Seconds until a token may be taken; 0 when one may be taken now."""
        paused = self._paused_until - now if self._paused_until > now else 0.0
        if self.limit is None:
            return paused
        self._refill(now)
        # A hair under one token is one: 0.01 s x 95/s need not add up exactly.
        missing = 1.0 - self._tokens
        return max(paused, missing / self.rate) if missing > 1e-9 else paused

    def take(self, now: float) -> None:
        """Take a token; the caller has waited for it."""
        if self.limit is not None:
            self._refill(now)
            self._tokens -= 1.0

    def give_back(self) -> None:
        """Return the token of a request that was never sent."""
        if self.limit is not None:
            self._tokens = min(self.burst, self._tokens + 1.0)

    def pause(self, until: float) -> None:
        """Let nothing go out before `until`."""
        self._paused_until = max(self._paused_until, until)

    def set_limit(self, limit: float | None, now: float) -> None:
        """Take over the limit the server announced."""
        if limit != self.limit:
            self._refill(now)
            self.limit = limit
            self._derive()
            self._tokens = min(self._tokens, self.burst)

    def _refill(self, now: float) -> None:
        if now > self._filled_at:
            tokens = self._tokens + (now - self._filled_at) * self.rate
            self._tokens = min(self.burst, tokens)
            self._filled_at = now
