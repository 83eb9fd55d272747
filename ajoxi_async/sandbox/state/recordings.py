"""Recordings and transcripts (API reference: Recordings & AI): when they are ready, and which call they belong to."""

from __future__ import annotations

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.transcripts import Transcript
from ajoxi_async.contract.webhooks import EventType
from ajoxi_async.sandbox.conversation.recordings import recording_of
from ajoxi_async.sandbox.conversation.transcripts import transcript_of
from ajoxi_async.sandbox.state import calls, deliveries
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.time.moments import at

__all__ = ["find_call", "record"]


def record(account: Account, call_id: str, now: float) -> None:
    """The recording of a finished call is ready, and so is its transcript."""
    call = account.calls.get(call_id)
    assert call is not None
    recording = recording_of(call, at(now))
    account.recordings.add(recording)
    deliveries.emit(account, EventType.RECORDING_READY, recording.id, recording, now)

    def transcript() -> Transcript:
        return transcript_of(call, calls.plan_of(account, call).spoken, now)

    deliveries.emit(account, EventType.TRANSCRIPT_READY, call.transcript_id or "", transcript, now)


def find_call(account: Account, id: str) -> Call | None:
    """The call to which the id of a call, a transcript or a recording belongs."""
    recording = account.recordings.get(id)
    if recording is not None:
        return account.calls.get(recording.call_id or "")
    return account.calls.get(id) or account.calls.by_alias(id)
