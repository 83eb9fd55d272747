"""What a key must look like, and where a live one may go."""

from __future__ import annotations

import pytest

from ajoxi_async.protocol.credentials import check_base_url, check_live, check_token, key_mode, origin
from ajoxi_async.protocol.errors import ConfigurationError


@pytest.mark.parametrize(("key", "mode"), [("AJX_LIVE_abc", "live"), ("AJX_TEST_abc", "test")])
def test_mode(key: str, mode: str) -> None:
    """The prefix of a key says its mode."""
    assert key_mode(key) == mode


@pytest.mark.parametrize(
    "key",
    ["", None, "sk_live_secretsecret", "AJX_LIVE_", "AJX_TEST_a b", "AJX_TEST_a\n", " AJX_TEST_ab", "AJX_TEST_a\x00b",
     "AJX_TEST_ä", "ajx_test_abc", "Bearer AJX_TEST_abc"],
)  # fmt: skip
def test_wrong_keys(key: str | None) -> None:
    """A key that cannot be right is refused, and no more than 12 characters of it are shown."""
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        key_mode(key)
    assert not key or len(key) <= 12 or key[:13] not in str(caught.value)


@pytest.mark.parametrize("token", ["", None, 5, "a b", "a\r\nX: y", "ü"])
def test_wrong_tokens(token: object) -> None:
    """What a provider returns must fit into a header."""
    with pytest.raises(ConfigurationError, match="token_provider"):
        check_token(token)


@pytest.mark.parametrize(
    "url",
    ["", "api.ajoxi.com", "ftp://x", "https://", "https://u:p@x", "https://x?a", "https://x#a", "https://x:0",
     "https://x:99999", "https://x y", "https://x\n", None, 5],
)  # fmt: skip
def test_wrong_base_urls(url: str) -> None:
    """A base URL is absolute, http or https, and nothing but scheme, host, port and path."""
    with pytest.raises(ConfigurationError, match="base_url"):
        check_base_url(url)


def test_base_url_has_no_trailing_slash() -> None:
    """Paths are appended, so a trailing slash goes."""
    assert check_base_url("https://api.ajoxi.com/") == "https://api.ajoxi.com"


@pytest.mark.parametrize("url", ["http://api.ajoxi.com", "http://127.0.0.1.example.com", "http://10.0.0.1"])
def test_live_key_needs_https(url: str) -> None:
    """A live key never goes over plain http to another machine, whatever is allowed."""
    with pytest.raises(ConfigurationError, match="https"):
        check_live(url, {}, allow_live=True)


@pytest.mark.parametrize("url", ["https://api.ajoxi.com", "http://127.0.0.1:1", "http://localhost", "http://[::1]:80"])
def test_live_key_may(url: str) -> None:
    """https anywhere, and http on loopback, are fine."""
    check_live(url, {}, allow_live=False)


@pytest.mark.parametrize("env", [{"CI": "true"}, {"CI": "1"}, {"PYTEST_CURRENT_TEST": "x"}, {"PYTEST_VERSION": "9"}])
def test_live_key_in_a_test_run(env: dict[str, str]) -> None:
    """In a test run a live key needs permission."""
    with pytest.raises(ConfigurationError, match="allow_live"):
        check_live("https://api.ajoxi.com", env, allow_live=False)
    check_live("https://api.ajoxi.com", env, allow_live=True)


def test_ci_switched_off() -> None:
    """CI=false is no test run."""
    check_live("https://api.ajoxi.com", {"CI": "false"}, allow_live=False)


def test_origin() -> None:
    """Scheme, host and port make an origin; a default port counts as written."""
    assert origin("https://A.example/x") == origin("https://a.example:443/y")
    assert origin("https://a.example") != origin("http://a.example")
    assert origin("http://a.example:80") != origin("http://a.example:81")
