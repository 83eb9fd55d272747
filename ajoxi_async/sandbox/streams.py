"""The live transcript of a call, as it is sent (API reference: FAQ, Server-Sent Events).

Rules:
1. The stream of a call is a log that is a pure function of the call; an event's id is its place in it, from 1. Each
   reader has a cursor of its own and nothing else.
2. ``retry`` and a comment go out at once, then a comment whenever nothing else was sent for the heartbeat's time.
3. ``Last-Event-ID`` resumes after that place. Where nothing is to come any more: 204, do not reconnect.
4. A call that is still ringing holds the stream open; one that nobody answered completes it with no segment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from attrs import frozen

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.codec import encode
from ajoxi_async.contract.frames import HEARTBEAT, event_frame, retry_frame
from ajoxi_async.contract.transcripts import COMPLETED_EVENT, SEGMENT_EVENT, TranscriptCompleted
from ajoxi_async.sandbox import script
from ajoxi_async.sandbox.clock import Clock
from ajoxi_async.sandbox.world import Account

__all__ = ["Entry", "live_transcript", "log_of", "place_after"]

RECONNECT_MS = 1000


@frozen
class Entry:
    """One event of the log: when it is said, and its frame."""

    moment: float
    frame: bytes


def log_of(account: Account, call: Call) -> list[Entry] | None:
    """The whole log of a call, its future included; ``None`` while nobody has answered yet."""
    if call.answered_at is None:
        if call.status != CallStatus.COMPLETED:
            return None
        entries: list[Entry] = []
        last, moment = 0, call.ended_at.timestamp() if call.ended_at else 0.0
    else:
        talk, answered = account.plan(call).talk, call.answered_at.timestamp()
        told = script.updates(call.id, talk, ai=call.ai_handler is not None)
        entries = [
            Entry(answered + update.at * talk, event_frame(SEGMENT_EVENT, encode(update.segment), str(place)))
            for place, update in enumerate(told, start=1)
        ]
        last, moment = max(update.segment.sequence for update in told), answered + talk
    end = TranscriptCompleted(
        call_id=call.id,
        transcript_id=call.transcript_id,
        last_sequence=last,
        reason="call_ended" if last else f"not_answered:{call.disposition}",
    )
    entries.append(Entry(moment, event_frame(COMPLETED_EVENT, encode(end), str(len(entries) + 1))))
    return entries


def place_after(last_event_id: str | None) -> int:
    """The place a reader resumes at; what is no place of ours begins at the start."""
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    return int(last_event_id[:9]) if known and last_event_id else 0


async def live_transcript(account: Account, call_id: str, place: int, clock: Clock) -> AsyncIterator[bytes]:
    """Send a call's log from `place` on, each event when it is said."""
    yield retry_frame(RECONNECT_MS) + HEARTBEAT
    beat = account.timing.heartbeat
    sent_at = clock.now()
    while True:
        call = account.calls.get(call_id)
        assert call is not None
        log = log_of(account, call)
        now = clock.now()
        due = [entry.frame for entry in (log or [])[place:] if entry.moment <= now]
        if due:
            place += len(due)
            sent_at = now
            yield b"".join(due)
        elif now >= sent_at + beat:
            sent_at = now
            yield HEARTBEAT
        if log is not None and place >= len(log):
            return
        upcoming = log[place].moment if log is not None else account.next_due
        # A hair after what is waited for, so that the timer it depends on has fired.
        await clock.wait_until(min(sent_at + beat, (upcoming or now + beat) + 0.001))
        account.run_due(clock.now())
