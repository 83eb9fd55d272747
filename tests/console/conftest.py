"""One browser and one console for all tests in a process; a test that wants another one opens its own.

The objects of Playwright belong to one event loop. Tests of the console therefore run on the loop of the session:
``pytestmark = pytest.mark.asyncio(loop_scope="session")``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright, expect

from .browser import HOW_TO_GET_IT, find_browser, started
from .modules import Call, module_functions
from .opening import close_kept
from .watching import PATIENCE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the browser, so that ``-m "not browser"`` leaves them out."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Playwright and its driver process."""
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        yield playwright


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser(playwright: Playwright, missing: Callable[[str], None]) -> AsyncIterator[Browser]:
    """The browser; tests that ask for it are skipped where there is none, and fail under AJOXI_NO_SKIP."""
    path = find_browser(playwright)
    if path is None:
        missing(HOW_TO_GET_IT)
    else:
        async with started(playwright, path) as browser:
            yield browser
            await close_kept()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def call(browser: Browser) -> AsyncIterator[Call]:
    """Calls functions of the console's modules: ``await call("widgets/diff.js", "lineDiff", [[before, after], ...])``."""
    async with module_functions(browser) as call:
        yield call
