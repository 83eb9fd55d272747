"""When a request was sent, by the server's clock: the span of time in which to look for the call it may have placed.

Rules:
1. Clocks differ, and one may be set between the request and the search. The server's clock counts, as the ``Date`` of its
   answers shows it: of an answer now, minus the age of the request; or of an answer shortly before or after the request.
2. The age comes from the monotonic clock, which stops while a machine sleeps and means nothing on another machine, and from
   the wall clock, which can be set. If the results differ, the span covers them all.
3. Without a ``Date`` no clock is trusted.
"""

from __future__ import annotations

from attrs import frozen

from ajoxi_async.protocol.errors import OutcomeUnknownError

__all__ = ["Span", "first_guess", "sent_within", "tells_its_time"]


@frozen
class Span:
    """A span of time: from and to, in seconds since the epoch by the server's clock."""

    start: float
    end: float

    def covers(self, other: Span, tolerance: float) -> bool:
        """Whether another span lies within this one, or exceeds it by no more than `tolerance` seconds."""
        return self.start <= other.start + tolerance and other.end <= self.end + tolerance


def first_guess(error: OutcomeUnknownError, window: float) -> Span | None:
    """The span to search before an answer has shown the server's time; ``None`` if nothing is known."""
    moment = error.server_sent_at if error.server_sent_at is not None else error.sent_at
    return None if moment is None else Span(moment - window, moment + window)


def tells_its_time(error: OutcomeUnknownError) -> bool:
    """Whether the result of `sent_within` rests on more than the wall clocks of two machines."""
    return error.server_sent_at is not None or error.sent_on_our_clock is not None


def sent_within(
    error: OutcomeUnknownError, window: float, *, server_now: float, our_now: float, wall_now: float
) -> Span | None:
    """The span in which the request was sent, by all clocks that are known; ``None`` if there are none.

    Args:
        error: of the request.
        window: seconds by which each clock may be wrong.
        server_now: the ``Date`` of an answer that has just come.
        our_now: the present moment in monotonic seconds.
        wall_now: the present moment in seconds since the epoch, by the clock of this machine.
    """
    moments = [] if error.server_sent_at is None else [error.server_sent_at]
    if error.sent_on_our_clock is not None:
        moments.append(server_now - (our_now - error.sent_on_our_clock))
    if error.sent_at is not None:
        moments.append(server_now - (wall_now - error.sent_at))
    return Span(min(moments) - window, max(moments) + window) if moments else None
