"""What the measurements share: medians over interleaved rounds, processor pinning, and plain tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import TypeVar

__all__ = ["average", "installed", "pin", "rotated", "table", "versions"]

T = TypeVar("T")

PACKAGES = (
    "ajoxi-async",
    "aiohttp",
    "orjson",
    "msgspec",
    "cattrs",
    "pydantic",
    "uvloop",
    "twilio",
    "stripe",
    "openai",
    "telnyx",
    "anthropic",
    "httpx-aiohttp",
)


def installed(package: str) -> str | None:
    """The version of a package, or ``None`` where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions() -> str:
    """Python, the machine, and every package that is measured, in one paragraph."""
    names = ", ".join(f"{name} {installed(name) or 'missing'}" for name in PACKAGES)
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} processors; {names}"


def pin(core: int) -> bool:
    """Keep this process on one core, where the system lets it; say whether it did."""
    try:
        os.sched_setaffinity(0, {core})
    except (AttributeError, OSError):  # another system, or a machine with one core
        return False
    return True


def rotated(items: Sequence[T], by: int) -> list[T]:
    """The items in order, beginning elsewhere each round, so that none is always the first."""
    by %= max(1, len(items))
    return [*items[by:], *items[:by]]


def average(values: Sequence[float]) -> float:
    """The median: one disturbed round does not count."""
    return median(values)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left and numbers to the right."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    out = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([out[0], "-" * len(out[0]), *out[1:]])
