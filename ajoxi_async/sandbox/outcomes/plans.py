"""What becomes of a call, decided when it is placed.

Rules:
1. A plan is a pure function of the call, the seed and the timing, so nothing about the future is stored.
2. Numbers ``+1415555....`` and extensions are always answered by a person, or by the AI receptionist where one was asked
   for: the reference's own example has to work. Other numbers behave like a population: 70 % answered, 10 % voicemail,
   12 % no answer, 5 % busy, 3 % failed, each number always the same way for one seed.
3. Magic numbers (see `magic`) come first, inbound or outbound, wherever they stand.
4. A call is recorded when that was asked for, or when the AI receptionist takes it; voicemail is always recorded.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from attrs import field, frozen, validators

from ajoxi_async.contract.calls import Call, Disposition
from ajoxi_async.sandbox.outcomes.magic import MAGIC, magic

__all__ = ["Plan", "Timing", "plan_for"]


#: Seconds a recording takes longer that comes late.
LATE = 600.0


@frozen(kw_only=True)
class Timing:
    """How long things take, in seconds.

    Attributes:
        ring: from ringing to the answer, or to giving up.
        talk: from the answer to the end.
        processing: from the end to the recording and its transcript.
        sms_sent: until a message is on its way.
        sms_delivered: from there to its delivery.
        porting: until a number that is ported in is active.
        campaign_pace: calls a campaign begins in a second.
        heartbeat: longest silence of a live transcript.
    """

    ring: float = field(default=0.4, validator=validators.ge(0))
    talk: float = field(default=3.0, validator=validators.ge(0))
    processing: float = field(default=0.3, validator=validators.ge(0))
    sms_sent: float = field(default=0.1, validator=validators.ge(0))
    sms_delivered: float = field(default=0.3, validator=validators.ge(0))
    porting: float = field(default=5.0, validator=validators.ge(0))
    campaign_pace: float = field(default=20.0, validator=validators.gt(0))
    heartbeat: float = field(default=10.0, validator=validators.gt(0))


@frozen(kw_only=True)
class Plan:
    """How a call goes.

    Attributes:
        ring: seconds of ringing.
        talk: seconds from the answer to the end.
        answered: whether somebody, or something, picks up.
        disposition: how it ends.
        recorded: whether there is a recording.
        processing: seconds from the end to the recording; ``None`` where it fails.
    """

    ring: float
    talk: float
    answered: bool
    disposition: Disposition
    recorded: bool
    processing: float | None


_POPULATION = (
    (70, Disposition.ANSWERED),
    (80, Disposition.VOICEMAIL),
    (92, Disposition.NO_ANSWER),
    (97, Disposition.BUSY),
    (100, Disposition.FAILED),
)


def _disposition(number: str, seed: int) -> Disposition:
    if number in MAGIC:
        return MAGIC[number].ends
    if number.startswith(("+1415555", "ext:")):
        return Disposition.ANSWERED
    draw = int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4]) % 100
    return next(disposition for bound, disposition in _POPULATION if draw < bound)


def plan_for(call: Call, seed: int, timing: Timing, *, record: bool = False) -> Plan:
    """What a call comes to; an inbound one is always answered. `record` says whether recording was asked for."""
    inbound = call.direction == "inbound"
    other = (call.from_ if inbound else call.to) or ""
    return _plan(other, inbound, record or call.ai_handler is not None, seed, timing)


# Each call is planned anew at every step of its life, and calls to the same number come to the same.
@lru_cache(maxsize=4096)
def _plan(other: str, inbound: bool, record: bool, seed: int, timing: Timing) -> Plan:
    special = magic(other)
    disposition = Disposition.ANSWERED if inbound and other not in MAGIC else _disposition(other, seed)
    dropped = disposition == Disposition.FAILED and special.cut is not None
    answered = dropped or disposition in {Disposition.ANSWERED, Disposition.VOICEMAIL}
    share = special.cut or 1.0
    recorded = record or disposition == Disposition.VOICEMAIL
    processing = timing.processing + (LATE if special.recording == "late" else 0.0)
    return Plan(
        ring=timing.ring * (1.0 if answered else share),
        talk=timing.talk * share,
        answered=answered,
        disposition=disposition,
        recorded=recorded or special.recording is not None,
        processing=None if special.recording == "fails" else processing,
    )
