"""What is being said in a call, for a page that shows it: the newest revision of each segment so far.

Rules:
1. It is read from the call's live log at the present moment. Unlike a reader of the API's stream, it waits for no moment of the
   world's clock, so that a virtual clock goes on as if nobody looked.
2. A page gets each segment in its newest revision, once. After a rewind it begins anew.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import msgspec
from attrs import define, field

from ajoxi_async.contract import codec
from ajoxi_async.sandbox.conversation.live_log import LiveLog

__all__ = ["Spoken"]


@define(eq=False)
class Spoken:
    """How much of one call a page was told.

    Attributes:
        serial: the serial of the account whose log is read; see `Account.serial`.
        place: how many events of the log the page was told.
    """

    serial: int = -1
    place: int = 0
    _started: bool = field(default=False, init=False)

    def news(self, log: LiveLog | None, serial: int, moment: float) -> dict[str, Any] | None:
        """What the page was not told yet; ``None`` if there is nothing.

        Args:
            log: the log of the call; ``None`` before it is answered.
            serial: the serial of the account that the log is of.
            moment: the present moment, in seconds since the epoch.
        """
        anew = serial != self.serial or not self._started
        if anew:
            self.serial, self.place, self._started = serial, 0, True
        until = bisect_right(log.moments, moment) if log is not None else 0
        if log is None or (until <= self.place and not anew):
            return {"anew": True, "segments": [], "completed": None} if anew else None
        segments: dict[int, Any] = {}
        completed = None
        for frame in log.frames[self.place : until]:
            update = codec.parse_json(_data(frame))
            if "sequence" in update:
                segments[update["sequence"]] = update
            else:
                completed = msgspec.Raw(_data(frame))
        self.place = until
        return {"anew": anew, "segments": list(segments.values()), "completed": completed}

    def next_moment(self, log: LiveLog | None) -> float | None:
        """When more is said; ``None`` if that is not known."""
        return log.moments[self.place] if log is not None and self.place < len(log) else None


def _data(frame: bytes) -> bytes:
    """The JSON document of a frame, which is its last line."""
    return frame.partition(b"\ndata: ")[2].rstrip(b"\n")
