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
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from attrs import define, field, frozen, validators

from ajoxi_async.contract.wire import ExchangeError, Response
from ajoxi_async.protocol.rate_headers import read_seconds

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
    """

    max_retries: int = field(default=2, validator=[validators.instance_of(int), validators.ge(0)])
    base: float = field(default=0.5, validator=validators.gt(0))
    cap: float = field(default=8.0, validator=validators.gt(0))
    patience: float = field(default=60.0, validator=validators.ge(0))
    max_elapsed: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    quota: int = field(default=100, validator=[validators.instance_of(int), validators.ge(0)])
    writes: Literal["documented", "strict", "always"] = field(
        default="documented", validator=validators.in_(("documented", "strict", "always"))
    )


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
    backoff: float = jitter * min(policy.cap, policy.base * 2 ** (attempt - 1))
    return backoff if retry_after is None else retry_after + backoff


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as an HTTP-date.

    A date is measured against the server's own ``Date``, for the two clocks need not agree with ours; without one it
    cannot be used.
    """
    if value is None:
        return None
    if (seconds := read_seconds(value)) is not None:
        return seconds
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    return max(0.0, (_aware(until) - _aware(now)).total_seconds())


def _aware(moment: datetime) -> datetime:
    # An HTTP-date is in GMT whether or not it says so.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
