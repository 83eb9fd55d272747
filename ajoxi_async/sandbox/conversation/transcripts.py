"""The transcript of a call, computed from the call on demand."""

from __future__ import annotations

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.transcripts import Transcript, TranscriptStatus
from ajoxi_async.sandbox.conversation import script
from ajoxi_async.sandbox.outcomes.magic import magic

__all__ = ["is_angry", "live_updates", "transcript_of"]


def _manner(call: Call) -> dict[str, bool]:
    """How people talk in a call: arguments of `script`."""
    return {
        "lively": "lively" in {magic(call.to).transcript, magic(call.from_).transcript},
        "angry": is_angry(call),
    }


def is_angry(call: Call) -> bool:
    """Whether the customer of a call is angry."""
    return magic(call.to).angry or magic(call.from_).angry


def live_updates(call: Call, spoken: float) -> list[script.Update]:
    """The events of the live transcript of a call that was answered, in the order in which they are sent.

    Args:
        call: the call.
        spoken: seconds after its answer in which people talk.
    """
    if not spoken:
        return []
    return script.updates(call.id, spoken, ai=call.ai_handler is not None, **_manner(call))


def transcript_of(call: Call, spoken: float, now: float) -> Transcript:
    """The transcript of a call as it stands at `now`; with the summary once the call is over.

    Args:
        call: the call.
        spoken: seconds after its answer in which people talk.
        now: seconds since the epoch.
    """
    done = call.status == CallStatus.COMPLETED
    answered = call.answered_at.timestamp() if call.answered_at is not None else now
    share = 1.0 if done or not spoken else (now - answered) / spoken
    anything = call.answered_at is not None and spoken > 0
    said = script.segments(call.id, spoken, ai=call.ai_handler is not None, **_manner(call), share=share)
    return Transcript(
        id=call.transcript_id or "",
        call_id=call.id,
        recording_id=call.recording_id,
        status=TranscriptStatus.COMPLETED if done else TranscriptStatus.IN_PROGRESS,
        language="en-US",
        segments=said if anything else (),
        ai_summary=script.summary(call.id, angry=is_angry(call)) if done and anything else None,
    )
