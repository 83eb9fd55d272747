"""How values are shown."""

from __future__ import annotations

import pytest

from .modules import Call

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_counts_have_their_thousands_apart(call: Call) -> None:
    """A count is written with a comma before every three digits from the end."""
    counts = [0, 7, 999, 1_000, 12_345, 100_000, 1_234_567]
    assert await call("base/format.js", "count", [[one] for one in counts]) == [f"{one:,}" for one in counts]
