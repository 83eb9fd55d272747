"""Contexts of the browser whose pages must do nothing wrong.

Watched are errors of scripts, errors in the browser's console (which a violation of the content security policy is, and
an answer 4xx or 5xx), failed requests, and requests to another origin.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Request, WebError

#: The longest that a test waits for a page, in milliseconds. Machines of CI are slow; the tests do not measure speed.
PATIENCE = 30_000
#: A request that its own page cancelled: the page was left, or its script lost interest.
_CANCELLED = "net::ERR_ABORTED"

OpenContext = Callable[..., Awaitable[tuple[BrowserContext, "Watch"]]]


class Watch:
    """What went wrong in the pages of a context so far."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.seen: list[str] = []
        self._origin = origin
        self._allowed: list[re.Pattern[str]] = []
        context.on("weberror", self._on_error)
        context.on("console", self._on_console)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failed)

    def allow(self, pattern: str) -> None:
        """Allow what matches this pattern from now on, whether it comes or not."""
        self._allowed.append(re.compile(pattern))

    @contextmanager
    def allowing(self, *patterns: str) -> Iterator[None]:
        """Allow what matches these patterns, within the block and later. Each has to be seen within the block."""
        before = len(self.seen)
        self._allowed += map(re.compile, patterns)
        yield
        missed = [pattern for pattern in patterns if not any(re.search(pattern, one) for one in self.seen[before:])]
        assert not missed, f"expected, and not seen: {missed}; seen: {self.seen[before:]}"

    @property
    def problems(self) -> list[str]:
        """What was seen and is not allowed."""
        return [one for one in self.seen if not any(pattern.search(one) for pattern in self._allowed)]

    def _on_error(self, error: WebError) -> None:
        self.seen.append(f"script error: {error.error.stack or error.error}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "assert"}:
            self.seen.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"data", "blob"} and f"{url.scheme}://{url.netloc}" != self._origin:
            self.seen.append(f"foreign request: {request.method} {request.url}")

    def _on_failed(self, request: Request) -> None:
        if request.failure != _CANCELLED:
            self.seen.append(f"failed request: {request.method} {request.url} {request.failure}")

    def check(self) -> None:
        """Fail if a page did something wrong."""
        assert not self.problems, "\n".join(["a page did what it must not do:", *self.problems])

    def begin_again(self) -> None:
        """Forget what was seen and what is allowed."""
        self.seen.clear()
        self._allowed.clear()


@asynccontextmanager
async def watched_context(browser: Browser, origin: str, **options: Any) -> AsyncIterator[tuple[BrowserContext, Watch]]:
    """A context for the pages of one origin."""
    context = await browser.new_context(**{"base_url": origin, "reduced_motion": "reduce", **options})
    try:
        context.set_default_timeout(PATIENCE)
        yield context, Watch(context, origin)
    finally:
        await context.close()


@asynccontextmanager
async def watched_contexts(browser: Browser) -> AsyncIterator[OpenContext]:
    """Open contexts: ``context, watch = await open_context(origin)``.

    Raises:
        AssertionError: at the end, if a page did something wrong that is not allowed.
    """
    watches: list[Watch] = []
    async with AsyncExitStack() as opened:

        async def open_context(origin: str, **options: Any) -> tuple[BrowserContext, Watch]:
            context, watch = await opened.enter_async_context(watched_context(browser, origin, **options))
            watches.append(watch)
            return context, watch

        yield open_context
    for watch in watches:
        watch.check()
