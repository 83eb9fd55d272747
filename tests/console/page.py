"""A page of the console as the server sees it: its requests, and what its feed is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, CookieJar

from ajoxi_async import Sandbox

TO, FROM = "+15005550100", "+14155550100"
#: What a page sends with each request that changes something.
OWN = {"X-Ajoxi-Console": "1", "Content-Type": "application/json"}


class Page:
    """Asks the sandbox as a page does; signed in once `sign_in` was called."""

    def __init__(self, sandbox: Sandbox, session: ClientSession) -> None:
        self.sandbox, self.session = sandbox, session

    def code(self) -> str:
        return self.sandbox.console_url.partition("#code=")[2]

    async def sign_in(self) -> None:
        assert (await self.ask("POST", "console/session", {"code": self.code()}))[0] == 201

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and content of the answer to a request under ``/_ajoxi/``."""
        status, _, text = await self.raw(
            method, path, body, {**OWN, **{k.replace("_", "-"): v for k, v in headers.items()}}
        )
        return status, json.loads(text)

    async def get(self, path: str, **headers: str) -> Any:
        status, shown = await self.ask("GET", path, **headers)
        assert status == 200, shown
        return shown

    async def act(self, method: str, path: str, body: Any = None, status: int = 201) -> Any:
        """What the API answers to the console."""
        answered, shown = await self.ask(method, f"console/as/v1/{path}", body)
        assert answered == status, shown
        return shown

    async def raw(self, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any, bytes]:
        url = (
            f"{self.sandbox.base_url}/{path.removeprefix('/')}"
            if path.startswith("/")
            else f"{self.sandbox.base_url}/_ajoxi/{path}"
        )
        data = json.dumps(body) if body is not None else None
        async with self.session.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
            return response.status, response.headers, await response.read()

    @asynccontextmanager
    async def feed(self, world: str = "main", **interest: Any) -> AsyncIterator[Feed]:
        """A feed that follows something from the beginning."""
        url = f"{self.sandbox.base_url}/_ajoxi/console/feed?world={world}"
        async with self.session.get(url) as response:
            assert response.status == 200
            feed = Feed(self, response)
            kind, hello = await feed.next()
            assert kind == "hello"
            feed.id = hello["feed"]
            if interest:
                await feed.show(**interest)
            yield feed


class Feed:
    """The events of a feed."""

    def __init__(self, page: Page, response: Any) -> None:
        self.page, self.response = page, response
        self.id = ""
        self.event_id = ""

    async def show(self, **interest: Any) -> None:
        assert await self.page.ask("POST", f"console/feed/{self.id}", interest) == (200, {})

    async def next(self) -> tuple[str, Any]:
        kind = ""
        while True:
            line = (await self.response.content.readline()).decode()
            if not line:
                return "end", None
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "id":
                self.event_id = value
            elif name == "data":
                return kind, json.loads(value)

    async def until(self, found: Any) -> Any:
        """The first state for which `found` is true."""
        while True:
            kind, state = await self.next()
            assert kind == "state", "the feed has ended"
            if found(state):
                return state


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Page]:
    """A sandbox with a console, and a page that is not signed in."""
    async with (
        Sandbox(**{"clock": "manual", "console": True, **options}) as sandbox,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as session,
    ):
        yield Page(sandbox, session)


@asynccontextmanager
async def signed_in(**options: Any) -> AsyncIterator[Page]:
    """A sandbox with a console, and a page that is signed in."""
    async with opened(**options) as page:
        await page.sign_in()
        yield page
