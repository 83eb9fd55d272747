"""How long calls, messages and other processes take in the sandbox, in its own time."""

from __future__ import annotations

from typing import Any, Self

from attrs import Attribute, field, frozen

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["Timing"]


#: The longest time, in seconds: a year.
_LONGEST = 366 * 86_400.0
#: The smallest value of fields that must be above 0.
_LEAST = 0.000_1


def _seconds(_: object, attribute: Attribute[Any], value: float) -> None:
    if not isinstance(value, int | float) or not 0 <= value <= _LONGEST:
        raise InvalidParameterError(attribute.name, f"expected 0 to {_LONGEST:.0f}, got {str(value)[:40]!r}")


def _above_0(_: object, attribute: Attribute[Any], value: float) -> None:
    if not isinstance(value, int | float) or not _LEAST <= value <= _LONGEST:
        raise InvalidParameterError(attribute.name, f"expected {_LEAST} to {_LONGEST:.0f}, got {str(value)[:40]!r}")


# The hash is kept, because plans are looked up by it at each transition of a call.
@frozen(kw_only=True, cache_hash=True)
class Timing:
    """How long calls, messages and other processes take. All fields are in seconds, except `campaign_pace`.

    Attributes:
        ring: from the beginning of the ringing to the answer, or until the caller gives up.
        talk: from the answer to the end of the call.
        max_call: from the answer until the carrier hangs up, in a call that nobody ends.
        patience: from the answer until a person hangs up because no agent of the campaign speaks.
        processing: from the end of the call until the recording and its transcript are ready.
        sms_sent: from the request until a message is sent.
        sms_delivered: from then until the message is delivered.
        porting: from the request until a number that is ported in is active.
        campaign_pace: how many calls a campaign begins in a second.
        heartbeat: the longest silence of a live transcript.

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
        """Times that a person who watches can follow: a call rings for three seconds, and people talk for a minute."""
        return cls(ring=3.0, talk=60.0, processing=3.0, sms_sent=1.0, sms_delivered=2.0)
