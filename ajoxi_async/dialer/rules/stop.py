"""When a campaign stops by itself: too many calls fail, too many are in doubt, too much is spent, too many are abandoned.

Rules:
1. The limits are looked at before each dial. What is away at that moment is not called back, so that a limit is exceeded by no
   more than that.
2. Shares are those of the latest `window` attempts that have ended, and count from `sample` attempts on, so that neither the
   first failure of a campaign stops it nor a good morning hides a bad afternoon.
3. The API tells no prices. `spend` is in the unit of `per_call` and `per_minute`; by default a call costs 1, so that `spend`
   is the most calls that are placed. Calls that are away or in doubt count as placed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from attrs import asdict, field, frozen
from attrs.validators import optional

from ajoxi_async.dialer.rules.texts import shown
from ajoxi_async.protocol.errors import InvalidParameterError

__all__ = ["Stop", "Tally"]

_MOST: Final = 1e15


def _number(value: object, name: str, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidParameterError(name, f"expected {least:g} to {most:g}, got {shown(value)}")


def _share(_: object, attribute: Any, value: Any) -> None:
    _number(value, f"stop.{attribute.name}", 0, 1)


def _amount(_: object, attribute: Any, value: Any) -> None:
    _number(value, f"stop.{attribute.name}", 0, _MOST)


def _count(_: object, attribute: Any, value: Any) -> None:
    if type(value) is not int:
        raise InvalidParameterError(f"stop.{attribute.name}", f"expected an integer, got {shown(value)}")
    _number(value, f"stop.{attribute.name}", 1, _MOST)


@frozen
class Tally:
    """What a campaign has done so far, as far as `Stop` needs it.

    Attributes:
        ended: how many of the latest `Stop.window` attempts have ended with any disposition; at most `Stop.window`.
        failed: how many of these failed or were refused by the API.
        unknown: attempts that are in doubt now.
        placed: attempts since the campaign began that may have rung, those that are away or in doubt included.
        seconds: the talking time of all calls since then, in seconds.
        answered: calls that were answered live, since the campaign began.
        abandoned: those of them for which no agent was free.
    """

    ended: int = 0
    failed: int = 0
    unknown: int = 0
    placed: int = 0
    seconds: float = 0.0
    answered: int = 0
    abandoned: int = 0


@frozen(kw_only=True)
class Stop:
    """The limits at which a campaign stops. What is ``None`` has no limit.

    Args:
        failed: the share of failed attempts, above 0.2 for instance, among the latest `window`.
        unknown: how many attempts in doubt at the same time; the campaign stops when it has as many.
        spend: the most that calls may cost; the campaign stops when the next call would exceed it.
        per_call: what a call costs, in the unit of `spend`.
        per_minute: what a minute of talking costs, in the unit of `spend`.
        abandoned: the share of abandoned calls among those answered live, above 0.03 for instance.
        window: how many of the latest attempts count for `failed`.
        sample: from how many attempts, or live answers, on a share counts.

    Raises:
        InvalidParameterError: a value cannot be right.
    """

    failed: float | None = field(default=None, validator=optional(_share))
    unknown: int | None = field(default=None, validator=optional(_count))
    spend: float | None = field(default=None, validator=optional(_amount))
    per_call: float = field(default=1, validator=_amount)
    per_minute: float = field(default=0, validator=_amount)
    abandoned: float | None = field(default=None, validator=optional(_share))
    window: int = field(default=200, validator=_count)
    sample: int = field(default=50, validator=_count)

    def __attrs_post_init__(self) -> None:
        if self.sample > self.window:
            raise InvalidParameterError("stop.sample", f"expected at most the window, {self.window}, got {self.sample}")

    def cost(self, tally: Tally) -> float:
        """What the calls have cost so far, in the unit of `spend`."""
        return tally.placed * self.per_call + tally.seconds / 60 * self.per_minute

    def reason(self, tally: Tally) -> str | None:
        """Why no further call may be placed, in one sentence; ``None`` if one may be."""
        if self.failed is not None and tally.ended >= self.sample and tally.failed > self.failed * tally.ended:
            return f"{tally.failed} of the latest {tally.ended} attempts failed, more than {self.failed:.1%}"
        if self.unknown is not None and tally.unknown >= self.unknown:
            return f"{tally.unknown} attempts are in doubt, and {self.unknown} is the limit"
        if self.spend is not None and self.cost(tally) + self.per_call > self.spend:
            return f"{self.cost(tally):g} is spent, and another call would exceed {self.spend:g}"
        if (
            self.abandoned is not None
            and tally.answered >= self.sample
            and tally.abandoned > self.abandoned * tally.answered
        ):
            return (
                f"{tally.abandoned} of {tally.answered} answered calls were abandoned, more than {self.abandoned:.1%}"
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """The limits as JSON, for `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The limits that `to_dict` has described."""
        return cls(**given)
