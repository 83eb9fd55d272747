"""Call functions of the console's modules in the browser, without the console around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Browser

import ajoxi_async.sandbox.console

from .watching import watched_contexts

STATIC = Path(ajoxi_async.sandbox.console.__file__).parent / "static"
_PAGE = "<!doctype html><html lang=en><title>modules</title><link rel=icon href=data:,>"
_CALL = "async ([module, name, rows]) => { const { [name]: act } = await import(module); return rows.map((row) => act(...row)) }"

Call = Callable[..., Awaitable[list[Any]]]


@asynccontextmanager
async def module_functions(browser: Browser) -> AsyncIterator[Call]:
    """``await call("widgets/diff.js", "lineDiff", [["a", "b"], ["a", "c"]])`` calls a function with each list of arguments."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_static("/_ajoxi/console/static/", STATIC)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with watched_contexts(browser) as open_context:
            context, _ = await open_context(f"http://127.0.0.1:{runner.addresses[0][1]}")
            shown = await context.new_page()
            await shown.goto("/")

            async def call(module: str, name: str, rows: list[list[Any]]) -> list[Any]:
                return await shown.evaluate(_CALL, [f"/_ajoxi/console/static/{module}", name, rows])

            yield call
    finally:
        await runner.cleanup()
