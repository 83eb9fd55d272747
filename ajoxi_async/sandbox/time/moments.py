"""A moment is a number inside the sandbox (seconds since the epoch) and an aware time on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["LATEST", "at"]

#: The last moment that time can reach, the beginning of the year 9999: later ones cannot be told on the wire.
LATEST = 253_370_764_800.0


def at(moment: float) -> datetime:
    """Seconds since the epoch as an aware time, rounded to the millisecond, which is what the wire carries."""
    return datetime.fromtimestamp(round(moment, 3), UTC)
