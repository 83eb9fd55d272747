"""Where the Authorization header comes from.

Rules:
1. An API key is sent as it is (API reference: Authentication).
2. A token provider is any ``async () -> str``. OAuth 2.0 is named by the reference without an endpoint, so the
   client-credentials grant (RFC 6749, 4.4) takes the token URL from the caller.
3. A token is cached. It is fetched again before it expires and once after a 401, by one request however many tasks wait for
   it. The tasks may belong to any event loops in any threads (`limits.flight` has the rules).
4. A rate-limit budget belongs to an account, and a token does not name its account. Providers with the same code are
   treated as one account, and so are credentials with the same token URL and client id: see `budget_of`.
"""

from __future__ import annotations

import functools
import inspect
import random
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

import anyio
from attrs import evolve

from ajoxi_async.contract import codec
from ajoxi_async.contract.encoding.exact_values import is_unicode
from ajoxi_async.contract.masking import mask
from ajoxi_async.contract.wire import ExchangeError, Request, Transport
from ajoxi_async.limits.flight import Flight
from ajoxi_async.protocol.credentials import check_token, check_token_url
from ajoxi_async.protocol.errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    InternalServerError,
)

__all__ = ["ApiKey", "ClientCredentials", "Credentials", "ProvidedToken", "TokenProvider", "budget_of"]

TokenProvider = Callable[[], Awaitable[str]]

#: A token is fetched again this many seconds before it expires, or after half its lifetime if that is sooner.
_LEEWAY = 60.0
#: Seconds for which a token counts as valid if the token endpoint does not say it.
_USUAL_LIFE = 3600.0
#: Requesting a token changes nothing at the server, so the request is repeated after a failure.
_ATTEMPTS = 3


class Credentials(Protocol):
    """A source of Authorization headers, as the pipeline uses it."""

    @property
    def at_hand(self) -> str | None:
        """The value of the Authorization header if it is available without waiting."""

    async def header(self, transport: Transport) -> str:
        """The value of the Authorization header."""

    def rejected(self, header: str) -> bool:
        """Note that the API answered 401 to `header`; returns whether another value can be obtained."""


class ApiKey:
    """A static key."""

    def __init__(self, key: str) -> None:
        self.at_hand: str = f"Bearer {key}"

    async def header(self, transport: Transport) -> str:
        """See `Credentials`."""
        return self.at_hand

    def rejected(self, header: str) -> bool:
        """There is no other key to try."""
        return False

    def __repr__(self) -> str:
        return mask(f"ApiKey({self.at_hand[7:]})")


class ProvidedToken:
    """Tokens from the caller's own function, which caches them itself."""

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
        """The provider may return a newer token, so the pipeline calls it once more."""
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
        self._url = check_token_url(token_url)
        parts = {"client_id": client_id, "client_secret": client_secret} | ({} if scope is None else {"scope": scope})
        for name, given in parts.items():
            if not isinstance(given, str) or not given or not is_unicode(given):
                # No colon after the name, because masking would treat the text after it as the secret.
                raise ConfigurationError(f"expected {name} as registered, a string of Unicode that is not empty")
        self._client_id = client_id
        basic = b64encode(f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()).decode()
        self._basic = f"Basic {basic}"
        self._scope = scope
        self._clock = clock
        #: The header, and when to fetch the next one.
        self._token: tuple[str, float] | None = None
        self._refresh: Flight[str] = Flight()

    def __repr__(self) -> str:
        return f"ClientCredentials({self._url!r})"

    @property
    def at_hand(self) -> str | None:
        """See `Credentials`."""
        token = self._token
        return token[0] if token is not None and self._clock() < token[1] else None

    async def header(self, transport: Transport) -> str:
        """See `Credentials`."""
        return self.at_hand or await self._refresh.join(transport, lambda: self._fetch(transport))

    def rejected(self, header: str) -> bool:
        """Forget the token that was rejected, unless another task has replaced it already."""
        token = self._token
        if token is not None and token[0] == header:
            self._token = None
        return True

    async def _fetch(self, transport: Transport) -> str:
        if (fresh := self.at_hand) is not None:
            return fresh  # another task fetched it while this one waited
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
            token, life = body["access_token"], _lifetime(body.get("expires_in"))
        except (codec.DecodeError, KeyError, TypeError, AttributeError):
            raise AuthenticationError(
                "the token endpoint answered without an access_token", route="oauth.token", status_code=200
            ) from None
        header = f"Bearer {check_token(token)}"
        self._token = header, self._clock() + max(life - _LEEWAY, life / 2)
        return header


def _lifetime(given: Any) -> float:
    """Seconds until a token expires; an hour if the endpoint does not say it, or says what cannot be read."""
    try:
        life = float(given)
    except (TypeError, ValueError, OverflowError):
        return _USUAL_LIFE
    return _USUAL_LIFE if life != life else life  # noqa: PLR0124 - a NaN is not itself


def budget_of(provider: TokenProvider | ClientCredentials) -> str:
    """The name of the rate-limit budget that a provider's tokens use.

    A function is identified by its code, not by its identity or its closure: an application that makes a client for each
    request makes a new closure each time, and a separate budget for each would not limit anything. Where one function
    serves several accounts, they share one budget and are slower than needed; give each its own ``limiter=`` to avoid that.
    """
    if isinstance(provider, ClientCredentials):
        return f"client {provider._client_id} at {provider._url}"
    function: Any = provider
    while isinstance(function, functools.partial):
        function = function.func
    try:
        function = inspect.unwrap(function)
    except ValueError:  # a function whose `__wrapped__` is itself
        pass
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    if code is not None:
        return f"provider {code.co_qualname} at {code.co_filename}:{code.co_firstlineno}"
    kind = function if isinstance(function, type) else type(function)
    return f"provider {kind.__module__}.{kind.__qualname__}"
