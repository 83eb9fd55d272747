"""The plan of a call: how long it rings and lasts, and how it ends. It is determined when the call is placed.

Rules:
1. A plan is a pure function of the call, the number of the attempt, the seed, the timing and the population, so that plans need
   not be stored.
2. An inbound call is always answered, unless it comes from a magic number. An outbound call ends as `population` says.
3. A magic number has its effect both as the number that was called and as the number that calls.
4. A call is recorded if recording was asked for, if the AI receptionist answers it, or if the effect of its magic number
   concerns the recording. Voicemail is always recorded.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen

from ajoxi_async.contract.calls import Call, Disposition
from ajoxi_async.sandbox.outcomes.magic import MAGIC, magic
from ajoxi_async.sandbox.outcomes.population import ATTEMPTS, Population, disposition_of
from ajoxi_async.sandbox.outcomes.timing import Timing

__all__ = ["Plan", "attempts_that_differ", "plan_for"]

#: The population of a world whose settings do not name another.
_POPULATION = Population()

#: Seconds for which people talk in a call that nobody ends.
SPOKEN = 600.0
#: The delay of a late recording, in seconds.
LATE = 600.0


@frozen(kw_only=True)
class Plan:
    """How a call proceeds.

    Attributes:
        ring: seconds of ringing.
        talk: seconds from the answer to the end.
        spoken: seconds from the answer in which people talk; after them the call is silent.
        answered: whether a person or a machine answers.
        disposition: how it ends.
        recorded: whether it is recorded.
        processing: seconds from the end until the recording is ready; ``None`` if the recording fails.
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
        seed: the seed of the sandbox.
        timing: how long the phases of a call take.
        record: whether recording was asked for.
        attempt: how often the called number has rung, this call included; see `attempts_that_differ`.
        population: the outcome mix of ordinary numbers.
    """
    inbound = call.direction == "inbound"
    other = (call.from_ if inbound else call.to) or ""
    record = record or call.ai_handler is not None
    return _plan(other, inbound, record, seed, timing, attempt, population)


def attempts_that_differ(call: Call, population: Population) -> int:
    """How many calls to the same number may end in different ways. Later calls end like the last of these."""
    if call.direction == "inbound":
        return 1
    special = MAGIC.get(call.to or "")
    if special is not None:
        return len(special.first) + 1
    return ATTEMPTS if population.changes else 1


# Cached, because a call is planned again at each of its transitions, and calls to the same number have the same plan.
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
