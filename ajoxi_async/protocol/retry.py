"""When a request is sent again, and after how long.

Every attempt has a fate, read from what was observed:

    fate        observed                                       GET PUT DELETE   POST
    ----------  ---------------------------------------------  ---------------  ------------------------------------
    done        2xx, whole                                     return           return
    not sent    DNS, connect, TLS or pool wait failed          send again       send again
    refused     429                                            send again       send again, after Retry-After
    rejected    3xx but 303, other 4xx                         raise            raise
    documented  5xx with the API's error envelope              send again       send again (API reference: 5xx,
                                                                                "retries ... are safe")
    gateway     5xx without it, 303, 101: a proxy speaks, not  send again       never: OutcomeUnknownError
                the API
    unknown     headers may have gone out, no whole response   send again       never: OutcomeUnknownError

Rules:
1. A POST that may have been received is never sent again: it would dial twice. ``writes="always"`` waives this,
   ``writes="strict"`` also gives up the documented failures.
2. Delays are exponential backoff with full jitter; a Retry-After is a lower bound to them (API reference: Rate limits).
3. A Retry-After longer than the policy's patience is raised, not slept through.
4. A 404 to a DELETE that may have been carried out before is success: the first one got through.
5. Retries of failures draw on a quota of the client's, which successes fill again: an outage is not answered with a
   multiple of the usual load. (The AWS SDKs' retry quota.) A 429 does not draw on it: the limiter answers that.
"""

from __future__ import annotations

import enum
import re
from typing import Literal

from attrs import define, field, frozen

from ajoxi_async.contract.encoding.exact_values import exact, integer, seconds
from ajoxi_async.contract.encoding.times import parse_http_date
from ajoxi_async.contract.wire import ExchangeError, Response
from ajoxi_async.protocol.errors import ConfigurationError

__all__ = ["Fate", "RetryPolicy", "RetryQuota", "classify", "delay_before_retry", "parse_retry_after"]


class Fate(enum.Enum):
    """What became of an attempt; see the table above."""

    DONE = "done"
    NOT_SENT = "not sent"
    REFUSED = "refused"
    REJECTED = "rejected"
    DOCUMENTED = "documented"
    GATEWAY = "gateway"
    UNKNOWN = "unknown"


_WRITES = ("documented", "strict", "always")


@frozen(kw_only=True)
class RetryPolicy:
    """How patient a client is.

    Attributes:
        max_retries: attempts after the first.
        base: seconds; the first delay is drawn from 0 to `base`, and the bound doubles with each retry.
        cap: seconds; no backoff is drawn above it.
        patience: seconds; a Retry-After above it is raised as `RateLimitError` or `InternalServerError`.
        max_elapsed: seconds from the first attempt after which none is begun; ``None`` for no such bound.
        quota: retries of failures the client has in hand; each success gives a fifth of one back. 0 for none at all.
        writes: which failed POSTs are sent again; see rule 1.

    Raises:
        ConfigurationError: a value that cannot be meant, by its name.
    """

    max_retries: int = 2
    base: float = 0.5
    cap: float = 8.0
    patience: float = 60.0
    max_elapsed: float | None = None
    quota: int = 100
    writes: Literal["documented", "strict", "always"] = "documented"

    def __attrs_post_init__(self) -> None:
        for name in ("max_retries", "quota"):
            number = integer(getattr(self, name))
            self._set(name, number, "0 or more", sound=number is not None and number >= 0)
        for name in ("base", "cap", "max_elapsed"):
            if getattr(self, name) is not None or name != "max_elapsed":
                span = seconds(getattr(self, name))
                self._set(name, span, "seconds above 0", sound=span is not None and span > 0)
        span = seconds(self.patience)
        self._set("patience", span, "0 seconds or more", sound=span is not None and span >= 0)
        writes = exact(self.writes)
        self._set("writes", writes, "'documented', 'strict' or 'always'", sound=writes in _WRITES)

    def _set(self, name: str, value: object, right: str, *, sound: bool) -> None:
        if not sound:
            raise ConfigurationError(f"{name}: expected {right}, got {getattr(self, name)!r:.40}")
        object.__setattr__(self, name, value)


@define
class RetryQuota:
    """What is left of a policy's quota. One for all variants of a client that share a policy."""

    capacity: float
    left: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.left = self.capacity

    def spend(self) -> bool:
        """Take one retry, if there is one."""
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def earn(self, retries: int) -> None:
        """A call succeeded, after so many retries: they come back, and for a first attempt a fifth of one."""
        self.left = min(self.capacity, self.left + (retries or 0.2))


def classify(outcome: Response | ExchangeError, *, has_envelope: bool = False) -> Fate:
    """Read the fate of an attempt; `has_envelope` says whether an error body was the API's own."""
    if isinstance(outcome, ExchangeError):
        return Fate.UNKNOWN if outcome.sent else Fate.NOT_SENT
    if 200 <= outcome.status < 300:
        return Fate.DONE
    if outcome.status == 429:
        return Fate.REFUSED
    if outcome.status >= 500:
        return Fate.DOCUMENTED if has_envelope else Fate.GATEWAY
    return Fate.GATEWAY if outcome.status == 303 or outcome.status < 200 else Fate.REJECTED


def _may_repeat(fate: Fate, method: str, writes: str) -> bool:
    if fate in {Fate.NOT_SENT, Fate.REFUSED}:
        return True
    if fate in {Fate.DONE, Fate.REJECTED}:
        return False
    if method != "POST" or writes == "always":
        return True
    return fate is Fate.DOCUMENTED and writes == "documented"


def delay_before_retry(
    policy: RetryPolicy, fate: Fate, method: str, *, attempt: int, retry_after: float | None, jitter: float
) -> float | None:
    """Seconds to wait before the request is sent again, or ``None`` to give up.

    Args:
        policy: the caller's policy.
        fate: of the attempt that has just ended.
        method: HTTP method.
        attempt: how many attempts there were, counting from 1.
        retry_after: seconds the server asked for.
        jitter: a draw from [0, 1).
    """
    if attempt > policy.max_retries or not _may_repeat(fate, method, policy.writes):
        return None
    if retry_after is not None and retry_after > policy.patience:
        return None
    backoff: float = jitter * min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 64))
    return backoff if retry_after is None else retry_after + backoff


#: Seconds, in quotes or not, and, where a proxy added its own, the first of several. However many digits: it is a long wait.
_SECONDS = re.compile(r"\s*(\"?)\s*(\d+(?:\.\d*)?)\s*\1\s*(?:[,;].*)?", re.ASCII | re.DOTALL)


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as an HTTP-date.

    A date is measured against the server's own ``Date``, for the two clocks need not agree with ours; without one it
    cannot be used.
    """
    if value is None:
        return None
    if found := _SECONDS.fullmatch(value):
        return float(found[2])
    until, now = parse_http_date(value), parse_http_date(date)
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())
