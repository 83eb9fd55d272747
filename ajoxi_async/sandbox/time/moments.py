"""Moments: seconds since the epoch inside the sandbox, aware times on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["at"]


def at(moment: float) -> datetime:
    """Seconds since the epoch as an aware time, to the millisecond that travels."""
    return datetime.fromtimestamp(round(moment, 3), UTC)
