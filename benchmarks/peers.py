"""Each SDK as two functions: fetch one object, fetch one page. Ordinary use, settings as shipped, no telemetry.

An SDK that offers a transport over aiohttp gets it, for it is the fastest it has. Retries stay as shipped, nothing
fails here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

__all__ = ["PEERS", "Operations", "Peer"]

KEY = "AJX_TEST_benchmark"


class Operations(NamedTuple):
    """What is measured."""

    one: Callable[[], Awaitable[Any]]
    page: Callable[[int], Awaitable[Any]]


class Peer(NamedTuple):
    """One row of the tables.

    Attributes:
        needs: packages without which it is skipped.
        uvloop: whether it runs on uvloop instead of asyncio's own loop.
    """

    name: str
    open: Callable[[str], AbstractAsyncContextManager[Operations]]
    needs: tuple[str, ...]
    uvloop: bool = False

    def missing(self) -> list[str]:
        """The packages that are not there."""
        needs = (*self.needs, "uvloop") if self.uvloop else self.needs
        return [name for name in needs if importlib.util.find_spec(name) is None]


@asynccontextmanager
async def _raw(url: str) -> AsyncIterator[Operations]:
    import aiohttp
    import orjson

    headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json", "User-Agent": "raw"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def get(path: str) -> Any:
            async with session.get(url + path) as response:
                return orjson.loads(await response.read())

        yield Operations(lambda: get("/v1/calls/call_8f2a1b3c"), lambda size: get(f"/v1/calls?limit={size}"))


@asynccontextmanager
async def _ajoxi(url: str) -> AsyncIterator[Operations]:
    from ajoxi_async import AsyncAjoxi, LocalLimiter

    async with AsyncAjoxi(KEY, base_url=url, limiter=LocalLimiter(1_000_000)) as client:
        # A list is lazy: awaiting it fetches a page.
        yield Operations(lambda: client.calls.retrieve("call_8f2a1b3c"), lambda size: client.calls.list(limit=size))


@asynccontextmanager
async def _twilio(url: str) -> AsyncIterator[Operations]:
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.rest import Client

    http = AsyncTwilioHttpClient()
    client = Client("AC1", "token", http_client=http)
    client.api.base_url = url

    async def page(size: int) -> Any:
        return list(await client.calls.page_async(page_size=size))

    try:
        yield Operations(lambda: client.calls("CA1").fetch_async(), page)
    finally:
        await http.close()


@asynccontextmanager
async def _stripe(url: str) -> AsyncIterator[Operations]:
    import stripe

    stripe.enable_telemetry = False
    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient("sk_test_1", http_client=http, base_addresses={"api": url})
    try:
        yield Operations(
            lambda: client.v1.customers.retrieve_async("cus_1"),
            lambda size: client.v1.customers.list_async({"limit": size}),
        )
    finally:
        await http.close_async()


@asynccontextmanager
async def _openai(url: str) -> AsyncIterator[Operations]:
    import openai

    async with openai.AsyncOpenAI(
        api_key="k", base_url=f"{url}/openai", http_client=openai.DefaultAioHttpClient()
    ) as client:

        async def page(size: int) -> Any:
            return await client.models.list(extra_query={"limit": size})

        yield Operations(lambda: client.models.retrieve("one"), page)


@asynccontextmanager
async def _anthropic(url: str) -> AsyncIterator[Operations]:
    import anthropic

    async with anthropic.AsyncAnthropic(
        api_key="k", base_url=f"{url}/anthropic", http_client=anthropic.DefaultAioHttpClient()
    ) as client:

        async def page(size: int) -> Any:
            return await client.models.list(limit=size)

        yield Operations(lambda: client.models.retrieve("one"), page)


@asynccontextmanager
async def _telnyx(url: str) -> AsyncIterator[Operations]:
    import telnyx

    async with telnyx.AsyncTelnyx(
        api_key="k", base_url=f"{url}/telnyx", http_client=telnyx.DefaultAioHttpClient()
    ) as client:

        async def page(size: int) -> Any:
            return await client.recordings.list(page_size=size)

        yield Operations(lambda: client.recordings.retrieve("one"), page)


#: The first is the measure of all.
PEERS = (
    Peer("raw aiohttp + orjson", _raw, ("aiohttp", "orjson")),
    Peer("raw aiohttp + orjson, uvloop", _raw, ("aiohttp", "orjson"), uvloop=True),
    Peer("ajoxi_async", _ajoxi, ("aiohttp",)),
    Peer("ajoxi_async, uvloop", _ajoxi, ("aiohttp",), uvloop=True),
    Peer("twilio (untyped, no retries)", _twilio, ("twilio",)),
    Peer("stripe", _stripe, ("stripe", "aiohttp")),
    Peer("openai", _openai, ("openai", "aiohttp")),
    Peer("telnyx", _telnyx, ("telnyx", "httpx_aiohttp")),
    Peer("anthropic", _anthropic, ("anthropic", "aiohttp")),
)
