"""The client under test, patient for milliseconds, and each of its methods that the table covers."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from ajoxi_async import AsyncAjoxi, RetryPolicy

__all__ = ["KEY", "METHODS", "PRESETS", "RETRIES", "client_of", "create", "outcome_of", "with_tokens"]

KEY = "AJX_TEST_0123456789"
RETRIES = 2
PRESETS = ("documented", "strict", "always")
#: Opened once, for every client of httpx would read the certificates anew.
TLS = ssl.create_default_context()

METHODS: dict[str, tuple[str, Callable[[AsyncAjoxi], Awaitable[Any]]]] = {
    "calls.retrieve": ("GET", lambda client: client.calls.retrieve("call_1")),
    "calls.create": ("POST", lambda client: client.calls.create(to="+14155551234", from_="+14155550100")),
    "calls.transfer": ("POST", lambda client: client.calls.transfer("call_1", extension="204")),
    "messages.send": ("POST", lambda client: client.messages.send(to="+14155551234", from_="+14155550100", body="Hi")),
    "numbers.provision": ("POST", lambda client: client.numbers.provision(phone_number="+14155551234")),
    "numbers.update": ("PUT", lambda client: client.numbers.update("num_1", caller_id={"name": "Ann"})),
    "numbers.release": ("DELETE", lambda client: client.numbers.release("num_1")),
    "webhooks.create": ("POST", lambda c: c.webhooks.create(url="https://example.com/", events=["call.started"])),
    "webhooks.delete": ("DELETE", lambda client: client.webhooks.delete("wh_1")),
}


def client_of(
    url: str, preset: str = "documented", *, timeout: float = 10.0, retries: int = RETRIES, **settings: Any
) -> AsyncAjoxi:
    """A client of the server at `url`, with a limiter of its own, for limiters are shared by key and URL."""
    policy = RetryPolicy(max_retries=retries, base=0.001, cap=0.002, writes=preset)  # type: ignore[arg-type]
    return AsyncAjoxi(KEY, **{"base_url": url, "retry": policy, "timeout": timeout, "tls": TLS, **settings})


async def outcome_of(call: Awaitable[Any]) -> Exception | None:
    """The exception that a call ended with."""
    try:
        await call
    except Exception as error:
        return error
    return None


def create(client: AsyncAjoxi, **options: Any) -> Any:
    """Place a call."""
    return client.calls.create(to="+14155551234", from_="+14155550100", **options)


def with_tokens(url: str, provider: Any, preset: str = "documented", **settings: Any) -> AsyncAjoxi:
    """A client whose tokens come from `provider`."""
    policy = RetryPolicy(base=0.001, cap=0.002, writes=preset)  # type: ignore[arg-type]
    return AsyncAjoxi(base_url=url, token_provider=provider, mode="test", retry=policy, **settings)
