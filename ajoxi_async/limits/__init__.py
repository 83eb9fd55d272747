"""Floor 2: waiting for one's turn. What the request pipeline asks of a limiter, and what a caller may ask.

A limiter of your own implements `Limiter` and is given to the client with ``limiter=``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from ajoxi_async.protocol.errors import APITimeoutError
from ajoxi_async.protocol.rate import Lane, Permit

__all__ = ["Limiter", "LimiterSnapshot", "too_late"]


@frozen(kw_only=True)
class LimiterSnapshot:
    """What a limiter is doing.

    Attributes:
        limit: requests a second, ``None`` for no cap.
        pace: requests a second that may go out now, which others' use of the key and 429s make less than `limit`.
        in_use: requests that are away, or may have arrived less than a second ago.
        waiting: how many calls wait for their turn, by lane.
        next_free: seconds until a newcomer could go, were nobody waiting; infinite while all that may be away are.
        granted: turns given since the start.
        delayed: how many of them had to wait.
        refused: 429 answers seen.
    """

    limit: int | None
    pace: float
    in_use: int
    waiting: Mapping[Lane, int]
    next_free: float
    granted: int
    delayed: int
    refused: int


class Limiter(Protocol):
    """Gives turns, one for each attempt. Every turn ends in exactly one of `observe`, `lost` and `give_back`."""

    def try_acquire(self, lane: Lane = "default") -> Permit | None:
        """Take a turn if one is free and nobody waits for it."""

    async def acquire(self, lane: Lane = "default", *, deadline: float | None = None) -> Permit:
        """Wait for a turn.

        Args:
            lane: ``interactive`` goes before ``default``, which goes before ``bulk``; none is starved.
            deadline: on ``time.monotonic()``; an enclosing ``anyio.fail_after`` counts as well.

        Raises:
            APITimeoutError: the deadline cannot be met, raised at once; ``retry_after`` is the wait it would have taken.
        """

    def observe(
        self, turn: Permit, route: str, status: int, answer: Mapping[str, str], retry_after: float | None
    ) -> None:
        """A response came. `retry_after` is in seconds."""

    def lost(self, turn: Permit) -> None:
        """The request went out, or may have, and no response will come."""

    def give_back(self, turn: Permit) -> None:
        """The request was never sent."""

    def snapshot(self) -> LimiterSnapshot:
        """Say what is going on."""


def too_late(wait: float, left: float) -> APITimeoutError:
    """The error of a deadline that cannot be met."""
    return APITimeoutError(
        f"the rate limit's queue would take {wait:.2f} s, the deadline leaves {max(0.0, left):.2f} s; nothing was sent",
        retry_after=wait,
        attempts=0,
    )
