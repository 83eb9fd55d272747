"""What every call takes besides its own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["CallOptions", "check_headers"]


class CallOptions(TypedDict, total=False):
    """Options of one call.

    Attributes:
        timeout: seconds for the whole call: its turn at the limiter, every attempt and the waits between them. Without
            it only the client's own `timeout` counts, which bounds each attempt, so that a bulk job may queue for long.
        extra_headers: sent besides the client's own.
        extra_query: query parameters this version of the package does not know.
    """

    timeout: float | None
    extra_headers: Mapping[str, str] | None
    extra_query: Mapping[str, str] | None


#: What the client itself answers for; overriding it would leak a key or break the framing.
_RESERVED = frozenset({"authorization", "host", "content-length", "transfer-encoding", "connection", "content-type"})


def check_headers(given: Mapping[str, str]) -> None:
    """Refuse headers that cannot be sent, or that the client itself answers for."""
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidParameterError("extra_headers", "expected strings")
        if name.lower() in _RESERVED:
            raise InvalidParameterError("extra_headers", f"{name} is set by the client")
        token = name.replace("-", "").replace("_", "")
        if not (token.isascii() and token.isalnum()) or not value.isprintable() or not value.isascii():
            raise InvalidParameterError("extra_headers", f"expected a printable ASCII header, got {name[:40]!r}")
