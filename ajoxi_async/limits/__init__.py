"""Rate limiting: the interface between a limiter and the request pipeline, and the snapshot a caller may ask for.

To use a limiter of your own, implement `Limiter` and give it to the client with ``limiter=``.
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
    """The state and counts of a limiter.

    Attributes:
        limit: requests a second, ``None`` for no cap.
        pace: requests a second that may go out now. Other users of the key and 429s make it less than `limit`.
        in_use: requests that are under way, or may have reached the server less than a second ago.
        waiting: how many calls wait for a permit, by lane.
        next_free: seconds until a new call could be sent if no other waited; infinite while the limit's whole number of
            requests is under way.
        granted: permits given since the start.
        delayed: how many of them had to be waited for.
        refused: how many 429 answers came.
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
    """Gives a permit for each attempt. Every permit ends with exactly one call of `observe`, `lost` or `give_back`."""

    def try_acquire(self, lane: Lane = "default") -> Permit | None:
        """Take a permit if one is free and no other call waits."""

    async def acquire(self, lane: Lane = "default", *, deadline: float | None = None) -> Permit:
        """Wait for a permit.

        Args:
            lane: ``interactive`` goes before ``default``, which goes before ``bulk``; each gets some of the permits.
            deadline: on ``time.monotonic()``; an enclosing ``anyio.fail_after`` counts as well.

        Raises:
            APITimeoutError: the deadline cannot be met. It is raised at once; ``retry_after`` is how long the wait would be.
        """

    def observe(
        self, turn: Permit, route: str, status: int, answer: Mapping[str, str], retry_after: float | None
    ) -> None:
        """Settle a permit: a response came. `retry_after` is in seconds."""

    def lost(self, turn: Permit) -> None:
        """Settle a permit: the request went out, or may have, and no response will come."""

    def give_back(self, turn: Permit) -> None:
        """Settle a permit: the request was not sent."""

    def snapshot(self) -> LimiterSnapshot:
        """The limiter's state and counts at this moment."""


def too_late(wait: float, left: float) -> APITimeoutError:
    """The error of a deadline that cannot be met."""
    return APITimeoutError(
        f"the rate limit's queue would take {wait:.2f} s, the deadline leaves {max(0.0, left):.2f} s; nothing was sent",
        retry_after=wait,
        attempts=0,
    )
