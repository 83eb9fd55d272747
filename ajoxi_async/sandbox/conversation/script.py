"""What people say in the sandbox: a conversation that is a pure function of the call's id.

Rules:
1. Nothing is stored: the same id gives the same lines, so the text of a hundred thousand finished calls takes no memory.
2. The sentiment of a line is the mood of the conversation at that line. It starts neutral, moves to the mood of the topic during
   the first third, and from there to the sentiment of the whole conversation, which the last line has.
"""

from __future__ import annotations

import random

from attrs import frozen

from ajoxi_async.contract.transcripts import Segment, Speaker

__all__ = ["Update", "segments", "sentiment", "summary", "updates"]

_OPENINGS = (
    "Thanks for calling Northwind, this is the front desk. How can I help?",
    "Hello, you have reached Northwind. What can I do for you today?",
    "Good morning, Northwind speaking. How may I help you?",
)
_TOPICS = (
    ("move an appointment", "I need to move my appointment from Tuesday.", "Of course, would Thursday at ten suit you?",
     "Thursday at ten is perfect.", "Done. You will get a confirmation by text."),
    ("track a delivery", "My parcel was due yesterday and has not arrived.", "I am sorry, let me look that up for you.",
     "The order number ends in four two.", "It is on the van and comes this afternoon."),
    ("ask about an invoice", "I think I was charged twice this month.", "I see two charges, one of them is a mistake.",
     "So you will refund it?", "Yes, it is refunded within three days."),
    ("book a demonstration", "I would like to see the product before we buy.", "Gladly. How many of you would join?",
     "Five, some time next week.", "I have sent you an invitation for Monday."),
)  # fmt: skip
#: The mood of each topic.
_TENSIONS = (0.0, -0.4, -0.3, 0.2)
_ANGRY = (
    ("complain about a service", "This is the third time I am calling about this.", "I am sorry to hear that.",
     "You said that last week, and nobody came.", "I will pass this on to my supervisor."),
)  # fmt: skip
_ANGRY_TENSION = -0.4
_ANGRY_CLOSINGS = (("That is not good enough. I am cancelling.", -0.9),)
#: The share of a conversation at which the topic's mood is reached.
_TURN = 1 / 3
_CLOSINGS = (("Great, thank you for your help.", 0.7), ("All right, goodbye.", 0.1), ("Finally. Thanks.", -0.3))


#: Seconds a line takes in a long conversation.
_PACE = 3.0
#: One line in so many is said while the other speaker goes on.
_INTERJECTED = 5
#: One line in so many is corrected after it was final.
_CORRECTED = 10


@frozen
class Update:
    """One event of a live transcript: a segment, sent at the share `at` of the talk time (0 to 1)."""

    at: float
    segment: Segment


def _draw(call_id: str, angry: bool) -> tuple[random.Random, tuple[str, ...], tuple[str, float]]:
    rng = random.Random(f"script/{call_id}")
    return rng, rng.choice(_ANGRY if angry else _TOPICS), rng.choice(_ANGRY_CLOSINGS if angry else _CLOSINGS)


def _lines(
    rng: random.Random, topic: tuple[str, ...], closing: str, talk: float, *, ai: bool, angry: bool
) -> list[tuple[Speaker, str]]:
    host = Speaker.AI if ai else Speaker.AGENT
    lines = [(host, rng.choice(_OPENINGS))]
    # Longer conversations have more topics.
    while True:
        lines += [(host if n % 2 else Speaker.CUSTOMER, text) for n, text in enumerate(topic[1:])]
        if len(lines) + 1 >= talk / _PACE:
            return [*lines, (Speaker.CUSTOMER, closing)]
        topic = rng.choice(_ANGRY if angry else _TOPICS)


def _mood(share: float, tension: float, final: float) -> float:
    """The mood after a share of the conversation, from 0 to 1."""
    mood = tension * share / _TURN if share < _TURN else tension + (final - tension) * (share - _TURN) / (1 - _TURN)
    # Neutral is 0.0 and not -0.0.
    return round(mood, 2) + 0.0


def updates(call_id: str, talk: float, *, ai: bool, lively: bool = False, angry: bool = False) -> list[Update]:
    """The live transcript of a call, in the order it is sent.

    Each line comes as an interim and then as a final; every second line begins before the one before it is final, as
    people interrupt each other, and every fifth ends before the one before it does. The last final but one is corrected
    once, and so is every tenth. Where it is lively, every line interrupts the one before it and comes in four interims, and
    every final but the last is corrected.

    Args:
        call_id: decides what is said.
        talk: seconds from answer to end.
        ai: whether the AI receptionist is the host.
        lively: whether people talk at once and a lot is revised.
        angry: whether the customer is angry.
    """
    rng, topic, (closing, final_mood) = _draw(call_id, angry)
    lines = _lines(rng, topic, closing, talk, ai=ai, angry=angry)
    tension = _ANGRY_TENSION if angry else _TENSIONS[_TOPICS.index(topic)]
    step = 0.9 / len(lines)
    overlap, interims = (0.6 * step, 4) if lively else (0.3 * step, 1)
    said: list[Update] = []
    for number, (speaker, text) in enumerate(lines, start=1):
        mood = _mood((number - 1) / (len(lines) - 1), tension, final_mood)
        begin = 0.05 + (number - 1) * step - (overlap if number % 2 == 0 or (lively and number > 1) else 0.0)
        end = 0.05 + number * step
        if number % _INTERJECTED == 0 and not lively:
            # Begun and ended while the line before it went on: finals do not come in the order of their sequences.
            begin, end = begin - 0.5 * step, end - 1.2 * step
        words = text.split()

        def segment(revision: int, text: str, *, final: bool) -> Segment:
            return Segment(
                sequence=number,  # noqa: B023 - called within the iteration
                revision=revision,
                channel=0 if speaker == Speaker.CUSTOMER else 1,  # noqa: B023
                speaker=speaker,  # noqa: B023
                text=text,
                start=round(begin * talk, 2),  # noqa: B023
                end=round(end * talk, 2),  # noqa: B023
                confidence=0.96 if final else 0.71,
                is_final=final,
                sentiment=mood if final else None,  # noqa: B023
            )

        for part in range(1, interims + 1):
            share = part / (interims + 1)
            heard = " ".join(words[: max(1, int(len(words) * share))])
            said.append(Update(begin + (end - begin) * share, segment(part, heard, final=False)))
        said.append(Update(end, segment(interims + 1, text, final=True)))
        if number == len(lines) - 1 or number % _CORRECTED == 0 or (lively and number < len(lines)):
            said.append(Update(end + step / 2, segment(interims + 2, text.replace("three", "3"), final=True)))
    said.sort(key=lambda update: update.at)
    return said


def segments(
    call_id: str, talk: float, *, ai: bool, lively: bool = False, angry: bool = False, share: float = 1.0
) -> tuple[Segment, ...]:
    """The finals after `share` of the talk time, in the order of the conversation."""
    everything = updates(call_id, talk, ai=ai, lively=lively, angry=angry)
    latest = {u.segment.sequence: u.segment for u in everything if u.segment.is_final and u.at <= share}
    return tuple(latest[number] for number in sorted(latest))


def summary(call_id: str, *, angry: bool = False) -> str:
    """The AI summary of a conversation."""
    _, topic, closing = _draw(call_id, angry)
    mood = "angry" if angry else "satisfied" if closing[1] > 0 else "impatient"
    return f"The customer called to {topic[0]}. {topic[4]} The customer sounded {mood} at the end."


def sentiment(call_id: str, *, angry: bool = False) -> float:
    """The sentiment of a conversation, from -1 to 1."""
    return _draw(call_id, angry)[2][1]
