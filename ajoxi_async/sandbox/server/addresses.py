"""The URLs of media in answers: the address under which the caller can reach the sandbox.

Rules:
1. If ``public_url`` was given, it is the address for all callers.
2. Otherwise an answer over HTTP has the address from the Host header of its request, so that a caller who reached the API
   also reaches the media, from another machine or from the host of a container.
3. Webhook events, and answers to requests without a usable Host, have the address on which the sandbox listens. If that is
   every address of the machine (``0.0.0.0``), they have the loopback address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from attrs import evolve

from ajoxi_async.contract.calls import Call
from ajoxi_async.contract.codec import PageBody
from ajoxi_async.contract.errors import InvalidParameterError
from ajoxi_async.contract.recordings import Recording

__all__ = ["checked_public_url", "listening_url", "origin_of", "reaches_loopback", "with_origin"]

#: A host name or an address, and a port.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_EVERY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def listening_url(host: str, port: int) -> str:
    """The URL under which this machine reaches a socket that listens on a host."""
    host = _EVERY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reaches_loopback(host: str) -> bool:
    """Whether a socket that listens on a host is reached on loopback. A name other than ``localhost`` may be any address."""
    try:
        address = ipaddress.ip_address(_EVERY_ADDRESS.get(host, host))
    except ValueError:
        return True
    return address.is_loopback


def checked_public_url(given: str) -> str:
    """Check a public URL and return it without the slash at its end.

    Raises:
        InvalidParameterError: it is not an absolute HTTP URL, or has a user, a query or a fragment.
    """
    try:
        parts = urlsplit(given)
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        right = False
    if not right or set(given) & set('@?# \t\r\n\\"<>') or not given.isascii():
        raise InvalidParameterError("public_url", "expected an absolute URL such as 'https://sandbox.example:8027'")
    return given.rstrip("/")


def origin_of(sent: Mapping[str, str], public_url: str | None, base_url: str) -> str:
    """The address for the answer to a request, from the request's headers."""
    if public_url is not None:
        return public_url
    host = sent.get("host", "")
    return f"http://{host}" if _HOST.fullmatch(host) else base_url


def with_origin(result: Any, origin: str) -> Any:
    """The object of an answer with its media URLs at this address."""
    if isinstance(result, PageBody):
        if result.data and isinstance(result.data[0], Call | Recording):
            return PageBody(
                tuple(with_origin(item, origin) for item in result.data), result.next_cursor, result.has_more
            )
        return result
    if isinstance(result, Call):
        url = _moved(result.recording_url, result.recording_id, origin)
        return result if url == result.recording_url else evolve(result, recording_url=url)
    if isinstance(result, Recording):
        url = _moved(result.url, result.id, origin)
        return result if url == result.url else evolve(result, url=url)
    return result


def _moved(url: str | None, id: str | None, origin: str) -> str | None:
    return f"{origin}/media/{id}.wav" if url is not None else None
