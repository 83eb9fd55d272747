"""How long things take in the sandbox, in its own time."""

from __future__ import annotations

from typing import Any, Self

from attrs import Attribute, field, frozen

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["Timing"]


#: Seconds at most: a year.
_LONGEST = 366 * 86_400.0
#: What is above 0 is at least that.
_LEAST = 0.000_1


def _seconds(_: object, attribute: Attribute[Any], value: float) -> None:
    if not isinstance(value, int | float) or not 0 <= value <= _LONGEST:
        raise InvalidParameterError(attribute.name, f"expected 0 to {_LONGEST:.0f}, got {str(value)[:40]!r}")


def _above_0(_: object, attribute: Attribute[Any], value: float) -> None:
    if not isinstance(value, int | float) or not _LEAST <= value <= _LONGEST:
        raise InvalidParameterError(attribute.name, f"expected {_LEAST} to {_LONGEST:.0f}, got {str(value)[:40]!r}")


# The hash is kept: every step of every call looks its plan up by it.
@frozen(kw_only=True, cache_hash=True)
class Timing:
    """How long things take, in seconds.

    Attributes:
        ring: from ringing to the answer, or to giving up.
        talk: from the answer to the end.
        max_call: from the answer to the end of a call that nobody ends; then the carrier hangs up.
        patience: from the answer until somebody hangs up to whom no agent of the campaign speaks.
        processing: from the end to the recording and its transcript.
        sms_sent: until a message is on its way.
        sms_delivered: from there to its delivery.
        porting: until a number that is ported in is active.
        campaign_pace: calls a campaign begins in a second.
        heartbeat: longest silence of a live transcript.

    Raises:
        InvalidParameterError: a time is below 0 or over a year, or `campaign_pace` or `heartbeat` below 0.0001.
    """

    ring: float = field(default=0.4, validator=_seconds)
    talk: float = field(default=3.0, validator=_seconds)
    max_call: float = field(default=4 * 3600.0, validator=_seconds)
    patience: float = field(default=2.0, validator=_seconds)
    processing: float = field(default=0.3, validator=_seconds)
    sms_sent: float = field(default=0.1, validator=_seconds)
    sms_delivered: float = field(default=0.3, validator=_seconds)
    porting: float = field(default=5.0, validator=_seconds)
    campaign_pace: float = field(default=20.0, validator=_above_0)
    heartbeat: float = field(default=10.0, validator=_above_0)

    @classmethod
    def human(cls) -> Self:
        """Times that somebody who watches can follow: it rings for three seconds, and a minute is talked."""
        return cls(ring=3.0, talk=60.0, processing=3.0, sms_sent=1.0, sms_delivered=2.0)
