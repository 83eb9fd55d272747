"""Faults of the connections of live transcripts.

Rules:
1. A fault is a value that belongs to one connection. `Sandbox.disturb_streams` puts faults into a queue, and each new
   connection takes one.
2. A fault repeats events, holds them back or ends the connection between or within them. It never changes an event.
"""

from __future__ import annotations

from typing import Literal

from attrs import define, field, frozen, validators

__all__ = ["FaultyConnection", "StreamFault"]

_count = validators.optional(validators.and_(validators.instance_of(int), validators.ge(0)))


@frozen(kw_only=True)
class StreamFault:
    """The faults of one connection.

    Attributes:
        cut_after_bytes: end the response after this many bytes of its body, perhaps within an event.
        cut_after_events: end the response after this many events.
        reset: reset the connection (RST) at that point instead of ending the response properly.
        stall_after_events: after this many events send nothing more, not even a heartbeat, and keep the connection open.
        silent: send no heartbeats.
        over_replay: begin this many events before the requested one.
        duplicate: send every event twice.
    """

    cut_after_bytes: int | None = field(default=None, validator=_count)
    cut_after_events: int | None = field(default=None, validator=_count)
    reset: bool = False
    stall_after_events: int | None = field(default=None, validator=_count)
    silent: bool = False
    over_replay: int = field(default=0, validator=validators.ge(0))
    duplicate: bool = False


@define
class FaultyConnection:
    """Decides which bytes are sent on one connection with a fault.

    Attributes:
        state: ``"cut"`` or ``"stalled"`` when nothing more is sent.
    """

    fault: StreamFault
    state: Literal["open", "cut", "stalled"] = "open"
    _bytes: int = 0
    _events: int = 0

    def start_at(self, place: int) -> int:
        """The position in the log at which the connection begins."""
        return max(0, place - self.fault.over_replay)

    def events(self, frames: list[bytes]) -> bytes:
        """The bytes to send for the next events."""
        sent: list[bytes] = []
        for frame in frames:
            if not self._go_on():
                break
            self._events += 1
            sent.append(frame * 2 if self.fault.duplicate else frame)
        self._go_on()
        return self.comment(b"".join(sent))

    def comment(self, data: bytes) -> bytes:
        """The bytes to send for `data`, which is a comment and not an event."""
        limit = self.fault.cut_after_bytes
        if limit is not None and self._bytes + len(data) >= limit:
            data, self.state = data[: limit - self._bytes], "cut"
        self._bytes += len(data)
        return data

    def _go_on(self) -> bool:
        fault = self.fault
        if fault.cut_after_events is not None and self._events >= fault.cut_after_events:
            self.state = "cut"
        elif fault.stall_after_events is not None and self._events >= fault.stall_after_events:
            self.state = "stalled"
        return self.state == "open"
