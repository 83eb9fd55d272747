"""How long things take in the sandbox, in its own time."""

from __future__ import annotations

from typing import Self

from attrs import field, frozen, validators

__all__ = ["Timing"]


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
    """

    ring: float = field(default=0.4, validator=validators.ge(0))
    talk: float = field(default=3.0, validator=validators.ge(0))
    max_call: float = field(default=4 * 3600.0, validator=validators.ge(0))
    patience: float = field(default=2.0, validator=validators.ge(0))
    processing: float = field(default=0.3, validator=validators.ge(0))
    sms_sent: float = field(default=0.1, validator=validators.ge(0))
    sms_delivered: float = field(default=0.3, validator=validators.ge(0))
    porting: float = field(default=5.0, validator=validators.ge(0))
    campaign_pace: float = field(default=20.0, validator=validators.gt(0))
    heartbeat: float = field(default=10.0, validator=validators.gt(0))

    @classmethod
    def human(cls) -> Self:
        """Times that somebody who watches can follow: it rings for three seconds, and a minute is talked."""
        return cls(ring=3.0, talk=60.0, processing=3.0, sms_sent=1.0, sms_delivered=2.0)
