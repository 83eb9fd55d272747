"""Retries of a contact: after which end of an attempt there is another one, and when.

Rules:
1. `attempts` is the most attempts that a contact gets, whatever their dispositions were. Busy, no answer and failed in turn
   use up one and the same number.
2. The n-th delay of a `Retry` follows the n-th attempt of the contact, and its last delay every later attempt.
3. A delay is counted from the end of the attempt. The next attempt begins at that moment or later, and never before.
4. An attempt with a disposition that has no retry settles the contact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Self

from attrs import frozen

from ajoxi_async.contract.calls import Disposition
from ajoxi_async.dialer.rules.durations import seconds
from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["MOST_ATTEMPTS", "Retry", "checked_retries", "due_after", "retry_delay"]

#: The most attempts that a contact can be given; more is taken for a mistake.
MOST_ATTEMPTS: Final = 100


@frozen(init=False)
class Retry:
    """The delays before the next attempts, such as ``Retry(600, 3600)`` or ``Retry("4h", "1d")``.

    Args:
        delays: seconds, texts such as ``"90s"``, ``"15m"``, ``"4h"``, ``"1d"``, or `timedelta`; at least one second each.

    Raises:
        InvalidParameterError: no delay is given, or one cannot be right.
    """

    delays: tuple[float, ...]

    def __init__(self, *delays: float | str | timedelta) -> None:
        if not delays:
            raise InvalidParameterError("retry", "expected at least one delay, such as Retry('4h', '1d')", missing=True)
        whole = tuple(seconds("retry", delay, least=1) for delay in delays)
        object.__setattr__(self, "delays", whole)

    def to_dict(self) -> dict[str, Any]:
        """The delays as JSON, for `from_dict`."""
        return {"delays": list(self.delays)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The delays that `to_dict` has described."""
        return cls(*given["delays"])

    def delay(self, tries: int) -> float:
        """Seconds from the end of attempt `tries`, the first being 1, to the attempt after it."""
        return self.delays[min(tries, len(self.delays)) - 1]


def checked_retries(given: object) -> dict[str, Retry]:
    """The retries of a campaign, by disposition, as users give them.

    Raises:
        InvalidParameterError: it is no mapping from dispositions to `Retry`.
    """
    if not isinstance(given, Mapping):
        raise InvalidParameterError(
            "retry", f"expected a mapping such as {{'busy': Retry(600)}}, got {type(given).__name__}"
        )
    rules = {}
    for name, retry in given.items():
        if not isinstance(name, str) or not Disposition(name).known:
            known = ", ".join(member.value for member in Disposition)
            raise InvalidParameterError("retry", f"expected dispositions ({known}), got {shown(name)}")
        if not isinstance(retry, Retry):
            raise InvalidParameterError(f"retry[{name}]", f"expected a Retry, got {type(retry).__name__}")
        rules[str(Disposition(name).value)] = retry
    return rules


def retry_delay(retry: Mapping[str, Retry], disposition: str, tries: int) -> float | None:
    """Seconds from the end of an attempt to the next one; ``None`` if such an end is not tried again.

    Whether the contact has an attempt left is for the caller to know (rule 1).

    Args:
        retry: by disposition.
        disposition: of the attempt.
        tries: the attempts of the contact so far, this one included; those that were proven unsent do not count.
    """
    rule = retry.get(disposition)
    return None if rule is None else rule.delay(tries)


def due_after(ended_at: float, delay: float) -> int:
    """The moment of a retry in whole milliseconds, rounded up, so that it never comes early.

    Args:
        ended_at: seconds since the epoch.
        delay: seconds.
    """
    return math.ceil(ended_at * 1000 + delay * 1000)
