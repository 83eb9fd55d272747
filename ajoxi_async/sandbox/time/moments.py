"""Conversion of moments: inside the sandbox they are numbers (seconds since the epoch), on the wire aware times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["LATEST", "at"]

#: The last moment that a clock can reach, the beginning of the year 9999: the wire has no later times.
LATEST = 253_370_764_800.0


# Cached, because much happens at the same instant: a call changes, and an event of it is reported.
@lru_cache(maxsize=128)
def at(moment: float) -> datetime:
    """Seconds since the epoch as an aware time, rounded to the millisecond, which is what the wire carries."""
    return datetime.fromtimestamp(round(moment, 3), UTC)
