"""The scripts of docs/sandbox.md, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()
SCRIPTS = [
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    if "anyio.run(" in block or "assert zone" in block
]


@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts(script: str) -> None:
    """Each script of the page runs to its end, its assertions included."""
    exec(compile(script, "docs/sandbox.md", "exec"), {"__name__": "guide"})
