"""The recording of a call, computed from the call."""

from __future__ import annotations

from datetime import datetime

from attrs import evolve

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.recordings import Recording
from ajoxi_async.sandbox.conversation import script
from ajoxi_async.sandbox.conversation.audio import wav_size
from ajoxi_async.sandbox.conversation.transcripts import is_angry, transcript_of

__all__ = ["detailed", "recording_of"]


def recording_of(call: Call, made: datetime) -> Recording:
    """The recording of a finished call, made at the moment `made`, as lists show it."""
    return Recording(
        id=call.recording_id or "",
        call_id=call.id,
        agent_id=call.agent_id,
        duration=call.duration,
        url=call.recording_url,
        content_type="audio/wav",
        size=wav_size(call.duration or 0),
        created_at=made,
    )


def detailed(recording: Recording, call: Call, spoken: float, now: float) -> Recording:
    """Add transcript, AI summary and sentiment to a recording (API reference: Recordings & AI).

    Args:
        recording: of the call, as lists show it.
        call: the call.
        spoken: seconds after its answer in which people talk; with 0, there is no summary and no sentiment.
        now: seconds since the epoch.
    """
    angry = is_angry(call)
    return evolve(
        recording,
        transcript=transcript_of(call, spoken, now),
        ai_summary=script.summary(call.id, angry=angry) if spoken else None,
        sentiment=script.sentiment(call.id, angry=angry) if spoken else None,
    )
