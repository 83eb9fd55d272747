"""Settings of the transports that both engines use, and checks of a caller's session."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any

from attrs import field, frozen

from ajoxi_async.protocol.errors import ConfigurationError

__all__ = [
    "MAX_BODY",
    "MAX_HEAD",
    "TransportSettings",
    "check_session",
    "default_tls",
    "headers_of_session",
    "session_is_closed",
    "session_kind",
]

#: Most bytes of a body. No answer of the API is nearly as long; a body without end must not fill the memory.
MAX_BODY = 64 * 1024 * 1024
#: Most bytes of a response's head: httpcore's limit, which aiohttp gets as well.
MAX_HEAD = 100 * 1024


@frozen(kw_only=True)
class TransportSettings:
    """Settings that both engines use.

    Attributes:
        proxy: URL of an HTTP proxy for every request.
        tls: a TLS context in place of the default one.
        trust_env: whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY count.
        max_connections: most connections REST calls hold at once in one event loop; live streams have their own and are
            not limited.
        session: a caller's own ``aiohttp.ClientSession``, ``httpx.AsyncClient`` or ``httpx2.AsyncClient``. Its
            connections, proxy and TLS settings are used; it is never changed and never closed.
    """

    proxy: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    trust_env: bool = False
    max_connections: int = 100
    session: Any = None


def session_kind(session: Any) -> str | None:
    """``aiohttp``, ``httpx`` or ``httpx2``, without importing any; ``None`` if it is not an asynchronous session of these."""
    names = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(session).__mro__}
    kinds = {
        ("aiohttp", "ClientSession"): "aiohttp",
        ("httpx", "AsyncClient"): "httpx",
        ("httpx2", "AsyncClient"): "httpx2",
    }
    return next((kind for name, kind in kinds.items() if name in names), None)


def session_is_closed(session: Any) -> bool:
    """Whether a session is closed."""
    return bool(session.closed if session_kind(session) == "aiohttp" else session.is_closed)


def check_session(session: Any) -> None:
    """Check a session of the caller's.

    Raises:
        ConfigurationError: it is not a session of a supported library, or it is closed.
    """
    if session_kind(session) is None:
        raise ConfigurationError(
            "session: expected an aiohttp.ClientSession, an httpx.AsyncClient or an httpx2.AsyncClient, "
            f"got {type(session).__name__}"
        )
    if session_is_closed(session):
        raise ConfigurationError("session: it is closed; give one that is open")


#: Headers that the client sets itself, whatever the default headers of a session are.
_OURS = frozenset(
    {
        "accept", "authorization", "connection", "content-encoding", "content-length", "content-type", "cookie", "expect",
        "host", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive",
        "proxy-connection", "range", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


#: The name of a header (RFC 9110), and what no value may hold.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def headers_of_session(given: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The default headers of a session that are sent with the client's requests.

    Raises:
        ConfigurationError: one of them cannot be sent. The engines would notice when they have begun to send a request.
    """
    kept = [(name, value.strip(" \t")) for name, value in given if name.lower() not in _OURS]
    for name, value in kept:
        if not _NAME.fullmatch(name) or _CONTROL.search(value):
            raise ConfigurationError(f"session: its header {name[:40]!r} has characters that no header may have")
    return kept


def default_tls() -> ssl.SSLContext:
    """The default TLS context, the same for both engines: OpenSSL's trust store, SSL_CERT_FILE and SSL_CERT_DIR included."""
    return _default_tls(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


# Cached, because loading the trust store takes several milliseconds and a program may make a client for each request.
@cache
def _default_tls(*_trust_store: str | None) -> ssl.SSLContext:
    return ssl.create_default_context()
