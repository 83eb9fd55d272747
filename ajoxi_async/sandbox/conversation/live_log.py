"""The live transcript of a call as a log of all its events, with the moment and the bytes of each.

The log is a pure function of the call, and includes events in the future. An event's id is its position in the log, from 1.
"""

from __future__ import annotations

from attrs import frozen

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.codec import encode
from ajoxi_async.contract.frames import event_frame
from ajoxi_async.contract.transcripts import COMPLETED_EVENT, SEGMENT_EVENT, TranscriptCompleted
from ajoxi_async.sandbox.conversation.transcripts import live_updates

__all__ = ["LiveLog", "log_of"]


@frozen(eq=False)
class LiveLog:
    """The events of one call: `moments[n]` is when the event with the bytes `frames[n]` is sent."""

    moments: list[float]
    frames: list[bytes]

    def __len__(self) -> int:
        return len(self.frames)


def log_of(call: Call, talk: float, spoken: float | None = None) -> LiveLog | None:
    """The log of a call.

    Args:
        call: the call.
        talk: seconds from its answer to its end.
        spoken: seconds of these in which people talk; all of them unless given.

    Returns:
        Its log; ``None`` while it may still be answered.
    """
    spoken = talk if spoken is None else spoken
    moments: list[float] = []
    frames: list[bytes] = []
    if call.answered_at is None:
        if call.status != CallStatus.COMPLETED:
            return None
        last, moment = 0, call.ended_at.timestamp() if call.ended_at else 0.0
    else:
        answered = call.answered_at.timestamp()
        last, moment = 0, answered + talk
        for place, update in enumerate(live_updates(call, spoken), start=1):
            moments.append(answered + update.at * spoken)
            frames.append(event_frame(SEGMENT_EVENT, encode(update.segment), str(place)))
            last = max(last, update.segment.sequence)
    end = TranscriptCompleted(
        call_id=call.id,
        transcript_id=call.transcript_id,
        last_sequence=last,
        reason="call_ended" if last else f"not_answered:{call.disposition}",
    )
    moments.append(moment)
    frames.append(event_frame(COMPLETED_EVENT, encode(end), str(len(frames) + 1)))
    return LiveLog(moments, frames)
