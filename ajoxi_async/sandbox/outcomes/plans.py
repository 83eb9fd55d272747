"""What becomes of a call, decided when it is placed.

Rules:
1. A plan is a pure function of the call, the seed and the timing, so nothing about the future is stored.
2. An inbound call is always answered, unless it comes from a magic number. An outbound one ends as `population` says.
3. A magic number counts wherever it stands: as the number that was called, or as the one that calls.
4. A call is recorded when that was asked for, when the AI receptionist takes it, and when a magic number is about its
   recording. Voicemail is always recorded.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen

from ajoxi_async.contract.calls import Call, Disposition
from ajoxi_async.sandbox.outcomes.magic import MAGIC, magic
from ajoxi_async.sandbox.outcomes.population import disposition_of
from ajoxi_async.sandbox.outcomes.timing import Timing

__all__ = ["Plan", "plan_for"]


#: Seconds by which a late recording is late.
LATE = 600.0


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


def plan_for(call: Call, seed: int, timing: Timing, *, record: bool = False) -> Plan:
    """The plan of a call; `record` says whether recording was asked for."""
    inbound = call.direction == "inbound"
    other = (call.from_ if inbound else call.to) or ""
    return _plan(other, inbound, record or call.ai_handler is not None, seed, timing)


# A call is planned again at every step of its life, and calls to the same number have the same plan: keep the last ones.
@lru_cache(maxsize=4096)
def _plan(other: str, inbound: bool, record: bool, seed: int, timing: Timing) -> Plan:
    special = magic(other)
    disposition = Disposition.ANSWERED if inbound and other not in MAGIC else disposition_of(other, seed)
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
