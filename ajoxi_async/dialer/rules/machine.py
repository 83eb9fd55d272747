"""The states of contacts and attempts, and what each fact about an attempt makes of them. Pure.

Rules:
1. An attempt is a row of its own and is never deleted, so that a call that shows up late can always be matched.
2. An attempt begins as an intent, which is durable before anything is sent. A crash makes the intent ``unknown``.
3. ``unknown`` is no end. Only a call that was seen, a person, or a release with a witness ends it.
4. A call that is seen counts, whatever was believed before. If the attempt was believed to be over without a call (``absent``,
   ``refused``, ``unsent``), it is an incident: it is counted, and the contact gets no further attempt.
5. Facts that say nothing new change nothing, so that any order and repetition of webhooks and lists gives the same ledger.

    attempt     placed  seen     ended    refused  unsent  doubtful  released  settled
    ---------   ------  -------  -------  -------  ------  --------  --------  -------
    intent      open    open     ended    refused  unsent  unknown   -         -
    unknown     open    open     ended    -        -       -         absent    ended
    open        -       -        ended    -        -       -         -         ended
    ended       -       -        -        -        -       -         -         -
    absent      open!   open!    ended!   -        -       -         -         -
    refused     open!   open!    ended!   -        -       -         -         -
    unsent      open!   open!    ended!   -        -       -         -         -

(! is an incident.)
"""

from __future__ import annotations

import enum
from functools import cached_property
from typing import Final, NamedTuple

__all__ = ["ENDS", "IN_FLIGHT", "AttemptState", "CampaignState", "ContactState", "Fact", "Step", "after"]


class _State(enum.IntEnum):
    @cached_property
    def word(self) -> str:
        """The name in reports and on the command line, such as ``waiting``."""
        return self.name.lower()


class CampaignState(_State):
    """The state of a campaign. A stopped campaign never dials again."""

    ACTIVE = 0
    PAUSED = 1
    STOPPED = 2


class ContactState(_State):
    """The state of a contact. It is in exactly one."""

    #: To be dialled when it is due and its window is open.
    WAITING = 0
    #: An intent is written, and the call may have been placed since.
    DIALING = 1
    #: The call was placed and has not ended, as far as is known.
    OPEN = 2
    #: It is not known whether the call was placed.
    UNKNOWN = 3
    #: Reached, or ended in a way that is not tried again.
    DONE = 4
    #: The last attempt was not successful either.
    EXHAUSTED = 5
    #: The API refuses calls to this number.
    REFUSED = 6
    #: Not to be called, for a reason that is kept with the contact.
    SUPPRESSED = 7
    #: Its time was over before it could be dialled.
    EXPIRED = 8
    #: The campaign was stopped before it could be dialled.
    CANCELED = 9


#: States in which nothing more happens, unless a call shows up late.
ENDS: Final = frozenset(
    {
        ContactState.DONE,
        ContactState.EXHAUSTED,
        ContactState.REFUSED,
        ContactState.SUPPRESSED,
        ContactState.EXPIRED,
        ContactState.CANCELED,
    }
)


class AttemptState(_State):
    """The state of an attempt."""

    INTENT = 0
    OPEN = 1
    ENDED = 2
    UNSENT = 3
    REFUSED = 4
    UNKNOWN = 5
    ABSENT = 6


#: Attempts whose phone may be ringing. A number has at most one of them in the whole ledger.
IN_FLIGHT: Final = (AttemptState.INTENT, AttemptState.OPEN, AttemptState.UNKNOWN)


class Fact(enum.Enum):
    """What became known about an attempt."""

    PLACED = "placed"
    SEEN = "seen"
    ENDED = "ended"
    REFUSED = "refused"
    UNSENT = "unsent"
    DOUBTFUL = "doubtful"
    RELEASED = "released"
    SETTLED = "settled"


class Step(NamedTuple):
    """The effect of a fact.

    Attributes:
        state: of the attempt from now on.
        incident: whether a call exists that was believed not to exist.
    """

    state: AttemptState
    incident: bool = False


_A = AttemptState
_STEPS: Final = {
    (_A.INTENT, Fact.PLACED): Step(_A.OPEN),
    (_A.INTENT, Fact.SEEN): Step(_A.OPEN),
    (_A.INTENT, Fact.ENDED): Step(_A.ENDED),
    (_A.INTENT, Fact.REFUSED): Step(_A.REFUSED),
    (_A.INTENT, Fact.UNSENT): Step(_A.UNSENT),
    (_A.INTENT, Fact.DOUBTFUL): Step(_A.UNKNOWN),
    (_A.UNKNOWN, Fact.PLACED): Step(_A.OPEN),
    (_A.UNKNOWN, Fact.SEEN): Step(_A.OPEN),
    (_A.UNKNOWN, Fact.ENDED): Step(_A.ENDED),
    (_A.UNKNOWN, Fact.RELEASED): Step(_A.ABSENT),
    (_A.UNKNOWN, Fact.SETTLED): Step(_A.ENDED),
    (_A.OPEN, Fact.ENDED): Step(_A.ENDED),
    (_A.OPEN, Fact.SETTLED): Step(_A.ENDED),
    **{
        (state, fact): Step(_A.ENDED if fact is Fact.ENDED else _A.OPEN, incident=True)
        for state in (_A.ABSENT, _A.REFUSED, _A.UNSENT)
        for fact in (Fact.PLACED, Fact.SEEN, Fact.ENDED)
    },
}


def after(state: AttemptState, fact: Fact) -> Step | None:
    """The effect of a fact on an attempt; ``None`` if it changes nothing."""
    return _STEPS.get((state, fact))
