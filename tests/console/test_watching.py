"""The tests of the console see what a page does wrong."""

from __future__ import annotations

import asyncio
import re

import pytest
import pytest_asyncio
from aiohttp import web

from .browser import find_browser
from .watching import watched_contexts

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGE = "<!doctype html><html lang=en><title>t</title><link rel=icon href=data:,><main><h1>t</h1></main>"
CSP = "default-src 'none'; script-src 'self'; connect-src *; img-src data:; require-trusted-types-for 'script'"


@pytest_asyncio.fixture(loop_scope="session")
async def origin():
    """A server of one page with a strict policy."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": CSP})

    async def hang_up(request: web.Request) -> web.Response:
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/hang-up", hang_up)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


WRONGS = {
    "script": ("() => { setTimeout(() => { throw new Error('broken') }) }", "script error: Error: broken"),
    "console": ("() => console.error('told')", "console: told"),
    "policy": ("() => { document.body.append(Object.assign(new Image(), {src: '/x.png'})) }", "Content Security Policy"),
    "types": ("() => { try { document.body.innerHTML = '<b>' } catch {} }", "console: .*TrustedHTML"),
    "missing": ("() => fetch('/nothing')", "console: .*404"),
    "failed": ("() => fetch('/hang-up').catch(() => {})", "failed request: GET .*/hang-up"),
    "foreign": ("() => fetch('http://elsewhere.test/').catch(() => {})", "foreign request: GET http://elsewhere.test/"),
    "other port": ("() => fetch('http://127.0.0.1:9/').catch(() => {})", "foreign request: GET http://127.0.0.1:9/"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "told"), WRONGS.values(), ids=WRONGS)
async def test_what_a_page_must_not_do_fails_the_test(browser, origin: str, script: str, told: str) -> None:
    """Errors of scripts and of the console, violations of the policy, failed and foreign requests."""
    with pytest.raises(AssertionError, match="a page did what it must not do(.|\n)*" + told):
        async with watched_contexts(browser) as open_context:
            context, watch = await open_context(origin)
            page = await context.new_page()
            await page.goto("/")
            assert watch.problems == []
            await page.evaluate(script)
            while not any(re.search(told, problem) for problem in watch.problems):
                await asyncio.sleep(0.01)


async def test_what_is_allowed_has_to_happen(browser, origin: str) -> None:
    """An expected error does not fail the test; one that does not come does."""
    async with watched_contexts(browser) as open_context:
        context, watch = await open_context(origin)
        page = await context.new_page()
        await page.goto("/")
        with watch.allowing("console: told"):
            await page.evaluate("() => console.error('told')")
            while not watch.seen:
                await asyncio.sleep(0.01)
        with pytest.raises(AssertionError, match="not seen"), watch.allowing("console: told"):
            pass


async def test_a_page_that_is_left_does_nothing_wrong(browser, origin: str) -> None:
    """Requests that a page cancels, or that are cancelled when it is left, do not fail the test."""
    async with watched_contexts(browser) as open_context:
        context, watch = await open_context(origin)
        page = await context.new_page()
        await page.goto("/")
        await page.evaluate(
            "() => { const stop = new AbortController(); fetch('/', stop).catch(() => {}); stop.abort() }"
        )
        async with page.expect_navigation():
            await page.evaluate("() => { fetch('/').catch(() => {}); location.reload() }")
        assert watch.seen == []


async def test_where_the_browser_is_found(playwright, monkeypatch, tmp_path) -> None:
    """AJOXI_BROWSER comes first, and must exist; then the commands of the path; then Playwright's own browser."""
    monkeypatch.setenv("AJOXI_BROWSER", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="AJOXI_BROWSER"):
        find_browser(playwright)
    google = tmp_path / "google-chrome"
    for file in (google, tmp_path / "chromium"):
        file.touch(mode=0o755)
    monkeypatch.setenv("AJOXI_BROWSER", str(google))
    assert find_browser(playwright) == str(google)
    monkeypatch.delenv("AJOXI_BROWSER")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_browser(playwright) == str(tmp_path / "chromium")
    monkeypatch.setenv("PATH", "")
    assert find_browser(playwright) in {None, playwright.chromium.executable_path}
