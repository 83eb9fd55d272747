"""Attacks on the console from pages of other origins, in the browser of somebody who is signed in to it."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import expect

from ajoxi_async import Sandbox

from .browser import REBINDING
from .opening import opened_console

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Everything that a page can try with the address of the sandbox. Each attempt says what the page learned.
TRIES = """async (sandbox) => {
  const at = (path) => `${sandbox}/_ajoxi/${path}`;
  const json = { method: 'POST', credentials: 'include', headers: { 'Content-Type': 'application/json', 'X-Ajoxi-Console': '1' }, body: '{}' };
  const tried = async (act) => {
    try { return await act() } catch (error) { return error.name }
  };
  const loaded = (tag, attributes) => new Promise((resolve) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.onload = () => resolve('loaded');
    made.onerror = () => resolve('refused');
    document.body.append(made);
  });
  const posted = (path, type, body) => new Promise((resolve) => {
    const frame = Object.assign(document.createElement('iframe'), { name: `to-${path}` });
    const form = Object.assign(document.createElement('form'), { method: 'POST', action: at(path), target: frame.name, enctype: type });
    form.append(Object.assign(document.createElement('input'), { name: body, value: '' }));
    document.body.append(frame, form);
    frame.onload = () => resolve(frame.contentDocument === null ? 'not readable' : 'readable');
    form.submit();
  });
  const fetched = (path, options) => async () => (await fetch(at(path), options)).type;
  return {
    'read by fetch': await tried(fetched('clock', { credentials: 'include' })),
    'read without cors': await tried(fetched('clock', { credentials: 'include', mode: 'no-cors' })),
    'post as the console does': await tried(fetched('reset', json)),
    'post as text': await tried(fetched('reset', { method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}' })),
    'delete': await tried(fetched('faults', { method: 'DELETE', credentials: 'include' })),
    'act through the api': await tried(fetched('console/as/v1/calls', json)),
    'sign in': await tried(fetched('console/session', json)),
    'beacon': navigator.sendBeacon(at('reset'), '{}'),
    'form': await posted('reset', 'text/plain', '{"a":"'),
    'form to a receiver': await posted('receivers/recv_1/in', 'text/plain', 'x'),
    'image': await loaded('img', { src: at('clock') }),
    'script of data': await loaded('script', { src: at('clock') }),
    'script of the console': await loaded('script', { src: at('console/static/app.js'), type: 'module' }),
    'import': await tried(async () => { await import(at('console/static/base/api.js')); return 'loaded' }),
    'style': await loaded('link', { rel: 'stylesheet', href: at('console/static/console.css') }),
    'event stream': await new Promise((resolve) => {
      const source = new EventSource(at('console/feed?world=main'), { withCredentials: true });
      source.onmessage = () => resolve('message');
      source.onopen = () => resolve('open');
      source.onerror = () => { source.close(); resolve('refused') };
    }),
    'frame': await new Promise((resolve) => {
      const frame = Object.assign(document.createElement('iframe'), { src: at('console/main/') });
      frame.onload = () => resolve(frame.contentDocument === null ? 'not readable' : 'readable');
      document.body.append(frame);
    }),
    'window': await tried(async () => {
      const opened = open(at('console/main/'));
      // Until the console is there, the window shows an empty page of one's own.
      for (let round = 0; round < 200 && opened.document.title === ''; round += 1) await new Promise((resolve) => setTimeout(resolve, 50));
      return opened.document.title;
    }),
  };
}"""

#: What none of them may learn: an opaque answer has neither a status nor a body.
OUTCOMES = {
    "read by fetch": "TypeError", "read without cors": "TypeError", "post as the console does": "TypeError", "post as text": "TypeError",
    "delete": "TypeError", "act through the api": "TypeError", "sign in": "TypeError", "beacon": True, "form": "not readable",
    "form to a receiver": "not readable", "image": "refused", "script of data": "refused", "script of the console": "refused",
    "import": "TypeError", "style": "refused", "event stream": "refused", "frame": "not readable", "window": "SecurityError",
}  # fmt: skip


def state_of(sandbox: Sandbox) -> list[Any]:
    """Everything that an attack could change."""
    world = sandbox.world()
    return [
        world.counts(), world.epoch, sandbox.clock.now(), sandbox.keys(), [fault.to_dict() for fault in sandbox.faults],
        # Browsers ask every origin for its icon.
        [request for request in sandbox.requests if request.path != "/favicon.ico"],
    ]  # fmt: skip


async def test_a_page_on_another_port_reaches_nothing(browser) -> None:
    """A page of another port of this machine, to which the browser sends the cookie, neither learns nor changes anything."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>attack</title><body>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with opened_console(browser) as console:
            console.sandbox.faults.add(action="latency", match="calls.list")
            before = state_of(console.sandbox)
            # In the same context, which has the cookie; what this page does wrong is its purpose.
            attacker = await console.context.new_page()
            console.watch.allow(".")
            await attacker.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            cookies = await console.context.cookies(attacker.url + "_ajoxi/")
            assert [cookie["name"] for cookie in cookies] == [
                f"ajoxi_console_{console.sandbox.base_url.rpartition(':')[2]}"
            ]
            assert await attacker.evaluate(TRIES, console.sandbox.base_url) == OUTCOMES
            assert state_of(console.sandbox) == before
            # The console itself works on.
            await console.page.get_by_role("button", name="Place a test call").click()
            await expect(console.page.locator("main")).to_contain_text("ringing")
    finally:
        await runner.cleanup()


async def test_a_name_that_was_rebound_reaches_nothing(browser) -> None:
    """A page whose name leads to this machine now is of the same origin as what it asks, and is refused all the same."""
    async with opened_console(browser) as console:
        before = state_of(console.sandbox)
        context, watch = await console.open_context(console.sandbox.base_url.replace("127.0.0.1", REBINDING))
        watch.allow(".")
        page = await context.new_page()
        for path in ("console/", "console/main/calls", "console/static/app.js", "clock"):
            answer = await page.goto(f"/_ajoxi/{path}")
            assert (answer.status, "permission_denied" in await answer.text()) == (403, True)
        statuses = await page.evaluate(
            """async () => {
              const headers = { 'X-Ajoxi-Console': '1', 'Content-Type': 'application/json' };
              const paths = ['clock', 'reset', 'keys', 'console/session', 'console/as/v1/calls', 'console/feed?world=main'];
              return Promise.all(paths.flatMap((path) => ['GET', 'POST'].map(async (method) =>
                (await fetch(`/_ajoxi/${path}`, { method, headers, body: method === 'GET' ? undefined : '{}' })).status)));
            }"""
        )
        assert set(statuses) == {403}
        assert state_of(console.sandbox) == before
