"""Checks of API keys, tokens and URLs, and where a live key may be sent.

Rules:
1. Keys are ``AJX_LIVE_...`` for production and ``AJX_TEST_...`` for the sandbox (API reference: Authentication).
2. An error message shows at most the first 12 characters of a key.
3. Calls with a live key ring real phones. A live key is never sent over plain http except to loopback, and is refused inside
   a pytest run or where ``CI`` is set, unless the caller allows it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from ajoxi_async.protocol.errors import ConfigurationError

__all__ = [
    "Mode",
    "check_base_url",
    "check_live",
    "check_proxy",
    "check_token",
    "check_token_url",
    "key_mode",
    "origin",
]

Mode = Literal["test", "live"]

_PREFIXES: Mapping[str, Mode] = {"AJX_LIVE_": "live", "AJX_TEST_": "test"}
_SHOWN = 12


def _start(key: str) -> str:
    return f"{key[:_SHOWN]!r}" + ("..." if len(key) > _SHOWN else "")


def key_mode(key: str | None) -> Mode:
    """Check the shape of an API key and return its mode.

    Raises:
        ConfigurationError: the key is missing, has white space or control characters, or another prefix.
    """
    if not key:
        raise ConfigurationError("api_key: no key; pass api_key= or set AJOXI_API_KEY")
    if not isinstance(key, str):
        raise ConfigurationError(f"api_key: expected a string, got {type(key).__name__}")
    if any(character.isspace() or not character.isprintable() for character in key):
        raise ConfigurationError(f"api_key: white space or control characters in {_start(key)}; copy the key again")
    for prefix, mode in _PREFIXES.items():
        if key.startswith(prefix) and len(key) > len(prefix) and key.isascii():
            return mode
    raise ConfigurationError(f"api_key: expected AJX_LIVE_... or AJX_TEST_..., got {_start(key)}")


def check_token(token: object) -> str:
    """Check what a token provider returned.

    Raises:
        ConfigurationError: it cannot be sent in a header.
    """
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError("token_provider: expected a printable token without white space")
    return str.__str__(token)


def check_token_url(url: str) -> str:
    """Check the URL of a token endpoint, which is sent the client's secret.

    Raises:
        ConfigurationError: it is neither https nor http to this machine.
    """
    try:
        parts = urlsplit(url)
        host, safe = parts.hostname or "", parts.scheme == "https" and parts.port != 0
        safe = safe or (parts.scheme == "http" and _is_loopback(host))
    except (ValueError, AttributeError, TypeError):
        host, safe = "", False
    if not host or not safe or not url.isprintable() or " " in url or parts.username is not None:
        raise ConfigurationError(
            "token_url: expected an https URL without user name or password; plain http is for this machine only"
        )
    return str.__str__(url)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_base_url(url: str) -> str:
    """Check a base URL and return it without a trailing slash.

    Raises:
        ConfigurationError: not an absolute http or https URL, or with user name, query or fragment.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        valid = False
    if not valid or not url.isprintable() or " " in url:
        raise ConfigurationError("base_url: expected an absolute http or https URL such as 'https://api.ajoxi.com'")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationError("base_url: expected a URL without user name, password, query or fragment")
    return str.__str__(url).rstrip("/")


def check_proxy(url: str) -> None:
    """Check the URL of an HTTP proxy.

    Raises:
        ConfigurationError: it cannot be right. The message does not repeat the URL, since it may hold a password.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        valid = False
    if not valid or not url.isprintable():
        raise ConfigurationError("proxy: expected an http or https URL such as 'http://proxy.example:3128'")


def check_live(base_url: str, environment: Mapping[str, str], *, allow_live: bool) -> None:
    """Apply rule 3 to a client in live mode.

    Raises:
        ConfigurationError: the URL is plain http, or this is a test run.
    """
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError("base_url: a live key is never sent over plain http; use https")
    if allow_live:
        return
    for name in ("PYTEST_CURRENT_TEST", "PYTEST_VERSION", "CI"):
        if environment.get(name, "").lower() not in {"", "0", "false"}:
            raise ConfigurationError(
                f"api_key: a live key in a test run ({name} is set) would ring real phones; "
                "use an AJX_TEST_ key, or pass allow_live=True"
            )


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL. Credentials are sent to the API's origin only."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
