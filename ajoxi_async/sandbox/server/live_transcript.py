"""The live transcript of a call, as it is sent (API reference: FAQ, Server-Sent Events).

Rules:
1. The stream of a call is a log that is a pure function of the call: worked out once, when somebody asks for it after the
   call was answered. An event's id is its place in it, from 1. Each reader has a cursor of its own and nothing else.
2. ``retry`` and a comment go out at once, then a comment whenever nothing else was sent for the heartbeat's time.
3. ``Last-Event-ID`` resumes after that place. Where nothing is to come any more: 204, do not reconnect.
4. A call that is still ringing holds the stream open; one that nobody answered completes it with no segment.
5. A long past is sent in pieces, so that a slow reader holds one of them and not all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator

import anyio
from attrs import define, field, frozen

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.codec import encode
from ajoxi_async.contract.frames import HEARTBEAT, event_frame, retry_frame
from ajoxi_async.contract.transcripts import COMPLETED_EVENT, SEGMENT_EVENT, TranscriptCompleted
from ajoxi_async.sandbox.conversation import transcripts as insights
from ajoxi_async.sandbox.faults.broken_answers import BrokenError
from ajoxi_async.sandbox.faults.stream_faults import Disturbance, StreamFault
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.time.clock import Clock

__all__ = ["Log", "Logs", "live_transcript", "log_of", "place_after"]

RECONNECT_MS = 1000
#: Events in one write.
_PIECE = 200
#: Seconds between two looks at a call that rings for longer than it should.
_LOOK_AGAIN = 0.02


@frozen(eq=False)
class Log:
    """Everything one call says, its future included: when, and in which bytes. The two lists are as long as each other."""

    moments: list[float]
    frames: list[bytes]

    def __len__(self) -> int:
        return len(self.frames)


@define
class Logs:
    """The logs in use, and those used last, as long as they are not too many events."""

    most_events: int = 200_000
    _logs: OrderedDict[tuple[int, str], Log] = field(factory=OrderedDict)
    _events: int = 0

    def of(self, account: Account, call: Call) -> Log | None:
        """The log of a call; ``None`` while nobody has answered yet."""
        name = (account.serial, call.id)
        log = self._logs.get(name)
        if log is not None:
            self._logs.move_to_end(name)
            return log
        log = log_of(account, call)
        if log is not None:
            self._logs[name] = log
            self._events += len(log)
            while self._events > self.most_events and len(self._logs) > 1:
                self._events -= len(self._logs.popitem(last=False)[1])
        return log


def log_of(account: Account, call: Call) -> Log | None:
    """Work a call's log out; ``None`` while nobody has answered yet."""
    moments: list[float] = []
    frames: list[bytes] = []
    if call.answered_at is None:
        if call.status != CallStatus.COMPLETED:
            return None
        last, moment = 0, call.ended_at.timestamp() if call.ended_at else 0.0
    else:
        talk, answered = account.plan(call).talk, call.answered_at.timestamp()
        last, moment = 0, answered + talk
        for place, update in enumerate(insights.told(call, talk), start=1):
            moments.append(answered + update.at * talk)
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
    return Log(moments, frames)


def place_after(last_event_id: str | None) -> int:
    """The place a reader resumes at; what is no place of ours begins at the start."""
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    return int(last_event_id[:9]) if known and last_event_id else 0


async def live_transcript(
    account: Account, call_id: str, place: int, clock: Clock, logs: Logs, *, fault: StreamFault | None = None
) -> AsyncIterator[bytes]:
    """Send a call's log from `place` on, each event when it is said.

    Raises:
        BrokenError: where the fault says so.
    """
    line = Disturbance(fault or StreamFault())
    place = line.start_at(place)
    beat = account.timing.heartbeat
    yield line.comment(retry_frame(RECONNECT_MS) + HEARTBEAT)
    sent_at = clock.now()
    while line.state == "open":
        call = account.calls.get(call_id)
        assert call is not None
        log = logs.of(account, call)
        now = clock.now()
        due = log.frames[place : min(place + _PIECE, bisect_right(log.moments, now))] if log is not None else []
        if due:
            place += len(due)
            sent_at = now
            yield line.events(due)
            continue
        if now >= sent_at + beat:
            sent_at = now
            if not line.fault.silent:
                yield line.comment(HEARTBEAT)
        if log is None:
            upcoming = _answer_expected(account, call, now)
        elif place < len(log):
            upcoming = log.moments[place]
        else:
            return
        # A hair after what is waited for, so that the timer it depends on has fired.
        await clock.wait_until(min(sent_at + beat, upcoming + 0.001))
        account.run_due(clock.now())
    if line.state == "stalled":
        await anyio.sleep_forever()
    if line.fault.reset:
        raise BrokenError(reset=True)


def _answer_expected(account: Account, call: Call, now: float) -> float:
    placed = call.created_at.timestamp() if call.created_at is not None else now
    expected = placed + account.plan(call).ring
    return expected if expected > now else now + _LOOK_AGAIN
