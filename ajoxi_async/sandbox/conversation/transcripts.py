"""The transcript of a call, computed from the call on demand."""

from __future__ import annotations

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.transcripts import Transcript, TranscriptStatus
from ajoxi_async.sandbox.conversation import script
from ajoxi_async.sandbox.outcomes.magic import magic

__all__ = ["live_updates", "transcript_of"]


def _lively(call: Call) -> bool:
    return "lively" in {magic(call.to).transcript, magic(call.from_).transcript}


def live_updates(call: Call, talk: float) -> list[script.Update]:
    """The events of the live transcript of a call that was answered, in the order in which they are sent."""
    return script.updates(call.id, talk, ai=call.ai_handler is not None, lively=_lively(call))


def transcript_of(call: Call, talk: float, now: float) -> Transcript:
    """The transcript of a call as it stands at `now`; with the summary once the call is over.

    Args:
        call: the call.
        talk: seconds from its answer to its end.
        now: seconds since the epoch.
    """
    done = call.status == CallStatus.COMPLETED
    answered = call.answered_at.timestamp() if call.answered_at is not None else now
    share = 1.0 if done else (now - answered) / talk if talk else 1.0
    said = script.segments(call.id, talk, ai=call.ai_handler is not None, lively=_lively(call), share=share)
    return Transcript(
        id=call.transcript_id or "",
        call_id=call.id,
        recording_id=call.recording_id,
        status=TranscriptStatus.COMPLETED if done else TranscriptStatus.IN_PROGRESS,
        language="en-US",
        segments=said if call.answered_at is not None else (),
        ai_summary=script.summary(call.id) if done and call.answered_at is not None else None,
    )
