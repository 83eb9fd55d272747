"""Magic numbers: each has one fixed effect, so that a test needs no set-up.

Rules:
1. They are ``+1 500 555 01xx``, a range that is not assigned to anyone. Each has one effect, on calls, messages, transfers or
   provisioning; in all other respects it behaves like a number whose calls are answered and whose messages are delivered.
2. 0160 makes the *next* answer to the same key a 429, whatever the request. 0161 refuses a request with a 500 and commits
   nothing; the same request works the second time and is refused again the third time. 0162 ends the connection, and the call
   or message is carried out 90 s later on the clock of the world.
3. 0110, 0111 and 0112 have their effect both as the number that was called and as the one that a call is transferred to.
4. 0105 and 0108 count how often they have rung in their world. Once such a number was answered, it is always answered.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from ajoxi_async.contract.calls import Disposition

__all__ = ["MAGIC", "PREFIX", "Magic", "magic"]

PREFIX = "+150055501"


@frozen(kw_only=True)
class Magic:
    """The effect of a number.

    Attributes:
        meaning: the effect in words, as documented.
        ends: the disposition of a call to it.
        first: the dispositions of the first calls to it, if they differ from `ends`.
        endless: whether nobody hangs up, so that a call to it lasts for `Timing.max_call`.
        angry: whether the customer is angry, more with every line.
        cut: the share of the ringing or talking after which a call to it ends early.
        transfer: how a transfer fails.
        recording: how the recording fails or is late; a call to such a number is always recorded.
        transcript: whether people interrupt and correct each other, or the live stream breaks once.
        message: how a message ends, if it is not just delivered.
        refused: error code and message of every call and message to it.
        texts_refused: error code and message of every message to it.
        taken: whether it cannot be provisioned.
        trouble: a simulated failure of the server; see rule 2.
    """

    meaning: str
    ends: Disposition = Disposition.ANSWERED
    first: tuple[Disposition, ...] = ()
    endless: bool = False
    angry: bool = False
    cut: float | None = None
    transfer: Literal["returns", "refused"] | None = None
    recording: Literal["late", "fails"] | None = None
    transcript: Literal["lively", "cut"] | None = None
    message: Literal["undelivered", "unconfirmed", "replies"] | None = None
    refused: tuple[str, str] | None = None
    texts_refused: tuple[str, str] | None = None
    taken: bool = False
    trouble: Literal["throttled", "failing", "late"] | None = None

    def ending(self, attempt: int) -> Disposition:
        """The disposition of the n-th call to it, from 1."""
        return self.first[attempt - 1] if attempt <= len(self.first) else self.ends


MAGIC = {
    PREFIX + last: entry
    for last, entry in {
        "00": Magic(meaning="answered by a person"),
        "01": Magic(meaning="no answer", ends=Disposition.NO_ANSWER),
        "02": Magic(meaning="busy", ends=Disposition.BUSY),
        "03": Magic(meaning="failed", ends=Disposition.FAILED),
        "04": Magic(meaning="voicemail", ends=Disposition.VOICEMAIL),
        "05": Magic(meaning="no answer the first time, then answered", first=(Disposition.NO_ANSWER,)),
        "06": Magic(meaning="hung up while ringing", ends=Disposition.CANCELED, cut=0.5),
        "07": Magic(meaning="dropped mid-call", ends=Disposition.FAILED, cut=0.5),
        "08": Magic(meaning="busy twice, then answered", first=(Disposition.BUSY, Disposition.BUSY)),
        "09": Magic(meaning="answered, and nobody ends the call until `max_call`", endless=True),
        "10": Magic(meaning="transfer succeeds"),
        "11": Magic(meaning="transfer is not answered and returns", transfer="returns"),
        "12": Magic(meaning="transfer is refused, 422", transfer="refused"),
        "20": Magic(meaning="recording comes ten minutes late", recording="late"),
        "21": Magic(meaning="recording fails", recording="fails"),
        "22": Magic(meaning="transcript with many revisions and overlapping speakers", transcript="lively"),
        "23": Magic(meaning="live transcript is cut once", transcript="cut"),
        "24": Magic(meaning="angry customer: the sentiment falls through the call", angry=True),
        "30": Magic(meaning="unreachable prefix, 422", refused=("unreachable_destination", "no route to this prefix")),
        "31": Magic(meaning="blocked, 422", refused=("opted_out", "the recipient has blocked this account")),
        "32": Magic(
            meaning="no permission for this region, 403",
            refused=("permission_denied", "this account may not reach this region"),
        ),
        "40": Magic(meaning="message is delivered"),
        "41": Magic(meaning="message is undelivered", message="undelivered"),
        "42": Magic(meaning="message is never confirmed", message="unconfirmed"),
        "43": Magic(meaning="message is replied to", message="replies"),
        "44": Magic(
            meaning="takes no messages, 422", texts_refused=("unreachable_destination", "a landline takes no messages")
        ),
        "50": Magic(meaning="number is already taken, 422", taken=True),
        "60": Magic(meaning="the next answer is 429", trouble="throttled"),
        "61": Magic(meaning="500 once, then it works", trouble="failing"),
        "62": Magic(meaning="the answer is lost, and the call is placed 90 s later", trouble="late"),
    }.items()
}

_ORDINARY = Magic(meaning="an ordinary number")


def magic(number: str | None) -> Magic:
    """The effect of a number. An ordinary number has none."""
    return MAGIC.get(number or "", _ORDINARY)
