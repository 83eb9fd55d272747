"""How many calls of a campaign ring at a time, by its mode (API reference: Outbound Dialer modes).

Rules:
1. ``preview``: none, unless it is released; each release is a person who waits for the answer.
2. ``power``: `Settings.lines_per_agent` for each agent who talks to nobody.
3. ``predictive``: as many as make one answer for each agent who talks to nobody, if `Settings.answer_rate` is right. It
   often is not, so that people answer whom no agent has time for: those calls are abandoned.
"""

from __future__ import annotations

from ajoxi_async.sandbox.outcomes.settings import Settings

__all__ = ["lines"]

#: For quotients that floating point makes a hair too small.
_ROUNDING = 1e-9


def lines(mode: str, free: int, settings: Settings) -> int:
    """How many calls may ring while so many agents are free."""
    if mode == "predictive":
        return int(free / settings.answer_rate + _ROUNDING)
    return free * settings.lines_per_agent if mode == "power" else 0
