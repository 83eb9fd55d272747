"""The part of a key's limit that this client may use: what others leave, and what 429s allow. Pure; no clock is read.

Rules:
1. What others use is inferred from ``X-RateLimit-Remaining`` for each window of the server. ``X-RateLimit-Reset`` of the
   server identifies the windows, not a local clock. If others use the key for three windows, this client's part follows by
   additive increase and multiplicative decrease.
2. A 429 lowers a ceiling, which rises again along a cubic curve: fast at first, slowly near the value at which it failed. In
   this way the client adapts to a server that counts more strictly than documented.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

__all__ = ["Share"]

#: Part of the limit below which others' use counts as noise, and above which the key counts as crowded.
_NOISE, _CROWDED = 0.05, 0.95
#: Least part of the limit, however much others use and however many 429s come.
_LEAST: Final = 0.1
#: If two 429s are less than this many seconds apart, the pace is far too high.
_OFTEN: Final = 4.0
#: What a refusal takes of the part, seldom and often, and the seconds after which it is back where it failed: a server
#: that refuses because it counts more strictly refuses again at that pace, so it is not tried more often than this.
_LOSS, _OFTEN_LOSS, _RECOVERY = 0.01, 0.08, 300.0


@define
class _Window:
    """What the server has counted in one of its windows."""

    reset: int
    used: float = 0.0
    foreign: float = 0.0


@define
class Share:
    """Times are seconds on the caller's clock.

    Attributes:
        left: part of the limit that others leave.
        ceiling: part of the limit that 429s allow.
    """

    left: float = 1.0
    ceiling: float = 1.0
    _failed: float = field(init=False, default=1.0)
    _lost: float = field(init=False, default=0.0)
    _refused_at: float = field(init=False, default=float("-inf"))
    _resumes_at: float = field(init=False, default=float("-inf"))
    _window: _Window = field(init=False, factory=lambda: _Window(-1))
    #: Requests of others in the last windows.
    _foreign: deque[float] = field(init=False, factory=lambda: deque(maxlen=3))

    @property
    def part(self) -> float:
        """This client's part of the limit, from 0 to 1."""
        return min(self.left, self.ceiling)

    def refused(self, now: float, resumes_at: float) -> None:
        """Note a 429, after which no request is sent until `resumes_at`."""
        often = now - self._refused_at < _OFTEN
        self._refused_at, self._resumes_at = now, resumes_at
        self._failed = self.part
        self._lost = self._failed * (_OFTEN_LOSS if often else _LOSS)
        self.ceiling = max(_LEAST, self._failed - self._lost)

    def count(self, reset: int, used: int, ours: float, limit: int, now: float) -> bool:
        """Note what a response says; returns whether `part` may have changed.

        Args:
            reset: ``X-RateLimit-Reset``, which identifies the server's window, in whole seconds.
            used: requests that the server has counted in the window.
            ours: how many of them may be this client's own.
            limit: requests a second.
            now: the present moment.
        """
        window, closed = self._window, False
        if reset < window.reset - 2:
            self._window = _Window(reset)  # the server's clock was set back
            return False
        if reset < window.reset:
            return False  # a late answer about an earlier window
        if reset > window.reset:
            if closed := window.reset >= 0:
                self._close(window, limit, now)
            window = self._window = _Window(reset)
        window.used = max(window.used, used)
        window.foreign = max(window.foreign, used - ours)
        return closed

    def _close(self, window: _Window, limit: int, now: float) -> None:
        self._foreign.append(window.foreign)
        if len(self._foreign) == 3 and min(self._foreign) > limit * _NOISE:
            crowded = window.used >= limit * _CROWDED
            self.left = max(_LEAST, self.left * 0.9) if crowded else min(1.0, self.left + 0.005)
        elif max(self._foreign) <= limit * _NOISE:
            self.left = min(1.0, self.left + 0.05)
        since = now - self._resumes_at
        if self.ceiling < 1.0 and since >= 0:
            # CUBIC (RFC 9438): steep, then flat around the value at which it failed, then steep again.
            remaining = 1 - since / _RECOVERY
            self.ceiling = min(1.0, max(self.ceiling, self._failed - self._lost * remaining**3))
