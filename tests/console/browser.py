"""The browser of the console's tests: where it is found, and how it is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

#: The commands under which systems install a browser of the Chromium family.
COMMANDS = ("chromium", "chromium-browser", "google-chrome")
HOW_TO_GET_IT = (
    "a browser: `apt-get install chromium fonts-dejavu-core`, or `python -m playwright install chromium`, "
    "or AJOXI_BROWSER with the path of Chromium or Chrome"
)
#: A host name that resolves to this machine in the browser only, as a name does that an attacker rebinds.
REBINDING = "rebinding.test"
#: What the browser would do besides showing the page: ask for updates, variations and component lists on the network.
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    # No other name resolves, so that a request to a stranger fails here and is never sent.
    f"--host-resolver-rules=MAP {REBINDING} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    # What looks the same on every machine: screenshots, and positions that a test clicks on.
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--hide-scrollbars",
)


def find_browser(playwright: Playwright) -> str | None:
    """The path of a browser, or ``None`` if there is none.

    Args:
        playwright: names the browser that it would have downloaded itself, which is tried last.

    Raises:
        FileNotFoundError: AJOXI_BROWSER names a file that does not exist.
    """
    if given := os.environ.get("AJOXI_BROWSER"):
        found = shutil.which(given)
        if found is None:
            raise FileNotFoundError(f"AJOXI_BROWSER={given} is not an executable file")
        return found
    for command in COMMANDS:
        if found := shutil.which(command):
            return found
    own = playwright.chromium.executable_path
    return own if os.path.exists(own) else None


@asynccontextmanager
async def started(playwright: Playwright, path: str) -> AsyncIterator[Browser]:
    """Start the browser, and close it at the end."""
    # The sandbox of Chromium's processes does not start for root, which CI often is.
    as_root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    browser = await playwright.chromium.launch(executable_path=path, args=[*_QUIET, *as_root])
    try:
        yield browser
    finally:
        await browser.close()
