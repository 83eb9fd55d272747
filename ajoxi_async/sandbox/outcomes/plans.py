"""What becomes of a call, decided when it is placed.

Rules:
1. A plan is a pure function of the call, the attempt it is, the seed, the timing and the population, so nothing about the
   future is stored.
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
from ajoxi_async.sandbox.outcomes.population import ATTEMPTS, Population, disposition_of
from ajoxi_async.sandbox.outcomes.timing import Timing

__all__ = ["Plan", "attempts_that_differ", "plan_for"]

#: The population that a world has unless it is told of another.
_POPULATION = Population()

#: Seconds after which people have said everything in a call that nobody ends.
SPOKEN = 600.0
#: Seconds by which a late recording is late.
LATE = 600.0


@frozen(kw_only=True)
class Plan:
    """How a call goes.

    Attributes:
        ring: seconds of ringing.
        talk: seconds from the answer to the end.
        spoken: seconds of these in which people talk, the first ones; later nobody says anything.
        answered: whether somebody, or something, picks up.
        disposition: how it ends.
        recorded: whether there is a recording.
        processing: seconds from the end to the recording; ``None`` where it fails.
    """

    ring: float
    talk: float
    spoken: float
    answered: bool
    disposition: Disposition
    recorded: bool
    processing: float | None


def plan_for(
    call: Call,
    seed: int,
    timing: Timing,
    *,
    record: bool = False,
    attempt: int = 1,
    population: Population = _POPULATION,
) -> Plan:
    """The plan of a call.

    Args:
        call: the call.
        seed: of the sandbox.
        timing: how long things take.
        record: whether recording was asked for.
        attempt: how often the number that is called has rung, this time included; see `attempts_that_differ`.
        population: the outcome mix of ordinary numbers.
    """
    inbound = call.direction == "inbound"
    other = (call.from_ if inbound else call.to) or ""
    record = record or call.ai_handler is not None
    return _plan(other, inbound, record, seed, timing, attempt, population)


def attempts_that_differ(call: Call, population: Population) -> int:
    """How many calls to the same number may end in different ways; the later ones end like the last of them."""
    if call.direction == "inbound":
        return 1
    special = MAGIC.get(call.to or "")
    if special is not None:
        return len(special.first) + 1
    return ATTEMPTS if population.changes else 1


# A call is planned again at every step of its life, and calls to the same number have the same plan: keep the last ones.
@lru_cache(maxsize=4096)
def _plan(  # noqa: PLR0917 - arguments by name would make the keys of the cache longer
    other: str, inbound: bool, record: bool, seed: int, timing: Timing, attempt: int, population: Population
) -> Plan:
    special = magic(other)
    disposition = special.ends if inbound else disposition_of(other, seed, attempt, population)
    dropped = disposition == Disposition.FAILED and special.cut is not None
    answered = dropped or disposition in {Disposition.ANSWERED, Disposition.VOICEMAIL}
    share = special.cut or 1.0
    recorded = record or disposition == Disposition.VOICEMAIL
    processing = timing.processing + (LATE if special.recording == "late" else 0.0)
    talk = timing.max_call if special.endless else timing.talk * share
    return Plan(
        ring=timing.ring * (1.0 if answered else share),
        talk=talk,
        spoken=min(talk, SPOKEN) if special.endless else talk,
        answered=answered,
        disposition=disposition,
        recorded=recorded or special.recording is not None,
        processing=None if special.recording == "fails" else processing,
    )
