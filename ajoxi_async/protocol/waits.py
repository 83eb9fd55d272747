"""When a wait for a call, a message or a recording is over, and when the API is asked about it. Pure decisions.

Rules:
1. A wait ends when its object has the state that was asked for, or one that can only come after it: a wait until a call is
   answered ends as well when the call ends without an answer, because no answer will come.
2. Events come in any order (API reference: Webhooks), so the state that is further on counts, whichever came last.
3. Without webhooks the API is asked at most every `LEAST` seconds for all waits of an account together, and less often the
   older the youngest wait is: a fifth of its age, up to `MOST`. So a wait learns of a change a fifth late at most.
4. With webhooks it is asked only where they may be missing: at once about an object that the client knows nothing of, after
   `TRUST` seconds about any, and shortly before a wait's time is up.
"""

from __future__ import annotations

from typing import Final, Literal

from ajoxi_async.contract.base import Resource
from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.messages import Message
from ajoxi_async.contract.recordings import Recording

__all__ = ["LEAST", "TRUST", "Kind", "Until", "further", "is_over", "last_look", "pause_between_looks"]

#: What can be waited for.
Kind = Literal["call", "message", "recording"]
Until = Literal["answered", "completed", "delivered", "ready"]

#: Seconds between two requests for the waits of an account, at least and at most.
LEAST: Final = 2.0
MOST: Final = 30.0
#: Seconds for which an object that webhooks tell of is not asked about.
TRUST: Final = 300.0
#: Seconds before the end of a wait with webhooks at which the API is asked once, or a quarter of the wait if that is less.
_LAST_LOOK: Final = 2.0

_CALL_RANKS = {"queued": 1, "ringing": 2, "answered": 3, "completed": 4}
_MESSAGE_RANKS = {"queued": 1, "sent": 2, "delivered": 3, "failed": 3, "received": 3}


def _rank(state: Resource) -> int:
    """How far an object is in its life; 0 for a state that this version does not know."""
    if isinstance(state, Call):
        return _CALL_RANKS.get(str(state.status), 0)
    if isinstance(state, Message):
        return _MESSAGE_RANKS.get(str(state.status), 0)
    return int(isinstance(state, Recording) and state.url is not None)


def further(known: Resource | None, new: Resource) -> Resource:
    """Of two states of an object the one that is further on; the new one if that cannot be told."""
    return new if known is None or _rank(new) >= _rank(known) else known


def is_over(state: Resource, until: Until) -> bool:
    """Whether a wait ends with this state (rule 1)."""
    if until == "answered" and isinstance(state, Call) and state.answered_at is not None:
        return True
    return _rank(state) >= {"answered": 3, "completed": 4, "delivered": 3, "ready": 1}[until]


def pause_between_looks(age: float) -> float:
    """Seconds until the next request when the youngest wait is `age` seconds old (rule 3)."""
    return min(MOST, max(LEAST, age / 5))


def last_look(deadline: float, timeout: float) -> float:
    """The moment of the last request of a wait with webhooks."""
    return deadline - min(_LAST_LOOK, timeout / 4)
