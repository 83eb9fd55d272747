"""Clocks by the name of their mode."""

from __future__ import annotations

import math
from collections.abc import Callable

from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.sandbox.time.auto import AutoClock
from ajoxi_async.sandbox.time.clock import Clock
from ajoxi_async.sandbox.time.live import LiveClock
from ajoxi_async.sandbox.time.real import RealClock
from ajoxi_async.sandbox.time.virtual import VirtualClock

__all__ = ["clock_of"]


def clock_of(mode: str) -> Clock:
    """A clock by the name of its mode: ``real``, ``speed=N``, ``live``, ``live=N``, ``manual`` or ``auto``.

    Raises:
        InvalidParameterError: there is no such mode.
    """
    name, _, number = mode.partition("=")
    try:
        if name == "speed" and 0 < float(number) < math.inf:
            return RealClock(float(number))
        if name == "live" and number:
            return LiveClock(speed=float(number))
    except ValueError:
        pass
    modes: dict[str, Callable[[], Clock]] = {
        "real": RealClock,
        "live": LiveClock,
        "manual": VirtualClock,
        "auto": AutoClock,
    }
    if mode not in modes:
        raise InvalidParameterError("clock", f"expected real, speed=N, live, live=N, manual or auto, got {mode[:40]!r}")
    return modes[mode]()
