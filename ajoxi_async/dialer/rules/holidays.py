"""The public holidays of the USA, of all states together, from the data file of the package."""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib.resources import files

__all__ = ["us_holidays"]


@cache
def us_holidays() -> frozenset[date]:
    """The dates of 2020 to 2037 that are a holiday, or observed as one, federally or in at least one state."""
    text = files("ajoxi_async.dialer.rules").joinpath("data/us_holidays.txt").read_text("utf-8")
    found = set()
    for line in text.splitlines():
        if not line.startswith("#"):
            year, *days = line.split()
            found |= {date(int(year), int(day[:2]), int(day[2:])) for day in days}
    return frozenset(found)
