"""Faults of the connection that carries a live transcript.

Rules:
1. A fault is a value, and belongs to one connection: `Sandbox.disturb_streams` queues them, the next connections take them.
2. A fault repeats, holds back or cuts events. It never changes one.
"""

from __future__ import annotations

from typing import Literal

from attrs import define, field, frozen, validators

__all__ = ["FaultyConnection", "StreamFault"]

_count = validators.optional(validators.and_(validators.instance_of(int), validators.ge(0)))


@frozen(kw_only=True)
class StreamFault:
    """What goes wrong with one connection.

    Attributes:
        cut_after_bytes: the response ends after so many bytes of its body, perhaps within an event.
        cut_after_events: it ends after so many events.
        reset: where it ends, the connection is reset (RST) instead of ended in good order.
        stall_after_events: nothing more is sent, not even a heartbeat, and the connection stays open.
        silent: no heartbeats.
        over_replay: it begins so many events before the place that was asked for.
        duplicate: every event is sent twice.
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
    """One connection and the fault that strikes it: says which bytes are sent.

    Attributes:
        state: ``"cut"`` or ``"stalled"`` once nothing more is to be sent.
    """

    fault: StreamFault
    state: Literal["open", "cut", "stalled"] = "open"
    _bytes: int = 0
    _events: int = 0

    def start_at(self, place: int) -> int:
        """The place in the log at which the reader begins."""
        return max(0, place - self.fault.over_replay)

    def events(self, frames: list[bytes]) -> bytes:
        """The bytes that are sent of the next events."""
        sent: list[bytes] = []
        for frame in frames:
            if not self._go_on():
                break
            self._events += 1
            sent.append(frame * 2 if self.fault.duplicate else frame)
        self._go_on()
        return self.comment(b"".join(sent))

    def comment(self, data: bytes) -> bytes:
        """The bytes that are sent of `data`, which is no event."""
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
