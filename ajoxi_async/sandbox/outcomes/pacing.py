"""How many calls of a campaign ring at a time, by its mode (API reference: Outbound Dialer modes).

Rules:
1. ``preview``: none by itself; calls ring when they are released, since an agent waits for each.
2. ``power``: `Settings.lines_per_agent` for each free agent.
3. ``predictive``: free agents / `Settings.answer_rate`, so that one call is answered for each free agent if the rate is right.
   If more calls are answered than agents are free, the others are abandoned.
"""

from __future__ import annotations

from ajoxi_async.sandbox.outcomes.settings import Settings

__all__ = ["lines"]

#: Added to quotients, which floating point may make slightly too small.
_ROUNDING = 1e-9


def lines(mode: str, free: int, settings: Settings) -> int:
    """How many calls of campaigns of this mode may ring while `free` agents are free."""
    if mode == "predictive":
        return int(free / settings.answer_rate + _ROUNDING)
    return free * settings.lines_per_agent if mode == "power" else 0
