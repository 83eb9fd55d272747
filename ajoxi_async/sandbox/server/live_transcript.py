"""Sends the live transcript of a call (API reference: FAQ, Server-Sent Events).

Rules:
1. A connection sends events of the call's `LiveLog` and keeps only its position in it. The log is computed once, when the
   first reader connects after the call was answered.
2. ``retry`` and a comment are sent at once, then a comment whenever nothing else was sent for `Timing.heartbeat`.
3. ``Last-Event-ID`` resumes after that event. If no more events come, the answer is 204, which means: do not reconnect.
4. While a call is ringing, the stream stays open. If a call was not answered, the stream completes without a segment.
5. If the world is rewound or reset, the answer ends before the transcript does. Its reader connects again and gets the
   transcript of the present state.
6. Past events are sent in pieces, so that a slow reader keeps only one piece in memory and not all events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator

import anyio
import anyio.to_thread
from attrs import define, field

from ajoxi_async.contract.calls import Call, CallStatus
from ajoxi_async.contract.frames import HEARTBEAT, retry_frame
from ajoxi_async.sandbox.conversation.live_log import LiveLog, log_of
from ajoxi_async.sandbox.faults.broken_answers import ConnectionBrokenError
from ajoxi_async.sandbox.faults.stream_faults import FaultyConnection, StreamFault
from ajoxi_async.sandbox.server.long_answers import LONG_TALK
from ajoxi_async.sandbox.state.account import Account
from ajoxi_async.sandbox.state.actions import run_due
from ajoxi_async.sandbox.state.calls import plan_of
from ajoxi_async.sandbox.time.clock import Clock

__all__ = ["LiveLogs", "live_transcript", "place_after"]

RECONNECT_MS = 1000
#: The most events in one write.
_PIECE = 200
#: Seconds until a call that should have been answered by now is looked at again.
_RINGING_POLL = 0.02
#: The most seconds until a call that does not ring yet is looked at again.
_QUEUED_POLL = 1.0


@define
class LiveLogs:
    """A cache of the logs that were used last. It has at most `most_events` events in total, but at least one log."""

    most_events: int = 200_000
    _logs: OrderedDict[tuple[int, str], LiveLog] = field(factory=OrderedDict)
    _events: int = 0
    _working: anyio.Lock = field(factory=anyio.Lock)

    async def of(self, account: Account, call: Call) -> LiveLog | None:
        """The log of a call; ``None`` before it is answered. The log of a long call is computed in a thread."""
        name = (account.serial, call.id)
        if name not in self._logs:
            plan = plan_of(account, call)
            if plan.spoken < LONG_TALK:
                return self._kept(name, log_of(call, plan.talk, plan.spoken))
            async with self._working:
                if name not in self._logs:
                    return self._kept(name, await anyio.to_thread.run_sync(log_of, call, plan.talk, plan.spoken))
        self._logs.move_to_end(name)
        return self._logs[name]

    def _kept(self, name: tuple[int, str], log: LiveLog | None) -> LiveLog | None:
        if log is not None:
            self._logs[name] = log
            self._events += len(log)
            while self._events > self.most_events and len(self._logs) > 1:
                self._events -= len(self._logs.popitem(last=False)[1])
        return log


def place_after(last_event_id: str | None) -> int:
    """The position in the log at which a reader resumes; the start if the id is not a position."""
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    return int(last_event_id[:9]) if known and last_event_id else 0


async def live_transcript(
    account: Account, call_id: str, place: int, clock: Clock, logs: LiveLogs, *, fault: StreamFault | None = None
) -> AsyncGenerator[bytes]:
    """Send a call's log from position `place` on, each event at its moment.

    Raises:
        ConnectionBrokenError: the fault of the connection ends it.
    """
    connection = FaultyConnection(fault or StreamFault())
    place = connection.start_at(place)
    beat = account.timing.heartbeat
    yield connection.comment(retry_frame(RECONNECT_MS) + HEARTBEAT)
    sent_at = clock.now()
    while connection.state == "open" and not account.replaced:
        call = account.calls.get(call_id)
        assert call is not None
        log = await logs.of(account, call)
        now = clock.now()
        due = log.frames[place : min(place + _PIECE, bisect_right(log.moments, now))] if log is not None else []
        if due:
            place += len(due)
            sent_at = now
            yield connection.events(due)
            continue
        if now >= sent_at + beat:
            sent_at = now
            if not connection.fault.silent:
                yield connection.comment(HEARTBEAT)
        if log is None:
            upcoming = _answer_expected(account, call, now)
        elif place < len(log):
            upcoming = log.moments[place]
        else:
            return
        # One millisecond later, so that the timer of the answer has fired by then.
        await clock.wait_until(min(sent_at + beat, upcoming + 0.001))
        run_due(account, clock.now())
    if connection.state == "stalled":
        await anyio.sleep_forever()
    if connection.fault.reset:
        raise ConnectionBrokenError(reset=True)


def _answer_expected(account: Account, call: Call, now: float) -> float:
    """The moment at which to look again at a call that was not answered yet."""
    if call.status == CallStatus.QUEUED:
        # The call rings after a timer, or after a release, which may come at any time.
        due = account.next_due
        return now + _QUEUED_POLL if due is None or due <= now else min(due, now + _QUEUED_POLL)
    placed = call.created_at.timestamp() if call.created_at is not None else now
    expected = placed + plan_of(account, call).ring
    return expected if expected > now else now + _RINGING_POLL
