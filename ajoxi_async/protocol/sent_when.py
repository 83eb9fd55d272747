"""When, by the server's clock, a request was sent: where to look for what it may have done.

Rules:
1. Clocks differ, and one may be set between the sending and the looking. What counts is the server's, as the ``Date`` of
   its answers tells it: now, less the age of the request; or then, from an answer that came shortly before or after.
2. The age is told by the monotonic clock, which stands still while a machine sleeps and means nothing on another one, and
   by the wall's, which can be set. Where the ways to tell differ, the span covers them all.
3. Without a ``Date`` no clock is trusted.
"""

from __future__ import annotations

from attrs import frozen

from ajoxi_async.protocol.errors import OutcomeUnknownError

__all__ = ["Span", "first_guess", "sent_within", "tells_its_time"]


@frozen
class Span:
    """From and to, in seconds since the epoch by the server's clock."""

    start: float
    end: float

    def covers(self, other: Span, tolerance: float) -> bool:
        """Whether the other one lies within it, or beyond it by no more than the tolerance."""
        return self.start <= other.start + tolerance and other.end <= self.end + tolerance


def first_guess(error: OutcomeUnknownError, window: float) -> Span | None:
    """Where to look before an answer has told the server's time; ``None`` where nothing is known."""
    moment = error.server_sent_at if error.server_sent_at is not None else error.sent_at
    return None if moment is None else Span(moment - window, moment + window)


def tells_its_time(error: OutcomeUnknownError) -> bool:
    """Whether more than two wall clocks stand behind what `sent_within` says."""
    return error.server_sent_at is not None or error.sent_on_our_clock is not None


def sent_within(
    error: OutcomeUnknownError, window: float, *, server_now: float, our_now: float, wall_now: float
) -> Span | None:
    """When the request was sent, by every way there is to tell it; ``None`` where there is none.

    Args:
        error: of the request.
        window: seconds by which each may be wrong.
        server_now: the ``Date`` of an answer that has just come.
        our_now: monotonic seconds.
        wall_now: seconds since the epoch by the clock of this machine.
    """
    moments = [] if error.server_sent_at is None else [error.server_sent_at]
    if error.sent_on_our_clock is not None:
        moments.append(server_now - (our_now - error.sent_on_our_clock))
    if error.sent_at is not None:
        moments.append(server_now - (wall_now - error.sent_at))
    return Span(min(moments) - window, max(moments) + window) if moments else None
