"""A short version of `kill_rounds`: deaths at boundaries of the first dials."""

from __future__ import annotations

import anyio

from .kill_rounds import simulated


def test_deaths_at_every_kind_of_boundary() -> None:
    """Forty lives of a campaign that end at as many boundaries: no reference rings twice, nobody is lost, few are in doubt."""
    result = anyio.run(simulated, 40, 7, range(44, 250, 3))
    assert result.faults == []
    assert result.rings >= 20
    assert max(result.at_once) <= 8
