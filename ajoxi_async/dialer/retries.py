"""Retries of a contact: after which end of an attempt there is another one, and when.

Rules:
1. `attempts` is the most attempts that a contact gets, whatever their dispositions were. Busy, no answer and failed in turn
   use up one and the same number.
2. The n-th delay of a `Retry` follows the n-th attempt of the contact, and its last delay every later attempt.
3. A delay is counted from the end of the attempt. The next attempt begins at that moment or later, and never a second before.
4. An attempt with a disposition that has no retry settles the contact: as ``done`` if somebody or something answered
   (``answered``, ``voicemail``), and as ``exhausted`` otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Literal

from attrs import field, frozen

from ajoxi_async.contract.calls import Disposition
from ajoxi_async.dialer.durations import seconds
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["MOST_ATTEMPTS", "Next", "Retries", "Retry"]

#: The most attempts that a contact can be given; more is taken for a mistake.
MOST_ATTEMPTS: Final = 100
_REACHED: Final = frozenset({Disposition.ANSWERED.value, Disposition.VOICEMAIL.value})


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

    def delay(self, tries: int) -> float:
        """Seconds from the end of attempt `tries`, the first being 1, to the attempt after it."""
        return self.delays[min(tries, len(self.delays)) - 1]


@frozen
class Next:
    """What becomes of a contact after an attempt.

    Attributes:
        state: ``waiting`` for another attempt, ``done``, or ``exhausted``.
        due: the earliest moment of the next attempt, in seconds since the epoch; ``None`` if there is none.
    """

    state: Literal["waiting", "done", "exhausted"]
    due: float | None = None


def _checked(given: object) -> dict[str, Retry]:
    if not isinstance(given, Mapping):
        raise InvalidParameterError(
            "retry", f"expected a mapping such as {{'busy': Retry(600)}}, got {type(given).__name__}"
        )
    rules = {}
    for name, retry in given.items():
        if not isinstance(name, str) or not Disposition(name).known:
            known = ", ".join(member.value for member in Disposition)
            raise InvalidParameterError("retry", f"expected dispositions ({known}), got {name!r:.80}")
        if not isinstance(retry, Retry):
            raise InvalidParameterError(f"retry[{name}]", f"expected a Retry, got {type(retry).__name__}")
        rules[str(Disposition(name).value)] = retry
    return rules


def _check_attempts(_: object, attribute: Any, value: object) -> None:
    if type(value) is not int or not 1 <= value <= MOST_ATTEMPTS:
        raise InvalidParameterError(attribute.name, f"expected 1 to {MOST_ATTEMPTS}, got {value!r:.80}")


@frozen
class Retries:
    """The retries of a campaign.

    Args:
        by: a `Retry` for each disposition after which the contact is called again.
        attempts: the most attempts of a contact, over all dispositions.

    Raises:
        InvalidParameterError: an unknown disposition, or a number of attempts that cannot be right.
    """

    by: Mapping[str, Retry] = field(factory=dict[str, Retry], converter=_checked)
    attempts: int = field(default=1, validator=_check_attempts)

    def after(self, disposition: str, tries: int, ended_at: float) -> Next:
        """What becomes of a contact after an attempt that has ended.

        Args:
            disposition: of the attempt.
            tries: the attempts of the contact so far, this one included; those that were proven unsent do not count.
            ended_at: seconds since the epoch.
        """
        retry = self.by.get(disposition)
        if retry is None:
            return Next("done" if disposition in _REACHED else "exhausted")
        if tries >= self.attempts:
            return Next("exhausted")
        # Rounded up to the millisecond, in which ledgers keep moments, so that rounding cannot make it early.
        return Next("waiting", math.ceil((ended_at + retry.delay(tries)) * 1000) / 1000)
