"""What `docs/console.md` shows and names is there."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from .modules import STATIC
from .opening import opened_console
from .screenshots import FOLDER, SIZE, take

PAGE = FOLDER.parent / "console.md"


@pytest.mark.asyncio(loop_scope="session")
async def test_the_pictures_can_be_made(browser, tmp_path: Path) -> None:
    """The script makes the pictures that the page shows, in their size, and the page shows no other."""
    async with opened_console(browser, size=SIZE) as console:
        await take(console, tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {path.name for path in FOLDER.iterdir()}
    assert made == set(re.findall(r"\(console/(\w+\.png)\)", PAGE.read_text()))
    for name in made:
        for folder in (tmp_path, FOLDER):
            assert struct.unpack(">II", (folder / name).read_bytes()[16:24]) == (SIZE["width"], SIZE["height"])
        assert (FOLDER / name).stat().st_size < 150_000


def test_every_page_is_described() -> None:
    """The table has a row for each page of the side bar."""
    titles = re.findall(r"title: '(\w+)', key", (STATIC / "pages.js").read_text())
    assert len(titles) == 13
    rows = re.findall(r"^\| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert set(titles) <= set(rows)
