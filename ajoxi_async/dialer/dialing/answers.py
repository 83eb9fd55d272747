"""What the end of a request that places a call says about the attempt. Pure.

    end of the request                            fact       the campaign
    --------------------------------------------  ---------  -----------------------------------
    201 with a call                               placed
    201 without an id, or with another's call     doubtful   waits after several in a row
    400, 422 about the contact, 403 about "to"    refused
    429, not connected, the gate was closed       unsent     waits after failures to connect
    the gate was closed after time was missed     doubtful   sweeps the list
    401, 402, 403, 404, a redirect, our setting   unsent     halts: every further call would fail
    5xx, any other status, another form, none     doubtful   waits after several in a row

A 5xx is in doubt even where the API reference says that nothing was done, because a call that rings twice is worse than one that is
looked for. So is a status that says nothing about this request, such as 408 or 409 of a proxy or of a store of idempotency keys.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ajoxi_async.dialer.rules.machine import Fact
from ajoxi_async.protocol.errors import (
    AjoxiError,
    APIConnectionError,
    APIStatusError,
    InvalidParameterError,
    RateLimitError,
)

__all__ = ["Ending", "NotNowError", "ending_of"]

#: Parameters of a call that are the same for every contact, by their names on the wire.
_OURS: Final = frozenset(
    {"from", "timeout", "metadata", "agent_id", "ai_receptionist", "record", "campaign.name", "campaign.mode"}
)
_OF_CONTACT: Final = frozenset({400, 403, 422})
#: Statuses that say that the request was not carried out, besides redirects.
_NOT_DONE: Final = frozenset({400, 401, 402, 403, 404, 405, 410, 413, 415, 422})


class NotNowError(AjoxiError):
    """The gate is closed: the call is not to be placed now. Never leaves the dialer.

    Attributes:
        doubtful: whether the call may have been placed before, in a time of which the process does not know.
    """

    def __init__(self, message: str, *, doubtful: bool = False) -> None:
        super().__init__(message)
        self.doubtful = doubtful


class Ending(NamedTuple):
    """What the end of a request says.

    Attributes:
        fact: about the attempt.
        reason: why, without a number or name in it.
        halts: whether every further call would end the same way.
        failed: whether the connection failed, so that others would fail as well for a while.
        throttled: whether it was a 429. The limiter waits after one; only a series of them is trouble.
        gated: whether the gate was closed, so that it says nothing about the API.
    """

    fact: Fact
    reason: str
    halts: bool = False
    failed: bool = False
    throttled: bool = False
    gated: bool = False


def _is_ours(param: str | None) -> bool:
    return param is not None and (param in _OURS or param.partition(".")[0] in _OURS)


def ending_of(error: AjoxiError) -> Ending:
    """What an error of ``calls.create`` without retries says about the attempt."""
    if isinstance(error, NotNowError):
        return Ending(Fact.DOUBTFUL if error.doubtful else Fact.UNSENT, error.message, gated=True)
    if isinstance(error, InvalidParameterError):
        if error.param == "to":
            return Ending(Fact.REFUSED, "not a number that can be called")
        return Ending(Fact.UNSENT, f"{error.param} is not valid", halts=True)
    if isinstance(error, RateLimitError):
        return Ending(Fact.UNSENT, "rate limit", throttled=True)
    if isinstance(error, APIConnectionError):
        return Ending(Fact.UNSENT, type(error).__name__, failed=True)
    status = error.status_code if isinstance(error, APIStatusError) else None
    if isinstance(error, APIStatusError) and status is not None and (status in _NOT_DONE or 300 <= status < 400):
        reason = error.code or f"status {status}"
        # A 403 that names no parameter is about the key, or the account.
        if status in _OF_CONTACT and not _is_ours(error.param) and (status != 403 or error.param):
            return Ending(Fact.REFUSED, reason)
        return Ending(Fact.UNSENT, f"{status} {reason} {error.param or ''}".strip(), halts=True)
    return Ending(Fact.DOUBTFUL, type(error).__name__)
