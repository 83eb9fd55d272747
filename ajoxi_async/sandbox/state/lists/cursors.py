"""Cursors of lists (API reference: Pagination): a position in a list, opaque and bound to the filters it was made with."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from ajoxi_async.contract.errors import InvalidParameterError

__all__ = ["decode_cursor", "encode_cursor"]


def _mark(position: int, filters: str) -> bytes:
    return hashlib.sha256(f"{position}/{filters}".encode()).digest()[:6]


def encode_cursor(position: int, filters: str) -> str:
    """A cursor for the items before `position`."""
    return urlsafe_b64encode(position.to_bytes(6) + _mark(position, filters)).decode()


def decode_cursor(cursor: str, filters: str) -> int:
    """The position of a cursor made with the same filters.

    Raises:
        InvalidParameterError: there is no such cursor.
    """
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii"))
    except ValueError:
        raw = b""
    position = int.from_bytes(raw[:6])
    if len(raw) != 12 or raw[6:] != _mark(position, filters) or encode_cursor(position, filters) != cursor:
        raise InvalidParameterError("cursor", "expected a next_cursor of this list with the same filters")
    return position
