"""Compare windows with local clocks, for random zones and moments and every change of a clock from 2020 to 2037.

python -m tests.dialer.window_rounds 1000000 [seed]
"""

from __future__ import annotations

import random
import sys
import time

from ajoxi_async.dialer.rules.zones import prefixes

from . import window_oracle as oracle


def run(rounds: int, seed: int) -> int:
    """Check so many random moments, and those around every change; return how many were checked."""
    draw = random.Random(seed)
    sets = sorted(set(prefixes().values()))
    names = sorted({name for zones in sets for name in zones})
    checked = 0
    for name in names:
        for change in oracle.transitions(name):
            for moment in (change - 3600, change - 1, change, change + 1800.5, change + 3600):
                oracle.check(draw.choice(oracle.WINDOWS), (name,), moment, draw.choice(oracle.RINGS), draw)
                checked += 1
    while checked < rounds:
        zones = draw.choice(sets) if draw.random() < 0.3 else (draw.choice(names),)
        if len(zones) > 5 and draw.random() < 0.95:
            continue  # the largest sets take longest
        oracle.check(
            draw.choice(oracle.WINDOWS), zones, oracle.random_moment(draw, zones), draw.choice(oracle.RINGS), draw
        )
        checked += 1
    return checked


if __name__ == "__main__":
    began = time.perf_counter()
    amount = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(f"{amount:,} moments, none outside its window, {time.perf_counter() - began:.0f} s")
