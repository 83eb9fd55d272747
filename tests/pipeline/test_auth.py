"""Tokens: cached, refreshed in time, and once."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import anyio
import pytest

from ajoxi_async import APIConnectionError, AsyncAjoxi, AuthenticationError, ClientCredentials, ConfigurationError
from ajoxi_async.contract.wire import Request, Response
from tests.client.fakes import ScriptedTransport, SteppedClock, answer, lost

pytestmark = pytest.mark.anyio

SECRET = "pä ss"
TOKEN_URL = "https://id.example/oauth/token"


class OAuthServer(ScriptedTransport):
    """A token endpoint and an API that takes only the newest token."""

    def __init__(self, life: int = 3600) -> None:
        super().__init__(self.reply)
        self.life = life
        self.issued = 0
        self.valid = ""

    def reply(self, request: Request) -> Response:
        if request.url == TOKEN_URL:
            self.issued += 1
            self.valid = f"token{self.issued}"
            return answer(200, {"access_token": self.valid, "token_type": "Bearer", "expires_in": self.life})
        if request.headers["Authorization"] != f"Bearer {self.valid}":
            return answer(401, {"error": {"code": "invalid_api_key", "message": "no"}})
        return answer(200, {"id": "call_1"})


def oauth_client(server: Any, clock: SteppedClock | None = None) -> AsyncAjoxi:
    """A client that gets its tokens by the client-credentials grant."""
    credentials = ClientCredentials(TOKEN_URL, "me:x", SECRET, scope="calls", clock=clock or SteppedClock())
    return AsyncAjoxi(token_provider=credentials, mode="test", transport=server)


async def test_the_grant() -> None:
    """The request is RFC 6749's: form body, credentials in HTTP Basic, form-encoded first."""
    server = OAuthServer()
    await oauth_client(server).calls.retrieve("call_1")
    request = server.requests[0]
    assert request.body == b"grant_type=client_credentials&scope=calls"
    assert request.headers["Authorization"] == "Basic " + b64encode(b"me%3Ax:p%C3%A4+ss").decode()


async def test_a_token_is_fetched_once_for_many() -> None:
    """A hundred tasks that start together cost one token."""
    server = OAuthServer()
    client = oauth_client(server)
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(client.calls.retrieve, "call_1")
    assert server.issued == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://tokens.example/token",
        "http://",
        "https://id:secret@tokens.example",
        "ftp://x",
        "https://x:0",
        "",
        None,
        5,
    ],
)
def test_a_token_url_that_would_show_the_secret(url: Any) -> None:
    """The client's secret is sent over https only, or to this machine."""
    with pytest.raises(ConfigurationError, match="^token_url: expected an https URL"):
        ClientCredentials(url, "me", SECRET)


@pytest.mark.parametrize("url", ["https://tokens.example/token", "http://127.0.0.1:8080/token", "http://localhost/t"])
def test_token_urls_that_are_taken(url: str) -> None:
    """https, and http on loopback."""
    assert repr(ClientCredentials(url, "me", SECRET)) == f"ClientCredentials({url!r})"


@pytest.mark.parametrize("life", [None, "NaN", 10**300, "soon", [], {}])
async def test_a_lifetime_that_cannot_be_read(life: Any) -> None:
    """A token is good, and kept, whatever the endpoint says about its lifetime."""
    server = OAuthServer()
    server.life = life
    client = oauth_client(server)
    for _ in range(3):
        await client.calls.retrieve("call_1")
    assert server.issued == 1


@pytest.mark.parametrize(
    "given", [{"client_id": "me\udcff"}, {"client_secret": "x\udcff"}, {"scope": "x\udcff"}, {"scope": 5}]
)
def test_credentials_that_no_form_can_carry(given: dict[str, Any]) -> None:
    """What is no Unicode text is refused when it is given, by its name and without its value."""
    with pytest.raises(ConfigurationError, match=f"expected {next(iter(given))} as registered") as caught:
        ClientCredentials(TOKEN_URL, **{"client_id": "me", "client_secret": SECRET, **given})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("client_id", "client_secret"), [("", "x"), ("x", ""), ("", ""), (None, "x"), ("x", 5)])
def test_credentials_with_a_part_missing(client_id: Any, client_secret: Any) -> None:
    """Without an id, or without a secret, no token is asked for, and the error shows neither."""
    with pytest.raises(ConfigurationError, match=r"expected client_(id|secret) as registered"):
        ClientCredentials(TOKEN_URL, client_id, client_secret)


async def test_a_token_is_refreshed_before_it_expires() -> None:
    """A minute before its end a token is fetched again."""
    server, clock = OAuthServer(life=600), SteppedClock()
    client = oauth_client(server, clock)
    for moment in (0, 539, 541):
        clock.now = 1000.0 + moment
        await client.calls.retrieve("call_1")
    assert server.issued == 2


async def test_a_rejected_token_is_refreshed_once() -> None:
    """A 401 brings a fresh token and a second attempt; a second 401 is the caller's."""
    server = OAuthServer()
    client = oauth_client(server)
    await client.calls.retrieve("call_1")
    server.valid = "revoked"
    await client.calls.retrieve("call_1")
    assert server.issued == 2

    refused = ScriptedTransport(
        lambda request: (
            answer(200, {"access_token": "t"}) if request.url == TOKEN_URL else answer(401, {"error": {"code": "x"}})
        )
    )
    with pytest.raises(AuthenticationError):
        await oauth_client(refused).calls.retrieve("call_1")
    assert [request.url == TOKEN_URL for request in refused.requests] == [True, False, True, False]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(400, {"error": "invalid_client"}), AuthenticationError),
        (answer(200, b"<html>"), AuthenticationError),
        (answer(200, {"token": "x"}), AuthenticationError),
        (answer(200, []), AuthenticationError),
        (answer(200, {"access_token": "a b"}), ConfigurationError),
        (lost(sent=True), APIConnectionError),
    ],
)
async def test_a_token_endpoint_that_fails(reply: Any, error: type[Exception]) -> None:
    """Whatever the token endpoint does wrong is a typed error without the secret in it."""
    with pytest.raises(error) as caught:
        await oauth_client(ScriptedTransport(reply)).calls.retrieve("call_1")
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)


async def test_any_async_function_is_a_provider() -> None:
    """A provider is asked for each call, and once more after a 401."""
    tokens = iter(["old", "new"])

    async def provider() -> str:
        return next(tokens)

    transport = ScriptedTransport(answer(401, {"error": {"code": "x"}}), answer(200, {"id": "call_1"}))
    client = AsyncAjoxi(token_provider=provider, mode="test", transport=transport)
    await client.calls.retrieve("call_1")
    assert [request.headers["Authorization"] for request in transport.requests] == ["Bearer old", "Bearer new"]


async def test_a_provider_that_returns_nonsense() -> None:
    """A token that would break the header is refused before anything is sent."""

    async def provider() -> str:
        return "a\r\nX-Evil: 1"

    transport = ScriptedTransport(answer(200, {"id": "call_1"}))
    with pytest.raises(ConfigurationError):
        await AsyncAjoxi(token_provider=provider, mode="test", transport=transport).calls.retrieve("call_1")
    assert not transport.requests


async def test_a_key_that_is_rejected_stays_rejected() -> None:
    """A static key is not tried twice."""
    transport = ScriptedTransport(answer(401, {"error": {"code": "invalid_api_key"}}))
    with pytest.raises(AuthenticationError):
        await AsyncAjoxi("AJX_TEST_x", transport=transport).calls.retrieve("call_1")
    assert len(transport.requests) == 1
