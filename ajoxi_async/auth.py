"""Where the Authorization header comes from.

Rules:
1. An API key is sent as it is (API reference: Authentication).
2. A token provider is any ``async () -> str``. OAuth 2.0 is named by the reference without an endpoint, so the
   client-credentials grant (RFC 6749, 4.4) takes the token URL from the caller.
3. A token is cached, fetched anew before it expires, once however many tasks wait for it, and once after a 401.
"""

from __future__ import annotations

import random
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import quote_plus, urlencode

import anyio
from attrs import evolve

from ajoxi_async.contract import codec
from ajoxi_async.contract.checks import http_url
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.wire import ExchangeError, Request, Transport
from ajoxi_async.protocol.credentials import check_token
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    InternalServerError,
)

__all__ = ["ApiKey", "ClientCredentials", "Credentials", "ProvidedToken", "TokenProvider"]

TokenProvider = Callable[[], Awaitable[str]]

#: A token is fetched anew this many seconds before it expires, or after half its life if that is shorter.
_LEEWAY = 60.0
#: Asking for a token changes nothing, so it is asked again after a failure.
_ATTEMPTS = 3


class Credentials(Protocol):
    """What the pipeline asks for."""

    @property
    def at_hand(self) -> str | None:
        """The value of the Authorization header if it can be had without waiting."""

    async def header(self, transport: Transport) -> str:
        """The value of the Authorization header."""

    def rejected(self, header: str) -> bool:
        """The API answered 401 to `header`; True when another one can be had."""


class ApiKey:
    """A static key."""

    def __init__(self, key: str) -> None:
        self.at_hand: str = f"Bearer {key}"

    async def header(self, transport: Transport) -> str:
        """See `Credentials`."""
        return self.at_hand

    def rejected(self, header: str) -> bool:
        """A key stays the same however often it is asked for."""
        return False

    def __repr__(self) -> str:
        return mask(f"ApiKey({self.at_hand[7:]})")


class ProvidedToken:
    """Tokens from a caller's own function, which does its own caching."""

    at_hand = None

    def __init__(self, provider: TokenProvider) -> None:
        self._provider = provider

    async def header(self, transport: Transport) -> str:
        """See `Credentials`."""
        given = self._provider()
        if not isinstance(given, Awaitable):
            raise ConfigurationError("token_provider: expected an async function that returns a token")
        return f"Bearer {check_token(await given)}"

    def rejected(self, header: str) -> bool:
        """The provider may know a newer token; the pipeline asks once more."""
        return True


class ClientCredentials:
    """The OAuth 2.0 client-credentials grant.

    Args:
        token_url: the token endpoint, https (plain http is for loopback only).
        client_id: as registered.
        client_secret: as registered; never logged.
        scope: space-separated, optional.
        clock: monotonic seconds.

    Raises:
        ConfigurationError: a setting cannot be right.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        http_url("token_url", token_url)
        if not client_id or not client_secret:
            raise ConfigurationError("expected both client_id and client_secret")
        self._url = token_url
        basic = b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()
        self._basic = f"Basic {basic}"
        self._scope = scope
        self._clock = clock
        self._header: str | None = None
        self._stale_at = 0.0
        self._lock: anyio.Lock | None = None

    def __repr__(self) -> str:
        return f"ClientCredentials({self._url!r})"

    @property
    def at_hand(self) -> str | None:
        """See `Credentials`."""
        return self._header if self._clock() < self._stale_at else None

    async def header(self, transport: Transport) -> str:
        """See `Credentials`."""
        if (fresh := self.at_hand) is not None:
            return fresh
        if self._lock is None:
            self._lock = anyio.Lock()
        async with self._lock:
            if self._header is None or self._clock() >= self._stale_at:
                await self._fetch(transport)
            return self._header  # type: ignore[return-value]

    def rejected(self, header: str) -> bool:
        """Forget the token that was rejected, unless another task has replaced it already."""
        if header == self._header:
            self._header = None
        return True

    async def _fetch(self, transport: Transport) -> None:
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        request = Request(
            "POST",
            self._url,
            {
                "Authorization": self._basic,
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            urlencode(form).encode(),
            timeout=30.0,
        )
        for attempt in range(_ATTEMPTS):
            if attempt:
                await anyio.sleep(random.random() * 0.25 * 2**attempt)
            try:
                response = await transport.send(evolve(request))
            except ExchangeError as error:
                if attempt + 1 < _ATTEMPTS:
                    continue
                raise APIConnectionError(f"the token endpoint did not answer: {error}", route="oauth.token") from error
            if response.status < 500:
                break
        if response.status != 200:
            kind = InternalServerError if response.status >= 500 else AuthenticationError
            raise kind(
                f"the token endpoint answered {response.status}", route="oauth.token", status_code=response.status
            )
        try:
            body = codec.parse_json(response.body)
            token, life = body["access_token"], float(body.get("expires_in", 3600))
        except (codec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
            raise AuthenticationError(
                "the token endpoint answered without an access_token", route="oauth.token", status_code=200
            ) from None
        self._header = f"Bearer {check_token(token)}"
        self._stale_at = self._clock() + max(life - _LEEWAY, life / 2)
