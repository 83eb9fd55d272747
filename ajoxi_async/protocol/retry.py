"""Whether a request is sent again, and after how long.

Every attempt has a fate, which follows from what was observed:

    fate        observed                                       GET PUT DELETE   POST PATCH
    ----------  ---------------------------------------------  ---------------  ------------------------------------
    done        2xx, whole                                     return           return
    not sent    DNS, connect, TLS or pool wait failed          send again       send again
    refused     429                                            send again       send again, after Retry-After
    rejected    3xx but 303, other 4xx                         raise            raise
    documented  5xx with the API's error envelope              send again       send again (API reference: 5xx,
                                                                                "retries ... are safe")
    gateway     5xx without it, 303, 101: from a proxy, not    send again       never: OutcomeUnknownError
                the API
    unknown     headers may have gone out, no whole response   send again       never: OutcomeUnknownError

Rules:
1. A POST that may have been received is never sent again, since it would dial twice. ``writes="always"`` lifts this rule;
   with ``writes="strict"`` documented failures are not sent again either. A PATCH, which `AsyncAjoxi.request` can send, counts
   as a POST here.
2. Delays are exponential backoff with full jitter; a Retry-After is a lower bound to them (API reference: Rate limits).
3. If Retry-After is longer than the policy's patience, the error is raised instead of waiting.
4. A 404 to a DELETE that may have been carried out before counts as success: an earlier attempt deleted the object.
5. Retries of failures take from a quota of the client, which successes fill again, so that an outage does not multiply the
   usual load (as the retry quota of the AWS SDKs). A 429 takes nothing from it, since the limiter handles that.
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

__all__ = ["NOT_REPEATABLE", "Fate", "RetryPolicy", "RetryQuota", "classify", "delay_before_retry", "parse_retry_after"]

#: Methods whose request does something more each time that it is carried out (RFC 9110, 9.2.2: they are not idempotent).
NOT_REPEATABLE = frozenset({"POST", "PATCH"})


class Fate(enum.Enum):
    """The result of an attempt; see the table above."""

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
    """How often and how long a client sends failed requests again.

    Attributes:
        max_retries: attempts after the first.
        base: seconds; the first delay is random from 0 to `base`, and this bound doubles with each retry.
        cap: seconds; the largest bound of the delays.
        patience: seconds; after an answer with a longer Retry-After, `RateLimitError` or `InternalServerError` is raised.
        max_elapsed: seconds after the first attempt from which on no attempt begins; ``None`` for no such bound.
        quota: how many retries of failures the client may make; each success adds a fifth of one. 0 for none at all.
        writes: which failed POSTs are sent again; see rule 1.

    Raises:
        ConfigurationError: a value cannot be right; the message names it.
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
            self._set(name, number, "0 or more", valid=number is not None and number >= 0)
        for name in ("base", "cap", "max_elapsed"):
            if getattr(self, name) is not None or name != "max_elapsed":
                span = seconds(getattr(self, name))
                self._set(name, span, "seconds above 0", valid=span is not None and span > 0)
        span = seconds(self.patience)
        self._set("patience", span, "0 seconds or more", valid=span is not None and span >= 0)
        writes = exact(self.writes)
        self._set("writes", writes, "'documented', 'strict' or 'always'", valid=writes in _WRITES)

    def _set(self, name: str, value: object, right: str, *, valid: bool) -> None:
        if not valid:
            raise ConfigurationError(f"{name}: expected {right}, got {getattr(self, name)!r:.40}")
        object.__setattr__(self, name, value)


@define
class RetryQuota:
    """The rest of a policy's quota. Variants of a client with the same policy share it."""

    capacity: float
    left: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.left = self.capacity

    def spend(self) -> bool:
        """Take one retry from the quota; returns whether there was one."""
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def earn(self, retries: int) -> None:
        """Note that a call succeeded: its retries return to the quota, or a fifth of one if it needed none."""
        self.left = min(self.capacity, self.left + (retries or 0.2))


def classify(outcome: Response | ExchangeError, *, has_envelope: bool = False) -> Fate:
    """The fate of an attempt. `has_envelope` says whether an error's body is the API's own."""
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
    if method not in NOT_REPEATABLE or writes == "always":
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
        retry_after: seconds the server asked to wait.
        jitter: a random number from [0, 1).
    """
    if attempt > policy.max_retries or not _may_repeat(fate, method, policy.writes):
        return None
    if retry_after is not None and retry_after > policy.patience:
        return None
    backoff: float = jitter * min(policy.cap, policy.base * 2.0 ** min(attempt - 1, 64))
    return backoff if retry_after is None else retry_after + backoff


#: Seconds, with or without quotes; the first of several if a proxy added its own. Any number of digits is a long wait.
_SECONDS = re.compile(r"\s*(\"?)\s*(\d+(?:\.\d*)?)\s*\1\s*(?:[,;].*)?", re.ASCII | re.DOTALL)


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as an HTTP-date.

    A date is compared with the server's own ``Date``, because its clock may differ from the local one. Without a ``Date`` it
    cannot be used.
    """
    if value is None:
        return None
    if found := _SECONDS.fullmatch(value):
        return float(found[2])
    until, now = parse_http_date(value), parse_http_date(date)
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())
